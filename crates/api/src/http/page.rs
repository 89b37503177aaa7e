//! The demo page for browsers.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = concat!(include_str!("page/page.js"), include_str!("page/corpus.js"));

/// The page, with its script and style inline.
const PAGE: &str = concat!(
    include_str!("page/head.html"),
    "<style>",
    include_str!("page/style.css"),
    "</style>\n</head>\n<body>\n",
    include_str!("page/body.html"),
    "<script>",
    include_str!("page/page.js"),
    include_str!("page/corpus.js"),
    "</script>\n</body>\n</html>\n",
);

/// The content security policy: the page can run its own script and style, and call its own server.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        source(SCRIPT),
        source(STYLE)
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

/// Whether a request prefers HTML over JSON and names HTML explicitly.
pub(super) fn is_preferred(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<&str> = accept.flat_map(|value| value.split(',')).collect();
    let html = quality(&ranges, "text/html");
    html > 0.0 && html >= quality(&ranges, "application/json")
}

/// Returns the quality of a media type in a list of media ranges; 0 if it is not named.
fn quality(ranges: &[&str], media_type: &str) -> f32 {
    let named = ranges.iter().filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(media_type));
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map(str::parse);
        is_named.then(|| quality.unwrap_or(Ok(1.0)).unwrap_or(0.0))
    });
    named.fold(0.0, f32::max)
}

/// Returns the source expression that allows an inline element with this content.
fn source(content: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(content.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers_page(accept: &'static str) -> bool {
        is_preferred(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
    }

    #[test]
    fn a_browser_gets_the_page() {
        assert!(prefers_page("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(prefers_page("application/json;q=0.5, text/HTML; q=0.9"));
    }

    #[test]
    fn other_clients_do_not_get_the_page() {
        assert!(!is_preferred(&HeaderMap::new()));
        assert!(!prefers_page("*/*"));
        assert!(!prefers_page("application/json"));
        assert!(!prefers_page("application/json, text/html;q=0.5"));
        assert!(!prefers_page("text/html;q=0"));
        assert!(!prefers_page("text/html;q=what"));
    }

    #[test]
    fn the_policy_allows_the_script_and_style_of_the_page() {
        // `printf 'alert(1)' | openssl dgst -sha256 -binary | base64`
        assert_eq!(source("alert(1)"), "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='");
        for (element, content) in [("script", SCRIPT), ("style", STYLE)] {
            // A browser hashes the content between the tags.
            assert!(PAGE.contains(&format!("<{element}>{content}</{element}>")), "{element}");
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1, "{element}");
        }
    }
}
