//! The payload of an invocation, as its original bytes.
//!
//! The Lambda runtime decodes a payload before it calls the handler. If decoding fails, the runtime
//! reports a Rust type name as the error type. [`WrapBody`] therefore wraps each payload in JSON that
//! always decodes, so that the handler can report its own error code.

use std::task::{Context, Poll};

use lambda_runtime::LambdaInvocation;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tower::{Layer, Service};

/// A payload as the handler receives it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Event {
    /// Syntactically valid JSON, unchanged.
    Json(Box<RawValue>),
    /// Any other bytes, unchanged.
    NotJson(Vec<u8>),
}

impl Event {
    fn new(body: &[u8]) -> Self {
        serde_json::from_slice(body).map_or_else(|_| Self::NotJson(body.to_vec()), Self::Json)
    }

    /// The original bytes of the payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Json(json) => json.get().as_bytes(),
            Self::NotJson(bytes) => bytes,
        }
    }
}

/// A layer that wraps the body of each invocation in an [`Event`].
#[derive(Clone, Copy, Debug)]
pub struct WrapBody;

impl<S> Layer<S> for WrapBody {
    type Service = WrapBodyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WrapBodyService { inner }
    }
}

/// The service of the layer [`WrapBody`].
#[derive(Clone, Debug)]
pub struct WrapBodyService<S> {
    inner: S,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for WrapBodyService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> S::Future {
        if let Ok(wrapped) = serde_json::to_vec(&Event::new(&invocation.body)) {
            invocation.body = wrapped.into();
        }
        self.inner.call(invocation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &[u8]) -> Event {
        serde_json::from_slice(&serde_json::to_vec(&Event::new(body)).unwrap()).unwrap()
    }

    #[test]
    fn json_arrives_unchanged() {
        let body = br#"{"a": 1.50, "b": "\ud800", "a": 1e999}"#;
        let event = decoded(body);
        assert!(matches!(&event, Event::Json(_)));
        assert_eq!(event.as_bytes(), body);
    }

    #[test]
    fn other_bytes_arrive_unchanged() {
        for body in [b"".as_slice(), b"{", b"hello", b"\xff\xfe", b"{\"a\": \"\xff\"}", b"{} {}"] {
            let event = decoded(body);
            assert!(matches!(&event, Event::NotJson(_)));
            assert_eq!(event.as_bytes(), body);
        }
    }
}
