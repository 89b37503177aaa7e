//! The routes over HTTP: one router, for the server and for HTTP events.

mod body;
mod error;
pub(crate) mod headers;
mod key;
mod page;
mod path;
mod router;

pub use error::error_response;
pub use headers::REQUEST_ID;
pub use key::ApiKeys;
pub use router::{Destination, HttpOptions, ReplyInfo, router};
