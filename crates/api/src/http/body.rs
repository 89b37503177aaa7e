//! The body of a request: media type, content encoding, length, time.

use std::io::{self, Read};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, header};
use flate2::bufread::MultiGzDecoder;
use http_body_util::BodyExt as _;
use zstd::stream::read::Decoder;

use crate::budget::Reservation;
use crate::error::ApiError;

/// Binary logarithm of the largest window of a body in zstd: 8 MiB, the size that every decoder should
/// support.
///
/// Source: RFC 8878, section 3.1.1.1.2.
const MAX_ZSTD_WINDOW_LOG: u32 = 23;

/// The message of the library for a larger window. It has no code for it.
///
/// Source: `ZSTD_error_frameParameter_windowTooLarge` in `lib/common/error_private.c` of zstd.
const ZSTD_WINDOW_ERROR: &str = "too much memory";

/// How many bytes are decompressed at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Limits of a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    /// Maximum size in bytes, as sent and after decompression.
    pub(super) bytes: usize,
    /// How long it can take to arrive.
    pub(super) timeout: Option<Duration>,
}

/// The compression of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Zstd,
}

/// A body as it was sent.
#[derive(Debug)]
pub(super) struct SentBody {
    bytes: Vec<u8>,
    encoding: Option<Encoding>,
}

/// Checks the headers of a request before its body is read. Returns the compression of the body.
///
/// # Errors
/// - [`ApiError::UnsupportedMediaType`] if its media type is not JSON in UTF-8, or its content
///   encoding is not gzip, zstd or identity.
/// - [`ApiError::BodyTooLarge`] if its declared length exceeds the limit.
pub(super) fn check(headers: &HeaderMap, limits: BodyLimits) -> Result<Option<Encoding>, ApiError> {
    check_content_type(headers)?;
    let encoding = content_encoding(headers)?;
    check_length(headers, limits.bytes)?;
    Ok(encoding)
}

/// Reads the body of a request as it was sent.
///
/// # Errors
/// - [`ApiError::BodyTooLarge`] if it has too many bytes.
/// - [`ApiError::OutOfMemory`] if the bodies of all requests have too many bytes.
/// - [`ApiError::IncompleteBody`] if it ends early.
/// - [`ApiError::BodyTimedOut`] if it does not arrive in time.
pub(super) async fn read(
    request: Request<Body>,
    encoding: Option<Encoding>,
    limits: BodyLimits,
    reservation: &mut Reservation,
) -> Result<SentBody, ApiError> {
    let read = async {
        let (mut body, mut bytes) = (request.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ApiError::IncompleteBody)?;
            // Trailers are ignored.
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limits.bytes {
                let (bytes, limit_bytes) = (None, limits.bytes);
                return Err(ApiError::BodyTooLarge { bytes, limit_bytes, is_decoded: false });
            }
            bytes.extend_from_slice(&data);
            reservation.resize(bytes.capacity())?;
        }
        Ok(SentBody { bytes, encoding })
    };
    match limits.timeout {
        None => read.await,
        Some(timeout) => tokio::time::timeout(timeout, read)
            .await
            .map_err(|_| ApiError::BodyTimedOut { limit_seconds: timeout.as_secs() })?,
    }
}

impl SentBody {
    /// Returns the decompressed bytes. A body can have several gzip members or zstd frames.
    ///
    /// # Errors
    /// - [`ApiError::BodyTooLarge`] if it has too many bytes.
    /// - [`ApiError::OutOfMemory`] if the bodies of all requests have too many bytes.
    /// - [`ApiError::InvalidEncoding`] if it cannot be decompressed.
    pub(super) fn into_bytes(
        self,
        limit_bytes: usize,
        reservation: &mut Reservation,
    ) -> Result<Bytes, ApiError> {
        let bytes = match self.encoding {
            None => return Ok(self.bytes.into()),
            Some(Encoding::Gzip) => {
                let decoder = MultiGzDecoder::new(self.bytes.as_slice());
                decompress(decoder, "gzip", limit_bytes, reservation)?
            }
            Some(Encoding::Zstd) => {
                let encoding = "zstd";
                let invalid = |_| ApiError::InvalidEncoding { encoding };
                let mut decoder = Decoder::with_buffer(self.bytes.as_slice()).map_err(invalid)?;
                decoder.window_log_max(MAX_ZSTD_WINDOW_LOG).map_err(invalid)?;
                decompress(decoder, encoding, limit_bytes, reservation)?
            }
        };
        Ok(bytes.into())
    }
}

fn decompress(
    decoder: impl Read,
    encoding: &'static str,
    limit_bytes: usize,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, ApiError> {
    let mut decoder = decoder.take(limit_bytes as u64 + 1);
    let mut bytes = Vec::new();
    loop {
        let mut chunk = (&mut decoder).take(CHUNK_BYTES as u64);
        let read: io::Result<usize> = chunk.read_to_end(&mut bytes);
        let read = read.map_err(|error| match error.to_string().contains(ZSTD_WINDOW_ERROR) {
            true => ApiError::InvalidEncoding { encoding: "zstd with a window of at most 8 MiB" },
            false => ApiError::InvalidEncoding { encoding },
        })?;
        if bytes.len() > limit_bytes {
            return Err(ApiError::BodyTooLarge { bytes: None, limit_bytes, is_decoded: true });
        }
        reservation.resize(bytes.capacity())?;
        if read == 0 {
            return Ok(bytes);
        }
    }
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
fn content_encoding(headers: &HeaderMap) -> Result<Option<Encoding>, ApiError> {
    let header = "content-encoding";
    let refused = || ApiError::UnsupportedMediaType { header, expected: "gzip, zstd or identity" };
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let (value, more) = (values.next(), values.next());
    let Some(value) = value else { return Ok(None) };
    let value = value.to_str().map_err(|_| refused())?.trim().to_ascii_lowercase();
    match value.as_str() {
        _ if more.is_some() => Err(refused()),
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some(Encoding::Gzip)),
        "zstd" => Ok(Some(Encoding::Zstd)),
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
