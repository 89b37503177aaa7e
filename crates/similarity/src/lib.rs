//! The Lambda function: events in, responses and errors with stable types out.

mod door;
mod handler;
mod http;
mod queue;
mod reply_limit;

pub use handler::{Handler, HandlerError, run};
pub use reply_limit::ReplyLimit;
