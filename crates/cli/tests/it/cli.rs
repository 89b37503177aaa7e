//! The command line, as a user runs it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::bundle::{Breakable, flip};
use crate::support;

fn semblance(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_semblance"));
    command
        .args(arguments)
        .env("SEMBLANCE_BUNDLE", support::bundle())
        .env("SEMBLANCE_ORT_LIBRARY", support::library());
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
fn score_as_json_answers_as_the_function_does() {
    let answer = &lines(&output(&["score", "--json", "--top-k", "1", "cat", "cat", "dog"]))[0];
    assert_eq!(answer["Scores"].as_array().unwrap().len(), 1);
    assert_eq!(answer["Scores"][0][0], "cat");
}

#[test]
fn score_refuses_a_text_that_is_too_long_only_if_told_to() {
    let long = "cat ".repeat(400);
    let told = output(&["score", "--no-truncate", "cat", &long]);
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("request.too_many_tokens"));
    let cut = output(&["score", "cat", &long]);
    assert!(text(&cut.stdout).contains("cut to the model's limit: texts [0]"));
}

#[test]
fn embed_reads_lines_and_writes_one_json_line_each() {
    let output = with_input(&["embed"], "hello\nGrüße aus Köln\nhello\n".as_bytes());
    let lines = lines(&output);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["text_index"], 1);
    assert_eq!(lines[0]["embedding"].as_array().unwrap().len(), 384);
    assert_eq!(lines[0]["embedding"], lines[2]["embedding"]);
    assert_eq!((&lines[0]["tokens"], &lines[0]["truncated"]), (&3.into(), &false.into()));
    assert!(output.stderr.is_empty(), "nothing but data where there is no terminal");
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
fn embed_embeds_more_texts_than_a_chunk_in_order() {
    let input: String = (0..1_100).map(|i| format!("text {}\n", i % 7)).collect();
    let lines = lines(&with_input(&["embed"], input.as_bytes()));
    assert_eq!(lines.len(), 1_100);
    assert_eq!(lines[1_099]["text_index"], 1_099);
    assert_eq!(lines[1_099]["embedding"], lines[1_099 % 7]["embedding"]);
}

#[test]
fn a_bad_line_is_named_and_what_came_before_is_kept_whole() {
    let cases: [(&[&str], &[u8], &str); 6] = [
        (&["embed"], b"hello\n\nworld\n", "request.empty_text: line 2"),
        (&["embed"], b"hello\nbad \xff byte\n", "request.not_utf8: line 2"),
        (&["embed"], b"a\0b\n", "request.nul_character: line 1"),
        (&["embed", "--jsonl"], b"{\"text\": 7}\n", "request.wrong_type: line 1"),
        (&["embed", "--jsonl"], b"{}\n", "request.missing_field: line 1"),
        (&["embed", "--jsonl"], b"hello\n", "request.invalid_json: line 1"),
    ];
    for (arguments, input, message) in cases {
        let output = with_input(arguments, input);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(message), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty() || output.stdout.ends_with(b"\n"));
    }
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
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
    let output = output(&["embed", "/nowhere.txt"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("input.unreadable: /nowhere.txt"));
}

#[test]
fn verify_accepts_the_bundle_and_finds_a_changed_byte() {
    let whole = output(&["verify"]);
    assert!(text(&whole.stdout).contains("ok      5 files"), "{}", text(&whole.stderr));
    let broken = Breakable::new().replace("model.weights", flip);
    let output = output(&["verify", "--bundle", broken.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("bundle.digest_mismatch: model.weights has the sha256"), "{message}");
}

#[test]
fn a_start_that_fails_is_told_with_its_cause() {
    let output = output(&["score", "--bundle", "/nowhere", "a", "b"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: bundle.folder_missing: "));
}

#[test]
fn every_command_has_help_with_examples() {
    for command in ["score", "embed", "verify"] {
        let help = output(&[command, "--help"]);
        assert!(text(&help.stdout).contains("Examples:\n"), "{command}");
    }
}
