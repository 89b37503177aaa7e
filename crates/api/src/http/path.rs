//! The path of a request. Doubled slashes and slashes at the end are ignored.

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Returns the request with a path without redundant slashes; `None` if it has none.
pub(super) fn normalized(mut request: Request) -> Result<Request, Request> {
    let path = request.uri().path();
    let clean = clean(path);
    if clean == path {
        return Err(request);
    }
    let clean = match request.uri().query() {
        Some(query) => format!("{clean}?{query}"),
        None => clean,
    };
    let Ok(path_and_query) = PathAndQuery::try_from(clean) else { return Err(request) };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(path_and_query);
    match Uri::from_parts(parts) {
        Ok(uri) => {
            *request.uri_mut() = uri;
            Ok(request)
        }
        Err(_) => Err(request),
    }
}

/// Returns a path without doubled slashes and without slashes at the end.
fn clean(path: &str) -> String {
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
