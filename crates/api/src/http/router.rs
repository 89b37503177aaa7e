//! The routes, and what lies around all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter};
use axum::{Extension, Router, middleware};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use super::error::{self, error_response};
use super::headers::{EXPOSED, REQUEST_ID, report_headers};
use super::{body, page};
use crate::admission::Admission;
use crate::body::Fields;
use crate::dialect::{Route, routes};
use crate::error::ApiError;
use crate::openapi::path_parameters;
use crate::operation::{Answer, Report};

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

/// Where a request went; an extension of every response of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// The path of the route, as a pattern.
    pub route: &'static str,
    /// The operation, if the request was understood.
    pub operation: Option<&'static str>,
}

/// The contents and the cost of a reply; an extension of the response of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyInfo {
    /// Vectors, scores or texts in the reply: a shorter request has fewer of them.
    pub items: usize,
    /// What it cost.
    pub report: Report,
}

/// Returns every route over a service.
///
/// The response of an operation has a [`ReplyInfo`] among its extensions, that of an error a
/// [`Failure`](crate::Failure).
pub fn router(admission: Admission, options: HttpOptions) -> Router {
    let shared = Arc::new(Shared { admission, max_body_bytes: options.max_body_bytes });
    let mut router = Router::new().fallback(not_found);
    let mut paths: Vec<&str> = Vec::new();
    for route in routes() {
        // A path is one entry of the router, whatever its methods.
        if !paths.contains(&route.path) {
            paths.push(route.path);
            router = router.route(&pattern(route.path), methods(route.path, &shared));
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

/// Returns a path as the router matches it: the name of a model may contain slashes.
fn pattern(path: &str) -> String {
    path.replace('{', "{*")
}

/// Returns the methods of a path, as the header `Allow` lists them.
fn allow(path: &str) -> &'static str {
    let has = |method| routes().any(|route| route.path == path && route.method == method);
    match (has(Method::GET), has(Method::POST)) {
        (true, true) => "GET, HEAD, OPTIONS, POST",
        (true, false) => "GET, HEAD, OPTIONS",
        (false, _) => "OPTIONS, POST",
    }
}

/// Returns the methods of a path, and the reply to the others.
fn methods(path: &'static str, shared: &Arc<Shared>) -> MethodRouter {
    let allow = allow(path);
    let refuse = move |method: Method, uri: Uri| async move {
        if method == Method::OPTIONS {
            return (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]).into_response();
        }
        error_response(&ApiError::MethodNotAllowed { allow }, uri.path())
    };
    let methods = MethodRouter::new().fallback(refuse);
    routes().filter(|route| route.path == path).fold(methods, |methods, route| {
        let filter = match route.method {
            Method::POST => MethodFilter::POST,
            _ => MethodFilter::GET,
        };
        let shared = Arc::clone(shared);
        let handler = move |parameter: Result<Path<String>, PathRejection>, request: Request| {
            let shared = Arc::clone(&shared);
            async move { shared.respond(route, parameter.ok(), request).await }
        };
        methods.on(filter, handler)
    })
}

/// What the routes share.
struct Shared {
    admission: Admission,
    max_body_bytes: usize,
}

impl Shared {
    async fn respond(
        &self,
        route: &Route,
        parameter: Option<Path<String>>,
        request: Request,
    ) -> Response {
        if route.path == "/" && route.method == Method::GET {
            let mut response = match page::is_wanted(request.headers()) {
                true => page::response(),
                false => self.run(route, None, request).await,
            };
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
            return response;
        }
        self.run(route, parameter, request).await
    }

    /// Runs an operation, or says in its dialect why not.
    async fn run(
        &self,
        route: &Route,
        parameter: Option<Path<String>>,
        request: Request,
    ) -> Response {
        let arrived = Instant::now();
        let mut destination = Destination { route: route.path, operation: None };
        let answer = async {
            let has_body = route.method == Method::POST;
            let mut fields = match has_body {
                true => Fields::new(body::json(request, self.max_body_bytes).await?)?,
                false => {
                    let names = path_parameters(route.path).into_iter().next();
                    Fields::from_path(names.zip(parameter.map(|Path(value)| value)))
                }
            };
            let service = self.admission.service();
            let call = (route.decode)(&mut fields, service.limits())?;
            destination.operation = Some(call.name());
            // What needs no model is answered even if all places are taken.
            match has_body {
                true => self.admission.answer(call).await,
                false => call.run(service),
            }
        };
        match answer.await {
            Ok(Answer { reply, report }) => {
                let headers = match route.method {
                    Method::POST => report_headers(&report, arrived.elapsed()),
                    _ => HeaderMap::new(),
                };
                let info = ReplyInfo { items: reply.items, report };
                let json = [(header::CONTENT_TYPE, "application/json")];
                let body = Bytes::from(Box::<str>::from(reply.body).into_string());
                (headers, json, Extension(destination), Extension(info), body).into_response()
            }
            Err(error) => {
                (Extension(destination), error::response(&error, route.errors)).into_response()
            }
        }
    }
}

async fn not_found(uri: Uri) -> Response {
    error_response(&ApiError::NotFound, uri.path())
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
