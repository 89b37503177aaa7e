//! The server, `semblance serve`, as a process.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::log::Log;
use crate::{bundle, library, process};

/// How long a server has to load its model and listen.
const START: Duration = Duration::from_secs(300);

/// Seconds that an operation has if the arguments give no other time. While other tests run, it can
/// take longer than the server's default.
const OPERATION_SECONDS: &str = "3600";

/// A server on a free port of the loopback interface; stopped when dropped. An operation has an hour,
/// unless the arguments give another time.
pub struct Server {
    process: Child,
    url: String,
    log: Log,
}

impl Server {
    /// Returns the command `semblance serve` with these arguments, on the bundle and the library
    /// that `make` builds unless the environment names others.
    ///
    /// # Panics
    /// If they were not built.
    #[must_use]
    pub fn command(program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("serve").args(arguments);
        for (variable, default) in
            [("SEMBLANCE_BUNDLE", bundle as fn() -> _), ("SEMBLANCE_ORT_LIBRARY", library)]
        {
            if std::env::var_os(variable).is_none() {
                command.env(variable, default());
            }
        }
        command
    }

    /// Starts a server and waits until it listens.
    ///
    /// # Errors
    /// With its output, if it does not.
    pub fn start(command: Command) -> Result<Self, String> {
        Self::spawn(command, false)
    }

    /// As [`Server::start`], but the log goes to standard error.
    ///
    /// # Errors
    /// If it does not listen.
    pub fn start_with_echo(command: Command) -> Result<Self, String> {
        Self::spawn(command, true)
    }

    fn spawn(mut command: Command, is_echoed: bool) -> Result<Self, String> {
        if !command.get_args().any(|argument| argument == "--timeout-seconds") {
            command.args(["--timeout-seconds", OPERATION_SECONDS]);
        }
        // The address is logged at this level.
        command.args(["--port", "0"]).env("AWS_LAMBDA_LOG_LEVEL", "INFO").stdin(Stdio::null());
        let spawned = command.stdout(Stdio::piped()).spawn();
        let mut process = spawned.map_err(|error| format!("{command:?}: {error}"))?;
        let output = process.stdout.take().ok_or("no standard output")?;
        let (listening, url) = mpsc::channel();
        let mut listening = Some(listening);
        let mut log = Log::new(output, is_echoed, move |line| {
            if let Some(sender) = &listening
                && let Some(url) = url_of(line)
            {
                let _ = sender.send(url);
                listening = None;
            }
        });
        match url.recv_timeout(START) {
            Ok(url) => Ok(Self { process, url, log }),
            Err(_) => {
                let _ = process.kill();
                let status = process.wait();
                log.finish();
                Err(format!("the server did not listen: {status:?}: {}", log.text()))
            }
        }
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The id of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        process::signal(name, self.process.id().into());
    }

    /// Waits for the end; none if it does not come in time, and then the server is killed. The log
    /// is complete afterwards.
    pub fn wait(&mut self) -> Option<ExitStatus> {
        let status = process::wait_or_kill(&mut self.process);
        self.log.finish();
        status
    }

    /// Asks the server to stop, and waits for the end.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.signal("TERM");
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the URL in the line that says where the server listens.
fn url_of(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening").then(|| line["url"].as_str().map(str::to_owned))?
}
