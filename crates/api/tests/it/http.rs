//! The router: status, headers and body of the response to a request, in each dialect.

mod bodies;
mod browsers;
mod document;
mod errors;
mod keys;
mod load;
mod replies;
mod routes;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use ndarray::ArrayView2;
use semblance::internals::runtime::{Infer, InferError, Inputs};
use semblance_api::http::{HttpOptions, ReplyInfo, error_response, router};
use semblance_api::{Admission, AdmissionLimits, ApiError, Failure, Limits, Service, routes};
use semblance_test_support::{
    Constant, OneHot, PanicsOn, assert_close, bundle, cross_encoder_bundle, fake_service, load,
    named_fake_service, service_of,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// The two error formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Tei,
    OpenAi,
}

impl Dialect {
    fn from_path(path: &str) -> Self {
        let is_open_ai = ["/v1/", "/v2/"].iter().any(|prefix| path.starts_with(prefix));
        let is_alias = ["/embeddings", "/models"].contains(&path);
        if is_open_ai || is_alias { Self::OpenAi } else { Self::Tei }
    }
}

const MAX_BODY_BYTES: usize = 100_000;

/// A service with the real model and a cross-encoder.
fn service() -> &'static Arc<Service> {
    static SERVICE: OnceLock<Arc<Service>> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let cross_encoder = cross_encoder_bundle("cross");
        Arc::new(service_of(load(&bundle(), Some(&cross_encoder), NonZeroUsize::MIN)))
    })
}

fn options() -> HttpOptions {
    HttpOptions { max_body_bytes: MAX_BODY_BYTES, ..HttpOptions::default() }
}

/// A router with the real model.
fn real() -> Router {
    router(Admission::inline(Arc::clone(service())), options())
}

/// A router with a fake model, which is fast.
fn fake() -> Router {
    let limits = Limits { texts: 40, client_texts: 60, text_bytes: 2_000, ..Limits::default() };
    let service = fake_service(OneHot::default(), 16, limits);
    router(Admission::inline(Arc::new(service)), options())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A response with its complete body.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    info: Option<ReplyInfo>,
    failure: Option<Failure>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns the code and the message of an error. Asserts the complete body.
    #[track_caller]
    fn error(&self, dialect: Dialect) -> (String, String) {
        let body = self.json();
        let (code, message) = match dialect {
            Dialect::Tei => (&body["error_type"], &body["error"]),
            Dialect::OpenAi => (&body["error"]["code"], &body["error"]["message"]),
        };
        let kind = match self.status {
            429 => "rate_limit_error",
            400..500 => "invalid_request_error",
            _ => "server_error",
        };
        let whole = match dialect {
            Dialect::Tei => json!({"error": message, "error_type": code}),
            Dialect::OpenAi => {
                let param = &body["error"]["param"];
                json!({"error": {"message": message, "type": kind, "code": code, "param": param}})
            }
        };
        assert_eq!(body, whole);
        assert_eq!(self.header("content-type"), Some("application/json"));
        let failure = self.failure.as_ref().unwrap();
        assert_eq!((json!(failure.code), json!(failure.error)), (code.clone(), message.clone()));
        (code.as_str().unwrap().to_owned(), message.as_str().unwrap().to_owned())
    }
}

async fn send(router: Router, request: Request<Body>) -> Reply {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        info: parts.extensions.get().cloned(),
        failure: parts.extensions.get().cloned(),
        body: body.collect().await.unwrap().to_bytes(),
    }
}

fn call(router: &Router, request: Request<Body>) -> Reply {
    runtime().block_on(send(router.clone(), request))
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    with_headers(path, &[("content-type", "application/json")], body)
}

fn with_headers(path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body.into()).unwrap()
}

fn limits(admitted: usize, timeout: Duration) -> AdmissionLimits {
    let admitted = NonZeroUsize::new(admitted).unwrap();
    AdmissionLimits { admitted, buffered_bytes: 1 << 20, timeout }
}
