//! The command line, as a user runs it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use semblance_test_support::{Breakable, bundle, flip, library};
use serde_json::Value;
use tempfile::TempDir;

fn semblance(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_semblance"));
    command
        .args(arguments)
        .env("SEMBLANCE_BUNDLE", bundle())
        .env("SEMBLANCE_ORT_LIBRARY", library());
    command
}

fn output(arguments: &[&str]) -> Output {
    semblance(arguments).output().unwrap()
}

fn with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = semblance(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// Runs a command that fails; returns its error.
fn error(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    text(&output.stderr).to_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn score_prints_the_best_first() {
    let output = output(&["score", "How old is the bridge?", "The weather", "The bridge's age"]);
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("The bridge's age") && lines[1].ends_with("The weather"));
}

#[test]
fn score_prints_the_reply_of_the_function_as_json() {
    let answer = &lines(&output(&["score", "--json", "--top-k", "1", "cat", "cat", "dog"]))[0];
    assert_eq!(answer["Scores"].as_array().unwrap().len(), 1);
    assert_eq!(answer["Scores"][0][0], "cat");
}

#[test]
fn score_truncates_unless_told_otherwise() {
    let long = "cat ".repeat(400);
    let truncated = output(&["score", "cat", "dog", &long]);
    let text = text(&truncated.stdout);
    assert!(text.ends_with("\ntruncated to the model's limit: TEXT 2\n"), "{text}");
    let refused = error(&["score", "--no-truncate", "cat", "dog", &long]);
    let expected = "error: request.too_many_tokens: TEXT 2 has 402 tokens; the limit is 256 and \
                    --no-truncate is set\n";
    assert_eq!(refused, expected);
}

#[test]
fn an_error_of_score_names_the_argument() {
    let long = "x".repeat(65_537);
    let token = "cat ".repeat(300);
    let cases: [(&[&str], &str); 5] = [
        (&["score", " ", "a"], "request.empty_text: QUERY is empty: it has no tokens"),
        (&["score", "a", "b", ""], "request.empty_text: TEXT 2 is empty: it has no tokens"),
        (
            &["score", "a", &long],
            "request.text_too_long: TEXT 1 has 65537 bytes; the limit is 65536",
        ),
        (
            &["score", "--no-truncate", &token, "a"],
            "request.too_many_tokens: QUERY has 302 tokens; the limit is 256 and --no-truncate is set",
        ),
        (
            &["score", "--no-truncate", "a", "b", &token],
            "request.too_many_tokens: TEXT 2 has 302 tokens; the limit is 256 and --no-truncate is set",
        ),
    ];
    let found = cases.map(|(arguments, _)| error(arguments));
    assert_eq!(found, cases.map(|(_, message)| format!("error: {message}\n")));
}

#[test]
fn embed_writes_one_json_line_for_each_line() {
    let output = with_input(&["embed"], "hello\nGrüße aus Köln\nhello\n".as_bytes());
    let lines = lines(&output);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["text_index"], 1);
    assert_eq!(lines[0]["embedding"].as_array().unwrap().len(), 384);
    assert_eq!(lines[0]["embedding"], lines[2]["embedding"]);
    assert_eq!((&lines[0]["tokens"], &lines[0]["truncated"]), (&3.into(), &false.into()));
    assert!(output.stderr.is_empty(), "no progress bar without a terminal");
}

#[test]
fn embed_reads_jsonl_by_name_and_by_flag() {
    let scratch = TempDir::new().unwrap();
    let file = scratch.path().join("corpus.jsonl");
    std::fs::write(&file, "{\"text\": \"hello\", \"id\": 7}\n{\"text\": \"world\"}\n").unwrap();
    assert_eq!(lines(&output(&["embed", file.to_str().unwrap()])).len(), 2);
    assert_eq!(lines(&with_input(&["embed", "--jsonl"], b"{\"text\": \"hello\"}")).len(), 1);
}

#[test]
fn embed_keeps_the_order_over_several_chunks() {
    let input: String = (0..1_100).map(|i| format!("text {}\n", i % 7)).collect();
    let lines = lines(&with_input(&["embed"], input.as_bytes()));
    assert_eq!(lines.len(), 1_100);
    assert_eq!(lines[1_099]["text_index"], 1_099);
    assert_eq!(lines[1_099]["embedding"], lines[1_099 % 7]["embedding"]);
}

#[test]
fn an_error_of_embed_names_the_line() {
    let cases: [(&[&str], &[u8], &str); 7] = [
        (&["embed"], b"hello\n\nworld\n", "request.empty_text: line 2 is empty: it has no tokens"),
        (&["embed"], b"hello\nbad \xff byte\n", "request.not_utf8: line 2 is not UTF-8 at byte 4"),
        (&["embed"], b"\0\n", "request.empty_text: line 1 is empty: it has no tokens"),
        (
            &["embed", "--jsonl"],
            b"{\"text\": 7}\n",
            "request.wrong_type: line 1: the field text must be a string, found a number",
        ),
        (
            &["embed", "--jsonl"],
            b"{}\n",
            "request.missing_field: line 1: the field text is missing",
        ),
        (
            &["embed", "--jsonl"],
            b"[]\n",
            "request.not_an_object: line 1: expected a JSON object, found an array",
        ),
        (
            &["embed", "--jsonl"],
            b"hello\n",
            "request.invalid_json: line 1: invalid JSON: expected value at line 1 column 1",
        ),
    ];
    let outputs = cases.map(|(arguments, input, _)| with_input(arguments, input));
    let found = outputs.each_ref().map(|output| text(&output.stderr).to_owned());
    assert_eq!(found, cases.map(|(.., message)| format!("error: {message}\n")));
    let is_whole = |output: &Output| output.stdout.is_empty() || output.stdout.ends_with(b"\n");
    assert!(outputs.iter().all(is_whole), "the output before the error is whole");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = semblance(&["embed"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[test]
fn a_missing_file_is_named() {
    let error = error(&["embed", "/nowhere.txt"]);
    assert!(error.starts_with("error: input.unreadable: /nowhere.txt cannot be read: "), "{error}");
}

#[test]
fn verify_finds_a_changed_byte() {
    let whole = output(&["verify"]);
    assert!(text(&whole.stdout).contains("ok      5 files"), "{}", text(&whole.stderr));
    let broken = Breakable::new().replace("model.weights", flip);
    let output = output(&["verify", "--bundle", broken.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("bundle.digest_mismatch: model.weights has the sha256"), "{message}");
}

#[test]
fn a_missing_bundle_is_named() {
    let error = error(&["score", "--bundle", "/nowhere", "a", "b"]);
    assert!(error.starts_with("error: bundle.folder_missing: "), "{error}");
}
