//! The source of an event, determined from its shape.

use serde_json::Value;

/// The source of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventSource {
    /// A direct invocation: the event is the request.
    Direct,
    /// A function URL, an API Gateway or a load balancer.
    Http(Payload),
    /// EventBridge, usually a schedule.
    EventBridge,
    /// An SQS queue, through an event source mapping.
    Queue,
}

/// The formats of HTTP events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Payload format 1.0, of a REST API.
    V1,
    /// Payload format 2.0, of a function URL or an HTTP API.
    V2,
    /// The format of an application load balancer.
    LoadBalancer,
}

impl EventSource {
    /// Returns the source of an event.
    pub(super) fn from_event(event: &Value) -> Self {
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
        let exists = |pointer| event.pointer(pointer).is_some();
        if exists("/requestContext/elb") {
            Self::Http(Payload::LoadBalancer)
        } else if text("/version") == Some("2.0") && exists("/requestContext/http") {
            // Checked before 1.0, because the events of an emulator also have `httpMethod`.
            Self::Http(Payload::V2)
        } else if exists("/requestContext") && exists("/httpMethod") {
            Self::Http(Payload::V1)
        } else if text("/Records/0/eventSource") == Some("aws:sqs") {
            Self::Queue
        } else if exists("/detail-type") && exists("/source") {
            Self::EventBridge
        } else {
            Self::Direct
        }
    }

    /// The name in the log field `door`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Http(_) => "http",
            Self::EventBridge => "eventbridge",
            Self::Queue => "sqs",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_shape_determines_the_source() {
        let url = json!({"version": "2.0", "httpMethod": "GET",
                         "requestContext": {"http": {"method": "POST"}}});
        let cases = [
            (json!({"query_from_app": "a", "actual_queries": []}), EventSource::Direct),
            (json!({"operation": "embed", "inputs": "a"}), EventSource::Direct),
            (json!({}), EventSource::Direct),
            (json!(null), EventSource::Direct),
            (url, EventSource::Http(Payload::V2)),
            (
                json!({"httpMethod": "GET", "requestContext": {"stage": "p"}}),
                EventSource::Http(Payload::V1),
            ),
            (
                json!({"httpMethod": "GET", "requestContext": {"elb": {}}}),
                EventSource::Http(Payload::LoadBalancer),
            ),
            (json!({"Records": [{"eventSource": "aws:sqs", "body": ""}]}), EventSource::Queue),
            (json!({"Records": [{"eventSource": "aws:s3"}]}), EventSource::Direct),
            (
                json!({"source": "aws.events", "detail-type": "Scheduled Event"}),
                EventSource::EventBridge,
            ),
        ];
        for (event, source) in cases {
            assert_eq!(EventSource::from_event(&event), source, "{event}");
        }
    }
}
