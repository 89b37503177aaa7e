//! HTTP requests that come as events, by the router of [`crate::http`].

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
use serde_json::value::{RawValue, to_raw_value};
use tower::{Service as _, ServiceExt as _, service_fn};

use super::HandlerError;
use super::event::Payload;
use super::handler::{RESPONSE_BYTES, fit};
use crate::api::RequestError;
use crate::http::{Answered, Failure, Gate, GateError, HttpError, HttpOptions, REQUEST_ID, router};

/// The most bytes of a response to a load balancer.
///
/// Source: Elastic Load Balancing user guide, "Lambda functions as targets": 1 MB.
const LOAD_BALANCER_RESPONSE_BYTES: usize = 1_048_576;

impl Payload {
    /// The most bytes that a response of this form may have as JSON.
    pub(super) fn response_bytes(self) -> usize {
        match self {
            Self::V1 | Self::V2 => RESPONSE_BYTES,
            Self::LoadBalancer => LOAD_BALANCER_RESPONSE_BYTES,
        }
    }

    /// Reads the request in an event. Its path has no stage, which `lambda_http` would else put
    /// before it, and which an HTTP API does.
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

/// Returns a path without the stage that stands before it.
fn without_stage(path: &str, stage: &str) -> String {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
    match rest {
        Some("") if !stage.is_empty() => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => path.to_owned(),
    }
}

/// The router, for events; made at the first of them, for most functions are never sent one.
pub(super) struct HttpDoor {
    gate: Gate,
    options: HttpOptions,
    router: OnceLock<Router>,
}

/// An HTTP response as an event's.
pub(super) struct HttpResponse {
    pub(super) response: Box<RawValue>,
    pub(super) told: Told,
}

/// What the router tells of a response.
#[derive(Default)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) answered: Answered,
    pub(super) failure: Option<Failure>,
    /// Those that are true of any answer to the request: its id, and which pages may read it.
    headers: HeaderMap,
}

impl HttpDoor {
    /// Returns a door to the operations behind a gate.
    pub(super) fn new(gate: Gate, options: HttpOptions) -> Self {
        Self { gate, options, router: OnceLock::new() }
    }

    /// Answers an event; a response of more bytes than the limit is an error's instead.
    pub(super) async fn answer(
        &self,
        payload: Payload,
        event: &[u8],
        context: Context,
        limit_bytes: usize,
    ) -> Result<HttpResponse, HandlerError> {
        let told = Arc::new(Mutex::new(Told::default()));
        let request_id = HeaderValue::from_str(&context.request_id).ok();
        let router = self.router.get_or_init(|| router(self.gate.clone(), self.options.clone()));
        let route = |mut request: Request| {
            let (router, told) = (router.clone(), Arc::clone(&told));
            // Known to the log, so to the caller too.
            if let (None, Some(id)) = (request.headers().get(REQUEST_ID), request_id.clone()) {
                request.headers_mut().insert(REQUEST_ID, id);
            }
            async move {
                // A router has no error of its own.
                let Ok(response) = router.oneshot(request.map(Body::new)).await;
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Told::of(&response);
                Ok::<Response, Infallible>(response)
            }
        };
        let response = respond(payload, event, context.clone(), route).await?;
        let told = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
        let bytes = response.get().len();
        if bytes <= limit_bytes {
            return Ok(HttpResponse { response, told });
        }
        let Answered { items, dialect, .. } = told.answered;
        let fit = fit(items, bytes, limit_bytes);
        let error = HttpError::ReplyTooLarge { bytes, limit_bytes, items, fit };
        let mut error = error.response(dialect);
        for (name, value) in &told.headers {
            error.headers_mut().entry(name).or_insert(value.clone());
        }
        let told = Told { answered: told.answered, ..Told::of(&error) };
        let mut error = Some(error);
        let route = move |_: Request| {
            let error = error.take().unwrap_or_default();
            async move { Ok::<Response, Infallible>(error) }
        };
        let response = respond(payload, event, context, route).await?;
        Ok(HttpResponse { response, told })
    }
}

impl Told {
    fn of(response: &Response) -> Self {
        let extensions = response.extensions();
        Self {
            status: response.status().as_u16(),
            answered: extensions.get::<Answered>().cloned().unwrap_or_default(),
            failure: extensions.get::<Failure>().cloned(),
            headers: of_any_answer(response.headers()),
        }
    }
}

fn of_any_answer(headers: &HeaderMap) -> HeaderMap {
    let is_of_any = |name: &HeaderName| {
        *name == REQUEST_ID || *name == VARY || name.as_str().starts_with("access-control-")
    };
    let headers = headers.iter().filter(|(name, _)| is_of_any(name));
    headers.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Gives an event as a request to `route`, and returns its response in the form of the event's
/// sender.
async fn respond<F>(
    payload: Payload,
    event: &[u8],
    context: Context,
    route: impl FnMut(Request) -> F,
) -> Result<Box<RawValue>, HandlerError>
where
    F: Future<Output = Result<Response, Infallible>> + Send,
{
    let payload = payload.request(event).map_err(|_| RequestError::UnknownEvent)?;
    // Called in one breath: the adapter itself may not wait. It panics on what is no URL.
    let event = LambdaEvent::new(payload, context);
    let call = || Adapter::from(service_fn(route)).call(event);
    let answering = catch_unwind(AssertUnwindSafe(call)).map_err(|_| GateError::Panic)?;
    let Ok(response) = answering.await;
    Ok(to_raw_value(&response)?)
}
