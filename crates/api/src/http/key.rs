//! API keys.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use semblance_process::ConfigError;
use sha2::{Digest as _, Sha256};

use super::error::error_response;
use super::path::clean;
use crate::error::ApiError;

/// Paths that need no key: health checks. `GET /metrics` of the server needs none either.
const EXEMPT: [&str; 3] = ["/health", "/healthz", "/ping"];

/// The keys that a client can use; without keys, requests need none. Only their digests are stored.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ApiKeys(Vec<[u8; 32]>);

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.0.len())
    }
}

impl ApiKeys {
    /// Returns the keys in a list that is separated by commas. `variable` is the source of the list.
    ///
    /// # Errors
    /// - [`ConfigError::Invalid`] if a key is empty or has other characters than visible ASCII. The
    ///   error does not contain the keys.
    pub fn parse(variable: &'static str, list: &str) -> Result<Self, ConfigError> {
        let keys: Vec<&str> = list.split(',').map(str::trim).collect();
        let is_key =
            |key: &&str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !keys.iter().all(is_key) {
            let rule = "keys of visible ASCII characters, separated by commas".to_owned();
            return Err(ConfigError::Invalid { variable, value: "(hidden)".to_owned(), rule });
        }
        Ok(Self(keys.into_iter().map(digest).collect()))
    }

    /// Whether requests need no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request has one of the keys: as `Authorization: Bearer` or `x-api-key`.
    fn allow(&self, headers: &HeaderMap) -> bool {
        let authorization = headers.get_all(header::AUTHORIZATION).iter();
        let bearer = authorization.filter_map(|value| {
            let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        });
        let named = headers.get_all("x-api-key").iter();
        let named = named.filter_map(|value| value.to_str().ok()).map(str::trim);
        bearer.chain(named).fold(false, |allowed, key| allowed | self.has(key))
    }

    /// Whether a key is among these. The time does not depend on how much of a key is right: digests
    /// are compared, with every key and to the last byte.
    fn has(&self, key: &str) -> bool {
        let key = digest(key);
        let is_equal = |own: &[u8; 32]| {
            let differences = own.iter().zip(&key).fold(0, |bits, (a, b)| bits | (a ^ b));
            std::hint::black_box(differences) == 0
        };
        self.0.iter().fold(false, |found, own| found | is_equal(own))
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Refuses a request without a key.
pub(super) async fn check(
    State(keys): State<Arc<ApiKeys>>,
    request: Request,
    next: Next,
) -> Response {
    let path = clean(request.uri().path());
    if EXEMPT.contains(&path.as_str()) || keys.allow(request.headers()) {
        return next.run(request).await;
    }
    error_response(&ApiError::Unauthorized, &path)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_in_either_header() {
        let keys = ApiKeys::parse("SEMBLANCE_API_KEY", "one, two").unwrap();
        let allow = |name: &'static str, value: &'static str| {
            keys.allow(&HeaderMap::from_iter([(
                name.parse().unwrap(),
                HeaderValue::from_static(value),
            )]))
        };
        for key in ["Bearer one", "bearer two", "Bearer  one"] {
            assert!(allow("authorization", key), "{key}");
        }
        assert!(allow("x-api-key", "two"));
        for key in ["one", "Bearer on", "Bearer onee", "Bearer ", "Basic one", "Bearer one, two"] {
            assert!(!allow("authorization", key), "{key}");
        }
        assert!(!allow("x-api-key", "") && !allow("api-key", "one"));
    }

    #[test]
    fn an_error_and_the_debug_form_hide_the_keys() {
        let error = ApiKeys::parse("SEMBLANCE_API_KEY", "secret,,x").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(ApiKeys::parse("SEMBLANCE_API_KEY", "a b").is_err());
        let keys = ApiKeys::parse("SEMBLANCE_API_KEY", "secret").unwrap();
        assert_eq!(format!("{keys:?}"), "ApiKeys(1)");
    }
}
