//! The Lambda emulator, `cargo lambda watch`, as a process.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::log::Log;
use crate::{bundle, library, process, repository};

/// How long the emulator has to listen.
const START: Duration = Duration::from_secs(300);
/// How long the emulator and the function have to end before they are killed.
const STOP: Duration = Duration::from_secs(5);

/// An emulator that runs the function, on a free port of the loopback interface; stopped with the
/// function when dropped.
///
/// It builds the function when the first event arrives, unless it is built already.
pub struct Emulator {
    process: Child,
    port: u16,
    log: Log,
}

impl Emulator {
    /// Starts an emulator, and waits until it listens. The function runs on the bundle and the
    /// library that `make` builds, unless the environment or `variables` name others.
    ///
    /// # Errors
    /// With its output, if it does not listen.
    ///
    /// # Panics
    /// If bundle or library were not built.
    pub fn start(variables: &[(&str, &str)]) -> Result<Self, String> {
        Self::spawn(variables, false)
    }

    /// As [`Emulator::start`], but the log of emulator and function goes to standard error.
    ///
    /// # Errors
    /// If it does not listen.
    pub fn start_with_echo() -> Result<Self, String> {
        Self::spawn(&[], true)
    }

    fn spawn(variables: &[(&str, &str)], is_echoed: bool) -> Result<Self, String> {
        let port = free_port().map_err(|error| format!("no free port: {error}"))?;
        let mut command = Command::new("cargo");
        command
            .args(["lambda", "watch", "--quiet", "--ignore-changes"])
            .args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()])
            .current_dir(repository(""))
            .env("PATH", path()?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // The function is a child of the emulator: a signal to the group ends both.
            .process_group(0);
        for (variable, default) in
            [("SEMBLANCE_BUNDLE", bundle as fn() -> _), ("SEMBLANCE_ORT_LIBRARY", library)]
        {
            if std::env::var_os(variable).is_none() {
                command.env(variable, default());
            }
        }
        command.envs(variables.iter().copied());
        let mut process = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let output = process.stdout.take().ok_or("no standard output")?;
        let mut emulator = Self { process, port, log: Log::new(output, is_echoed, |_| ()) };
        emulator.wait_for_port()?;
        Ok(emulator)
    }

    fn wait_for_port(&mut self) -> Result<(), String> {
        let end = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Ok(Some(status)) = self.process.try_wait() {
                self.log.finish();
                return Err(format!("the emulator ended: {status}: {}", self.log.text()));
            }
            if Instant::now() > end {
                return Err(format!("the emulator does not listen: {}", self.log.text()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Scheme, host and port. AWS SDKs take it as endpoint; the function URL is
    /// `/lambda-url/similarity` below it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The URL that invokes the function.
    #[must_use]
    pub fn invoke_url(&self) -> String {
        format!("{}/2015-03-31/functions/similarity/invocations", self.url())
    }

    /// The id of the emulator's process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Stops the emulator and the function; returns what they logged.
    #[must_use]
    pub fn stop(mut self) -> Log {
        self.end();
        self.log.finish();
        std::mem::replace(&mut self.log, Log::new(std::io::empty(), false, |_| ()))
    }

    fn end(&mut self) {
        let group = -i64::from(self.process.id());
        process::signal("TERM", group);
        if process::wait(&mut self.process, STOP).is_none() {
            process::signal("KILL", group);
            let _ = self.process.wait();
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // After `stop`, the group may be another's.
        if let Ok(None) = self.process.try_wait() {
            self.end();
        }
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Returns the search path, with the tools that `make setup` installs first.
fn path() -> Result<OsString, String> {
    let tools = repository(".venv/bin");
    if !tools.join("cargo-lambda").exists() {
        return Err("cargo-lambda is missing: run `make setup`".to_owned());
    }
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&others)))
        .map_err(|error| error.to_string())
}
