//! The Lambda edge: events in, responses and errors with stable types out.

mod event;
mod handler;

pub use handler::{Handled, Handler, HandlerError, run};
