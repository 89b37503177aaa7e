//! The log of `semblance serve`.

use std::thread;

use insta::assert_json_snapshot;
use semblance_test_support::{Breakable, Server};
use serde_json::{Value, json};

use crate::client::Client;
use crate::serve;

/// Stops a server; returns its lines about requests, without times and ids.
fn lines(mut server: Server) -> Vec<Value> {
    assert!(server.stop().expect("the server ends").success());
    let mut lines = server.log().objects();
    lines.retain(|line| line["door"] == "server");
    for line in &mut lines {
        for (name, value) in line.as_object_mut().unwrap() {
            if name == "timestamp" || name == "request_id" || name.ends_with("_ms") {
                *value = json!(format!("[{name}]"));
            }
        }
    }
    lines
}

#[test]
fn an_answered_request_is_logged_with_its_cost() {
    let server = serve(&[]);
    assert_eq!(Client::new(&server).post("/embed", &json!({"inputs": "dog"})).0, 200);
    assert_json_snapshot!(lines(server), @r#"
    [
      {
        "cache_hits": 0,
        "door": "server",
        "infer_ms": "[infer_ms]",
        "level": "INFO",
        "message": "event answered",
        "method": "POST",
        "operation": "embed",
        "outcome": "ok",
        "padded_tokens": 3,
        "queue_ms": "[queue_ms]",
        "request_id": "[request_id]",
        "route": "/embed",
        "status": 200,
        "target": "semblance",
        "texts": 1,
        "timestamp": "[timestamp]",
        "tokenise_ms": "[tokenise_ms]",
        "tokenize_ms": "[tokenize_ms]",
        "tokens": 3,
        "total_ms": "[total_ms]",
        "truncated": 0,
        "unique_texts": 1
      }
    ]
    "#);
}

#[test]
fn a_timeout_is_a_503_logged_at_warn() {
    let server = serve(&["--timeout-seconds", "2", "--threads", "1"]);
    let client = Client::new(&server);
    // Any of them is done within the time, all together are not.
    let request = |number: usize| {
        let texts = (0..4).map(|text| format!("{number} {text}{}", " word".repeat(120)));
        json!({"inputs": texts.collect::<Vec<_>>()})
    };
    let replies = thread::scope(|scope| {
        let (client, request) = (&client, &request);
        let ask = |number| scope.spawn(move || client.send("/embed", &request(number)));
        let clients: Vec<_> = (0..100).map(ask).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let (_, retry_after, reply) = replies.into_iter().find(|(status, ..)| *status == 503).unwrap();
    assert_eq!(retry_after.as_deref(), Some("1"));
    let mut lines = lines(server);
    lines.retain(|line| line["status"] == 503);
    lines.truncate(1);
    assert_json_snapshot!((reply, lines), @r#"
    [
      {
        "error": "the request took longer than 2 seconds",
        "error_type": "http.timed_out"
      },
      [
        {
          "code": "http.timed_out",
          "door": "server",
          "error": "the request took longer than 2 seconds",
          "level": "WARN",
          "message": "event refused",
          "method": "POST",
          "operation": "embed",
          "outcome": "refused",
          "request_id": "[request_id]",
          "route": "/embed",
          "status": 503,
          "target": "semblance",
          "timestamp": "[timestamp]",
          "total_ms": "[total_ms]"
        }
      ]
    ]
    "#);
}

#[test]
fn a_fault_of_the_model_is_a_500_logged_at_error() {
    let bundle = Breakable::new().with_faulty_word("cat");
    let server = serve(&["--bundle", bundle.path().to_str().unwrap()]);
    let client = Client::new(&server);
    let fault = client.post("/embed", &json!({"inputs": "cat"}));
    assert_eq!(client.post("/embed", &json!({"inputs": "dog"})).0, 200, "the next is answered");
    assert_json_snapshot!((fault, lines(server).swap_remove(0)), @r#"
    [
      [
        500,
        {
          "error": "embedding 0 has norm NaN; expected a finite, non-zero norm",
          "error_type": "model.degenerate_embedding"
        }
      ],
      {
        "code": "model.degenerate_embedding",
        "door": "server",
        "error": "embedding 0 has norm NaN; expected a finite, non-zero norm",
        "level": "ERROR",
        "message": "event failed",
        "method": "POST",
        "operation": "embed",
        "outcome": "fault",
        "request_id": "[request_id]",
        "route": "/embed",
        "status": 500,
        "target": "semblance",
        "timestamp": "[timestamp]",
        "total_ms": "[total_ms]"
      }
    ]
    "#);
}

#[test]
fn a_request_without_a_route_is_logged_as_other() {
    let server = serve(&[]);
    assert_eq!(Client::new(&server).post("/nothing", &json!({})).0, 404);
    assert_json_snapshot!(lines(server), @r#"
    [
      {
        "code": "http.not_found",
        "door": "server",
        "error": "no such path; /openapi.json lists the routes",
        "level": "WARN",
        "message": "event refused",
        "method": "POST",
        "outcome": "refused",
        "request_id": "[request_id]",
        "route": "other",
        "status": 404,
        "target": "semblance",
        "timestamp": "[timestamp]",
        "total_ms": "[total_ms]"
      }
    ]
    "#);
}
