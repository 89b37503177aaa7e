//! The body of a request: media type, content encoding, length.

use std::convert::Infallible;
use std::error::Error;
use std::future::ready;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;
use tower::{ServiceExt as _, service_fn};
use tower_http::decompression::RequestDecompression;

use crate::body::parse_json;
use crate::error::ApiError;

/// Returns the JSON value in the body of a request.
///
/// # Errors
/// - [`ApiError::UnsupportedMediaType`] if its media type is not JSON in UTF-8, or its content
///   encoding is not gzip, zstd or identity.
/// - [`ApiError::BodyTooLarge`] if it has too many bytes, as sent or after decompression.
/// - [`ApiError::InvalidEncoding`] if it cannot be decompressed.
/// - [`ApiError::IncompleteBody`] if it ends early.
/// - As [`parse_json`] if it is not JSON.
pub(super) async fn json(request: Request<Body>, limit_bytes: usize) -> Result<Value, ApiError> {
    check_content_type(request.headers())?;
    let encoding = content_encoding(request.headers())?;
    check_length(request.headers(), limit_bytes)?;
    let body = read(request, encoding, limit_bytes).await?;
    Ok(parse_json(&body)?)
}

/// Checks that the media type of a body is JSON in UTF-8 or not declared.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let header = "content-type";
    let expected = "application/json in UTF-8";
    let refused = || ApiError::UnsupportedMediaType { header, expected };
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let value = value.to_str().map_err(|_| refused())?.to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let is_json = media_type == "application/json"
        || media_type.starts_with("application/") && media_type.ends_with("+json");
    let is_other_charset = |part: &str| match part.split_once('=') {
        Some((name, value)) if name.trim() == "charset" => {
            !["utf-8", "utf8", "us-ascii"].contains(&value.trim().trim_matches('"'))
        }
        _ => false,
    };
    if is_json && !parts.any(is_other_charset) { Ok(()) } else { Err(refused()) }
}

/// Returns the compression of a body, if it is compressed.
fn content_encoding(headers: &HeaderMap) -> Result<Option<&'static str>, ApiError> {
    let header = "content-encoding";
    let refused = || ApiError::UnsupportedMediaType { header, expected: "gzip, zstd or identity" };
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let (value, more) = (values.next(), values.next());
    let Some(value) = value else { return Ok(None) };
    let value = value.to_str().map_err(|_| refused())?.trim().to_ascii_lowercase();
    match value.as_str() {
        _ if more.is_some() => Err(refused()),
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some("gzip")),
        "zstd" => Ok(Some("zstd")),
        _ => Err(refused()),
    }
}

/// Checks the declared length of a body, before the body is read.
fn check_length(headers: &HeaderMap, limit_bytes: usize) -> Result<(), ApiError> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|length| length.parse().ok()) {
        Some(bytes) if bytes > limit_bytes as u64 => {
            Err(ApiError::BodyTooLarge { bytes: Some(bytes), limit_bytes, is_decoded: false })
        }
        _ => Ok(()),
    }
}

/// Returns the decompressed bytes of a body. The limit applies before and after decompression.
async fn read(
    request: Request<Body>,
    encoding: Option<&'static str>,
    limit_bytes: usize,
) -> Result<Bytes, ApiError> {
    let limited = |body| Body::new(Limited::new(body, limit_bytes));
    let (mut parts, body) = request.map(limited).into_parts();
    let Some(encoding) = encoding else {
        let failed = |error| fault(error, ApiError::IncompleteBody, limit_bytes, false);
        return Ok(body.collect().await.map_err(failed)?.to_bytes());
    };
    // The layer accepts only this spelling. It decompresses the body of a request to an inner service,
    // and this inner service returns the body.
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    let echo = service_fn(|request: Request<_>| {
        ready(Ok::<_, Infallible>(Response::new(request.into_body())))
    });
    let decompress = RequestDecompression::new(echo);
    let Ok(decompressed) = decompress.oneshot(Request::from_parts(parts, body)).await;
    let invalid = ApiError::InvalidEncoding { encoding };
    let body = limited(Body::new(decompressed.into_body()));
    Ok(body.collect().await.map_err(|error| fault(error, invalid, limit_bytes, true))?.to_bytes())
}

/// Returns why a body could not be read: `BodyTooLarge` if it exceeds the limit, else `otherwise`.
fn fault(
    error: axum::Error,
    otherwise: ApiError,
    limit_bytes: usize,
    is_decoded: bool,
) -> ApiError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return ApiError::BodyTooLarge { bytes: None, limit_bytes, is_decoded };
        }
        cause = error.source();
    }
    otherwise
}
