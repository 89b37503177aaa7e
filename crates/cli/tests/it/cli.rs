//! The command line, as a user runs it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use semblance_test_support::{Breakable, bundle, cross_encoder_bundle, flip, int8_bundle};
use serde_json::Value;

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

/// Replaces the name of the weights in the graph with another one of the same length.
fn with_other_weights(graph: Vec<u8>) -> Vec<u8> {
    let (name, other) = (b"model.weights", b"other.weights");
    let mut graph = graph;
    for start in 0..graph.len() - name.len() {
        if graph[start..].starts_with(name) {
            graph[start..start + name.len()].copy_from_slice(other);
        }
    }
    graph
}

#[test]
fn verify_loads_a_bundle_of_either_task() {
    for folder in [bundle(), int8_bundle(), cross_encoder_bundle("cross")] {
        let output = output(&["verify", "--load", "--bundle", folder.to_str().unwrap()]);
        let printed = text(&output.stdout);
        assert!(printed.contains("bytes, loaded"), "{printed} {}", text(&output.stderr));
    }
}

#[test]
fn verify_finds_what_cannot_be_loaded() {
    let refused = |bundle: &Breakable| {
        let bundle = bundle.path().to_str().unwrap();
        let (verify, score) =
            (["verify", "--load", "--bundle", bundle], ["score", "--bundle", bundle, "a", "b"]);
        (error(&verify), error(&score))
    };
    let other = Breakable::new().replace("model.onnx", with_other_weights);
    std::os::unix::fs::symlink(other.file("model.weights"), other.file("other.weights")).unwrap();
    let (_, error) = refused(&other);
    let expected = "it has weights in the file \"other.weights\", which the manifest does not list";
    assert!(error.starts_with("error: bundle.invalid_graph: "), "{error}");
    assert!(error.contains(expected), "{error}");

    let long = Breakable::new().with_manifest(|manifest| manifest["max_tokens"] = 513.into());
    let (verified, scored) = refused(&long);
    assert!(verified.contains("it has 512 positions, but max_tokens is 513"), "{verified}");
    assert_eq!(verified, scored);
    let full = Breakable::new().with_manifest(|manifest| manifest["max_tokens"] = 512.into());
    let output = output(&["verify", "--load", "--bundle", full.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_bundle_cannot_control_the_terminal() {
    let hostile = Breakable::new().with_manifest(|manifest| {
        manifest["source"] = "\u{1b}]0;title\u{7}\u{202e}".into();
        manifest["licence"] = "a\r\u{9b}31m".into();
    });
    let path = hostile.path().to_str().unwrap();
    let printed = output(&["verify", "--bundle", path]);
    let printed = text(&printed.stdout);
    assert!(printed.contains(r"\u{1b}]0;title\u{7}\u{202e}"), "{printed}");
    assert!(!printed.contains(|c: char| c.is_control() && c != '\n'), "{printed}");

    let field = Breakable::new().with_manifest(|manifest| manifest["\u{1b}[31m"] = 1.into());
    let error = error(&["verify", "--bundle", field.path().to_str().unwrap()]);
    assert!(error.contains(r"\u{1b}[31m") && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn a_pipe_in_place_of_a_file_is_refused() {
    for name in ["bundle.json", "model.weights", "tokenizer.json"] {
        let broken = Breakable::new().without(name);
        let pipe = broken.file(name);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for command in ["verify", "embed"] {
            let error = error(&[command, "--bundle", broken.path().to_str().unwrap()]);
            assert!(error.starts_with("error: bundle.unreadable: "), "{error}");
            assert!(error.contains("not a regular file"), "{error}");
        }
    }
}

#[test]
fn rules_without_bounds_are_refused() {
    let (before, after) = ("\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":9999");
    let broken = Breakable::new().replace("tokenizer.json", |rules| {
        let rules: Value = serde_json::from_slice(&rules).unwrap();
        let rules = rules.to_string();
        assert!(rules.contains(before), "{rules}");
        rules.replace(before, after).into_bytes()
    });
    let size = std::fs::metadata(broken.file("tokenizer.json")).unwrap().len();
    let broken =
        broken.with_manifest(|manifest| manifest["files"]["tokenizer"]["size_bytes"] = size.into());
    let error = error(&["score", "--bundle", broken.path().to_str().unwrap(), "a", "b"]);
    assert!(error.starts_with("error: bundle.invalid_tokenizer: "), "{error}");
    assert!(error.contains("max_input_chars_per_word is 9999; the limit is 1000"), "{error}");
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
