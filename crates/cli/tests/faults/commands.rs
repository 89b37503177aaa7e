//! Commands that cannot write, that are stopped in the middle, or whose files change.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use semblance_test_support::{bundle, library};
use tempfile::TempDir;

use crate::files::{SIGBUS, copied_bundle, truncate_weights};

/// SIGTERM on Linux.
const SIGTERM: i32 = 15;

/// A folder with texts and an index of them.
struct Folder {
    root: TempDir,
}

impl Folder {
    fn new(texts: usize) -> Self {
        let folder = Self { root: TempDir::new().unwrap() };
        let line = |number| format!("text {number} about topic {}", number % 7);
        let lines: String = (0..texts).map(|number| line(number) + "\n").collect();
        let rows: String = (0..texts)
            .map(|number| format!("{{\"id\": \"r{number}\", \"text\": \"{}\"}}\n", line(number)))
            .collect();
        fs::write(folder.root.path().join("texts.txt"), lines).unwrap();
        fs::write(folder.root.path().join("rows.jsonl"), rows).unwrap();
        folder
    }

    /// Returns a command that runs in the folder, under a shell prefix.
    fn command(&self, prefix: &str, arguments: &str) -> Command {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_semblance");
        command
            .args(["-ec", &format!("{prefix}\nexec {program} {arguments}")])
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .env("SEMBLANCE_BUNDLE", bundle())
            .env("SEMBLANCE_ORT_LIBRARY", library());
        command
    }

    /// Runs a command that succeeds.
    fn run(&self, arguments: &str) -> String {
        let output = self.command("", arguments).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", error(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.root.path().join(name)).unwrap()
    }

    /// Checks the rows of the index `docs`.
    fn assert_rows(&self, rows: usize) {
        let verified = self.run("index verify docs");
        assert!(verified.contains(&format!("ok      {rows} rows")), "{verified}");
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Commands that write files, and what they write.
const EMBEDDINGS: [&str; 4] = ["new.jsonl", "new.csv", "new.npy", "new.parquet"];

#[test]
fn output_that_is_lost_is_an_error() {
    // Enough rows for pairs and clusters.
    let folder = Folder::new(60);
    folder.run("index build docs rows.jsonl");
    for arguments in [
        "score a b",
        "rerank a b",
        "tokenize a",
        "embed texts.txt",
        "embed texts.txt --format csv",
        "models .",
        "verify",
        "search docs topic",
        "mine docs",
        "cluster docs",
        "map docs --output map.svg",
        "index info docs",
        "index verify docs",
        "index export docs",
        "completions bash",
    ] {
        let output = folder.command("exec > /dev/full", arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {}", error(&output));
        let lines = error(&output);
        let last = lines.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: output.unwritable: "), "{arguments}: {lines}");
    }
}

#[test]
fn a_full_disk_leaves_what_can_be_continued() {
    let folder = Folder::new(60);
    folder.run("index build docs rows.jsonl");
    folder.run("map docs --output map.svg");
    let picture = folder.read("map.svg");
    // The limit on the size of files is 4 KiB. An ordinary process ends with SIGXFSZ.
    let small = "ulimit -f 8";
    let refused = |arguments: &str, code: &str| {
        let output = folder.command(small, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {:?}", output.status);
        let error = error(&output);
        assert!(error.contains(&format!("error: {code}: ")), "{arguments}: {error}");
    };
    for name in EMBEDDINGS {
        let whole = name.replace("new", "whole");
        folder.run(&format!("embed texts.txt --output {whole}"));
        refused(&format!("embed texts.txt --output {name}"), "output.unwritable");
        folder.run(&format!("embed texts.txt --output {name} --resume"));
        assert!(folder.read(name) == folder.read(&whole), "{name}");
    }
    refused("index build new rows.jsonl", "index.io");
    folder.run("index build new rows.jsonl");
    assert!(folder.run("index verify new").contains("ok      60 rows"));
    let more: String =
        (0..60).map(|i| format!("{{\"id\": \"m{i}\", \"text\": \"new {i}\"}}\n")).collect();
    fs::write(folder.root.path().join("more.jsonl"), more).unwrap();
    for arguments in ["index append docs more.jsonl", "index compact docs"] {
        let before = folder.read("docs/CURRENT");
        refused(arguments, "index.io");
        assert_eq!(folder.read("docs/CURRENT"), before, "{arguments}");
        folder.assert_rows(60);
    }
    folder.run("index append docs more.jsonl");
    folder.assert_rows(120);
    for name in ["map.svg", "map.png"] {
        refused(&format!("map docs --output {name}"), "output.unwritable");
    }
    assert!(folder.read("map.svg") == picture, "the picture from before stays");
    assert!(!folder.root.path().join("map.png").exists());
    assert!(!folder.root.path().join("map.png.partial").exists());
}

#[test]
fn a_command_that_gets_no_thread_does_all_work_itself() {
    // A stack of this size does not fit into the address space, so no thread starts.
    let refused = format!("export SEMBLANCE_THREADS=1 RUST_MIN_STACK={}", 1_u64 << 47);
    let folder = Folder::new(600);
    folder.run("index build docs rows.jsonl --segment-rows 200");
    let run = |prefix: &str, arguments: &str| {
        let output = folder.command(prefix, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", error(&output));
        output.stdout
    };
    for arguments in [
        "score a b",
        "embed texts.txt",
        "search docs topic",
        "search docs topic --exact",
        "mine docs",
        "cluster docs --min-size 2",
        "index verify docs",
        "index export docs",
    ] {
        assert!(run(&refused, arguments) == run("", arguments), "{arguments}");
    }
    for (arguments, written) in [
        ("index build NAME rows.jsonl --segment-rows 200", "NAME/CURRENT"),
        ("map docs --output NAME.svg", "NAME.svg"),
    ] {
        let with = |prefix: &str, name: &str| {
            run(prefix, &arguments.replace("NAME", name));
            folder.read(&written.replace("NAME", name))
        };
        assert!(with(&refused, "alone") == with("", "usual"), "{arguments}");
    }
    let output = folder.command(&refused, "embed texts.txt --threads 2").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = error(&output);
    assert!(error.contains("error: model.threads_not_started: "), "{error}");
}

/// Starts a command, sends SIGTERM once it has begun to write, and returns whether the signal ended it.
fn stop(folder: &Folder, arguments: &str, begun: impl Fn(&Path) -> bool) -> bool {
    let mut command = folder.command("", arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let id = child.id().to_string();
    let begins = Instant::now();
    while !begun(folder.root.path()) && child.try_wait().unwrap().is_none() {
        assert!(begins.elapsed() < Duration::from_secs(60), "{arguments}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let signaled = Instant::now();
    // It fails if the command has ended.
    let _ = Command::new("kill").arg(&id).stderr(Stdio::null()).status();
    let status = child.wait().unwrap();
    println!("SIGTERM, semblance {arguments}: {:.2?}, {status}", signaled.elapsed());
    assert!(signaled.elapsed() < Duration::from_secs(5), "{arguments}");
    assert!(status.success() || status.signal() == Some(SIGTERM), "{arguments}: {status}");
    !status.success()
}

#[test]
fn a_signal_ends_a_command_and_the_next_run_continues() {
    let folder = Folder::new(1_200);
    let (texts, rows) = ("embed texts.txt --output", "rows.jsonl --segment-rows 100");
    folder.run(&format!("{texts} whole.npy"));
    let state = |folder: &Path| folder.join("new.npy.resume").exists();
    assert!(stop(&folder, &format!("{texts} new.npy"), state), "a run takes seconds");
    folder.run(&format!("{texts} new.npy --resume"));
    assert!(folder.read("new.npy") == folder.read("whole.npy"));
    let staging = |folder: &Path| folder.join("docs/.staging/shards").exists();
    assert!(stop(&folder, &format!("index build docs {rows}"), staging), "a run takes seconds");
    folder.run(&format!("index build docs {rows}"));
    folder.assert_rows(1_200);
    // These are short: some of the signals come too late.
    for arguments in [
        "index compact docs",
        "index delete docs --id r1 --id r2",
        "mine docs",
        "cluster docs",
        "map docs --output map.png",
    ] {
        let begins = Instant::now();
        stop(&folder, arguments, |_| begins.elapsed() > Duration::from_millis(150));
        let verified = folder.run("index verify docs");
        assert!(verified.contains("ok      1"), "{verified}");
    }
}

#[test]
fn a_command_whose_weights_are_truncated_says_why_it_ends() {
    let copy = copied_bundle();
    let mut child = Command::new(env!("CARGO_BIN_EXE_semblance"))
        .arg("embed")
        .env("SEMBLANCE_BUNDLE", copy.path())
        .env("SEMBLANCE_ORT_LIBRARY", library())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A chunk of the input is embedded when it is complete.
    input.write_all("a text\n".repeat(512).as_bytes()).unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap());
    printed.read_line(&mut String::new()).unwrap();
    truncate_weights(copy.path());
    // It cannot go on before its output is read.
    let reader = std::thread::spawn(move || printed.read_to_end(&mut Vec::new()));
    let _ = input.write_all("another text\n".repeat(512).as_bytes());
    drop(input);
    let output = child.wait_with_output().unwrap();
    reader.join().unwrap().unwrap();
    assert_eq!(output.status.signal(), Some(SIGBUS), "{}", output.status);
    assert!(error(&output).contains("error: bundle.file_changed: "), "{}", error(&output));
}
