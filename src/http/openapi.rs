//! The routes as an OpenAPI document.

use axum::body::Bytes;

use crate::service::Service;

/// Returns the document.
pub(super) fn document(_service: &Service) -> Bytes {
    Bytes::from_static(b"{}")
}
