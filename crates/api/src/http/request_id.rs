//! The id of a request.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::request_id::{MakeRequestId as _, MakeRequestUuid};

use super::headers::REQUEST_ID;

/// Maximum length of an id from a client.
const MAX_ID_BYTES: usize = 128;

/// Returns the id of a request, which its headers have afterwards: the id from the client if it has 1 to
/// 128 visible ASCII characters, otherwise a generated one.
pub fn ensure_request_id(request: &mut Request) -> HeaderValue {
    match request.headers().get(REQUEST_ID) {
        Some(id) if is_valid(id) && has_one(request.headers()) => id.clone(),
        _ => {
            let id = MakeRequestUuid.make_request_id(request);
            let id = id.map_or(HeaderValue::from_static("-"), |id| id.into_header_value());
            request.headers_mut().insert(REQUEST_ID, id.clone());
            id
        }
    }
}

fn is_valid(id: &HeaderValue) -> bool {
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn has_one(headers: &HeaderMap) -> bool {
    headers.get_all(REQUEST_ID).iter().count() == 1
}

/// Gives the response the id of the request.
pub(super) async fn propagate(mut request: Request, next: Next) -> Response {
    let id = ensure_request_id(&mut request);
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn an_id_is_kept_if_it_is_short_and_visible() {
        let id_of = |ids: &[&str]| {
            let mut request = Request::new(Body::empty());
            for id in ids {
                let id = HeaderValue::from_bytes(id.as_bytes()).unwrap();
                request.headers_mut().append(REQUEST_ID, id);
            }
            let id = ensure_request_id(&mut request);
            let in_headers: Vec<_> = request.headers().get_all(REQUEST_ID).iter().collect();
            assert_eq!(in_headers, [&id]);
            assert_eq!(ensure_request_id(&mut request), id, "it is stable");
            id.to_str().unwrap().to_owned()
        };
        let longest = "x".repeat(MAX_ID_BYTES);
        for id in ["a", "1-5e1b4151-5ac6c58f5b3a;x=\"1\"", longest.as_str()] {
            assert_eq!(id_of(&[id]), id);
        }
        let too_long = "x".repeat(MAX_ID_BYTES + 1);
        for ids in [&[][..], &[""], &["a b"], &["\u{e9}"], &[&too_long], &["a", "b"]] {
            assert_eq!(id_of(ids).len(), 36, "{ids:?}");
        }
    }
}
