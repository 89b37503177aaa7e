//! The Lambda edge: events in, responses and errors with stable types out.

mod event;
mod handler;
mod http;
mod queue;
#[cfg(feature = "sync")]
mod sync;

pub use handler::{Handler, HandlerError, run};
#[cfg(feature = "sync")]
pub use sync::{SyncHandler, SyncHandlerError, run_sync};
