//! Whole replies of every route, as snapshots. A fake model makes them the same on every machine.

use insta::assert_json_snapshot;

use super::routes::operations;
use super::*;

/// Replaces what differs between two runs, versions or instruction sets.
fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "id" if value.as_str().is_some_and(|id| id.len() == 36) => {
                        *value = json!("[id]")
                    }
                    "version" | "created" | "total_duration" | "load_duration" | "modified_at" => {
                        *value = json!(format!("[{name}]"));
                    }
                    _ => redact(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Number(number) if number.is_f64() => {
            let rounded = number.as_f64().map(|number| (number * 1e4).round() / 1e4);
            *value = json!(rounded);
        }
        _ => {}
    }
}

fn snapshot(reply: &Reply) -> Value {
    let mut body = serde_json::from_slice(&reply.body)
        .unwrap_or_else(|_| json!(String::from_utf8_lossy(&reply.body)));
    redact(&mut body);
    json!({"status": reply.status, "body": body})
}

#[test]
fn replies_to_requests() {
    let router = fake();
    let replies: Vec<Value> = operations()
        .into_iter()
        .map(|(path, _, body)| {
            let reply = call(&router, post(path, body.to_string()));
            json!({"request": format!("POST {path}"), "sent": body, "reply": snapshot(&reply)})
        })
        .collect();
    assert_json_snapshot!(replies);
}

#[test]
fn replies_to_queries_of_the_state() {
    let router = fake();
    // Documents, which have separate tests.
    let documents = ["/", "/openapi.json"];
    let paths = routes().filter(|route| route.method == "GET").map(|route| route.path);
    let replies: Vec<Value> = paths
        .filter(|path| !documents.contains(path))
        .map(|path| {
            let reply = call(&router, get(&path.replace("{model}", "fake")));
            json!({"request": format!("GET {path}"), "reply": snapshot(&reply)})
        })
        .collect();
    assert_json_snapshot!(replies);
}

#[test]
fn replies_to_a_body_that_is_not_valid() {
    let router = fake();
    let replies: Vec<Value> = routes()
        .filter(|route| route.method == "POST")
        .map(|route| {
            let reply =
                call(&router, post(route.path, "{\"inputs\": 7, \"input\": 7, \"texts\": 7}"));
            json!({"request": format!("POST {}", route.path), "reply": snapshot(&reply)})
        })
        .collect();
    assert_json_snapshot!(replies);
}
