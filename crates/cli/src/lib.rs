//! The command line `semblance`: its arguments, its commands and its HTTP server.

mod arguments;
mod command;
mod failure;
mod server;
mod settings;

pub use arguments::{Arguments, Command};
pub use command::run;
pub use failure::{Failure, Place};
pub use server::ServerError;
