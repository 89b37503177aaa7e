//! The Lambda function `similarity`: handles events and returns responses, or errors with stable
//! codes.

mod batch;
mod handler;
mod http;
mod invocation;
mod members;
mod message;
mod reply_limit;
mod source;

pub use handler::{Handler, HandlerError, run};
pub use reply_limit::ReplyLimit;
