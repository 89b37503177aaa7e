//! The routes over HTTP: one router, for the server and for HTTP events.

mod body;
mod browsers;
mod error;
pub(crate) mod headers;
mod held_body;
mod key;
mod page;
mod path;
mod request_id;
mod router;

pub use error::{error_response, error_status};
pub use headers::{REQUEST_ID, USED_HEADERS};
pub use key::ApiKeys;
pub use path::remove_redundant_slashes;
pub use request_id::ensure_request_id;
pub use router::{Deadline, Destination, HttpOptions, ReplyInfo, Reserved, router};
