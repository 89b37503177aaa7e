//! The operations over plain HTTP: one router, for the server and for HTTP events.

mod gate;

pub use gate::{Gate, GateError, GateLimits};

// STUB-BEGIN
/// s
#[derive(Clone, Debug, Default)]
pub struct HttpOptions {
    /// s
    pub cors_origins: Vec<String>,
    /// s
    pub max_body_bytes: usize,
}
/// s
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// s
    pub items: usize,
    /// s
    pub usage: crate::service::Usage,
    /// s
    pub dialect: u8,
}
/// s
pub fn router(_: Gate, _: HttpOptions) -> axum::Router {
    axum::Router::new()
}
/// s
pub enum HttpError {
    /// s
    ReplyTooLarge {
        /// s
        bytes: usize,
        /// s
        limit_bytes: usize,
        /// s
        items: usize,
        /// s
        fit: usize,
    },
}
impl HttpError {
    /// s
    pub fn response(&self, _: u8) -> axum::response::Response {
        axum::response::Response::default()
    }
    /// s
    pub fn from_slow_request(_: std::time::Duration) -> axum::response::Response {
        axum::response::Response::default()
    }
}
// STUB-END
