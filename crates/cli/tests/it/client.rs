//! A client of the server.

use std::thread;
use std::time::{Duration, Instant};

use semblance_test_support::Server;
use serde_json::Value;

/// How long a response may take.
const RESPONSE: Duration = Duration::from_secs(600);

/// A client of one server.
pub(crate) struct Client {
    url: String,
    agent: ureq::Agent,
}

impl Client {
    pub(crate) fn new(server: &Server) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(RESPONSE))
            // The server closes the connection of a request whose body it did not read.
            .max_idle_connections(0)
            .build();
        Self { url: server.url().to_owned(), agent: config.into() }
    }

    /// Sends a body; returns the status, the header `Retry-After` and the reply.
    pub(crate) fn send(&self, path: &str, body: &Value) -> (u16, Option<String>, Value) {
        let url = format!("{}{path}", self.url);
        let request = self.agent.post(url).header("content-type", "application/json");
        let mut response = request.send(body.to_string()).unwrap();
        let text = response.body_mut().with_config().limit(100 << 20).read_to_string().unwrap();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), retry_after, serde_json::from_str(&text).unwrap())
    }

    /// Sends a request with any method and headers; returns the response and its body.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (ureq::http::Response<()>, String) {
        let request = ureq::http::Request::builder().method(method);
        let request = request.uri(format!("{}{path}", self.url));
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = match body {
            "" => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body.to_owned()).unwrap()),
        };
        let (parts, mut body) = response.unwrap().into_parts();
        let text = body.read_to_string().unwrap();
        (ureq::http::Response::from_parts(parts, ()), text)
    }

    /// Sends a body; returns the status and the reply.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, _, reply) = self.send(path, body);
        (status, reply)
    }

    /// Returns the body of a page.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut response = self.agent.get(format!("{}{path}", self.url)).call().unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.body_mut().read_to_string().unwrap()
    }

    /// Returns the value of a metric, which is named with its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {metrics}")).parse().unwrap()
    }

    /// Waits until this many operations run or wait.
    pub(crate) fn wait_for_in_flight(&self, count: f64) {
        let end = Instant::now() + RESPONSE;
        while self.metric("semblance_in_flight") < count {
            assert!(Instant::now() < end, "{count} in flight");
            thread::sleep(Duration::from_millis(2));
        }
    }
}
