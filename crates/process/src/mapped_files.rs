//! Reports that a mapped file was truncated. The kernel then sends `SIGBUS` to the thread that reads the
//! missing part.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::thread;

use semblance::{Code, Fault};
use signal_hook::consts::SIGBUS;
use signal_hook::low_level::{emulate_default_handler, pipe};

/// A file of a bundle was truncated or its device failed while the process used it.
pub const FILE_CHANGED: Code = Code::new(
    "bundle.file_changed",
    Fault::Start,
    "A mapped file was truncated, or its device failed, while the process used it. The process ends with \
     SIGBUS. Bundles are immutable: install a new version in another folder.",
);

/// Starts a thread that writes a log line when the process receives `SIGBUS`, and then ends the process as
/// if nobody had handled the signal. `before_end` runs between the two.
///
/// The handler of the signal only writes a byte to a socket. The thread that caused the signal meets it
/// again and again until the process ends.
///
/// # Errors
/// If the handler cannot be installed.
pub fn report_changed_files(before_end: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let (mut signals, handler) = UnixStream::pair()?;
    pipe::register(SIGBUS, handler)?;
    let report = move || {
        if signals.read_exact(&mut [0]).is_ok() {
            let (code, error) =
                (FILE_CHANGED.name, "a mapped file was truncated or cannot be read");
            tracing::error!(target: "semblance", code, error, "the process ends");
            before_end();
            // It does not return for this signal.
            let _ = emulate_default_handler(SIGBUS);
        }
    };
    thread::Builder::new().name("sigbus".to_owned()).stack_size(STACK_BYTES).spawn(report)?;
    Ok(())
}

/// Size of the stack of the thread. It writes one line.
const STACK_BYTES: usize = 256 * 1024;
