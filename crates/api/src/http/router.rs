//! The router: the routes and their middleware.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter};
use axum::{Extension, Router, middleware};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::body::BodyLimits;
use super::error::{self, error_response};
use super::headers::{EXPOSED, report_headers};
use super::held_body::HeldBody;
use super::key::{self, ApiKeys};
use super::{body, browsers, page, path, request_id};
use crate::admission::Admission;
use crate::body::Fields;
use crate::budget::Reservation;
use crate::dialect::{Route, routes};
use crate::error::ApiError;
use crate::openapi::path_parameters;
use crate::operation::{Answer, Report};

/// Minimum size of a compressed body. A smaller body fits into one packet anyway.
const MIN_COMPRESSED_BYTES: u64 = 1024;

/// How long a browser can cache the result of a CORS preflight request.
const CORS_MAX_AGE: Duration = Duration::from_secs(3600);

/// Options of the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// Origins that CORS allows: `*`, or each `scheme://host[:port]`. If empty, CORS is disabled.
    pub cors_origins: Vec<String>,
    /// Maximum size of a body in bytes, as sent and after decompression.
    pub max_body_bytes: usize,
    /// The keys of clients. Without keys, requests need none.
    pub api_keys: ApiKeys,
    /// How long the body of a request can take to arrive.
    pub body_timeout: Option<Duration>,
    /// Whether the server listens on a loopback address. Then pages that were loaded under another name
    /// are refused, unless CORS allows their origin.
    pub is_loopback: bool,
}

impl Default for HttpOptions {
    /// CORS is disabled, the body limit is that of AWS Lambda, and bodies have no time limit.
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            max_body_bytes: 6 * 1024 * 1024,
            api_keys: ApiKeys::default(),
            body_timeout: None,
            is_loopback: false,
        }
    }
}

/// The route and operation of a request. Every response of a route has it in its extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// The path of the route, as a pattern.
    pub route: &'static str,
    /// The operation, if the request was decoded.
    pub operation: Option<&'static str>,
}

/// An extension of a request: it arrived on a connection beyond the limit, so only routes that do not
/// use the model are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Maximum number of connections.
    pub limit: usize,
}

/// An extension of a request: when its client stops waiting for the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// The number of items and the cost of a response. Responses of operations have it in their
/// extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyInfo {
    /// Number of vectors, scores or texts in the response.
    pub items: usize,
    /// The cost of the request.
    pub report: Report,
}

/// Returns a router with every route of a service.
///
/// The response of an operation has a [`ReplyInfo`] in its extensions. The response for an error has a
/// [`Failure`](crate::Failure).
pub fn router(admission: Admission, options: HttpOptions) -> Router {
    let limits = BodyLimits { bytes: options.max_body_bytes, timeout: options.body_timeout };
    let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let decoders = Arc::new(Semaphore::new(cpus));
    let loopback_origins = options.is_loopback.then(|| options.cors_origins.clone());
    let shared = Arc::new(Shared { admission, limits, loopback_origins, decoders });
    let mut router = Router::new().fallback(not_found);
    let mut paths: Vec<&str> = Vec::new();
    for route in routes() {
        // The router has one entry per path, with all methods of the path.
        if !paths.contains(&route.path) {
            paths.push(route.path);
            router = router.route(&pattern(route.path), methods(route.path, &shared));
        }
    }
    // A path with redundant slashes has no separate route.
    let routes = router.clone();
    let router = router.fallback(move |mut request: Request| {
        let routes = routes.clone();
        async move {
            let Some(uri) = path::normalized(request.uri()) else {
                return not_found(request.uri().clone()).await;
            };
            *request.uri_mut() = uri;
            routes.oneshot(request).await.into_response()
        }
    });
    let router = match options.api_keys.is_empty() {
        true => router,
        false => {
            let keys = Arc::new(options.api_keys);
            router.layer(middleware::from_fn_with_state(keys, key::check))
        }
    };
    let compression = CompressionLayer::new().compress_when(SizeAbove::new(MIN_COMPRESSED_BYTES));
    let router = router.layer(middleware::map_response(finish)).layer(compression);
    let router = match cors(&options.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(middleware::from_fn(request_id::propagate))
}

/// Returns the pattern of a path. A parameter matches the rest of the path, because the name of a
/// model can contain slashes.
fn pattern(path: &str) -> String {
    path.replace('{', "{*")
}

/// Returns the value of the header `Allow` for a path.
fn allow(path: &str) -> &'static str {
    let has = |method| routes().any(|route| route.path == path && route.method == method);
    match (has(Method::GET), has(Method::POST)) {
        (true, true) => "GET, HEAD, OPTIONS, POST",
        (true, false) => "GET, HEAD, OPTIONS",
        (false, _) => "OPTIONS, POST",
    }
}

/// Returns the handlers of a path, including the response to unsupported methods.
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

/// State that the routes share.
struct Shared {
    admission: Admission,
    limits: BodyLimits,
    /// The allowed origins of pages, for a server on a loopback address.
    loopback_origins: Option<Vec<String>>,
    /// One permit for each CPU. A request takes one while it is decompressed and parsed, so that the
    /// memory of parsing does not depend on the number of requests.
    decoders: Arc<Semaphore>,
}

impl Shared {
    async fn respond(
        &self,
        route: &Route,
        parameter: Option<Path<String>>,
        request: Request,
    ) -> Response {
        if route.path == "/" && route.method == Method::GET {
            let mut response = match page::is_preferred(request.headers()) {
                true => page::response(),
                false => self.run(route, None, request).await,
            };
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
            return response;
        }
        self.run(route, parameter, request).await
    }

    /// Runs an operation, and returns the response or the error in the dialect of the route.
    async fn run(
        &self,
        route: &Route,
        parameter: Option<Path<String>>,
        request: Request,
    ) -> Response {
        let arrived = Instant::now();
        let operation = Arc::<OnceLock<&'static str>>::default();
        let answer = match route.method {
            Method::POST => self.run_body(route, request, &operation).await,
            _ => self.run_path(route, parameter, &operation).map(|answer| (answer, None)),
        };
        let destination = Destination { route: route.path, operation: operation.get().copied() };
        match answer {
            Ok((Answer { reply, report }, reservation)) => {
                let headers = match route.method {
                    Method::POST => report_headers(&report, arrived.elapsed()),
                    _ => HeaderMap::new(),
                };
                let info = ReplyInfo { items: reply.items, report };
                let json = [(header::CONTENT_TYPE, "application/json")];
                let bytes = Bytes::from(Box::<str>::from(reply.body).into_string());
                let body = Body::new(HeldBody::new(bytes, reservation.unwrap_or_default()));
                (headers, json, Extension(destination), Extension(info), body).into_response()
            }
            Err(error) => {
                (Extension(destination), error::response(&error, route.errors)).into_response()
            }
        }
    }

    /// Runs the operation of a request without a body. It does not use the model, so it is not subject
    /// to admission control.
    fn run_path(
        &self,
        route: &Route,
        parameter: Option<Path<String>>,
        operation: &OnceLock<&'static str>,
    ) -> Result<Answer, ApiError> {
        let names = path_parameters(route.path).into_iter().next();
        let mut fields = Fields::from_path(names.zip(parameter.map(|Path(value)| value)));
        let service = self.admission.service();
        let call = (route.decode)(&mut fields, service.limits())?;
        operation.get_or_init(|| call.name());
        call.run(service)
    }

    /// Reads a body and runs its operation. Decompression, parsing and the operation run on the thread
    /// of the operation.
    async fn run_body(
        &self,
        route: &Route,
        request: Request,
        operation: &Arc<OnceLock<&'static str>>,
    ) -> Result<(Answer, Option<Reservation>), ApiError> {
        if let Some(&Reserved { limit }) = request.extensions().get() {
            return Err(ApiError::TooManyConnections { limit });
        }
        browsers::check_cross_site(request.headers())?;
        if let Some(allowed) = &self.loopback_origins {
            browsers::check_host(request.headers(), allowed)?;
        }
        let deadline = request.extensions().get().map(|&Deadline(deadline)| deadline);
        let encoding = body::check(request.headers(), self.limits)?;
        let mut entry = self.admission.enter()?;
        let sent = body::read(request, encoding, self.limits, &mut entry.reservation).await?;
        // The semaphore is never closed, so this is always a permit.
        let decoder = Arc::clone(&self.decoders).acquire_owned().await;
        let (decode, limit_bytes) = (route.decode, self.limits.bytes);
        let operation = Arc::clone(operation);
        let answer = entry.run(deadline, move |service, reservation| {
            let document = sent.into_bytes(limit_bytes, reservation)?;
            let call = decode(&mut Fields::from_document(document)?, service.limits())?;
            drop(decoder);
            operation.get_or_init(|| call.name());
            Ok(call)
        });
        answer.await.map(|(answer, reservation)| (answer, Some(reservation)))
    }
}

async fn not_found(uri: Uri) -> Response {
    error_response(&ApiError::NotFound, uri.path())
}

/// Prevents browsers from guessing the media type of a response.
async fn finish(mut response: Response) -> Response {
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// Returns the CORS layer, if CORS is enabled.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origin = match origins {
        [] => return None,
        [any] if any == "*" => AllowOrigin::any(),
        // An origin that is not a valid header value cannot match a request.
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
