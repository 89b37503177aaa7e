//! The real binary, started as Lambda starts it.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use semblance_test_support::{Answer, Kind, Pending, RuntimeApi, TIMEOUT};
use serde_json::Value;

use crate::moto::TestBucket;

/// The function's environment and file system, before it is started.
pub(crate) struct Setting<'a> {
    /// The folder that represents the file system.
    pub(crate) root: &'a Path,
    /// Name of the bucket.
    pub(crate) bucket: &'a str,
    /// Where S3 listens on the loopback interface.
    pub(crate) port: u16,
    /// Versions that stay.
    pub(crate) keep_versions: usize,
    /// Hours that a replaced version of an index stays.
    pub(crate) grace_hours: u32,
    /// The function's timeout.
    pub(crate) timeout: Duration,
    /// Access key and secret.
    pub(crate) credentials: [String; 2],
    /// What is mounted over the root, seen by the function alone: options of a tmpfs.
    pub(crate) mount: Option<&'static str>,
}

/// The running function.
pub(crate) struct Function {
    api: RuntimeApi,
    process: Child,
    root: PathBuf,
}

impl<'a> Setting<'a> {
    /// A function on a folder and a bucket of the emulator.
    pub(crate) fn new(root: &'a Path, bucket: &'a TestBucket) -> Self {
        Self {
            root,
            bucket: &bucket.name,
            port: bucket.port,
            keep_versions: 3,
            grace_hours: 24,
            timeout: TIMEOUT,
            credentials: ["test".to_owned(), "test".to_owned()],
            mount: None,
        }
    }

    /// Starts the function.
    pub(crate) fn start(&self) -> Function {
        let api = RuntimeApi::start_with(self.timeout).unwrap();
        let process = command(self.mount, self.root)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("AWS_LAMBDA_RUNTIME_API", api.url())
            .env("AWS_LAMBDA_FUNCTION_NAME", "model-sync")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", &self.credentials[0])
            .env("AWS_SECRET_ACCESS_KEY", &self.credentials[1])
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .env("SEMBLANCE_MODELS_ROOT", self.root)
            .env("SEMBLANCE_MODELS_BUCKET", self.bucket)
            .env("SEMBLANCE_KEEP_VERSIONS", self.keep_versions.to_string())
            .env("SEMBLANCE_INDEX_GRACE_HOURS", self.grace_hours.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Function { api, process, root: self.root.to_owned() }
    }
}

impl Function {
    /// Gives the function an event.
    pub(crate) fn queue(&self, event: &Value) -> Pending {
        self.api.queue(event.to_string().as_bytes())
    }

    /// Gives the function an event, which need not be JSON, and returns its answer.
    pub(crate) fn invoke(&self, event: &[u8]) -> (Kind, Value) {
        read(&self.api.invoke(event).expect("an answer in time"))
    }

    /// Gives the function an event that it can answer, and returns the answer.
    pub(crate) fn report(&self, event: &Value) -> Value {
        let (kind, answer) = self.invoke(event.to_string().as_bytes());
        assert_eq!(kind, Kind::Response, "{answer}");
        answer
    }

    /// Gives the function an event that it cannot answer, and returns code and message.
    pub(crate) fn refusal(&self, event: &Value) -> (String, String) {
        let (kind, answer) = self.invoke(event.to_string().as_bytes());
        assert_eq!(kind, Kind::Error, "{answer}");
        let text = |field: &str| answer[field].as_str().unwrap().to_owned();
        (text("errorType"), text("errorMessage"))
    }

    /// The root as the function sees it.
    pub(crate) fn root(&self) -> PathBuf {
        let seen = Path::new("/proc").join(self.process.id().to_string()).join("root");
        seen.join(self.root.strip_prefix("/").unwrap())
    }

    /// Stops the function at once, as a crash does; returns how it ended, and its log.
    pub(crate) fn kill(mut self) -> (ExitStatus, String) {
        self.process.kill().unwrap();
        self.end()
    }

    /// Waits for a function that ends by itself; returns how it ended, and its log.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        (self.process.wait().unwrap(), log)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for the answer to a queued event.
pub(crate) fn answer(pending: &Pending) -> (Kind, Value) {
    read(&pending.wait(TIMEOUT).expect("an answer in time"))
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "after a minute still not: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn read(answer: &Answer) -> (Kind, Value) {
    (answer.kind, serde_json::from_slice(&answer.body).unwrap())
}

/// The binary, with a restrictive umask, and optionally with its own mounted file system.
fn command(mount: Option<&str>, root: &Path) -> Command {
    let binary = env!("CARGO_BIN_EXE_model-sync");
    let Some(options) = mount else {
        let mut command = Command::new("sh");
        command.args(["-c", r#"umask 077 && exec "$0""#, binary]);
        return command;
    };
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let namespaces = if is_root { &["--mount"][..] } else { &["--mount", "--map-root-user"] };
    let allowed = Command::new("unshare").args(namespaces).arg("true").status();
    assert!(
        allowed.is_ok_and(|status| status.success()),
        "this test mounts a small file system in its own mount namespace, which this system \
         does not allow: run it as root, or allow user namespaces"
    );
    let script = r#"mount -t tmpfs -o "$0" tmpfs "$1" && exec "$2""#;
    let mut command = Command::new("unshare");
    command.args(namespaces).args(["sh", "-c", script, options]).arg(root).arg(binary);
    command
}
