//! Several events at a time, as Lambda Managed Instances send them.

use std::process::Stdio;
use std::time::Duration;

use semblance_test_support::{Function, Kind, RuntimeApi, bundle, library};
use serde_json::{Value, json};

/// Events that the function is to process at a time.
const CONCURRENCY: usize = 4;

fn start(concurrency: Option<usize>) -> Function {
    let mut command = Function::command("similarity", env!("CARGO_BIN_EXE_similarity"));
    command
        .env("SEMBLANCE_BUNDLE", bundle())
        .env("SEMBLANCE_ORT_LIBRARY", library())
        .env("SEMBLANCE_THREADS", "2")
        .stdout(Stdio::null());
    if let Some(concurrency) = concurrency {
        command.env("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string());
    }
    Function::start(RuntimeApi::start().unwrap(), command).unwrap()
}

/// Sends 16 events at once, one of them bad, and asserts that each has its own answer.
fn send_sixteen_events(api: &RuntimeApi) {
    let event = |number: usize| match number {
        7 => json!({"operation": "dance"}),
        _ => json!({"query_from_app": "cat", "actual_queries": [format!("{number} dogs"), "cat"]}),
    };
    let pending: Vec<_> =
        (0..16).map(|number| api.queue(event(number).to_string().as_bytes())).collect();
    let answers = pending.iter().map(|pending| {
        let answer = pending.wait(Duration::from_secs(60)).expect("an answer in time");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        match answer.kind {
            Kind::Error => body["errorType"].clone(),
            _ => body["Scores"][1][0].clone(),
        }
    });
    let expected = (0..16).map(|number| match number {
        7 => json!("request.unknown_value"),
        _ => json!(format!("{number} dogs")),
    });
    assert_eq!(answers.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn the_variable_sets_how_many_events_run_at_a_time() {
    let function = start(Some(CONCURRENCY));
    send_sixteen_events(function.api());
    assert_eq!(function.api().most_running(), CONCURRENCY);
}

#[test]
fn without_the_variable_events_run_one_by_one() {
    let function = start(None);
    send_sixteen_events(function.api());
    assert_eq!(function.api().most_running(), 1);
}
