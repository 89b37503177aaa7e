//! What arrived, byte for byte.
//!
//! The runtime decodes a payload before the handler sees it, and answers what it cannot decode
//! with an error type of its own, a Rust type name. So the body is wrapped before that: JSON stays
//! JSON, and what is none becomes bytes that the handler refuses with the API's own code.

use std::task::{Context, Poll};

use lambda_runtime::LambdaInvocation;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tower::{Layer, Service};

/// A payload as the handler receives it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Event {
    /// Syntactically JSON.
    Json(Box<RawValue>),
    /// Anything else, byte for byte.
    NotJson(Vec<u8>),
}

impl Event {
    fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).map_or_else(|_| Self::NotJson(body.to_vec()), Self::Json)
    }

    /// The payload as it came.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Json(json) => json.get().as_bytes(),
            Self::NotJson(bytes) => bytes,
        }
    }
}

/// What sent an event, told by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Whoever invokes the function: the event is the request.
    Direct,
    /// A function URL, an API Gateway or a load balancer.
    Http(Payload),
    /// EventBridge: a schedule, mostly.
    EventBridge,
    /// An SQS queue, by its event source mapping.
    Queue,
}

/// The forms in which HTTP requests come as events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Payload 1.0, of a REST API.
    V1,
    /// Payload 2.0, of a function URL or an HTTP API.
    V2,
    /// Of an application load balancer.
    LoadBalancer,
}

impl Door {
    /// Returns the door an event came through.
    pub(super) fn of(event: &Value) -> Self {
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
        let is_there = |pointer| event.pointer(pointer).is_some();
        if is_there("/requestContext/elb") {
            Self::Http(Payload::LoadBalancer)
        } else if text("/version") == Some("2.0") && is_there("/requestContext/http") {
            // Before 1.0: an emulator's events have `httpMethod` as well.
            Self::Http(Payload::V2)
        } else if is_there("/requestContext") && is_there("/httpMethod") {
            Self::Http(Payload::V1)
        } else if text("/Records/0/eventSource") == Some("aws:sqs") {
            Self::Queue
        } else if is_there("/detail-type") && is_there("/source") {
            Self::EventBridge
        } else {
            Self::Direct
        }
    }

    /// The name in logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Http(_) => "http",
            Self::EventBridge => "eventbridge",
            Self::Queue => "sqs",
        }
    }
}

/// Wraps each invocation's body as an [`Event`].
#[derive(Clone, Copy, Debug)]
pub(super) struct WrapBody;

impl<S> Layer<S> for WrapBody {
    type Service = WrapBodyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WrapBodyService { inner }
    }
}

/// The service that [`WrapBody`] makes.
#[derive(Clone, Debug)]
pub(super) struct WrapBodyService<S> {
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
        if let Ok(wrapped) = serde_json::to_vec(&Event::of(&invocation.body)) {
            invocation.body = wrapped.into();
        }
        self.inner.call(invocation)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn through_the_runtime(body: &[u8]) -> Event {
        serde_json::from_slice(&serde_json::to_vec(&Event::of(body)).unwrap()).unwrap()
    }

    #[test]
    fn the_shape_tells_the_door() {
        let url = json!({"version": "2.0", "httpMethod": "GET",
                         "requestContext": {"http": {"method": "POST"}}});
        let cases = [
            (json!({"query_from_app": "a", "actual_queries": []}), Door::Direct),
            (json!({"operation": "embed", "inputs": "a"}), Door::Direct),
            (json!({}), Door::Direct),
            (json!(null), Door::Direct),
            (url, Door::Http(Payload::V2)),
            (
                json!({"httpMethod": "GET", "requestContext": {"stage": "p"}}),
                Door::Http(Payload::V1),
            ),
            (
                json!({"httpMethod": "GET", "requestContext": {"elb": {}}}),
                Door::Http(Payload::LoadBalancer),
            ),
            (json!({"Records": [{"eventSource": "aws:sqs", "body": ""}]}), Door::Queue),
            (json!({"Records": [{"eventSource": "aws:s3"}]}), Door::Direct),
            (json!({"source": "aws.events", "detail-type": "Scheduled Event"}), Door::EventBridge),
        ];
        for (event, door) in cases {
            assert_eq!(Door::of(&event), door, "{event}");
        }
    }

    #[test]
    fn json_arrives_as_it_was_written() {
        let body = br#"{"a": 1.50, "b": "\ud800", "a": 1e999}"#;
        let event = through_the_runtime(body);
        assert!(matches!(&event, Event::Json(_)));
        assert_eq!(event.as_bytes(), body);
    }

    #[test]
    fn what_is_no_json_arrives_byte_for_byte() {
        for body in [b"".as_slice(), b"{", b"hello", b"\xff\xfe", b"{\"a\": \"\xff\"}", b"{} {}"] {
            let event = through_the_runtime(body);
            assert!(matches!(&event, Event::NotJson(_)));
            assert_eq!(event.as_bytes(), body);
        }
    }
}
