//! The limit on the size of files (`ulimit -f`). The kernel sends `SIGXFSZ` to a process that writes beyond
//! it, which ends the process without a message.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGXFSZ;
use signal_hook::flag::register;

/// Makes a write beyond the limit an error (`EFBIG`), as one to a full disk is.
///
/// # Errors
/// If the handler cannot be installed.
pub fn fail_large_writes() -> io::Result<()> {
    // Nobody reads the flag: that the signal is handled is enough.
    register(SIGXFSZ, Arc::<AtomicBool>::default()).map(drop)
}
