//! A function under a Runtime API, started as Lambda starts it.

use std::ffi::OsStr;
use std::process::{Child, Command, ExitStatus};

use serde_json::Value;

use crate::{Answer, Kind, RuntimeApi, process};

/// A running function; killed when dropped.
pub struct Function {
    api: RuntimeApi,
    process: Child,
}

impl Function {
    /// Returns the command that runs a function in the environment of Lambda, without a Runtime
    /// API: the name of the function is that of its binary.
    pub fn command(name: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769");
        command
    }

    /// Starts a function under a Runtime API.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(api: RuntimeApi, mut command: Command) -> std::io::Result<Self> {
        let process = command.env("AWS_LAMBDA_RUNTIME_API", api.url()).spawn()?;
        Ok(Self { api, process })
    }

    /// Its Runtime API.
    #[must_use]
    pub fn api(&self) -> &RuntimeApi {
        &self.api
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }

    /// Gives the function an event; returns its answer.
    ///
    /// # Panics
    /// If no answer comes in time, or it is not JSON.
    #[must_use]
    pub fn invoke(&self, event: &[u8]) -> (Kind, Value) {
        let answer: Answer = self.api.invoke(event).expect("an answer in time");
        (answer.kind, serde_json::from_slice(&answer.body).unwrap())
    }

    /// Stops the function at once, as a crash does.
    pub fn kill(&mut self) -> Option<ExitStatus> {
        let _ = self.process.kill();
        process::wait_or_kill(&mut self.process)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
