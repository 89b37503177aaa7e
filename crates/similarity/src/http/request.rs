//! The HTTP request in an event. One builder serves the three payload formats.
//!
//! A part that no route needs makes no difference: the query string, cookies, and
//! headers of other uses. A malformed part that a route needs is an error.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use semblance_api::ApiError;
use semblance_api::http::{REQUEST_ID, USED_HEADERS};
use serde_json::value::RawValue;

use super::gateway;
use super::path::{PathParts, is_route};
use crate::members::{Members, for_each, text};
use crate::source::Payload;

/// Maximum number of headers that no route needs. Further ones are ignored.
const MAX_OTHER_HEADERS: usize = 256;

/// Maximum length of the request id of a client, in characters.
const MAX_REQUEST_ID: usize = 128;

/// Headers about the transfer of the body, which the event contains as a whole.
const TRANSFER: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::EXPECT];

/// The members of an event that describe its request.
const NAMES: &[&str] = &[
    "httpMethod",
    "path",
    "rawPath",
    "resource",
    "routeKey",
    "pathParameters",
    "headers",
    "multiValueHeaders",
    "requestContext",
    "body",
    "isBase64Encoded",
];

/// The request in an event, as far as it can be read.
pub(super) struct EventRequest {
    /// The method, path and headers. The body is empty.
    pub(super) request: Request<Body>,
    /// The body, or the reason why the event has no valid request.
    pub(super) body: Result<Body, ApiError>,
    /// How long the sender of the event waits for the response, if that is known.
    pub(super) timeout: Option<Duration>,
}

impl EventRequest {
    /// Reads the request in an event. `request_id` becomes the id of a request without a valid one.
    pub(super) fn read(
        payload: Payload,
        event: &[u8],
        request_id: &str,
        base_path: Option<&str>,
    ) -> Self {
        let Some(members) = Members::parse(event, NAMES) else {
            let error = invalid("the event", "a JSON object");
            return Self { request: Request::default(), body: Err(error), timeout: None };
        };
        let mut request = Request::default();
        let headers = headers(payload, &members, request.headers_mut());
        identify(request.headers_mut(), request_id);
        let read = method(payload, &members).and_then(|method| {
            *request.method_mut() = method;
            *request.uri_mut() = uri(payload, &members, base_path)?;
            headers?;
            let needs_body = *request.method() == Method::POST && is_route(request.uri().path());
            if needs_body { body(&members) } else { Ok(Body::empty()) }
        });
        let domain =
            context(&members, &["domainName"]).and_then(|context| context.text("domainName"));
        let timeout = domain.and_then(|domain| gateway::timeout(payload, &domain));
        Self { request, body: read, timeout }
    }
}

fn invalid(part: &'static str, expected: &'static str) -> ApiError {
    ApiError::InvalidEvent { part, expected }
}

/// Returns `requestContext` with these members.
fn context<'a>(members: &Members<'a>, names: &'static [&'static str]) -> Option<Members<'a>> {
    Members::of(members.get("requestContext")?, names)
}

fn method(payload: Payload, members: &Members<'_>) -> Result<Method, ApiError> {
    let (part, method) = match payload {
        Payload::V1 | Payload::LoadBalancer => ("httpMethod", members.text("httpMethod")),
        Payload::V2 => {
            let http = context(members, &["http"]).and_then(|context| context.get("http"));
            // The key of a route has the method too, unless it is `$default` or `ANY /path`.
            let key = || match members.text("routeKey")?.split_once(' ')? {
                ("ANY", _) => None,
                (method, _) => Some(Cow::Owned(method.to_owned())),
            };
            let method = match http.map(|http| Members::of(http, &["method"])) {
                Some(http) => http.and_then(|http| http.text("method")),
                None => key(),
            };
            ("requestContext.http.method", method)
        }
    };
    let method = method.filter(|method| !method.is_empty());
    let method = method.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    method.ok_or(invalid(part, "an HTTP method"))
}

/// Returns the path of the route, without a query string, which no route uses.
fn uri(payload: Payload, members: &Members<'_>, base: Option<&str>) -> Result<Uri, ApiError> {
    let stage = context(members, &["stage"]).and_then(|context| context.text("stage"));
    let parameters = members.get("pathParameters");
    let (part, path, resource) = match payload {
        Payload::V1 => ("path", members.text("path"), members.text("resource")),
        Payload::V2 => ("rawPath", members.text("rawPath"), members.text("routeKey")),
        Payload::LoadBalancer => ("path", members.text("path"), None),
    };
    let path = path.ok_or(invalid(part, "a string"))?;
    // The key of a route has a method, a space and a path.
    let resource = resource.as_deref().map(|key| key.rsplit(' ').next().unwrap_or_default());
    let proxy = resource.and_then(|resource| parameter(resource, parameters?));
    let parts = PathParts {
        path: &path,
        stage: stage.as_deref().filter(|_| payload != Payload::LoadBalancer),
        has_stage: payload == Payload::V2,
        resource,
        proxy: proxy.as_deref(),
        base,
    };
    // The parser of URIs has a limit on their length.
    Uri::try_from(parts.route()).map_err(|_| invalid(part, "at most 65,534 bytes long"))
}

/// Returns the value of the parameter `{name+}` at the end of a resource.
fn parameter<'a>(resource: &str, parameters: &'a RawValue) -> Option<Cow<'a, str>> {
    let (_, name) = resource.strip_suffix("+}")?.rsplit_once('{')?;
    let mut value = None;
    for_each(parameters, |parameter, found| {
        if parameter == name {
            value = text(found);
        }
    });
    value
}

/// Reads the headers of an event. A name that `multiValueHeaders` has too is taken from there.
fn headers(
    payload: Payload,
    members: &Members<'_>,
    headers: &mut HeaderMap,
) -> Result<(), ApiError> {
    let mut others = 0;
    let mut result = Ok(());
    let sources: &[&str] = match payload {
        Payload::V2 => &["headers"],
        Payload::V1 | Payload::LoadBalancer => &["multiValueHeaders", "headers"],
    };
    for source in sources {
        let Some(object) = members.get(source) else { continue };
        let earlier = headers.clone();
        let mut add = |name: &str, value: &RawValue| {
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { return };
            if TRANSFER.contains(&name) || earlier.contains_key(&name) {
                return;
            }
            let is_used = USED_HEADERS.contains(&name);
            for value in values(value) {
                match value {
                    Some(value) if is_used || others < MAX_OTHER_HEADERS => {
                        others += usize::from(!is_used);
                        headers.append(name.clone(), value);
                    }
                    None if is_used && name != REQUEST_ID => {
                        result = Err(invalid("a header", "a string without control characters"));
                    }
                    _ => {}
                }
            }
        };
        if !for_each(object, &mut add) {
            result = Err(invalid("headers", "an object"));
        }
    }
    result
}

/// Returns the values of a header: a string, or a list of strings. An invalid value is `None`.
fn values(value: &RawValue) -> Vec<Option<HeaderValue>> {
    let header = |value: &RawValue| HeaderValue::from_bytes(text(value)?.as_bytes()).ok();
    match value.get() {
        "null" => Vec::new(),
        list if list.starts_with('[') => {
            let list: Vec<&RawValue> = serde_json::from_str(list).unwrap_or_default();
            list.into_iter().take(MAX_OTHER_HEADERS).map(header).collect()
        }
        _ => vec![header(value)],
    }
}

/// Replaces a request id that is absent, long or not visible with that of the event, so that the client
/// gets the id that is in the log.
fn identify(headers: &mut HeaderMap, request_id: &str) {
    let is_valid = |id: &HeaderValue| {
        let id = id.as_bytes();
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
    };
    if headers.get(REQUEST_ID).is_some_and(is_valid) {
        return;
    }
    headers.remove(REQUEST_ID);
    if let Ok(id) = HeaderValue::from_str(request_id)
        && !id.is_empty()
    {
        headers.insert(REQUEST_ID, id);
    }
}

fn body(members: &Members<'_>) -> Result<Body, ApiError> {
    let is_base64 = match members.get("isBase64Encoded").map(RawValue::get) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(invalid("isBase64Encoded", "true or false")),
    };
    let Some(body) = members.get("body") else { return Ok(Body::empty()) };
    let body = text(body).ok_or(invalid("body", "a string"))?;
    if !is_base64 {
        return Ok(Body::from(body.into_owned()));
    }
    let decoded = STANDARD.decode(body.as_bytes());
    decoded.map(Body::from).map_err(|_| ApiError::InvalidEncoding { encoding: "base64" })
}
