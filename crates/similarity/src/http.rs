//! HTTP requests that arrive as events.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::http::header::VARY;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use lambda_http::aws_lambda_events::alb::AlbTargetGroupRequest;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Request};
use lambda_runtime::{Context, LambdaEvent};
use semblance_api::http::{
    Destination, HttpOptions, REQUEST_ID, ReplyInfo, error_response, router,
};
use semblance_api::{Admission, ApiError, Failure, RequestError};
use serde_json::value::{RawValue, to_raw_value};
use tower::{Service as _, ServiceExt as _, service_fn};

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

    /// Decodes the request in an event. The stage, which `lambda_http` or an HTTP API puts before the
    /// path, is removed.
    fn request(self, event: &[u8]) -> serde_json::Result<LambdaRequest> {
        Ok(match self {
            Self::V1 => {
                let mut request: ApiGatewayProxyRequest = serde_json::from_slice(event)?;
                request.request_context.stage = None;
                LambdaRequest::ApiGatewayV1(request)
            }
            Self::V2 => {
                let mut request: ApiGatewayV2httpRequest = serde_json::from_slice(event)?;
                let stage = request.request_context.stage.take().unwrap_or_default();
                request.raw_path = request.raw_path.map(|path| without_stage(&path, &stage));
                LambdaRequest::ApiGatewayV2(request)
            }
            Self::LoadBalancer => {
                let request: AlbTargetGroupRequest = serde_json::from_slice(event)?;
                LambdaRequest::Alb(request)
            }
        })
    }
}

/// Returns a path without its leading stage.
fn without_stage(path: &str, stage: &str) -> String {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
    match rest {
        Some("") if !stage.is_empty() => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => path.to_owned(),
    }
}

/// Handles HTTP events with the router. The router is built for the first HTTP event, because most
/// functions never receive one.
pub(super) struct HttpEvents {
    admission: Admission,
    options: HttpOptions,
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
    /// The headers of every response to the request, errors included: request id and CORS.
    headers: HeaderMap,
}

impl HttpReply {
    fn with_response(self, response: &Response) -> Self {
        let extensions = response.extensions();
        Self {
            destination: extensions.get::<Destination>().copied().or(self.destination),
            status: response.status().as_u16(),
            info: extensions.get::<ReplyInfo>().cloned().unwrap_or_default(),
            failure: extensions.get::<Failure>().cloned(),
            headers: common_headers(response.headers()),
            ..self
        }
    }

    /// The path of the route, as a pattern; `other` if the request has no route.
    pub(super) fn route(&self) -> &'static str {
        self.destination.map_or("other", |destination| destination.route)
    }
}

impl HttpEvents {
    /// Returns a handler of HTTP events for a service.
    pub(super) fn new(admission: Admission, options: HttpOptions) -> Self {
        Self { admission, options, router: OnceLock::new() }
    }

    /// Handles an event. A response that exceeds the limit is replaced with an error.
    pub(super) async fn respond(
        &self,
        payload: Payload,
        event: &[u8],
        context: Context,
        limit: ReplyLimit,
    ) -> Result<HttpResponse, ApiError> {
        // `lambda_http` does not expose the response of the router, so the closure copies its data.
        let shared = Arc::new(Mutex::new(HttpReply::default()));
        let request_id = HeaderValue::from_str(&context.request_id).ok();
        let router =
            self.router.get_or_init(|| router(self.admission.clone(), self.options.clone()));
        let route = |mut request: Request| {
            let (router, shared) = (router.clone(), Arc::clone(&shared));
            // The client gets the id that is in the log.
            if let (None, Some(id)) = (request.headers().get(REQUEST_ID), request_id.clone()) {
                request.headers_mut().insert(REQUEST_ID, id);
            }
            let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
            async move {
                // The error type of a router is `Infallible`.
                let Ok(response) = router.oneshot(request.map(Body::new)).await;
                let reply = HttpReply { method, path, ..HttpReply::default() };
                let reply = reply.with_response(&response);
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = reply;
                Ok::<Response, Infallible>(response)
            }
        };
        let body = respond(payload, event, context.clone(), route).await?;
        let reply = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
        let limit = payload.reply_limit(limit);
        let Err(error) = limit.check(body.get().len(), reply.info.items) else {
            return Ok(HttpResponse { body, reply });
        };
        let mut response = error_response(&error, &reply.path);
        for (name, value) in &reply.headers {
            response.headers_mut().entry(name).or_insert(value.clone());
        }
        let info = reply.info.clone();
        let reply = HttpReply { info, ..reply.with_response(&response) };
        let mut response = Some(response);
        let route = move |_: Request| {
            let response = response.take().unwrap_or_default();
            async move { Ok::<Response, Infallible>(response) }
        };
        let body = respond(payload, event, context, route).await?;
        Ok(HttpResponse { body, reply })
    }
}

/// Returns the headers that every response to a request has, errors included.
fn common_headers(headers: &HeaderMap) -> HeaderMap {
    let is_common = |name: &HeaderName| {
        *name == REQUEST_ID || *name == VARY || name.as_str().starts_with("access-control-")
    };
    let headers = headers.iter().filter(|(name, _)| is_common(name));
    headers.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Calls `route` with the request in an event, and returns its response in the payload format of the
/// event.
async fn respond<F>(
    payload: Payload,
    event: &[u8],
    context: Context,
    route: impl FnMut(Request) -> F,
) -> Result<Box<RawValue>, ApiError>
where
    F: Future<Output = Result<Response, Infallible>> + Send,
{
    let expected = "an HTTP event of a function URL, an API gateway or a load balancer";
    let unrecognized = |_| RequestError::Unrecognized { expected };
    let payload = payload.request(event).map_err(unrecognized)?;
    // The adapter panics if the URL is invalid.
    let event = LambdaEvent::new(payload, context);
    let call = || Adapter::from(service_fn(route)).call(event);
    let future = catch_unwind(AssertUnwindSafe(call)).map_err(|_| ApiError::Panic)?;
    let Ok(response) = future.await;
    to_raw_value(&response).map_err(ApiError::Write)
}
