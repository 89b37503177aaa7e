//! Servers under limits, and clients that write and read bytes as they like.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use semblance_test_support::{Server, bundle, library};
use serde_json::{Value, json};

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the command of a server that runs under a shell prefix, such as `ulimit -n 64`. Its cache is
/// disabled.
pub(crate) fn command(prefix: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{prefix}\nexec \"$@\"");
    command.args(["-ec", &script, "sh", env!("CARGO_BIN_EXE_semblance"), "serve"]).args(arguments);
    command
        .env("SEMBLANCE_BUNDLE", bundle())
        .env("SEMBLANCE_ORT_LIBRARY", library())
        .env("SEMBLANCE_CACHE_BYTES", "0");
    command
}

/// Starts a server with these arguments.
pub(crate) fn serve(arguments: &[&str]) -> Server {
    Server::start(command("", arguments)).unwrap()
}

/// Connects to a server. Reads fail after [`PATIENCE`].
pub(crate) fn connect(server: &Server) -> TcpStream {
    connect_to(server.url().strip_prefix("http://").unwrap())
}

fn connect_to(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Connects to an address and sends bytes.
pub(crate) fn send_to(address: &str, bytes: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = connect_to(address);
    stream.write_all(bytes.as_ref()).unwrap();
    stream
}

/// Connects to a server and sends bytes.
pub(crate) fn send(server: &Server, bytes: impl AsRef<[u8]>) -> TcpStream {
    send_to(server.url().strip_prefix("http://").unwrap(), bytes)
}

/// Returns the bytes of a request with a JSON body. The connection is closed after the response.
pub(crate) fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    )
    .into_bytes();
    request.extend(body);
    request
}

/// Returns the bytes of a request without a body. The connection is closed after the response.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").into_bytes()
}

/// A response, read to the end of the connection.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The code of the error in the form of text-embeddings-inference.
    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["error_type"].as_str().unwrap().to_owned()
    }
}

/// Reads to the end of a connection; `None` if it ends without a response.
pub(crate) fn read(mut stream: TcpStream) -> Option<Response> {
    let mut bytes = Vec::new();
    // A reset after the response ends it too.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, head, body: bytes[end + 4..].to_vec() })
}

/// Sends a request and returns its response, and how long it took.
pub(crate) fn ask(server: &Server, request: Vec<u8>) -> (Response, Duration) {
    let started = Instant::now();
    let response = read(send(server, request)).unwrap();
    (response, started.elapsed())
}

/// Returns the status of `GET /health`.
pub(crate) fn health(server: &Server) -> u16 {
    ask(server, get("/health")).0.status
}

/// Returns the value of a metric, which is named with its labels; 0 if it does not exist.
pub(crate) fn metric(server: &Server, name: &str) -> f64 {
    let metrics = String::from_utf8(ask(server, get("/metrics")).0.body).unwrap();
    metric_in(&metrics, name)
}

/// Returns the value of a metric in the text of all.
pub(crate) fn metric_in(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits until a condition holds.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns a body with this many texts of `words` words each.
pub(crate) fn texts(count: usize, words: usize) -> Vec<u8> {
    let texts: Vec<String> = (0..count).map(|i| format!("{i}{}", " word".repeat(words))).collect();
    json!({"inputs": texts, "truncate": true}).to_string().into_bytes()
}

/// A request of 1,000 texts of 256 tokens: minutes of work.
pub(crate) fn endless() -> Vec<u8> {
    post("/embed", "", &texts(1_000, 260))
}

/// A request with one text of a few tokens.
pub(crate) fn small() -> Vec<u8> {
    post("/embed", "", br#"{"inputs": "one small text"}"#)
}

/// The preface of HTTP/2, followed by a SETTINGS frame with the setting INITIAL_WINDOW_SIZE.
pub(crate) fn http2_preface(window: u32) -> Vec<u8> {
    let [a, b, c, d] = window.to_be_bytes();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(4, 0, 0, &[0, 4, a, b, c, d])].concat()
}

/// Returns a frame of HTTP/2 (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, stream.to_be_bytes().as_slice(), payload].concat()
}

/// Frames of HTTP/2: HEADERS with these flags, of a request with a path, and a content type.
pub(crate) fn http2_headers(stream: u32, method: &str, path: &str, flags: u8) -> Vec<u8> {
    // The indices of the static table of HPACK (RFC 7541, appendix A); literals are not indexed.
    let literal = |index: &[u8], value: &str| {
        [index, &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
    };
    let block = [
        if method == "GET" { vec![0x82] } else { vec![0x83] },
        vec![0x86],
        literal(&[0x04], path),
        literal(&[0x01], "localhost"),
        literal(&[0x0f, 0x10], "application/json"),
    ];
    frame(1, flags, stream, &block.concat())
}

/// Flags of frames.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
