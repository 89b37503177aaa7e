//! The operations over plain HTTP: one router, for the server and for HTTP events.

mod body;
mod dialect;
mod error;
mod gate;
mod headers;
mod openapi;
mod page;
mod route;
mod router;

pub use dialect::Dialect;
pub use error::{Failure, HttpError, OpenAiError, OpenAiErrorObject, TeiError};
pub use gate::{Gate, GateError, GateLimits};
pub use headers::REQUEST_ID;
pub use route::{ROUTES, Route};
pub use router::{Answered, HttpOptions, router};
