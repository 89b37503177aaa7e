//! The S3 emulator: moto's server, and the objects in it.

use std::env;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use semblance_test_support::repository;

use crate::bundle::Bundle;

/// Stops the server when its standard input ends, so when this process does, however it does.
const WATCH: &str = r#""$0" -H 127.0.0.1 -p "$1" & server=$!; cat >/dev/null; kill $server"#;

/// Says which service is meant and that somebody asks; moto checks no signature. Nobody may not
/// write an object twice.
fn somebody(service: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/{service}/aws4_request")
}

/// Returns the program: `SEMBLANCE_MOTO_SERVER`, else the one that `make` installs.
fn server() -> PathBuf {
    env::var_os("SEMBLANCE_MOTO_SERVER")
        .map_or_else(|| repository(".venv/bin/moto_server"), PathBuf::from)
}

/// A running server.
pub(crate) struct Moto {
    /// Where it listens on the loopback interface.
    pub(crate) port: u16,
    process: Child,
}

/// A bucket of one test's own.
pub(crate) struct TestBucket {
    /// Its name.
    pub(crate) name: String,
    /// The server's port.
    pub(crate) port: u16,
}

impl Moto {
    /// The server that the tests share.
    pub(crate) fn shared() -> &'static Self {
        static MOTO: OnceLock<Moto> = OnceLock::new();
        MOTO.get_or_init(Self::start)
    }

    /// Starts a server.
    pub(crate) fn start() -> Self {
        let command = server();
        assert!(
            command.exists(),
            "the S3 emulator {} is missing: run `make test-rust`, or set SEMBLANCE_MOTO_SERVER",
            command.display()
        );
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("sh")
            .args(["-c", WATCH])
            .arg(command)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "the S3 emulator does not listen after a minute");
            thread::sleep(Duration::from_millis(50));
        }
        Self { port, process }
    }

    /// Makes a bucket.
    pub(crate) fn bucket(&self) -> TestBucket {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("bundles-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let bucket = TestBucket { name, port: self.port };
        ureq::put(bucket.url("")).send_empty().unwrap();
        bucket
    }

    /// Makes a user who may do nothing, and from then on holds everybody to what they may; returns
    /// the user's access key and secret.
    pub(crate) fn user_without_rights(&self) -> [String; 2] {
        let iam = |action: &str| {
            let form = [("Action", action), ("UserName", "nobody"), ("Version", "2010-05-08")];
            let request = ureq::post(format!("http://127.0.0.1:{}/", self.port));
            let response = request.header("Authorization", somebody("iam")).send_form(form);
            response.unwrap().body_mut().read_to_string().unwrap()
        };
        iam("CreateUser");
        let answer = iam("CreateAccessKey");
        let field = |name: &str| {
            let (_, rest) = answer.split_once(&format!("<{name}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        let reset = format!("http://127.0.0.1:{}/moto-api/reset-auth", self.port);
        ureq::post(reset).send("0").unwrap();
        [field("AccessKeyId"), field("SecretAccessKey")]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl TestBucket {
    /// Puts every file of a bundle where Terraform puts it.
    pub(crate) fn upload(&self, bundle: &Bundle) {
        for (file, content) in &bundle.files {
            self.put(&bundle.key(file), content);
        }
    }

    /// Puts an object.
    pub(crate) fn put(&self, key: &str, content: &[u8]) {
        ureq::put(self.url(key)).header("Authorization", somebody("s3")).send(content).unwrap();
    }

    /// Deletes an object.
    pub(crate) fn delete(&self, key: &str) {
        ureq::delete(self.url(key)).header("Authorization", somebody("s3")).call().unwrap();
    }

    fn url(&self, key: &str) -> String {
        format!("http://127.0.0.1:{}/{}/{key}", self.port, self.name)
    }
}
