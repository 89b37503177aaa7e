//! Import rules of the engine that crate boundaries cannot enforce. The test reads the sources.

use std::fs;
use std::path::{Path, PathBuf};

use semblance_test_support::repository;

/// An identifier, and the path prefixes in `src/` that may use it. The documentation of the crate refers
/// to this table.
const WORDS: [(&str, &[&str]); 4] = [
    ("ort::", &["runtime/"]),
    ("tokenizers::", &["tokenizer/"]),
    ("memmap2::", &["bundle/", "runtime/embedding_table.rs", "tokenizer/pieces.rs"]),
    ("unsafe", &["bundle/map.rs", "kernels/"]),
];

/// A module, and the modules that it may use. Dependencies point down.
const MODULES: [(&str, &[&str]); 21] = [
    (
        "load",
        &[
            "bundle",
            "cache",
            "cancel",
            "cross_encoder",
            "encoder",
            "error",
            "info",
            "kernels",
            "model",
            "options",
            "runtime",
            "scheduler",
            "tokenizer",
            "vector",
        ],
    ),
    (
        "model",
        &[
            "cancel",
            "cost",
            "cross_encoder",
            "encoder",
            "error",
            "info",
            // `Model::load` calls this module.
            "load",
            "options",
            "outcome",
            "prompted",
            "tokenizer",
            "unique",
            "vector",
        ],
    ),
    ("outcome", &["cost", "tokenizer", "vector"]),
    ("prompted", &[]),
    ("unique", &["error", "options"]),
    ("options", &["cache", "kernels", "scheduler", "tokenizer"]),
    (
        "cross_encoder",
        &["cancel", "cost", "error", "options", "runtime", "scheduler", "tokenizer", "vector"],
    ),
    (
        "encoder",
        &["cache", "cancel", "cost", "error", "runtime", "scheduler", "tokenizer", "vector"],
    ),
    ("cache", &["tokenizer"]),
    (
        "error",
        &[
            "bundle",
            "cancel",
            "code",
            "codes",
            "kernels",
            "runtime",
            "scheduler",
            "tokenizer",
            "vector",
        ],
    ),
    ("corpus", &["bundle", "code", "codes", "kernels"]),
    ("scheduler", &["cancel", "runtime", "tokenizer"]),
    ("runtime", &["bundle", "kernels"]),
    ("bundle", &["code", "codes", "vector"]),
    ("tokenizer", &["bundle"]),
    ("vector", &["kernels"]),
    ("kernels", &[]),
    ("cancel", &[]),
    ("code", &[]),
    ("cost", &[]),
    ("info", &["options", "vector"]),
];

/// Returns the violations in a source file in `src/`, one line each.
fn violations(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in source.lines().enumerate() {
        // The rules do not apply to tests, which are at the end of a file.
        if line.trim() == "#[cfg(test)]" {
            break;
        }
        let code = without_strings(line.split("//").next().unwrap_or_default());
        let place = format!("src/{path}:{}", number + 1);
        for (word, allowed) in WORDS {
            if names(&code, word) && !allowed.iter().any(|prefix| path.starts_with(prefix)) {
                found.push(format!("{place}: {word} may only be named in {allowed:?}"));
            }
        }
        let module = path.split(['/', '.']).next().unwrap_or_default();
        for used in crate_modules(&code) {
            let allowed = MODULES.iter().find(|(name, _)| *name == module);
            let allowed = allowed.map_or(&[][..], |(_, allowed)| allowed);
            let is_module = MODULES.iter().any(|(name, _)| *name == used) || used == "codes";
            if is_module && used != module && !allowed.contains(&used) {
                found.push(format!("{place}: {module} may not use {used}"));
            }
        }
    }
    found
}

/// Returns the line without the content of its string literals.
fn without_strings(line: &str) -> String {
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// Whether code contains an identifier, not as a part of a longer one.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let stem = word.trim_end_matches("::");
    code.match_indices(stem).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + stem.len()..];
        let is_path = !word.ends_with("::")
            || after.starts_with("::")
            || (code.trim_start().starts_with("use ") && after.starts_with([';', '{', ' ']));
        !before.is_some_and(is_part) && !after.starts_with(is_part) && is_path
    })
}

/// Returns the modules that a line refers to with `crate::`.
fn crate_modules(code: &str) -> Vec<&str> {
    let heads = code.split("crate::").skip(1);
    heads
        .filter_map(|rest| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next())
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
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
fn every_source_file_follows_the_rules() {
    let root = repository("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources were found");
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap().display().to_string();
        if path != "lib.rs" {
            found.extend(violations(&path, &fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_unsafe_block_has_a_safety_comment() {
    let root = repository("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut blocks = 0;
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = source.lines().collect();
        // An instruction set's file states once what every block relies on.
        let stated =
            lines.iter().position(|line| line.contains("// SAFETY (of every block below):"));
        for (number, line) in lines.iter().enumerate() {
            let code = without_strings(line.split("//").next().unwrap_or_default());
            if names(&code, "unsafe") && code.contains("unsafe {") {
                blocks += 1;
                let above = &lines[number.saturating_sub(4)..number];
                let has_reason = stated.is_some_and(|stated| stated < number)
                    || above.iter().any(|line| line.contains("// SAFETY:"));
                assert!(has_reason, "{}:{}", file.display(), number + 1);
            }
        }
    }
    assert!(blocks >= 1, "the memory map was found");
}

#[test]
fn finds_a_violation_of_each_kind() {
    let cases = [
        ("model.rs", "use ort::session::Session;"),
        ("encoder.rs", "use tokenizers;"),
        ("vector/pool.rs", "    unsafe { x.get_unchecked(0) }"),
        ("vector/pool.rs", "use crate::scheduler::Scheduler;"),
        ("scheduler/mod.rs", "use crate::model::Model;"),
        ("runtime/onnx.rs", "fn f(x: crate::encoder::Encoder) {}"),
    ];
    for (path, line) in cases {
        assert_eq!(violations(path, line).len(), 1, "{path}: {line}");
    }
}

#[test]
fn allows_similar_code() {
    let cases = [
        ("model.rs", "let effort = support::new(1); // ort::Session"),
        ("model.rs", "use crate::options::Options;"),
        ("tokenizer/tokenize.rs", "use tokenizers::Tokenizer;"),
        ("model.rs", "#[cfg(test)]\nuse ort::session::Session;"),
        ("bundle/mod.rs", "let is_unsafe_name = report::new(1);"),
    ];
    for (path, line) in cases {
        assert_eq!(violations(path, line), Vec::<String>::new(), "{path}: {line}");
    }
}
