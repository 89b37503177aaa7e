//! HTTP requests that arrive as events.

mod gateway;
mod path;
mod request;
mod response;

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::http::header::{VARY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, Method, Uri};
use axum::response::Response;
use futures_util::FutureExt as _;
use semblance_api::http::{
    Deadline, Destination, HttpOptions, REQUEST_ID, ReplyInfo, error_response, router,
};
use semblance_api::{Admission, ApiError, Failure};
use serde_json::value::RawValue;
use tower::ServiceExt as _;

use self::request::EventRequest;
use crate::invocation::Invocation;
use crate::reply_limit::ReplyLimit;
use crate::source::Payload;

impl Payload {
    /// The limit on responses to this payload format.
    fn reply_limit(self, limit: ReplyLimit) -> ReplyLimit {
        match self {
            Self::V1 | Self::V2 => limit,
            Self::LoadBalancer => limit.for_load_balancer(),
        }
    }
}

/// Handles HTTP events with the router. The router is built for the first HTTP event, because most
/// functions never receive one.
pub(super) struct HttpEvents {
    admission: Admission,
    options: HttpOptions,
    base_path: Option<String>,
    timeout: Option<Duration>,
    router: OnceLock<Router>,
}

/// An HTTP response in the payload format of its event.
pub(super) struct HttpResponse {
    pub(super) body: Box<RawValue>,
    pub(super) reply: HttpReply,
}

/// The data of an HTTP response for its log line.
#[derive(Default)]
pub(super) struct HttpReply {
    pub(super) method: String,
    pub(super) destination: Option<Destination>,
    pub(super) status: u16,
    pub(super) info: ReplyInfo,
    pub(super) failure: Option<Failure>,
    path: String,
    /// The headers of every response to the request, errors included, such as request id and CORS.
    headers: HeaderMap,
}

impl HttpReply {
    fn new(method: &Method, uri: &Uri) -> Self {
        // A method can have any length. The log has only well-known ones.
        let mut known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"].into_iter();
        let method = known.find(|known| *known == method.as_str()).unwrap_or("other").to_owned();
        Self { method, path: uri.path().to_owned(), ..Self::default() }
    }

    fn with_response(self, response: &Response) -> Self {
        let extensions = response.extensions();
        Self {
            destination: extensions.get::<Destination>().copied().or(self.destination),
            status: response.status().as_u16(),
            info: extensions.get::<ReplyInfo>().cloned().unwrap_or(self.info),
            failure: extensions.get::<Failure>().cloned(),
            headers: common_headers(response.headers()),
            ..self
        }
    }

    /// Returns the response for an error, with the headers of every response to the request.
    fn replace(self, error: &ApiError) -> (Self, Response) {
        let mut response = error_response(error, &self.path);
        for (name, value) in &self.headers {
            response.headers_mut().entry(name).or_insert(value.clone());
        }
        (self.with_response(&response), response)
    }

    /// The path of the route, as a pattern; `other` if the request has no route.
    pub(super) fn route(&self) -> &'static str {
        self.destination.map_or("other", |destination| destination.route)
    }
}

impl HttpEvents {
    /// Returns a handler of HTTP events for a service.
    pub(super) fn new(admission: Admission, options: HttpOptions) -> Self {
        Self { admission, options, base_path: None, timeout: None, router: OnceLock::new() }
    }

    /// Returns this handler for events whose paths begin with a base path.
    pub(super) fn with_base_path(self, base_path: Option<String>) -> Self {
        Self { base_path, ..self }
    }

    /// Returns this handler for events whose sender waits this long. By default, it depends on the
    /// sender.
    pub(super) fn with_timeout(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    /// Handles an event. Any event returns an HTTP response: an error or a panic is a response with a
    /// status and a code. A response that exceeds the limit is replaced with an error.
    ///
    /// # Errors
    /// - [`ApiError::Write`] if an error cannot be serialized, which is a bug.
    pub(super) async fn respond(
        &self,
        payload: Payload,
        event: &[u8],
        invocation: Invocation<'_>,
        limit: ReplyLimit,
    ) -> Result<HttpResponse, ApiError> {
        let route = AssertUnwindSafe(self.route(payload, event, invocation));
        let (reply, response) = match route.catch_unwind().await {
            Ok(routed) => routed,
            Err(_) => HttpReply::default().replace(&ApiError::Panic),
        };
        let limit = payload.reply_limit(limit);
        let written = write(payload, response).await.and_then(|body| {
            limit.check(body.get().len(), reply.info.items)?;
            Ok(body)
        });
        match written {
            Ok(body) => Ok(HttpResponse { body, reply }),
            Err(error) => {
                let (reply, response) = reply.replace(&error);
                Ok(HttpResponse { body: write(payload, response).await?, reply })
            }
        }
    }

    async fn route(
        &self,
        payload: Payload,
        event: &[u8],
        invocation: Invocation<'_>,
    ) -> (HttpReply, Response) {
        let arrived = Instant::now();
        let router =
            self.router.get_or_init(|| router(self.admission.clone(), self.options.clone()));
        let base_path = self.base_path.as_deref();
        let EventRequest { mut request, body, timeout } =
            EventRequest::read(payload, event, invocation.request_id, base_path);
        let limit = self.timeout.or(timeout).and_then(|timeout| arrived.checked_add(timeout));
        if let Some(deadline) = [invocation.deadline, limit].into_iter().flatten().min() {
            request.extensions_mut().insert(Deadline(deadline));
        }
        let reply = HttpReply::new(request.method(), request.uri());
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                // The router adds the headers of every response.
                (*request.method_mut(), *request.uri_mut()) =
                    (Method::GET, Uri::from_static("/health"));
                let Ok(probe) = router.clone().oneshot(request).await;
                let headers = common_headers(probe.headers());
                return HttpReply { headers, ..reply }.replace(&error);
            }
        };
        // The error type of a router is `Infallible`.
        let Ok(response) = router.clone().oneshot(request.map(|_| body)).await;
        (reply.with_response(&response), response)
    }
}

/// Returns a response in the format of a payload.
async fn write(payload: Payload, response: Response) -> Result<Box<RawValue>, ApiError> {
    let (parts, body) = response.into_parts();
    // The router makes its bodies in memory, so reading one does not fail.
    let body = to_bytes(body, usize::MAX).await.map_err(|_| ApiError::Panic)?;
    response::write(payload, &parts, &body).map_err(ApiError::Write)
}

/// Returns the headers that every response to a request has, errors included.
fn common_headers(headers: &HeaderMap) -> HeaderMap {
    let is_common = |name: &HeaderName| {
        [REQUEST_ID, VARY, X_CONTENT_TYPE_OPTIONS].contains(name)
            || name.as_str().starts_with("access-control-")
    };
    let headers = headers.iter().filter(|(name, _)| is_common(name));
    headers.map(|(name, value)| (name.clone(), value.clone())).collect()
}
