//! Reports that a mapped file was truncated. The kernel then sends `SIGBUS` to the thread that reads the
//! missing part.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use semblance::{Code, Fault};
use signal_hook::consts::SIGBUS;
use signal_hook::low_level::{emulate_default_handler, register};

/// A file of a bundle was truncated or its device failed while the process used it.
pub const FILE_CHANGED: Code = Code::new(
    "bundle.file_changed",
    Fault::Start,
    "A mapped file was truncated, or its device failed, while the process used it. The process ends with \
     SIGBUS. Bundles are immutable: install a new version in another folder.",
);

/// How long the thread that caused the signal waits for the end of the process.
const REPORT: Duration = Duration::from_secs(2);

/// Size of the stack of the thread that reports. It writes one line.
const STACK_BYTES: usize = 256 * 1024;

/// Starts a thread that writes a log line when the process receives `SIGBUS`, and then ends the process as
/// if nobody had handled the signal. `before_end` runs between the two.
///
/// # Errors
/// If the handler cannot be installed.
pub fn report_changed_files(before_end: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let (mut signals, handler) = UnixStream::pair()?;
    handler.set_nonblocking(true)?;
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
    let signaled = move || {
        // The other thread reports. This one must not go on: the handler of the standard library has
        // restored the default, so the next access ends the process.
        let _ = (&handler).write(&[0]);
        thread::sleep(REPORT);
    };
    // SAFETY: the action only calls `write` and `clock_nanosleep`, which are async-signal-safe. It neither
    // allocates, nor takes a lock, nor panics.
    #[expect(unsafe_code, reason = "a signal handler; the only one of the project")]
    unsafe {
        register(SIGBUS, signaled)?;
    }
    Ok(())
}
