//! The function with multilingual-e5-small: an event in other languages in, scores out.

use std::fs;

use semblance_test_support::{
    Function, Kind, RuntimeApi, library, multilingual_bundle, repository,
};
use serde_json::Value;

/// The embedding table has 384 MB, of which an event reads a few rows. Without the table, the function
/// needs about 150 MB.
const MOST_RESIDENT_KB: u64 = 250_000;

/// The events of `make demo-multilingual`. The second text answers the query.
const LANGUAGES: [&str; 3] = ["german", "japanese", "arabic"];

#[test]
fn scores_an_event_in_german_japanese_and_arabic() {
    let mut command = Function::command("similarity", env!("CARGO_BIN_EXE_similarity"));
    command.env("SEMBLANCE_BUNDLE", multilingual_bundle()).env("SEMBLANCE_ORT_LIBRARY", library());
    let mut function = Function::start(RuntimeApi::start().unwrap(), command).unwrap();
    for language in LANGUAGES {
        let file = repository("tests/events/multilingual").join(language).with_extension("json");
        let event: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let (kind, reply) = function.invoke(event.to_string().as_bytes());
        assert_eq!(kind, Kind::Response, "{reply}");
        println!("{language}: {reply}");
        let scores: Vec<(String, f64)> = serde_json::from_value(reply["Scores"].clone()).unwrap();
        assert_eq!(event["actual_queries"][1], scores[0].0, "{language}: the answer ranks first");
        assert!(scores[0].1 > scores[1].1 && scores[0].1 < 1.0, "{language}: {scores:?}");
        assert_eq!(reply.get("Truncated"), None::<&Value>);
    }
    let status = fs::read_to_string(format!("/proc/{}/status", function.process().id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak resident memory: {peak} kB");
    assert!(peak < MOST_RESIDENT_KB, "{peak} kB: the embedding table was read");
}
