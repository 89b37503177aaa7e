//! Messages: a request, possibly in the envelopes that SNS and EventBridge put around it.

use std::borrow::Cow;

use crate::members::{Members, text};
use semblance_api::{Call, Limits, REQUEST_FIELDS, RequestError, decode_document, warm_up_call};

/// Maximum number of envelopes around a request. An event of EventBridge that reaches a queue through a
/// topic has two.
const MAX_ENVELOPES: usize = 4;

/// The members of the envelopes.
const NAMES: &[&str] = &["Type", "Message", "detail-type", "source", "detail"];

/// Decodes the request in a message: the message itself, the `Message` of an SNS notification, or the
/// `detail` of an event of EventBridge. An event without a request in `detail`, such as a schedule, is a
/// warm-up.
///
/// # Errors
/// - [`RequestError`], as for a direct event.
pub(crate) fn call(message: &[u8], limits: &Limits) -> Result<Call, RequestError> {
    let mut message = Cow::Borrowed(message);
    for _ in 0..MAX_ENVELOPES {
        let Some(members) = Members::parse(&message, NAMES) else { break };
        let content = match members.text("Type").as_deref() {
            Some("Notification") => members.text("Message"),
            _ => None,
        };
        if let Some(content) = content {
            message = Cow::Owned(content.into_owned().into_bytes());
        } else if members.has("detail-type") && members.has("source") {
            let Some(detail) = request_in_detail(&members) else { return Ok(warm_up_call()) };
            message = Cow::Owned(detail);
        } else {
            break;
        }
    }
    decode_document(&message, limits)
}

/// Returns the `detail` of an event of EventBridge, if it is a request. EventBridge Scheduler sends it as
/// the text of an object. The details of AWS services have names such as `input` too, so only the fields
/// of the function's own event count there.
fn request_in_detail(members: &Members<'_>) -> Option<Vec<u8>> {
    let detail = members.get("detail")?;
    let detail = match text(detail) {
        Some(text) => text.into_owned().into_bytes(),
        None => detail.get().as_bytes().to_vec(),
    };
    let is_service = members.text("source").is_some_and(|source| source.starts_with("aws."));
    let names: &'static [&'static str] =
        if is_service { &["query_from_app", "actual_queries"] } else { REQUEST_FIELDS };
    has_any(&detail, names).then_some(detail)
}

/// Whether a message is an object with a field that identifies a request.
pub(crate) fn is_request(message: &[u8]) -> bool {
    has_any(message, REQUEST_FIELDS)
}

fn has_any(message: &[u8], names: &'static [&'static str]) -> bool {
    Members::parse(message, names).is_some_and(|members| names.iter().any(|name| members.has(name)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn name(message: &Value) -> Result<&'static str, RequestError> {
        call(message.to_string().as_bytes(), &Limits::default()).map(|call| call.name())
    }

    fn notification(message: &Value) -> Value {
        json!({"Type": "Notification", "MessageId": "1", "Message": message.to_string()})
    }

    fn bus(detail: &Value) -> Value {
        json!({"detail-type": "ask", "source": "my.app", "detail": detail})
    }

    #[test]
    fn a_request_is_found_in_its_envelopes() {
        let request = json!({"query_from_app": "a", "actual_queries": ["b"]});
        let messages = [
            request.clone(),
            notification(&request),
            bus(&request),
            notification(&bus(&request)),
            notification(&notification(&request)),
            bus(&json!({"query_from_app": "a", "actual_queries": [], "detail": {}, "source": ""})),
        ];
        assert_eq!(messages.each_ref().map(name), [(); 6].map(|()| Ok("similarity")));
        assert_eq!(name(&bus(&json!({"operation": "embed", "inputs": "a"}))), Ok("embed"));
        let schedule = json!({"detail-type": "Scheduled Event", "source": "aws.scheduler",
                              "detail": request.to_string()});
        assert_eq!(name(&schedule), Ok("similarity"), "EventBridge Scheduler sends a text");
    }

    #[test]
    fn an_event_without_a_request_is_a_warm_up() {
        for detail in [json!({}), json!(null), json!("x"), json!([1]), json!({"state": "running"})]
        {
            assert_eq!(name(&bus(&detail)), Ok("warmup"), "{detail}");
        }
        assert_eq!(name(&json!({"detail-type": "t", "source": "aws.events"})), Ok("warmup"));
        let service =
            |detail: Value| json!({"detail-type": "t", "source": "aws.states", "detail": detail});
        assert_eq!(name(&service(json!({"input": "{}", "operation": "Put"}))), Ok("warmup"));
        let request = json!({"query_from_app": "a", "actual_queries": ["b"]});
        assert_eq!(name(&service(request)), Ok("similarity"));
    }

    #[test]
    fn an_invalid_request_in_an_envelope_is_an_error() {
        let invalid = json!({"query_from_app": 1, "actual_queries": []});
        for message in [notification(&invalid), bus(&invalid), notification(&bus(&invalid))] {
            assert_eq!(name(&message).unwrap_err().code().name, "request.wrong_type");
        }
        let other = json!({"Type": "SubscriptionConfirmation", "Message": "You have chosen"});
        assert_eq!(name(&other).unwrap_err().code().name, "request.unknown_event");
        let text = json!({"Type": "Notification", "Message": "hello"});
        assert_eq!(name(&text).unwrap_err().code().name, "request.invalid_json");
        let mut deep = json!({"query_from_app": "a", "actual_queries": []});
        for _ in 0..5 {
            deep = notification(&deep);
        }
        assert_eq!(name(&deep).unwrap_err().code().name, "request.unknown_event");
    }
}
