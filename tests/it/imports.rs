//! Who may name what: the rules of the crate's documentation, held against the sources.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::repository;

/// A word of the code, and the only places (prefixes below `src/`) that may name it.
const WORDS: [(&str, &[&str]); 17] = [
    ("ort::", &["infer/onnx.rs"]),
    ("tokenizers::", &["text/"]),
    ("lambda_runtime::", &["lambda/", "bin/"]),
    ("lambda_http::", &["lambda/"]),
    ("axum::", &["http/", "lambda/", "server.rs", "server/"]),
    ("tower_http::", &["http/"]),
    ("utoipa::", &["api/", "http/"]),
    ("base64::", &["api/", "http/page.rs"]),
    ("prometheus_client::", &["server/"]),
    ("tokio::", &["bin/", "http/", "server.rs", "sync/"]),
    ("std::env", &["config.rs"]),
    ("unsafe", &["bundle/map.rs"]),
    ("memmap2::", &["bundle.rs", "bundle/"]),
    ("clap::", &["cli/", "bin/"]),
    ("indicatif::", &["cli/"]),
    ("tracing_subscriber::", &["telemetry.rs"]),
    ("aws_", &["sync/"]),
];

/// What looks like a word of [`WORDS`] and is none: the types of events, in `lambda_http`.
const NO_WORD: &str = "lambda_http::aws_lambda_events";

/// A module, and the modules it may use: every arrow points down.
const MODULES: [(&str, &[&str]); 17] = [
    ("cli", &["api", "bundle", "config", "http", "init", "server", "service", "telemetry", "text"]),
    ("lambda", &["api", "http", "service", "sync", "telemetry"]),
    ("server", &["http", "service", "telemetry"]),
    ("http", &["api", "service", "telemetry"]),
    (
        "init",
        &[
            "api", "bundle", "config", "encoder", "infer", "lanes", "reranker", "service", "text",
            "vector",
        ],
    ),
    ("service", &["api", "encoder", "reranker", "text", "vector"]),
    ("reranker", &["encoder", "infer", "lanes", "text", "vector"]),
    ("encoder", &["infer", "lanes", "text", "vector"]),
    ("lanes", &["infer", "text"]),
    ("config", &["api", "encoder", "sync", "text"]),
    ("sync", &["bundle"]),
    ("bundle", &["vector"]),
    ("api", &["text", "vector"]),
    ("infer", &["bundle"]),
    ("text", &[]),
    ("vector", &[]),
    ("telemetry", &[]),
];

/// Returns what a source file below `src/` does against the rules, one line each.
fn violations(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in source.lines().enumerate() {
        // Tests may reach for anything; they stand at the end of a file.
        if line.trim() == "#[cfg(test)]" {
            break;
        }
        let code = without_strings(line.split("//").next().unwrap_or_default());
        let code = code.replace(NO_WORD, "");
        let code = code.as_str();
        let place = format!("src/{path}:{}", number + 1);
        for (word, allowed) in WORDS {
            if names(code, word) && !allowed.iter().any(|prefix| path.starts_with(prefix)) {
                found.push(format!("{place}: {word} may only be named in {allowed:?}"));
            }
        }
        let module = path.split(['/', '.']).next().unwrap_or_default();
        for used in crate_modules(code) {
            let allowed = MODULES.iter().find(|(name, _)| *name == module);
            let allowed = allowed.map_or(&[][..], |(_, allowed)| allowed);
            if used != module && !allowed.contains(&used) {
                found.push(format!("{place}: {module} may not use {used}"));
            }
        }
    }
    found
}

/// The line without what stands in its string literals.
fn without_strings(line: &str) -> String {
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// Whether code names a word that is not the tail of a longer one.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let stem = word.trim_end_matches("::");
    code.match_indices(stem).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + stem.len()..];
        let ends = word.ends_with('_') || !after.starts_with(is_part);
        let is_path = !word.ends_with("::")
            || after.starts_with("::")
            || (code.trim_start().starts_with("use ") && after.starts_with([';', '{', ' ']));
        !before.is_some_and(is_part) && ends && is_path
    })
}

/// The modules that a line reaches through `crate::`.
fn crate_modules(code: &str) -> Vec<&str> {
    let heads = code.split("crate::").skip(1);
    heads
        .filter_map(|rest| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next())
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_source_file_keeps_the_rules() {
    let root = repository("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources were found");
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap().display().to_string();
        if path != "lib.rs" && !path.starts_with("bin/") {
            found.extend(violations(&path, &fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_function_is_built_without_the_aws_sdk() {
    let dependencies = |arguments: &[&str]| {
        let tree = ["tree", "--offline", "--edges", "normal", "--prefix", "none"];
        let output = Command::new(env!("CARGO"))
            .args(tree)
            .args(arguments)
            .current_dir(repository(""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!dependencies(&[]).contains("aws-"));
    assert!(dependencies(&["--features", "sync"]).contains("aws-sdk-s3"));
}

#[test]
fn the_only_unsafe_code_is_the_memory_map() {
    let map = fs::read_to_string(repository("src/bundle/map.rs")).unwrap();
    assert_eq!(map.matches("unsafe {").count(), 1, "one block, with its proof");
    assert!(map.contains("// SAFETY:"));
}

#[test]
fn a_violation_of_each_kind_is_found() {
    let cases = [
        ("service.rs", "use ort::session::Session;"),
        ("encoder.rs", "use tokenizers;"),
        ("api/decode.rs", "    std::env::var(\"HOME\")"),
        ("vector/pool.rs", "    unsafe { x.get_unchecked(0) }"),
        ("service.rs", "use aws_sdk_s3::Client;"),
        ("vector/pool.rs", "use crate::text::Budget;"),
        ("text/batch.rs", "use crate::service::Service;"),
        ("infer/onnx.rs", "fn f(x: crate::api::Limits) {}"),
    ];
    for (path, line) in cases {
        assert_eq!(violations(path, line).len(), 1, "{path}: {line}");
    }
}

#[test]
fn what_only_looks_like_a_violation_is_not_one() {
    let cases = [
        ("service.rs", "let effort = support::of(1); // ort::Session"),
        ("service.rs", "use crate::api::Limits;"),
        ("text/tokenize.rs", "use tokenizers::Tokenizer;"),
        ("service.rs", "#[cfg(test)]\nuse ort::session::Session;"),
        ("telemetry.rs", "target.starts_with(\"lambda_runtime::layers\")"),
        ("bundle.rs", "let is_unsafe_name = report::of(1);"),
    ];
    for (path, line) in cases {
        assert_eq!(violations(path, line), Vec::<String>::new(), "{path}: {line}");
    }
}
