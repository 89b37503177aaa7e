//! The routes, and what lies around all of them.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter};
use axum::{Extension, Json, Router, middleware};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use super::headers::{EXPOSED, REQUEST_ID};
use super::route::{Action, ROOT, ROUTES, Route};
use super::{Dialect, Gate, HttpError, body, headers, openapi, page};
use crate::api::openai::ModelItem;
use crate::api::{Answer, Form, Operation};
use crate::service::Usage;

/// A body below this is not worth compressing: it goes out in one packet as it is.
const MIN_COMPRESSED_BYTES: u64 = 1024;

/// How long a browser may remember what another origin may do.
const CORS_MAX_AGE: Duration = Duration::from_secs(3600);

/// What the router does for all routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// Origins whose pages may call: `*` alone, or each `scheme://host[:port]`; none for pages of
    /// this origin alone.
    pub cors_origins: Vec<String>,
    /// Most bytes of a body, as it comes and unpacked.
    pub max_body_bytes: usize,
}

impl Default for HttpOptions {
    /// Pages of this origin alone, and bodies of what a function may be sent.
    fn default() -> Self {
        Self { cors_origins: Vec::new(), max_body_bytes: 6 * 1024 * 1024 }
    }
}

/// What an answer holds and took; an extension of the response of every operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Vectors, scores or texts: what a shorter request would have fewer of.
    pub items: usize,
    /// What it took.
    pub usage: Usage,
    /// Whose words it is in.
    pub dialect: Dialect,
}

/// What the routes share.
struct Shared {
    gate: Gate,
    max_body_bytes: usize,
    document: OnceLock<Bytes>,
}

/// Returns every route over a service behind its gate.
///
/// The response of an operation has [`Answered`] among its extensions, that of an error
/// [`Failure`](super::Failure).
pub fn router(gate: Gate, options: HttpOptions) -> Router {
    let max_body_bytes = options.max_body_bytes;
    let shared = Arc::new(Shared { gate, max_body_bytes, document: OnceLock::new() });
    let mut router = Router::new().fallback(not_found);
    for (index, route) in ROUTES.iter().enumerate() {
        // A path is one entry of the router, whatever its methods.
        if ROUTES[..index].iter().all(|other| other.path != route.path) {
            router = router.route(&route.pattern(), methods(route.path, &shared));
        }
    }
    let compression = CompressionLayer::new().compress_when(SizeAbove::new(MIN_COMPRESSED_BYTES));
    let router = router.layer(middleware::map_response(finish)).layer(compression);
    let router = match cors(&options.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
}

/// Returns the methods of a path, and what the others get.
fn methods(path: &'static str, shared: &Arc<Shared>) -> MethodRouter {
    let allow = Route::allow(path);
    let refuse = move |method: Method, uri: Uri| async move {
        if method == Method::OPTIONS {
            return (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]).into_response();
        }
        HttpError::MethodNotAllowed { allow }.response(Dialect::of(uri.path()))
    };
    let methods = MethodRouter::new().fallback(refuse);
    ROUTES.iter().filter(|route| route.path == path).fold(methods, |methods, route| {
        let filter = match route.action {
            Action::Operation(_) => MethodFilter::POST,
            _ => MethodFilter::GET,
        };
        let shared = Arc::clone(shared);
        let handler = move |model: Result<Path<String>, PathRejection>, request: Request| {
            let shared = Arc::clone(&shared);
            async move { shared.answer(route, model.ok(), request).await }
        };
        methods.on(filter, handler)
    })
}

impl Shared {
    async fn answer(
        &self,
        route: &Route,
        model: Option<Path<String>>,
        request: Request,
    ) -> Response {
        let service = self.gate.service();
        match route.action {
            Action::Operation(form) => self.carry_out(form, Dialect::of(route.path), request).await,
            Action::Info if route.path == ROOT => {
                let mut response = match page::is_wanted(request.headers()) {
                    true => page::response(),
                    false => Json(service.about()).into_response(),
                };
                response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
                response
            }
            Action::Info => Json(service.about()).into_response(),
            Action::Health => Json(Answer::status("ok")).into_response(),
            Action::Models => Json(service.models()).into_response(),
            Action::Model => {
                let is_named = |item: &ModelItem| model.as_ref().is_some_and(|id| item.id == id.0);
                match service.models().data.into_iter().find(is_named) {
                    Some(item) => Json(item).into_response(),
                    None => HttpError::UnknownModel.response(Dialect::of(route.path)),
                }
            }
            Action::Document => {
                let document = self.document.get_or_init(|| openapi::document(service));
                ([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response()
            }
        }
    }

    /// Answers an operation, or says in its dialect why not.
    async fn carry_out(&self, form: Form, dialect: Dialect, request: Request) -> Response {
        let arrived = Instant::now();
        let answer = async {
            let value = body::json(request, self.max_body_bytes).await?;
            let operation = Operation::decode(value, form, self.gate.service().limits())?;
            Ok::<_, HttpError>(self.gate.answer(operation).await?)
        };
        match answer.await {
            Ok((answer, usage)) => {
                let headers = headers::of(&usage, arrived.elapsed());
                let answered = Answered { items: answer.items(), usage, dialect };
                (headers, Extension(answered), Json(answer)).into_response()
            }
            Err(error) => error.response(dialect),
        }
    }
}

async fn not_found(uri: Uri) -> Response {
    HttpError::NotFound.response(Dialect::of(uri.path()))
}

/// Forbids a browser to take an answer for something else than it says it is.
async fn finish(mut response: Response) -> Response {
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// Returns what lets pages of other origins call, if any may.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origin = match origins {
        [] => return None,
        [any] if any == "*" => AllowOrigin::any(),
        // What is no header value is the origin of no request.
        origins => AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok())),
    };
    let layer = CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(CORS_MAX_AGE);
    Some(layer)
}
