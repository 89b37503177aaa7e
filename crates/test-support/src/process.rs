//! Processes that a test starts.

use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process has to end after it was asked to.
const STOP: Duration = Duration::from_secs(60);

/// Sends a signal to a process, or to a process group if its id is negative.
pub(crate) fn signal(name: &str, id: i64) {
    let _ = Command::new("kill").args(["-s", name, "--", &id.to_string()]).status();
}

/// Waits for the end of a process.
pub(crate) fn wait(process: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        if let Ok(Some(status)) = process.try_wait() {
            return Some(status);
        }
        if Instant::now() > end {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a process that was asked to end; kills it if it does not.
pub(crate) fn wait_or_kill(process: &mut Child) -> Option<ExitStatus> {
    let status = wait(process, STOP);
    if status.is_none() {
        let _ = process.kill();
        let _ = process.wait();
    }
    status
}
