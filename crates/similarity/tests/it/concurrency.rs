//! Several events at a time, as Lambda Managed Instances send them.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::runtime_api::{Kind, RuntimeApi};
use crate::support;

/// Events that the function is to work on at a time.
const CONCURRENCY: usize = 4;

struct Function(Child);

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(api: &RuntimeApi, concurrency: Option<usize>) -> Function {
    let mut command = Command::new(env!("CARGO_BIN_EXE_similarity"));
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", api.url())
        .env("AWS_LAMBDA_FUNCTION_NAME", "similarity")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "3538")
        .env("SEMBLANCE_BUNDLE", support::bundle())
        .env("SEMBLANCE_ORT_LIBRARY", support::library())
        .stdout(Stdio::null());
    if let Some(concurrency) = concurrency {
        command.env("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string());
    }
    Function(command.spawn().unwrap())
}

/// Sends 16 events at once, one of them bad, and asserts that each has its own answer.
fn sixteen_events(api: &RuntimeApi) {
    let event = |number: usize| match number {
        7 => json!({"operation": "dance"}),
        _ => json!({"query_from_app": "cat", "actual_queries": [format!("{number} dogs"), "cat"]}),
    };
    let pending: Vec<_> =
        (0..16).map(|number| api.queue(event(number).to_string().as_bytes())).collect();
    for (number, pending) in pending.iter().enumerate() {
        let answer = pending.wait(Duration::from_secs(60)).expect("an answer in time");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        if number == 7 {
            assert_eq!(
                (answer.kind, &body["errorType"]),
                (Kind::Error, &"request.unknown_value".into())
            );
        } else {
            assert_eq!(answer.kind, Kind::Response, "{body}");
            assert_eq!(body["Scores"][1][0], format!("{number} dogs"), "{number}");
        }
    }
}

#[test]
fn as_many_events_as_the_variable_says_run_at_a_time() {
    let api = RuntimeApi::start().unwrap();
    let _function = start(&api, Some(CONCURRENCY));
    sixteen_events(&api);
    assert_eq!(api.most_running(), CONCURRENCY);
}

#[test]
fn without_the_variable_events_run_one_by_one() {
    let api = RuntimeApi::start().unwrap();
    let _function = start(&api, None);
    sixteen_events(&api);
    assert_eq!(api.most_running(), 1);
}
