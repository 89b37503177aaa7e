//! The function's process.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use semblance_test_support::{Answer, Kind, Pending};

use crate::args::Args;
use crate::cpus::Cpus;
use crate::error::Result;
use crate::log::Log;
use crate::memory::Memory;

/// The function's process; killed when dropped.
pub(crate) struct Function {
    process: Child,
    pub(crate) spawned: Instant,
    pub(crate) log: Log,
}

impl Function {
    /// Starts the function of an extracted package with the environment of Lambda.
    pub(crate) fn spawn(
        args: &Args,
        task_root: &Path,
        bundle: &Path,
        api: &str,
        cpus: &Cpus,
    ) -> Result<Self> {
        let mut command = Command::new(task_root.join("bootstrap"));
        lambda_environment(&mut command, args, task_root, bundle, api);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        cpus.confine()?;
        let spawned = Instant::now();
        let process = command.spawn();
        cpus.release()?;
        let mut process = process?;
        let log = Log::of(process.stdout.take().ok_or("no standard output")?);
        Ok(Self { process, spawned, log })
    }

    /// Waits for an answer for as long as the process lives; without one, shows the log.
    pub(crate) fn answer(&mut self, pending: &Pending) -> Result<Answer> {
        loop {
            let fault = match pending.wait(Duration::from_millis(200)) {
                Some(answer) if answer.kind == Kind::Response => return Ok(answer),
                Some(answer) => {
                    let body = String::from_utf8_lossy(&answer.body).into_owned();
                    format!("the function answered with an error: {body}")
                }
                None => match self.process.try_wait()? {
                    Some(status) => format!("the function ended without an answer: {status}"),
                    None => continue,
                },
            };
            self.log.show();
            return Err(fault.into());
        }
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        Memory::of(self.process.id())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What Lambda sets for a function on an OS-only runtime (developer guide, "Defined runtime
/// environment variables"), and nothing else.
fn lambda_environment(
    command: &mut Command,
    args: &Args,
    task_root: &Path,
    bundle: &Path,
    api: &str,
) {
    let root = task_root.display();
    let libraries =
        format!("/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:{root}:{root}/lib:/opt/lib");
    command.env_clear().current_dir(task_root);
    command.envs([
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &args.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", "similarity"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/similarity"),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[1]0123456789abcdef0123456789abcdef"),
        ("AWS_LAMBDA_RUNTIME_API", api),
        ("AWS_REGION", "eu-west-1"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", &root.to_string()),
        ("LANG", "en_US.UTF-8"),
        ("LD_LIBRARY_PATH", &libraries),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("SEMBLANCE_BUNDLE", &bundle.display().to_string()),
        // Off: the warm events are the first again and must be embedded again.
        ("SEMBLANCE_CACHE_BYTES", "0"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ]);
    if let Some(threads) = args.threads {
        command.env("SEMBLANCE_THREADS", threads.to_string());
    }
    command.envs(args.env.iter().map(|(name, value)| (name, value)));
}
