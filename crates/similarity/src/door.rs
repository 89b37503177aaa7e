//! The sender of an event, recognized by the shape of the event.

use serde_json::Value;

/// The sender of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// A direct invocation: the event is the request.
    Direct,
    /// A function URL, an API Gateway or a load balancer.
    Http(Payload),
    /// EventBridge, usually a schedule.
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
    /// Returns the sender of an event.
    pub(super) fn from_event(event: &Value) -> Self {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_shape_decides() {
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
            assert_eq!(Door::from_event(&event), door, "{event}");
        }
    }
}
