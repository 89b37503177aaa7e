//! HTTP/2 with prior knowledge, on the port of HTTP/1.1.

use std::future::poll_fn;
use std::io::Write as _;
use std::thread;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use semblance_test_support::Server;
use serde_json::{Value, json};

use crate::raw::*;

async fn client(server: &Server) -> http2::SendRequest<Body> {
    let address = server.url().strip_prefix("http://").unwrap();
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    client
}

fn request(server: &Server, body: String) -> Request<Body> {
    Request::post(format!("{}/embed", server.url()))
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_request_needs_a_key() {
    let server = serve(&["--api-key", "first"]);
    run(async {
        let mut client = client(&server).await;
        for (name, value, status) in [
            ("x-none", "first", 401),
            ("x-api-key", "wrong", 401),
            ("authorization", "Bearer wrong", 401),
            ("x-api-key", "first", 200),
            ("authorization", "Bearer first", 200),
        ] {
            let mut request = request(&server, json!({"inputs": "a"}).to_string());
            request.headers_mut().insert(name, value.parse().unwrap());
            let response = client.send_request(request).await.unwrap();
            assert_eq!(response.version(), Version::HTTP_2);
            assert_eq!(response.status().as_u16(), status, "{name}: {value}");
        }
        let health = Request::get(format!("{}/health", server.url())).body(Body::empty());
        assert_eq!(client.send_request(health.unwrap()).await.unwrap().status(), StatusCode::OK);
    });
}

#[test]
fn requests_share_a_connection() {
    let mut server = serve(&[]);
    run(async {
        let client = client(&server).await;
        let ask = |text: usize| {
            let body = json!({"inputs": format!("text {text}")}).to_string();
            let sent = client.clone().send_request(request(&server, body));
            async move {
                let response = sent.await.unwrap();
                assert_eq!(
                    (response.version(), response.status()),
                    (Version::HTTP_2, StatusCode::OK)
                );
                assert!(response.headers().contains_key("x-request-id"));
                let body = response.into_body().collect().await.unwrap().to_bytes();
                let rows: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(rows[0].as_array().unwrap().len(), 384);
            }
        };
        let mut tasks = tokio::task::JoinSet::new();
        for text in 0..20 {
            tasks.spawn(ask(text));
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
    assert_eq!(health(&server), 200, "HTTP/1.1 on the same port");
    assert!(server.stop().expect("the server ends").success());
}

#[test]
fn a_reset_stream_cancels_its_request() {
    let server = serve(&[]);
    run(async {
        let mut client = client(&server).await;
        poll_fn(|context| client.poll_ready(context)).await.unwrap();
        let body = String::from_utf8(texts(1_000, 260)).unwrap();
        let sent = client.send_request(request(&server, body));
        let sent = tokio::time::timeout(Duration::from_millis(2_000), sent).await;
        assert!(sent.is_err(), "it takes minutes, and is dropped now");
        // The reset is sent while the connection runs.
        tokio::time::sleep(Duration::from_millis(500)).await;
    });
    wait_until("it is canceled", || {
        metric(&server, "semblance_requests_total{route=\"/embed\",status=\"499\"}") == 1.0
            && metric(&server, "semblance_in_flight") == 0.0
    });
}

#[test]
fn the_preface_can_arrive_in_parts() {
    let server = serve(&[]);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut stream = connect(&server);
    for part in preface.chunks(5) {
        stream.write_all(part).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    // An empty SETTINGS frame. The server answers with its own.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    let mut head = [0; 9];
    std::io::Read::read_exact(&mut stream, &mut head).unwrap();
    assert_eq!(head[3], 4, "a SETTINGS frame: {head:?}");
    // What only begins like the preface is HTTP/1.1.
    let (response, _) = ask(&server, b"PRI /health HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec());
    assert_eq!(response.status, 405);
}
