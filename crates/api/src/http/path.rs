//! The path of a request. Doubled slashes and slashes at the end are ignored.

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Removes redundant slashes from the path of a request.
pub async fn remove_redundant_slashes(mut request: Request) -> Request {
    if let Some(uri) = normalized(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

/// Returns a URI without redundant slashes in its path; `None` if it has none.
pub(super) fn normalized(uri: &Uri) -> Option<Uri> {
    let clean = clean(uri.path());
    if clean == uri.path() {
        return None;
    }
    let clean = match uri.query() {
        Some(query) => format!("{clean}?{query}"),
        None => clean,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(clean).ok()?);
    Uri::from_parts(parts).ok()
}

/// Returns a path without doubled slashes and without slashes at the end.
pub(super) fn clean(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let clean: String = parts.flat_map(|part| ["/", part]).collect();
    if clean.is_empty() { "/".to_owned() } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redundant_slashes_are_removed() {
        let cases = [
            ("/embed", "/embed"),
            ("//embed", "/embed"),
            ("/embed/", "/embed"),
            ("///v1//embeddings//", "/v1/embeddings"),
            ("/", "/"),
            ("//", "/"),
        ];
        for (path, expected) in cases {
            assert_eq!(clean(path), expected);
        }
    }
}
