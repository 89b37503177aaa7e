//! The command line `semblance`: its arguments, its commands and its HTTP server.

mod arguments;
mod command;
mod error;
mod server;
mod settings;
mod terminal;

pub use arguments::{Arguments, Command};
pub use command::{RowError, run};
pub use error::{CommandError, Location};
pub use server::ServerError;
pub use terminal::visible;
