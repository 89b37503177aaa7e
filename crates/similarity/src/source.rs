//! The source of an event, determined from its shape.

use serde_json::value::RawValue;

use crate::batch::is_from;
use crate::members::{Members, text};
use crate::message::is_request;

/// The source of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventSource {
    /// A direct invocation: the event is the request.
    Direct,
    /// A function URL, an API Gateway or a load balancer.
    Http(Payload),
    /// EventBridge: a schedule, or an event with a request in `detail`.
    EventBridge,
    /// An SQS queue, through an event source mapping.
    Queue,
    /// An SNS topic.
    Topic,
    /// EventBridge Pipes, or any caller that sends a list of requests.
    Pipe,
    /// A tool that keeps functions warm.
    Warmer,
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

/// The members that determine the source.
const NAMES: &[&str] = &[
    "requestContext",
    "httpMethod",
    "path",
    "rawPath",
    "version",
    "Records",
    "detail-type",
    "source",
    "headers",
    "multiValueHeaders",
    "resource",
    "body",
    "warmer",
    "warmup",
    "warm",
    "keepWarm",
    "#warmup",
];

/// Parts of the values of `source` in the events of tools that keep functions warm.
const WARMER_SOURCES: [&str; 4] = ["warmup", "warmer", "keep-warm", "keepwarm"];

impl EventSource {
    /// Returns the source of an event. An event that is not JSON is a direct one.
    pub(super) fn from_event(event: &[u8]) -> Self {
        let Some(members) = Members::parse(event, NAMES) else {
            let is_list = event.trim_ascii_start().starts_with(b"[");
            return if is_list { Self::Pipe } else { Self::Direct };
        };
        if let Some(payload) = Payload::from_members(&members) {
            return Self::Http(payload);
        }
        if let Some(records) = members.get("Records") {
            match is_from(records) {
                Some("aws:sqs") => return Self::Queue,
                Some("aws:sns") => return Self::Topic,
                _ => {}
            }
        }
        if members.has("detail-type") && members.has("source") {
            Self::EventBridge
        } else if is_warmer(&members) && !is_request(event) {
            Self::Warmer
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
            Self::Topic => "sns",
            Self::Pipe => "pipe",
            Self::Warmer => "warmer",
        }
    }
}

impl Payload {
    fn from_members(members: &Members<'_>) -> Option<Self> {
        let context = members
            .get("requestContext")
            .and_then(|context| Members::of(context, &["elb", "http"]));
        let has = |name| context.as_ref().is_some_and(|context| context.has(name));
        if has("elb") {
            return Some(Self::LoadBalancer);
        }
        // Checked before 1.0, because the events of an emulator also have `httpMethod`.
        let is_second = members.text("version").is_some_and(|version| version == "2.0");
        let (has_context, has_method) = (members.has("requestContext"), members.has("httpMethod"));
        if has("http") && (is_second || !has_method) {
            return Some(Self::V2);
        }
        let has_path = members.has("path");
        let other = ["headers", "multiValueHeaders", "resource", "body"];
        let has_other = other.into_iter().any(|name| members.has(name));
        if has_method && (has_context || has_path || has_other) || has_context && has_path {
            return Some(Self::V1);
        }
        let has_raw_path = members.has("rawPath");
        let is_http =
            if is_second { has_context || has_raw_path } else { has_context && has_raw_path };
        is_http.then_some(Self::V2)
    }
}

/// Whether an event is one of a tool that keeps functions warm, such as `serverless-plugin-warmup`,
/// `lambda-warmer` or `thundra-lambda-warmup`.
fn is_warmer(members: &Members<'_>) -> bool {
    let flags = ["warmer", "warmup", "warm", "keepWarm", "#warmup"];
    let is_set = |name| members.get(name).is_some_and(|value| value.get() == "true");
    let is_tool = |source: &RawValue| {
        let source = text(source).unwrap_or_default().to_lowercase();
        WARMER_SOURCES.into_iter().any(|part| source.contains(part))
    };
    flags.into_iter().any(is_set) || members.get("source").is_some_and(is_tool)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_shape_determines_the_source() {
        let url = json!({"version": "2.0", "httpMethod": "GET",
                         "requestContext": {"http": {"method": "POST"}}});
        let request = json!({"query_from_app": "a", "actual_queries": []});
        let cases = [
            (request.clone(), EventSource::Direct),
            (json!({"operation": "embed", "inputs": "a"}), EventSource::Direct),
            (json!({}), EventSource::Direct),
            (json!(null), EventSource::Direct),
            (json!("[]"), EventSource::Direct),
            (url, EventSource::Http(Payload::V2)),
            (json!({"requestContext": {"http": 1}}), EventSource::Http(Payload::V2)),
            (json!({"requestContext": null, "rawPath": "/"}), EventSource::Http(Payload::V2)),
            (
                json!({"httpMethod": "GET", "requestContext": {"stage": "p"}}),
                EventSource::Http(Payload::V1),
            ),
            (json!({"httpMethod": 1, "path": "/"}), EventSource::Http(Payload::V1)),
            (json!({"path": "/", "requestContext": []}), EventSource::Http(Payload::V1)),
            (
                json!({"httpMethod": "GET", "requestContext": {"elb": {}}}),
                EventSource::Http(Payload::LoadBalancer),
            ),
            (json!({"Records": [{"eventSource": "aws:sqs", "body": ""}]}), EventSource::Queue),
            (json!({"Records": [1, {"eventSource": "aws:sqs"}]}), EventSource::Queue),
            (json!({"Records": [{"eventSource": "aws:s3"}]}), EventSource::Direct),
            (json!({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}), EventSource::Topic),
            (
                json!({"source": "aws.events", "detail-type": "Scheduled Event"}),
                EventSource::EventBridge,
            ),
            (json!([]), EventSource::Pipe),
            (json!([request]), EventSource::Pipe),
            (json!({"source": "serverless-plugin-warmup"}), EventSource::Warmer),
            (json!({"warmer": true, "concurrency": 3}), EventSource::Warmer),
            (json!({"warmup": true}), EventSource::Warmer),
            (json!({"warmer": false}), EventSource::Direct),
            (json!({"source": "other"}), EventSource::Direct),
            (json!({"source": "serverless-plugin-lambda-warmup"}), EventSource::Warmer),
            (json!({"#warmup": true}), EventSource::Warmer),
            (json!({"version": "2.0", "rawPath": "/"}), EventSource::Http(Payload::V2)),
            (json!({"httpMethod": "GET", "resource": "/"}), EventSource::Http(Payload::V1)),
            (json!({"httpMethod": "GET"}), EventSource::Direct),
            (json!({"version": "2.0"}), EventSource::Direct),
            (json!({"warmer": true, "operation": "embed", "inputs": "a"}), EventSource::Direct),
        ];
        for (event, source) in cases {
            assert_eq!(EventSource::from_event(event.to_string().as_bytes()), source, "{event}");
        }
    }
}
