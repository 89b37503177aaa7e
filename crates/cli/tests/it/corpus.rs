//! Corpora on the command line, with the real model: build, search, change, interrupt.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use semblance_test_support::{bundle, library};
use serde_json::{Value, json};
use tempfile::TempDir;

fn semblance(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_semblance"));
    command
        .args(arguments)
        .env("SEMBLANCE_BUNDLE", bundle())
        .env("SEMBLANCE_ORT_LIBRARY", library());
    command
}

/// Runs a command that succeeds; returns what it prints.
fn run(arguments: &[&str]) -> String {
    let output = semblance(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// Runs a command that fails; returns its error.
fn error(arguments: &[&str]) -> String {
    let output = semblance(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    text(&output.stderr).to_owned()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

struct Corpus {
    root: TempDir,
}

impl Corpus {
    fn new() -> Self {
        Self { root: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.root.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.root.path().join(name), content).unwrap();
        self.path(name)
    }
}

const ROWS: &str = r#"{"id": "a", "text": "The cat sleeps on the sofa", "kind": "animal", "year": 2001}
{"id": "b", "text": "A dog barks at the postman", "kind": "animal", "year": 2005}
{"id": "c", "text": "The stock market fell on Monday", "kind": "money", "year": 2010, "paid": true}
{"id": 4, "text": "Interest rates rise again", "kind": "money", "year": 2020.5}
"#;

fn results(reply: &str) -> Vec<Value> {
    let reply: Value = serde_json::from_str(reply).unwrap();
    reply["results"][0].as_array().unwrap().clone()
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

fn exported(index: &str) -> Vec<Value> {
    run(&["index", "export", index])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn files_of_windows_have_the_same_rows() {
    let corpus = Corpus::new();
    let plain = r#"{"id": "a", "text": "a river"}
{"id": "b", "text": "a loaf of bread"}
"#;
    let windows =
        format!("\u{feff}\n\n{}\n  \n", plain.replace('\n', "\n\n")).replace('\n', "\r\n");
    let files = [
        corpus.write("plain.jsonl", plain),
        corpus.write("windows.jsonl", &windows),
        corpus
            .write("rows.csv", "\u{feff}id,text\r\na,a river\r\n\r\nb,\"a loaf\r\nof bread\"\r\n"),
        corpus.write("rows.tsv", "id\ttext\na\ta river\nb\ta loaf of bread\n"),
    ];
    for (number, file) in files.iter().enumerate() {
        let index = corpus.path(&format!("index-{number}"));
        run(&["index", "build", &index, file]);
        let rows = exported(&index);
        assert_eq!(ids(&rows), ["a", "b"], "{file}");
        let text = rows[1]["text"].as_str().unwrap().replace('\n', " ");
        assert_eq!((&rows[0]["text"], &*text), (&json!("a river"), "a loaf of bread"), "{file}");
    }
}

#[test]
fn each_command_reads_a_file_of_texts() {
    let corpus = Corpus::new();
    let texts = "\u{feff}How do I reset my password?\r\n\r\nI forgot my password\r\n";
    let file = corpus.write("texts.txt", texts);
    let index = corpus.path("texts");
    let refused = semblance(&["index", "build", &index, &file]).output().unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && error.contains("line 2"), "{error}");
    let built =
        semblance(&["index", "build", &index, &file, "--on-error", "skip"]).output().unwrap();
    assert!(built.status.success());
    let report = String::from_utf8(built.stderr).unwrap();
    assert!(report.contains("skipped line 2: request.empty_text"), "{report}");
    let rows = exported(&index);
    assert_eq!(ids(&rows), ["1", "3"]);
    assert_eq!(rows[0], json!({"id": "1", "text": "How do I reset my password?"}));
    let skipping = ["--bad-rows", "skip"];
    let mined = run(&[&["mine", &file], &skipping[..]].concat());
    let mined: Value = serde_json::from_str(mined.trim()).unwrap();
    assert_eq!((&mined["a"], &mined["text_b"]), (&json!("1"), &json!("I forgot my password")));
    let clustered = ["cluster", &file, "--min-size", "2", "--threshold", "0.1"];
    let clustered = run(&[&clustered[..], &skipping[..]].concat());
    let clustered: Value = serde_json::from_str(clustered.trim()).unwrap();
    assert_eq!(clustered["members"], json!(["1", "3"]));
    let picture = corpus.path("map.svg");
    run(&[&["map", &file, "--output", &picture], &skipping[..]].concat());
    assert!(std::fs::read_to_string(picture).unwrap().contains("<svg"));
    // Another name needs the format.
    let other = corpus.write("more", "a river\n");
    run(&["index", "append", &index, &other, "--format", "text", "--replace"]);
    let replaced = json!({"id": "1", "text": "a river"});
    assert!(exported(&index).contains(&replaced), "{replaced}");
}

#[test]
fn a_corpus_is_built_searched_changed_and_searched_again() {
    let corpus = Corpus::new();
    let (index, rows) = (corpus.path("docs"), corpus.write("rows.jsonl", ROWS));
    let built = run(&["index", "build", &index, &rows]);
    assert!(built.starts_with("added   4 rows\nversion "), "{built}");
    let search =
        |arguments: &[&str]| results(&run(&[&["search", &index, "--json"], arguments].concat()));
    let found = search(&["a sleeping kitten"]);
    assert_eq!(ids(&found)[0], "a");
    assert_eq!(found[0]["text"], "The cat sleeps on the sofa");
    assert_eq!(found[0]["metadata"], json!({"kind": "animal", "year": 2001}));
    let scored = run(&["score", "--json", "a sleeping kitten", "The cat sleeps on the sofa"]);
    let scored: Value = serde_json::from_str(&scored).unwrap();
    let (score, expected) = (&found[0]["score"], &scored["Scores"][0][1]);
    assert!((score.as_f64().unwrap() - expected.as_f64().unwrap()).abs() < 1e-6);

    let filter = r#"{"kind": "money", "year": {"$gt": 2010}}"#;
    assert_eq!(ids(&search(&["a sleeping kitten", "--filter", filter])), ["4"]);

    let more = corpus.write(
        "more.jsonl",
        &format!(
            "{ROWS}{}\n",
            r#"{"id": "e", "text": "A kitten naps on a cushion", "kind": "animal"}"#
        ),
    );
    let appended = run(&["index", "append", &index, &more]);
    assert!(appended.starts_with("added   1 rows\nkept    4 rows\n"), "{appended}");
    let found = search(&["a sleeping kitten", "--top-k", "2"]);
    assert_eq!(ids(&found).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(["a", "e"]));

    run(&["index", "delete", &index, "--id", "a", "--filter", r#"{"paid": true}"#]);
    run(&["index", "compact", &index]);
    let verified = run(&["index", "verify", &index]);
    assert!(verified.contains("ok      3 rows"), "{verified}");
    let left: Vec<Value> = exported(&index);
    assert_eq!(ids(&left), ["b", "4", "e"]);
    assert_eq!(
        left[1],
        json!({
            "id": "4", "text": "Interest rates rise again", "kind": "money", "year": 2020.5
        })
    );
    let info: Value = serde_json::from_str(&run(&["index", "info", &index, "--json"])).unwrap();
    assert_eq!(info["manifest"]["rows"], 3);
    assert_eq!(info["columns"], json!(["kind", "year"]));
}

#[test]
fn the_export_of_an_index_builds_an_equal_index() {
    let corpus = Corpus::new();
    let rows = corpus.write("rows.jsonl", ROWS);
    let (first, second) = (corpus.path("first"), corpus.path("second"));
    run(&["index", "build", &first, &rows]);
    let rows = corpus.write("exported.jsonl", &run(&["index", "export", &first]));
    run(&["index", "build", &second, &rows]);
    let current = |index: &str| fs::read_to_string(Path::new(index).join("CURRENT")).unwrap();
    assert_eq!(current(&first), current(&second));
}

#[test]
fn csv_gives_the_same_rows() {
    let corpus = Corpus::new();
    let rows = "key,title,year,share,code,open\n\
                a,\"A cat, asleep\",2001,0.5,007,true\n\
                b,42,,,8,\n";
    let (index, rows) = (corpus.path("docs"), corpus.write("rows.csv", rows));
    run(&["index", "build", &index, &rows, "--id-column", "key", "--text-column", "title"]);
    let expected = [
        json!({"id": "a", "text": "A cat, asleep", "year": 2001, "share": 0.5, "code": "007",
               "open": true}),
        json!({"id": "b", "text": "42", "code": 8}),
    ];
    assert_eq!(exported(&index), expected);
}

#[test]
fn a_column_that_occurs_twice_is_refused_unless_it_is_not_read() {
    let corpus = Corpus::new();
    for name in ["id", "text", "year"] {
        let rows = format!("id,text,year,{name}\na,A cat,2001,x\n");
        let (index, rows) = (corpus.path("docs"), corpus.write("rows.csv", &rows));
        let refused = error(&["index", "build", &index, &rows]);
        let expected = format!("the column {name:?} occurs twice");
        assert!(refused.contains("input.unsupported_column: "), "{refused}");
        assert!(refused.contains(&expected), "{refused}");
        assert!(!Path::new(&index).exists(), "nothing is written");
    }
    let rows = corpus.write("rows.csv", "id,text,year,x,x\na,A cat,2001,1,2\n");
    let index = corpus.path("docs");
    run(&["index", "build", &index, &rows, "--column", "year"]);
    assert_eq!(exported(&index), [json!({"id": "a", "text": "A cat", "year": 2001})]);
}

#[test]
fn an_id_that_is_given_twice_is_one_deleted_row() {
    let corpus = Corpus::new();
    let (index, rows) = (corpus.path("docs"), corpus.write("rows.jsonl", ROWS));
    run(&["index", "build", &index, &rows]);
    let file = corpus.write("ids.txt", "a\r\n\r\nb\nunknown\n");
    let deleted = run(&["index", "delete", &index, "--id", "a", "--id", "a", "--ids", &file]);
    assert!(deleted.starts_with("deleted 2 rows\nunknown 1 ids\n"), "{deleted}");
    assert_eq!(ids(&exported(&index)), ["c", "4"]);
}

#[test]
fn every_change_of_an_index_can_set_the_least_recall() {
    let corpus = Corpus::new();
    let (index, rows) = (corpus.path("docs"), corpus.write("rows.jsonl", ROWS));
    let more = corpus.write("more.jsonl", "{\"id\": \"new\", \"text\": \"A new text\"}\n");
    let build = ["index", "build", &index, &rows];
    let refused = error(&[&build[..], &["--min-recall", "2"]].concat());
    assert!(refused.contains("index.low_recall"), "{refused}");
    run(&build);
    let before = exported(&index);
    let append = ["index", "append", &index, &more];
    let delete = ["index", "delete", &index, "--id", "a"];
    for change in [&append[..], &delete] {
        let refused = error(&[change, &["--min-recall", "2"]].concat());
        assert!(refused.contains("index.low_recall"), "{refused}");
        assert_eq!(exported(&index), before);
    }
}

#[test]
fn a_limit_of_a_score_is_a_number() {
    let corpus = Corpus::new();
    let index = corpus.path("docs");
    let commands: [&[&str]; 4] = [
        &["cluster", &index, "--threshold"],
        &["map", &index, "--threshold"],
        &["index", "compact", &index, "--min-recall"],
        &["index", "build", &index, "rows.jsonl", "--min-recall"],
    ];
    for command in commands {
        for value in ["nan", "inf", "x"] {
            let output = semblance(&[command, &[value]].concat()).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{command:?} {value}");
            assert!(text(&output.stderr).contains("expected a finite number"));
        }
    }
}

#[test]
fn a_bad_row_stops_the_command_or_is_reported_with_its_line() {
    let corpus = Corpus::new();
    let cases = [
        (r#"{"id": "x"}"#, "input.bad_row: line 2: the column \"text\" is missing or null"),
        (r#"{"text": "t"}"#, "input.bad_row: line 2: the column \"id\" is missing or null"),
        (
            r#"{"id": 1.5, "text": "t"}"#,
            "input.bad_row: line 2: the column \"id\" must be a string or an integer",
        ),
        (
            r#"{"id": "x", "text": 7}"#,
            "input.bad_row: line 2: the column \"text\" must be a string",
        ),
        (r#"{"id": "x", "text": "t", "tags": [1]}"#, "input.bad_row: line 2: the column \"tags\""),
        (
            r#"{"id": "x", "text": " "}"#,
            "request.empty_text: line 2: the text is empty: it has no tokens",
        ),
        (r#"{"id": "x", "text": "#, "request.invalid_json: line 2"),
        ("[1]", "line 2: expected a JSON object"),
        (r#"{"id": "", "text": "t"}"#, "index.bad_id: line 2"),
        (r#"{"id": "x", "text": "t", "$or": 1}"#, "index.bad_metadata: line 2"),
        (
            r#"{"id": "a", "text": "other"}"#,
            "index.duplicate_id: line 2: the id is already used in line 1",
        ),
    ];
    let mut all = String::from("{\"id\": \"a\", \"text\": \"first\"}\n");
    for (line, expected) in cases {
        let content = format!("{{\"id\": \"a\", \"text\": \"first\"}}\n{line}\n");
        let (index, rows) = (corpus.path("docs"), corpus.write("rows.jsonl", &content));
        let error = error(&["index", "build", &index, &rows]);
        assert!(error.contains(expected), "{line}: {error}");
        assert!(!Path::new(&index).join("CURRENT").exists(), "{line}");
        all.push_str(line);
        all.push('\n');
    }
    // A blank line is not a row.
    all.push_str("\n{\"id\": \"z\", \"text\": \"last\"}\n");
    let (index, rows) = (corpus.path("skipped"), corpus.write("all.jsonl", &all));
    let output =
        semblance(&["index", "build", &index, &rows, "--bad-rows", "skip"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(&format!("skipped {} rows", cases.len())));
    for line in 2..cases.len() + 2 {
        assert!(text(&output.stderr).contains(&format!("skipped line {line}: ")), "{line}");
    }
    assert_eq!(ids(&exported(&index)), ["a", "z"]);
}

#[test]
fn a_row_of_a_known_id_is_refused_or_replaces_the_other() {
    let corpus = Corpus::new();
    let (index, rows) = (corpus.path("docs"), corpus.write("rows.jsonl", ROWS));
    run(&["index", "build", &index, &rows]);
    let changed = corpus.write("changed.jsonl", "{\"id\": \"a\", \"text\": \"Another text\"}\n");
    let refused = error(&["index", "append", &index, &changed]);
    assert!(refused.contains("index.duplicate_id: line 1"), "{refused}");
    run(&["index", "append", &index, &changed, "--replace"]);
    let rows = exported(&index);
    assert_eq!(ids(&rows), ["b", "c", "4", "a"]);
    assert_eq!(rows[3]["text"], "Another text");
    let again = run(&["index", "append", &index, &changed, "--replace"]);
    assert!(again.contains("(unchanged)"), "{again}");
}

#[test]
fn errors_of_an_index_have_their_codes() {
    let corpus = Corpus::new();
    let (index, rows) = (corpus.path("docs"), corpus.write("rows.jsonl", ROWS));
    run(&["index", "build", &index, &rows]);
    let (missing, nowhere) = (corpus.path("missing"), corpus.path("none.jsonl"));
    let upper = corpus.path("Docs");
    let no_index = format!("index.not_found: there is no index in {missing}");
    let cases: [(&[&str], &str); 9] = [
        (&["index", "build", &upper, &rows], "index.invalid_name"),
        (&["index", "build", &index, &rows], "index.exists"),
        (&["index", "info", &missing], &no_index),
        (&["index", "append", &missing, &rows], &no_index),
        (&["search", &missing, "x"], &no_index),
        (&["index", "build", &missing, &nowhere], "input.unreadable"),
        (&["search", &index, "x", "--filter", "{"], "request.invalid_json: the argument --filter"),
        (&["search", &index, "x", "--filter", r#"{"$x": 1}"#], "request.bad_filter"),
        (&["search", &index, "x", "--filter", r#"{"shape": 1}"#], "request.unknown_column"),
    ];
    for (arguments, expected) in cases {
        let error = error(arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let reranked = error(&["search", &index, "x", "--rerank", "3"]);
    assert!(reranked.contains("request.no_cross_encoder"), "{reranked}");
}

#[test]
fn an_index_of_another_bundle_is_refused() {
    let corpus = Corpus::new();
    let (index, rows) = (corpus.path("docs"), corpus.write("rows.jsonl", ROWS));
    run(&["index", "build", &index, &rows]);
    // The same bundle with another manifest, so another digest.
    let other = PathBuf::from(corpus.path("bundle"));
    fs::create_dir(&other).unwrap();
    for entry in fs::read_dir(bundle()).unwrap() {
        let path = entry.unwrap().path();
        let target = other.join(path.file_name().unwrap());
        if path.ends_with("bundle.json") {
            fs::write(target, fs::read_to_string(path).unwrap() + "\n").unwrap();
        } else {
            fs::copy(path, target).unwrap();
        }
    }
    for command in [vec!["search", &index, "x"], vec!["index", "append", &index, &rows]] {
        let arguments = [command, vec!["--bundle", other.to_str().unwrap()]].concat();
        let error = error(&arguments);
        assert!(error.contains("index.other_bundle"), "{error}");
    }
}

/// Rows whose embedding takes some time.
fn many_rows(count: usize) -> String {
    (0..count)
        .map(|i| {
            let text = format!("Entry {i} about topic {} and place {}", i % 17, i % 23);
            json!({"id": format!("r{i}"), "text": text, "n": i}).to_string() + "\n"
        })
        .collect()
}

#[test]
fn after_a_crash_at_any_point_the_command_can_be_repeated() {
    let corpus = Corpus::new();
    let rows = corpus.write("rows.jsonl", &many_rows(40));
    let expected: Vec<String> = (0..40).map(|i| format!("r{i}")).collect();
    let points = semblance::corpus::POINTS;
    for point in points {
        let index = corpus.path(point);
        let crash = |arguments: &[&str]| {
            let mut command = semblance(arguments);
            command.env("SEMBLANCE_TEST_CRASH_AT", point).output().unwrap()
        };
        let build: &[&str] = &["index", "build", &index, &rows, "--segment-rows", "16"];
        let crashed = crash(build);
        let is_published = Path::new(&index).join("CURRENT").exists();
        // The first version has neither deleted rows nor files to remove, but reaches the point before.
        let reached = point != "prune";
        assert_eq!(crashed.status.success(), !reached, "{point}: {}", text(&crashed.stderr));
        assert_eq!(is_published, ["current_renamed", "prune"].contains(&point), "{point}");
        if !is_published {
            let repeated = run(build);
            let resumed = repeated.contains("resumed 40 rows");
            assert_eq!(resumed, point != "staging", "{point}: {repeated}");
        }
        assert_eq!(ids(&exported(&index)), expected, "{point}");
        let verified = run(&["index", "verify", &index]);
        assert!(verified.contains("ok      40 rows"), "{point}: {verified}");

        let filter = r#"{"n": {"$lt": 10}}"#;
        let delete: &[&str] =
            &["index", "delete", &index, "--filter", filter, "--grace-hours", "0"];
        crash(delete);
        run(&["index", "verify", &index]);
        run(delete);
        run(&["index", "compact", &index, "--grace-hours", "0"]);
        assert_eq!(ids(&exported(&index)), expected[10..], "{point}");
        let count = |name: &str| fs::read_dir(Path::new(&index).join(name)).unwrap().count();
        assert_eq!((count("manifests"), count(".staging")), (1, 1), "{point}");
    }
}

#[test]
fn a_build_that_was_interrupted_goes_on_with_a_changed_file() {
    let corpus = Corpus::new();
    let index = corpus.path("docs");
    let rows = corpus.write("rows.jsonl", &many_rows(40));
    let build: &[&str] = &["index", "build", &index, &rows, "--segment-rows", "16"];
    for point in ["shard", "segment_renamed", "manifest_synced"] {
        let mut command = semblance(build);
        let crashed = command.env("SEMBLANCE_TEST_CRASH_AT", point).output().unwrap();
        assert!(!crashed.status.success(), "{point}");
    }
    // One row is gone, one has another text and one is new.
    let mut lines: Vec<String> = many_rows(40).lines().map(str::to_owned).collect();
    lines.remove(30);
    lines[3] = json!({"id": "r3", "text": "Another text", "n": 3}).to_string();
    lines.push(json!({"id": "new", "text": "A new text"}).to_string());
    corpus.write("rows.jsonl", &lines.join("\n"));
    run(build);
    let expected: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported(&index), expected);
    let (fresh, verified) = (corpus.path("fresh"), run(&["index", "verify", &index]));
    assert!(verified.contains("ok      40 rows"), "{verified}");
    run(&["index", "build", &fresh, &rows, "--segment-rows", "16"]);
    let current = |index: &str| fs::read_to_string(Path::new(index).join("CURRENT")).unwrap();
    assert_eq!(current(&index), current(&fresh), "as if nothing had been interrupted");
}

#[test]
fn a_build_that_is_killed_at_any_moment_goes_on() {
    let corpus = Corpus::new();
    let rows = corpus.write("rows.jsonl", &many_rows(600));
    let index = corpus.path("docs");
    let build: &[&str] = &["index", "build", &index, &rows, "--segment-rows", "100"];
    let mut kills = 0;
    for round in 0..12u64 {
        let mut child =
            semblance(build).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(40 + 97 * round));
        child.kill().unwrap();
        let output: Output = child.wait_with_output().unwrap();
        if output.status.code().is_some() {
            // It had ended: published by this run, or by an earlier one.
            let exists = text(&output.stderr).contains("index.exists");
            assert!(output.status.success() || exists, "{}", text(&output.stderr));
            break;
        }
        kills += 1;
    }
    assert!(kills > 0, "a build takes longer than 40 ms");
    if !Path::new(&index).join("CURRENT").exists() {
        run(build);
    }
    let verified = run(&["index", "verify", &index]);
    assert!(verified.contains("ok      600 rows"), "{verified}");
    // A run after the publication has files left to remove at most.
    run(&["index", "append", &index, &rows]);
    let staging = fs::read_dir(Path::new(&index).join(".staging")).unwrap().count();
    assert_eq!(staging, 1);
}

#[test]
fn an_earlier_version_can_be_used_again() {
    let corpus = Corpus::new();
    let (index, rows) = (corpus.path("docs"), corpus.write("rows.jsonl", ROWS));
    run(&["index", "build", &index, &rows]);
    let version = || fs::read_to_string(Path::new(&index).join("CURRENT")).unwrap();
    let first = version();
    run(&["index", "delete", &index, "--id", "a"]);
    let second = version();
    let output = run(&["index", "use", &index, first.trim()]);
    assert_eq!(output, format!("version {first}rows    4\n"));
    assert_eq!(exported(&index).len(), 4);
    run(&["index", "use", &index, second.trim()]);
    assert_eq!(exported(&index).len(), 3);
    let unknown = "0".repeat(64);
    for version in [unknown.as_str(), "latest", "../../manifests"] {
        assert!(error(&["index", "use", &index, version]).contains("index.unknown_version"));
    }
    assert!(error(&["index", "use", &corpus.path("none"), &unknown]).contains("index.not_found"));
    assert_eq!(version(), second);
}
