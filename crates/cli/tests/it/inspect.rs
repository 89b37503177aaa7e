//! The commands `tokenize`, `models`, `completions` and `manual`.

use std::fs;
use std::process::{Command, Stdio};

use clap::CommandFactory as _;
use semblance_cli::Arguments;
use semblance_test_support::{bundle, repository};
use tempfile::TempDir;

use crate::program::{error, lines, output, text};

#[test]
fn tokenize_prints_the_tokens_with_their_places() {
    let printed = output(&["tokenize", "Hello, Zürich"]);
    let expected = "   101  special      [CLS]\n  7592      0-5      Hello\n  1010      5-6      ,\n \
                    10204      7-13     Zürich\n   102  special      [SEP]\n";
    assert_eq!(text(&printed.stdout), expected);
    let json = lines(&output(&["tokenize", "--json", "--no-special-tokens", "hello", "a b"]));
    let lengths: Vec<usize> =
        json[0].as_array().unwrap().iter().map(|tokens| tokens.as_array().unwrap().len()).collect();
    assert_eq!(lengths, [1, 2]);
    assert_eq!((&json[0][1][1]["start"], &json[0][1][1]["stop"]), (&2.into(), &3.into()));
    assert!(
        error(&["tokenize", "a", ""]).starts_with("error: request.empty_text: TEXT 2 is empty")
    );
}

#[test]
fn models_lists_each_bundle_once_and_reports_invalid_ones() {
    let scratch = TempDir::new().unwrap();
    let copy = |source: &std::path::Path, to: &str| {
        let folder = scratch.path().join(to);
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(source).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        folder
    };
    let first = copy(&bundle(), "a/one");
    copy(&repository("build/model/cross"), "b/two");
    std::os::unix::fs::symlink(&first, scratch.path().join("default")).unwrap();
    let root = scratch.path().to_str().unwrap();
    let listed = lines(&output(&["models", root, "--json"]));
    assert_eq!(listed.len(), 2);
    let (embedding, cross) = (&listed[0], &listed[1]);
    assert_eq!(embedding["name"], "all-minilm-l6-v2");
    assert_eq!((&embedding["kind"], &embedding["dimensions"]), (&"embedding".into(), &384.into()));
    assert_eq!(embedding["precision"], "fp32");
    assert_eq!((&cross["kind"], &cross["labels"]), (&"cross-encoder".into(), &1.into()));
    let size_bytes: u64 = fs::read_dir(&first)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "bundle.json")
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert_eq!(embedding["size_bytes"], size_bytes);
    let verified = output(&["verify", "--bundle", first.to_str().unwrap()]);
    assert!(text(&verified.stdout).contains(embedding["digest"].as_str().unwrap()));
    fs::write(first.join("bundle.json"), "{}").unwrap();
    let broken = output(&["models", root]);
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(text(&broken.stdout).lines().count(), 2, "the header and the other bundle");
    let messages = text(&broken.stderr);
    assert!(messages.starts_with("invalid: bundle.invalid_manifest: "), "{messages}");
    assert!(
        messages.ends_with("error: bundle.invalid: 1 of 2 bundles are invalid\n"),
        "{messages}"
    );
    assert!(error(&["models", "/nowhere"]).starts_with("error: input.unreadable: /nowhere "));
}

#[test]
fn bash_completes_commands_and_flags() {
    let script = output(&["completions", "bash"]).stdout;
    let complete = |words: &str| {
        let (last, count) = (words.split(' ').next_back().unwrap(), words.split(' ').count());
        let ask = format!(
            "{}\nCOMP_WORDS=({words})\nCOMP_CWORD={}\n_semblance semblance '{last}' ''\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            text(&script),
            count - 1,
        );
        let output =
            Command::new("bash").args(["--norc", "-c", &ask]).stderr(Stdio::inherit()).output();
        text(&output.unwrap().stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("semblance rer"), ["rerank"]);
    assert_eq!(complete("semblance embed --res"), ["--resume"]);
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(text(&output(&["completions", shell]).stdout).contains("semblance"), "{shell}");
    }
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let scratch = TempDir::new().unwrap();
    let folder = scratch.path().join("man1");
    assert!(output(&["manual", "--output", folder.to_str().unwrap()]).status.success());
    let program = Arguments::command();
    for command in program.get_subcommands() {
        let page = folder.join(format!("semblance-{}.1", command.get_name()));
        let page = fs::read_to_string(page).unwrap();
        // The commands of `index` have the examples.
        let has_examples = page.contains("Examples:") || command.get_name() == "index";
        assert!(page.contains(".TH semblance") && has_examples, "{page}");
    }
    assert!(folder.join("semblance.1").exists());
}
