//! Why the bench could not measure: for its reader, so a text will do.

use std::error::Error;
use std::io;
use std::path::Path;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Says in which file an error happened.
pub(crate) fn in_file(file: &Path) -> impl FnOnce(io::Error) -> Box<dyn Error + Send + Sync> {
    let file = file.display().to_string();
    move |error| format!("{file}: {error}").into()
}
