//! Requests that a browser sends for a page of another site.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use crate::error::ApiError;

/// Checks that a request without a declared media type is not from a page of another site. A browser sends
/// such a request without asking the server first.
///
/// # Errors
/// - [`ApiError::UnsupportedMediaType`] if it is.
pub(super) fn check_cross_site(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_from_page =
        headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    if is_from_page && !headers.contains_key(header::CONTENT_TYPE) {
        let (header, expected) = ("content-type", "application/json in UTF-8");
        return Err(ApiError::UnsupportedMediaType { header, expected });
    }
    Ok(())
}

/// Checks that a page that calls a server on this machine was loaded from this machine, or is allowed to
/// call it. Otherwise a name that resolves to a loopback address would make any page a page of the server
/// (DNS rebinding).
///
/// # Errors
/// - [`ApiError::ForbiddenHost`] if neither is so.
pub(super) fn check_host(headers: &HeaderMap, allowed: &[String]) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let is_allowed =
        allowed.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if is_allowed || host.is_none_or(is_loopback) {
        return Ok(());
    }
    Err(ApiError::ForbiddenHost)
}

/// Whether a host, with or without a port, is a name or an address of this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_of_this_machine_are_recognized() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "a.localhost",
            "127.0.0.1:80",
            "127.1.2.3",
            "[::1]:8080",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["evil.com", "localhost.evil.com:8080", "10.0.0.1", "[::2]:80", "", "127.0.0.1.x"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
