//! HTTP responses in the payload formats.

use axum::http::header::{CONTENT_ENCODING, SET_COOKIE};
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::source::Payload;

/// A response in the format of a payload.
///
/// Source: AWS Lambda developer guide, "Using AWS Lambda with Amazon API Gateway", and the Elastic Load
/// Balancing user guide, "Lambda functions as targets".
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventResponse<'a> {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<String>,
    headers: Single<'a>,
    /// A REST API merges both kinds of headers; a load balancer reads the kind that it is configured for.
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<Multiple<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<Vec<&'a str>>,
    body: &'a str,
    is_base64_encoded: bool,
}

/// Writes a response in the format of a payload. A body that is compressed or not UTF-8 is in base64.
pub(super) fn write(
    payload: Payload,
    parts: &Parts,
    body: &[u8],
) -> serde_json::Result<Box<RawValue>> {
    let text = match parts.headers.contains_key(CONTENT_ENCODING) {
        true => None,
        false => str::from_utf8(body).ok(),
    };
    let encoded;
    let body = match text {
        Some(text) => text,
        None => {
            encoded = STANDARD.encode(body);
            &encoded
        }
    };
    let (status, headers) = (parts.status, &parts.headers);
    let is_balancer = payload == Payload::LoadBalancer;
    let no_headers = HeaderMap::new();
    let response = EventResponse {
        status_code: status.as_u16(),
        status_description: is_balancer.then(|| {
            format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Unknown"))
        }),
        headers: Single {
            headers: if payload == Payload::V1 { &no_headers } else { headers },
            has_cookies: is_balancer,
        },
        multi_value_headers: (payload != Payload::V2).then_some(Multiple(headers)),
        cookies: (payload == Payload::V2).then(|| values(headers, &SET_COOKIE).collect()),
        body,
        is_base64_encoded: text.is_none(),
    };
    to_raw_value(&response)
}

/// Returns the values of a header. The router writes no value that is not ASCII.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// Headers with one value each; several values are joined with commas.
struct Single<'a> {
    headers: &'a HeaderMap,
    /// Whether cookies are headers.
    has_cookies: bool,
}

impl Serialize for Single<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in self.headers.keys().filter(|name| self.has_cookies || **name != SET_COOKIE) {
            let values: Vec<&str> = values(self.headers, name).collect();
            map.serialize_entry(name.as_str(), &values.join(", "))?;
        }
        map.end()
    }
}

/// Headers with lists of values.
struct Multiple<'a>(&'a HeaderMap);

impl Serialize for Multiple<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in self.0.keys() {
            map.serialize_entry(name.as_str(), &values(self.0, name).collect::<Vec<_>>())?;
        }
        map.end()
    }
}
