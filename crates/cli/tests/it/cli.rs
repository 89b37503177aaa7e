//! The command line, as a user runs it.

use std::io::Write as _;
use std::process::Stdio;

use semblance_test_support::{Breakable, flip};

use crate::client::Client;
use crate::program::{error, lines, output, semblance, text};

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
            &["score", "--no-truncate", "a", &long],
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

#[test]
fn serve_listens_on_a_host_name() {
    let server = crate::serve(&["--host", "localhost"]);
    assert_eq!(Client::new(&server).get("/health"), "{\"status\":\"ok\"}");
    let refused = error(&["serve", "--host", "no.such.host.invalid"]);
    let expected = "error: config.invalid: --host is \"no.such.host.invalid\"; expected an IP \
                    address, or a host name that resolves to one\n";
    assert_eq!(refused, expected);
}
