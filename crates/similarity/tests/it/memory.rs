//! The memory of the function: any event of 6 MB is answered, or refused with a code, within the memory
//! that is configured.
//!
//! Lambda limits resident memory. A limit on data counts the memory that a process can write; a limit on the
//! address space is stricter, because it counts mapped files, reserved pages and this unoptimized program too.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use semblance_test_support::{Function, Kind, RuntimeApi, bundle, library, repository};
use serde_json::{Value, json};

use crate::http_event::{FORMS, JSON};

/// Maximum size of an event.
///
/// Source: AWS Lambda developer guide, "Lambda quotas".
const EVENT_BYTES: usize = 6_291_556;

/// Memory sizes of functions in MB, and the options of the shell's `ulimit`: data, address space.
const MEMORY: [(usize, &str); 4] = [(512, "-d"), (512, "-v"), (1_280, "-v"), (3_008, "-v")];

/// Starts the function with a limit on its memory.
fn function((memory_mb, limit): (usize, &str)) -> Function {
    let mut command: Command = Function::command("similarity", "/bin/sh");
    let program = env!("CARGO_BIN_EXE_similarity");
    command
        .args(["-c", &format!("ulimit {limit} {} && exec {program}", memory_mb * 1024)])
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mb.to_string())
        .env("SEMBLANCE_BUNDLE", bundle())
        .env("SEMBLANCE_ORT_LIBRARY", library())
        .stdout(std::process::Stdio::null());
    Function::start(RuntimeApi::start().unwrap(), command).unwrap()
}

/// Fills an event with a repeated unit, up to the limit.
fn filled(before: &str, unit: &str, after: &str) -> Vec<u8> {
    filled_to(EVENT_BYTES, before, unit, after)
}

fn filled_to(bytes: usize, before: &str, unit: &str, after: &str) -> Vec<u8> {
    let room = bytes - before.len() - after.len();
    // The last unit has no comma.
    let units = room / unit.len();
    let mut event = format!("{before}{}", unit.repeat(units));
    if event.ends_with(',') {
        event.pop();
    }
    event.push_str(after);
    event.into_bytes()
}

/// Events of the maximum size in forms that take the most memory.
fn direct_events() -> Vec<(&'static str, Vec<u8>)> {
    let request = r#"{"query_from_app": "a", "actual_queries": ["b"]"#;
    let text = "x ".repeat(32_000);
    vec![
        ("not JSON", vec![b'x'; EVENT_BYTES]),
        ("brackets", vec![b'['; EVENT_BYTES]),
        ("one string", filled("{\"inputs\": \"", "x", "\"}")),
        ("escapes", filled("{\"inputs\": \"", "\\u00e9", "\"}")),
        ("texts, decoded", filled("{\"inputs\": [", "\"a\",", "]}")),
        (
            "tokens of long texts",
            filled("{\"operation\": \"tokenize\", \"inputs\": [", &format!("\"{text}\","), "]}"),
        ),
        (
            "tokens of punctuation",
            filled(
                "{\"operation\": \"tokenize\", \"inputs\": [",
                &format!("\"{}\",", "!".repeat(65_000)),
                "]}",
            ),
        ),
        (
            "long texts to embed",
            filled("{\"truncate\": true, \"inputs\": [", &format!("\"{text}\","), "]}"),
        ),
        ("empty objects, decoded", filled(&format!("{request}, \"x\": ["), "{},", "]}")),
        ("objects, decoded", filled(&format!("{request}, \"x\": ["), "{\"\":0},", "]}")),
        ("lists, decoded", filled(&format!("{request}, \"x\": ["), "[],", "]}")),
        ("nested, decoded", filled(&format!("{request}, \"x\": ["), "[[[[[[[[]]]]]]]],", "]}")),
        ("list", filled("[", "1,", "]")),
        ("list of requests", filled("[", "{\"inputs\":\"a\"},", "]")),
        ("records", filled("{\"Records\": [{\"eventSource\": \"aws:sqs\"},", "{\"a\":0},", "]}")),
        ("record, decoded", {
            let body = format!("[{}1]", "[],".repeat(1_900_000));
            json!({"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": body}]})
                .to_string()
                .into_bytes()
        }),
    ]
}

fn http_events() -> Vec<(String, Vec<u8>)> {
    let mut events = Vec::new();
    for form in FORMS {
        let event = |body: &[u8]| form.event("POST", "/embed", &[JSON], body);
        let many = |field: &str, unit: &str| {
            let text = event(br#"{"inputs": "a"}"#).to_string();
            let (before, after) = (format!("{{\"{field}\": [{unit}"), format!("], {}", &text[1..]));
            filled(&before, &format!(",{unit}"), &after)
        };
        events.push((format!("{form:?}: unused objects"), many("x", "{\"\":0}")));
        events.push((format!("{form:?}: query"), many("queryStringParameters", "[]")));
        let mut headers = event(br#"{"inputs": "a"}"#);
        for number in 0..150_000 {
            headers["headers"][format!("x-{number}")] = json!("value");
        }
        events.push((format!("{form:?}: headers"), headers.to_string().into_bytes()));
        for (name, unit) in [("objects", "{\"\":0},"), ("lists", "[],"), ("texts", "\"a\",")] {
            let body = filled_to(4_600_000, "{\"inputs\": [", unit, "]}");
            let mut event = event(b"");
            event["body"] = json!(STANDARD.encode(body));
            event["isBase64Encoded"] = json!(true);
            events.push((
                format!("{form:?}: body of {name}, decoded"),
                event.to_string().into_bytes(),
            ));
        }
    }
    events
}

/// Returns the largest resident memory of a process since the last call, in MB.
fn peak_mb(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kb: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    // See proc_pid_clear_refs(5). Not every container allows it; then the peak is that since the start.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    kb / 1024
}

/// Sends each event, followed by an ordinary one, which must be answered.
fn survives(memory: (usize, &str), events: &[(String, Vec<u8>)]) {
    let (mut function, (memory_mb, limit)) = (function(memory), memory);
    let pid = function.process().id();
    let good = fs::read(repository("tests/events/london.json")).unwrap();
    for (name, event) in events {
        assert!(event.len() <= EVENT_BYTES, "{name}: {} bytes", event.len());
        let (kind, answer) = function.invoke(event);
        let code = match kind {
            Kind::Error => answer["errorType"].clone(),
            _ => answer["statusCode"].clone(),
        };
        let peak_mb = peak_mb(pid);
        println!("{memory_mb} MB ({limit}), {name}: {kind:?} {code}, peak {peak_mb} MB");
        assert!(kind != Kind::InitError && answer["errorType"] != "internal.panic", "{name}");
        assert!(code.as_u64().is_none_or(|status| status < 500), "{name}: {code}");
        let (kind, answer) = function.invoke(&good);
        assert_eq!(kind, Kind::Response, "after {name}: {answer}");
        assert!(answer["Scores"][0][1].as_f64().is_some_and(|score| score > 0.88), "{answer}");
    }
}

#[test]
fn direct_events_of_the_maximum_size_fit_into_the_memory() {
    let events: Vec<_> =
        direct_events().into_iter().map(|(name, event)| (name.to_owned(), event)).collect();
    for memory in MEMORY {
        survives(memory, &events);
    }
}

#[test]
fn http_events_of_the_maximum_size_fit_into_the_memory() {
    let events = http_events();
    for memory in MEMORY {
        survives(memory, &events);
    }
}

#[test]
fn an_unused_member_of_the_maximum_size_makes_no_difference() {
    let function = function(MEMORY[0]);
    let request = FORMS[1].event("POST", "/embed", &[JSON], br#"{"inputs": "a"}"#).to_string();
    for unit in ["{}", "{\"\":0}", "[]", "1", "\"\""] {
        let (before, after) = (format!("{{\"x\": [{unit}"), format!("], {}", &request[1..]));
        let event = filled(&before, &format!(",{unit}"), &after);
        let (kind, answer): (Kind, Value) = function.invoke(&event);
        assert_eq!((kind, &answer["statusCode"]), (Kind::Response, &json!(200)), "{unit} {answer}");
    }
}
