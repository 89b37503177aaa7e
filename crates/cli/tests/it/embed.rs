//! The command `embed`: formats, lines that cannot be embedded, and interruptions.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use semblance_test_support::Breakable;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{error, lines, output, semblance, text, with_input};

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
        (
            &["embed", "--on-error", "fail"],
            b"hello\n\nworld\n",
            "request.empty_text: line 2 is empty: it has no tokens",
        ),
        (
            &["embed", "--on-error", "fail"],
            b"hello\nbad \xff byte\n",
            "request.not_utf8: line 2 is not UTF-8 at byte 4",
        ),
        (
            &["embed", "--on-error", "fail"],
            b"\0\n",
            "request.empty_text: line 1 is empty: it has no tokens",
        ),
        (
            &["embed", "--jsonl", "--on-error", "fail"],
            b"{\"text\": 7}\n",
            "request.wrong_type: line 1: the field text must be a string, found a number",
        ),
        (
            &["embed", "--jsonl", "--on-error", "fail"],
            b"{}\n",
            "request.missing_field: line 1: the field text is missing",
        ),
        (
            &["embed", "--jsonl", "--on-error", "fail"],
            b"[]\n",
            "request.not_an_object: line 1: expected a JSON object, found an array",
        ),
        (
            &["embed", "--jsonl", "--on-error", "fail"],
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

/// Runs `embed` on a file with this content; returns the output file and what the program printed.
fn embed_file(input: &str, content: &[u8], name: &str, arguments: &[&str]) -> (Vec<u8>, Output) {
    let scratch = TempDir::new().unwrap();
    let (input, file) = (scratch.path().join(input), scratch.path().join(name));
    fs::write(&input, content).unwrap();
    let mut command = semblance(&["embed"]);
    let output = command.arg(&input).arg("--output").arg(&file).args(arguments).output().unwrap();
    assert!(leftovers(scratch.path(), &[&input, &file]).is_empty() || !output.status.success());
    (fs::read(&file).unwrap_or_default(), output)
}

/// Returns the other files of a folder.
fn leftovers(folder: &Path, expected: &[&Path]) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let others = entries.filter(|path| !expected.contains(&path.as_path()));
    others.map(|path| path.display().to_string()).collect()
}

fn parsed(file: &[u8]) -> Vec<Value> {
    text(file).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn indices(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["text_index"].as_u64().unwrap()).collect()
}

/// A text file of Windows: a byte order mark, CRLF, and lines without a usable text.
const WINDOWS: &[u8] =
    b"\xef\xbb\xbffirst line\r\n\r\nbad \xff byte\r\nsecond line\r\n  \r\nlast line\r\n\r\n";

#[test]
fn a_file_of_windows_loses_no_good_line() {
    let (file, run) = embed_file("windows.txt", WINDOWS, "out.jsonl", &[]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let rows = parsed(&file);
    assert_eq!(indices(&rows), [0, 3, 5]);
    let plain = lines(&with_input(&["embed"], b"first line\nsecond line\nlast line\n"));
    let embeddings = |rows: &[Value]| -> Vec<Value> {
        rows.iter().map(|row| row["embedding"].clone()).collect()
    };
    assert_eq!(embeddings(&rows), embeddings(&plain));
    let messages: Vec<&str> = text(&run.stderr).lines().collect();
    let expected = [
        "skipped: request.empty_text: line 2 is empty: it has no tokens",
        "skipped: request.not_utf8: line 3 is not UTF-8 at byte 4",
        "skipped: request.empty_text: line 5 is empty: it has no tokens",
        "skipped: request.empty_text: line 7 is empty: it has no tokens",
    ];
    assert_eq!(messages[..4], expected);
    assert!(messages[4].ends_with("; 0 truncated; 4 skipped"), "{}", messages[4]);
}

#[test]
fn a_bad_line_can_be_fatal_and_the_lines_before_it_are_written() {
    let arguments = ["--on-error", "fail"];
    for (name, least_bytes) in [("out.jsonl", 1_000), ("out.csv", 1_000), ("out.npy", 1_664)] {
        let (file, run) = embed_file("windows.txt", WINDOWS, name, &arguments);
        assert_eq!(run.status.code(), Some(1), "{name}");
        let message = "error: request.empty_text: line 2 is empty: it has no tokens\n";
        assert_eq!(text(&run.stderr), message);
        assert!(file.len() >= least_bytes, "{name} has {} bytes", file.len());
    }
    let (file, run) = embed_file("windows.txt", WINDOWS, "out.parquet", &arguments);
    assert_eq!(run.status.code(), Some(1));
    assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"), "a complete file");
}

#[test]
fn a_mended_line_is_embedded_on_resumption() {
    let scratch = TempDir::new().unwrap();
    let (input, file) = (scratch.path().join("in.jsonl"), scratch.path().join("out.jsonl"));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (input_path, file_path) = (path(&input), path(&file));
    let arguments = ["embed", &input_path, "-o", &file_path, "--on-error", "fail"];
    fs::write(&input, "{\"text\": \"one\"}\n{\"text\": \n{\"text\": \"three\"}\n").unwrap();
    assert!(error(&arguments).starts_with("error: request.invalid_json: line 2: "));
    assert!(error(&arguments).starts_with("error: output.interrupted: "));
    fs::write(&input, "{\"text\": \"one\"}\n{\"text\": \"two\"}\n{\"text\": \"three\"}\n").unwrap();
    let resumed = semblance(&arguments).arg("--resume").output().unwrap();
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    let whole = output(&["embed", &input_path]);
    assert_eq!(fs::read(&file).unwrap(), whole.stdout);
    assert_eq!(leftovers(scratch.path(), &[&input, &file]), [""; 0]);
}

#[test]
fn an_interrupted_run_is_resumed_to_the_same_output() {
    let scratch = TempDir::new().unwrap();
    // Some lines cannot be embedded.
    let content = |i: u32| if i % 97 == 5 { String::new() } else { format!("text {}", i % 40) };
    let lines: Vec<String> = (0..1_300).map(|i| content(i) + "\r\n").collect();
    for (extension, working) in
        [("jsonl", "jsonl"), ("csv", "csv"), ("npy", "npy"), ("parquet", "parquet.rows")]
    {
        let path = |name: &str| scratch.path().join(name);
        let (whole, file) = (path(&format!("a.{extension}")), path(&format!("b.{extension}")));
        let state = path(&format!("b.{extension}.resume"));
        let embed = |file: &Path, input: &str, is_killed: bool| {
            let mut command = semblance(&["embed", "-", "--resume", "--output"]);
            command.arg(file).stdin(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(input.as_bytes()).unwrap();
            if is_killed {
                let is_saved = || -> Option<bool> {
                    let state: Value = serde_json::from_slice(&fs::read(&state).ok()?).ok()?;
                    Some(state["position"]["records"].as_u64()? > 0)
                };
                while is_saved() != Some(true) {
                    assert!(child.try_wait().unwrap().is_none(), "{extension}: it ended");
                    std::thread::sleep(Duration::from_millis(5));
                }
                child.kill().unwrap();
            }
            drop(stdin);
            child.wait_with_output().unwrap()
        };
        assert!(embed(&whole, &lines.concat(), false).status.success());
        // Killed in the middle of the input, and in the middle of a record.
        assert!(!embed(&file, &lines[..700].concat(), true).status.success());
        let half = path(&format!("b.{working}"));
        fs::OpenOptions::new().append(true).open(&half).unwrap().write_all(b"{\"text").unwrap();
        let resumed = embed(&file, &lines.concat(), false);
        assert!(resumed.status.success(), "{extension}: {}", text(&resumed.stderr));
        let expected = fs::read(&whole).unwrap();
        assert!(fs::read(&file).unwrap() == expected, "{extension} differs");
        assert!(!state.exists() && (working == extension || !half.exists()));
        // Nothing is left to do, and nothing changes.
        let again = embed(&file, "", false);
        assert!(again.status.success());
        assert!(text(&again.stderr).ends_with("nothing to resume\n"), "{extension}");
        assert!(fs::read(&file).unwrap() == expected, "{extension} changed");
    }
}

#[test]
fn a_run_with_another_input_or_option_is_not_resumed() {
    let scratch = TempDir::new().unwrap();
    let (input, file) = (scratch.path().join("in.txt"), scratch.path().join("out.jsonl"));
    let (input_path, file_path) = (input.to_str().unwrap(), file.to_str().unwrap());
    let arguments = ["embed", input_path, "-o", file_path, "--on-error", "fail", "--resume"];
    fs::write(&input, "one\n\nthree\n").unwrap();
    error(&arguments);
    let state = fs::read(scratch.path().join("out.jsonl.resume")).unwrap();
    let more = |extra: &[&str]| error(&[&arguments[..], extra].concat());
    let expected = format!(
        "error: output.cannot_resume: {file_path} cannot be resumed: the interrupted run had \
         --no-truncate false; this one has true\n"
    );
    assert_eq!(more(&["--no-truncate"]), expected);
    assert!(more(&["--format", "csv"]).contains("had --format jsonl; this one has csv"));
    for changed in ["other\n\nthree\n", "on", ""] {
        fs::write(&input, changed).unwrap();
        let expected = format!(
            "error: output.cannot_resume: {input_path} cannot be resumed: its first 1 lines \
             changed\n"
        );
        assert_eq!(error(&arguments), expected, "{changed:?}");
    }
    fs::write(&input, "one\n\nthree\n").unwrap();
    fs::write(&file, "{").unwrap();
    assert!(error(&arguments).starts_with("error: output.cannot_resume: "), "a shortened output");
    fs::write(scratch.path().join("out.jsonl.resume"), &state[..20]).unwrap();
    assert!(error(&arguments).starts_with("error: output.cannot_resume: "), "a damaged state");
}

#[test]
fn csv_input_is_read_by_column() {
    let content = "\u{feff}id;body\r\n1;\"a \"\"quoted\"\"\r\ntext\"\r\n2\r\n\r\n3;plain\r\n4;\"open\r\n5;last\r\n";
    let arguments = ["--field", "body", "--delimiter", ";"];
    let (file, run) = embed_file("in.csv", content.as_bytes(), "out.jsonl", &arguments);
    assert_eq!(indices(&parsed(&file)), [0, 3, 5], "{}", text(&run.stderr));
    let messages: Vec<&str> = text(&run.stderr).lines().collect();
    let expected = [
        "skipped: input.missing_column: line 4 has 1 fields; body is field 2",
        "skipped: request.empty_text: line 5 is empty: it has no tokens",
        "skipped: input.unclosed_quote: line 7 has a quoted field without a closing quote",
    ];
    assert_eq!(messages[..3], expected);
    let plain = lines(&with_input(&["embed"], b"a \"quoted\" text\nplain\nlast\n"));
    assert_eq!(parsed(&file)[0]["embedding"], plain[0]["embedding"]);
    let (_, run) = embed_file("in.csv", b"id,title\n1,a\n", "out.jsonl", &[]);
    let message = text(&run.stderr);
    assert!(
        message.contains("in.csv has no column \"text\"; its columns are [\"id\", \"title\"]"),
        "{message}"
    );
}

#[test]
fn a_run_over_a_csv_file_is_resumed() {
    let scratch = TempDir::new().unwrap();
    let (input, file) = (scratch.path().join("in.csv"), scratch.path().join("out.csv"));
    let arguments =
        ["embed", input.to_str().unwrap(), "-o", file.to_str().unwrap(), "--on-error", "fail"];
    let content = |middle: &str| format!("text,id\r\n\"one\r\nline\",1\r\n{middle}\r\nthree,3\r\n");
    fs::write(&input, content(",2")).unwrap();
    assert!(error(&arguments).starts_with("error: request.empty_text: line 4 is empty"));
    fs::write(&input, content("two,2")).unwrap();
    let resumed = semblance(&arguments).arg("--resume").output().unwrap();
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    let (whole, _) = embed_file("in.csv", content("two,2").as_bytes(), "out.csv", &[]);
    assert_eq!(text(&fs::read(&file).unwrap()), text(&whole));
    assert_eq!(text(&whole).lines().count(), 4);
}

#[test]
fn each_kind_of_bad_record_is_skipped_with_its_line() {
    let long_text = "x".repeat(65_537);
    let long_line = "y".repeat((4 << 20) + 1);
    let input = [
        json!({"body": "good"}).to_string(),
        "\u{feff}{\"body\": \"a mark that is not at the start\"}".to_owned(),
        "{\"body\": \"broken\"".to_owned(),
        json!({"body": null}).to_string(),
        json!({"text": "another field"}).to_string(),
        json!(["a list"]).to_string(),
        json!({"body": " "}).to_string(),
        json!({"body": long_text}).to_string(),
        json!({"body": long_line}).to_string(),
        String::new(),
        json!({"body": "\0\u{200b}"}).to_string(),
        "{\"body\": \"half an emoji \\ud83d\", \"more\": [1, 2]}".to_owned(),
        json!({"body": "a zero\0"}).to_string(),
    ]
    .join("\n");
    let arguments = ["embed", "--jsonl", "--field", "body", "--no-truncate"];
    let output = with_input(&arguments, input.as_bytes());
    let rows = lines(&output);
    assert_eq!(indices(&rows), [0, 1, 11, 12]);
    let plain = lines(&with_input(&["embed"], b"half an emoji\na zero\n"));
    assert_eq!(rows[2]["embedding"], plain[0]["embedding"]);
    assert_eq!(rows[3]["embedding"], plain[1]["embedding"]);
    let codes: Vec<(String, String)> = text(&output.stderr)
        .lines()
        .filter_map(|line| line.strip_prefix("skipped: "))
        .map(|line| {
            let (code, message) = line.split_once(": line ").unwrap();
            let number = message.split([':', ' ']).next().unwrap();
            (number.to_owned(), code.to_owned())
        })
        .collect();
    let expected = [
        ("3", "request.invalid_json"),
        ("4", "request.wrong_type"),
        ("5", "request.missing_field"),
        ("6", "request.not_an_object"),
        ("7", "request.empty_text"),
        ("8", "request.text_too_long"),
        ("9", "input.line_too_long"),
        ("10", "request.empty_text"),
        ("11", "request.empty_text"),
    ];
    assert_eq!(codes, expected.map(|(line, code)| (line.to_owned(), code.to_owned())));
}

#[test]
fn a_text_beyond_the_models_limit_can_be_an_error_of_its_line() {
    let input = format!("short\n{}\nalso short\n", "cat ".repeat(300));
    let truncated = lines(&with_input(&["embed"], input.as_bytes()));
    assert_eq!((&truncated[1]["tokens"], &truncated[1]["truncated"]), (&302.into(), &true.into()));
    let refused = with_input(&["embed", "--no-truncate"], input.as_bytes());
    assert_eq!(indices(&lines(&refused)), [0, 2]);
    let message = "skipped: request.too_many_tokens: line 2 has 302 tokens; the limit is 256 and \
                   --no-truncate is set\n";
    assert!(text(&refused.stderr).starts_with(message), "{}", text(&refused.stderr));
    let long = lines(&with_input(&["embed"], "cat ".repeat(20_000).as_bytes()));
    assert_eq!(long[0]["truncated"], true);
    assert_eq!(long[0]["embedding"], truncated[1]["embedding"], "beyond 64 KiB");
    let fatal = with_input(&["embed", "--no-truncate", "--on-error", "fail"], input.as_bytes());
    assert_eq!(fatal.status.code(), Some(1));
    assert_eq!(indices(&parsed(&fatal.stdout)), [0]);
}

#[test]
fn an_invalid_use_of_embed_is_an_error_that_says_what_to_do() {
    let scratch = TempDir::new().unwrap();
    let input = scratch.path().join("in.txt");
    fs::write(&input, b"\xff\xfeh\0i\0").unwrap();
    let input = input.to_str().unwrap();
    let cases: [(&[&str], &str); 5] = [
        (
            &["embed", input, "-o", "out.xlsx"],
            "error: output.unknown_format: the format of the output out.xlsx is unknown; ",
        ),
        (
            &["embed", input, "--format", "npy"],
            "error: output.unknown_format: the format npy requires --output\n",
        ),
        (&["embed", input, "-o", input, "--format", "jsonl"], "error: output.is_input: "),
        (&["embed", input, "-o", "/nowhere/out.csv"], "error: input.not_utf8: "),
        (&["embed", "--prompt-name", "no such prompt"], "error: request.unknown_value: "),
    ];
    for (arguments, message) in cases {
        let output = with_input(arguments, b"a\n");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).starts_with(message), "{}", text(&output.stderr));
    }
    let missing = with_input(&["embed", "-o", "/nowhere/out.csv"], b"a\n");
    assert!(text(&missing.stderr).starts_with("error: output.unwritable: /nowhere/out.csv"));
    assert_eq!(output(&["embed", "--resume"]).status.code(), Some(2), "--resume needs --output");
}

#[test]
fn a_text_file_in_any_form_loses_no_good_line() {
    let utf16 = |text: &str| -> Vec<u8> {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        [0xff, 0xfe].into_iter().chain(units).collect()
    };
    let long_line = [vec![b'w'; 5 << 20], b"\nlast".to_vec()].concat();
    // The input, the records that are embedded, and the codes of the others.
    type Case<'a> = (&'a str, Vec<u8>, &'a [u64], &'a [&'a str]);
    let cases: [Case<'_>; 8] = [
        ("empty", Vec::new(), &[], &[]),
        ("blank lines", b"\n\n".to_vec(), &[], &["request.empty_text", "request.empty_text"]),
        ("no line feed at the end", b"one\ntwo".to_vec(), &[0, 1], &[]),
        ("CRLF", b"one\r\ntwo\r\n".to_vec(), &[0, 1], &[]),
        ("byte order mark", b"\xef\xbb\xbfone\ntwo\n".to_vec(), &[0, 1], &[]),
        ("NUL", b"on\0e\n\0\ntwo\n".to_vec(), &[0, 2], &["request.empty_text"]),
        (
            "a byte order mark within",
            "one\n\u{feff}\ntwo\n".into(),
            &[0, 2],
            &["request.empty_text"],
        ),
        ("a line without end", long_line, &[1], &["input.line_too_long"]),
    ];
    for (name, input, good, codes) in cases {
        let (file, run) = embed_file("in.txt", &input, "out.jsonl", &[]);
        assert!(run.status.success(), "{name}: {}", text(&run.stderr));
        assert_eq!(indices(&parsed(&file)), good, "{name}");
        let skipped = text(&run.stderr).lines().filter_map(|line| line.strip_prefix("skipped: "));
        let skipped: Vec<&str> = skipped.map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(skipped, codes, "{name}");
        // Standard input is read in the same way.
        let piped = lines(&with_input(&["embed"], &input));
        assert_eq!(indices(&piped), good, "{name}");
        if good.len() == 2 && input.starts_with(b"on") {
            assert_eq!(
                piped[0]["embedding"],
                lines(&with_input(&["embed"], b"one"))[0]["embedding"]
            );
        }
    }
    let (_, run) = embed_file("in.txt", &utf16("one\ntwo\n"), "out.jsonl", &[]);
    assert_eq!(run.status.code(), Some(1));
    assert!(text(&run.stderr).contains("input.not_utf8"), "{}", text(&run.stderr));
    let folder = TempDir::new().unwrap();
    let folder = folder.path().display().to_string();
    assert!(error(&["embed", &folder]).starts_with("error: input.unreadable: "));
}

#[test]
fn embed_puts_the_default_prompt_before_each_text_unless_it_is_turned_off() {
    let bundle = Breakable::new().with_manifest(|manifest| {
        manifest["prompts"] = json!({"query": "query: ", "topic": "Name the topic: "});
        manifest["default_prompt"] = json!("topic");
    });
    let bundle = bundle.path().to_str().unwrap();
    let embed = |options: &[&str], text: &str| {
        let arguments = [&["embed", "--bundle", bundle], options].concat();
        lines(&with_input(&arguments, text.as_bytes()))[0]["embedding"].clone()
    };
    let prompted = embed(&["--no-prompt"], "Name the topic: London");
    assert_eq!(embed(&[], "London"), prompted);
    assert_eq!(embed(&["--prompt-name", "topic"], "London"), prompted);
    assert_eq!(
        embed(&["--no-prompt"], "query: London"),
        embed(&["--prompt-name", "query"], "London")
    );
    assert_ne!(embed(&["--no-prompt"], "London"), prompted);
}
