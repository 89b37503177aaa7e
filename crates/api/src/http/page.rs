//! The page to try it on.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// One document with everything in it.
const PAGE: &str = include_str!("page.html");

/// What the page may do: run its own script and style, and call where it came from.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hashes(PAGE, "script"),
        hashes(PAGE, "style")
    )
});

/// Returns the page.
pub(super) fn response() -> Response {
    let mut response = Html(PAGE).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Whether a request wants HTML, named as such, rather than JSON.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<&str> = accept.flat_map(|value| value.split(',')).collect();
    let html = quality(&ranges, "text/html");
    html > 0.0 && html >= quality(&ranges, "application/json")
}

/// Returns the quality of a media type that is named among media ranges; 0 if it is not.
fn quality(ranges: &[&str], media_type: &str) -> f32 {
    let named = ranges.iter().filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(media_type));
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map(str::parse);
        is_named.then(|| quality.unwrap_or(Ok(1.0)).unwrap_or(0.0))
    });
    named.fold(0.0, f32::max)
}

/// Returns the hashes of what stands in each element of this name, as a source list.
fn hashes(page: &str, element: &str) -> String {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    let contents = page.split(&start).skip(1).filter_map(|rest| rest.split(&end).next());
    let hash =
        |content: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(content.as_bytes())));
    contents.map(hash).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_wanted_by(accept: &'static str) -> bool {
        is_wanted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
    }

    #[test]
    fn a_browser_wants_the_page() {
        assert!(is_wanted_by("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(is_wanted_by("application/json;q=0.5, text/HTML; q=0.9"));
    }

    #[test]
    fn a_client_does_not() {
        assert!(!is_wanted(&HeaderMap::new()));
        assert!(!is_wanted_by("*/*"));
        assert!(!is_wanted_by("application/json"));
        assert!(!is_wanted_by("application/json, text/html;q=0.5"));
        assert!(!is_wanted_by("text/html;q=0"));
        assert!(!is_wanted_by("text/html;q=what"));
    }

    #[test]
    fn the_policy_allows_the_pages_own_script_and_style_alone() {
        // `printf 'alert(1)' | openssl dgst -sha256 -binary | base64`
        let known = "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='";
        assert_eq!(hashes("<p><script>alert(1)</script></p>", "script"), known);
        for element in ["script", "style"] {
            // An element with attributes would not be found, and so not be allowed.
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1, "{element}");
            assert_eq!(hashes(PAGE, element).matches("'sha256-").count(), 1, "{element}");
        }
    }
}
