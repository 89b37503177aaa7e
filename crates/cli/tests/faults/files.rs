//! Files of a bundle and of an index that change while the server runs.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use semblance_test_support::{Server, bundle, library};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::raw::*;

/// SIGBUS on Linux.
pub(crate) const SIGBUS: i32 = 7;

/// Returns a copy of the bundle.
pub(crate) fn copied_bundle() -> TempDir {
    let folder = TempDir::new().unwrap();
    copy_folder(&bundle(), folder.path());
    folder
}

/// Truncates the largest file of a bundle.
pub(crate) fn truncate_weights(folder: &Path) {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let largest = files.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap();
    truncate(&largest.path());
}

fn truncate(path: &Path) {
    fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Checks that a server ended with SIGBUS and logged why.
fn assert_reported(server: &mut Server) {
    let status = server.wait().unwrap();
    assert_eq!(status.signal(), Some(SIGBUS), "{status}");
    let lines = server.log().with_message("the process ends");
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["code"], &lines[0]["level"]),
        (&"bundle.file_changed".into(), &"ERROR".into())
    );
}

#[test]
fn a_truncated_weights_file_is_logged_before_the_process_ends() {
    let folder = copied_bundle();
    let mut server = serve(&["--bundle", folder.path().to_str().unwrap()]);
    assert_eq!(ask(&server, small()).0.status, 200);
    truncate_weights(folder.path());
    assert!(read(send(&server, small())).is_none(), "there is nothing to answer with");
    assert_reported(&mut server);
}

/// A folder with copies of an index.
fn indexes(names: &[&str]) -> TempDir {
    let root = TempDir::new().unwrap();
    let rows = root.path().join("rows.jsonl");
    let lines = (0..20).map(|row| json!({"id": format!("r{row}"), "text": format!("text {row}")}));
    fs::write(&rows, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let first = root.path().join(names[0]);
    let built = Command::new(env!("CARGO_BIN_EXE_semblance"))
        .args(["index", "build"])
        .args([&first, &rows])
        .env("SEMBLANCE_BUNDLE", bundle())
        .env("SEMBLANCE_ORT_LIBRARY", library())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    names[1..].iter().for_each(|name| copy_folder(&first, &root.path().join(name)));
    root
}

/// Returns the files of all segments of an index.
fn segment_files(index: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(index.join("segments")).unwrap().map(|entry| entry.unwrap().path());
    folders
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn search(index: &str) -> Vec<u8> {
    post("/search", "", json!({"index": index, "query": "text 7"}).to_string().as_bytes())
}

#[test]
fn an_index_that_is_deleted_or_damaged_costs_its_own_requests_only() {
    let names = ["whole", "deleted", "no-segments", "no-version", "bad-version", "truncated"];
    let root = indexes(&names);
    let (folder, index) = (root.path().to_str().unwrap(), |name: &str| root.path().join(name));
    let mut server = serve(&["--index-dir", folder]);
    let status = |name: &str| ask(&server, search(name)).0.status;
    assert_eq!(["whole", "deleted"].map(status), [200, 200]);
    fs::remove_dir_all(index("deleted")).unwrap();
    fs::remove_dir_all(index("no-segments").join("segments")).unwrap();
    fs::remove_file(index("no-version").join("CURRENT")).unwrap();
    fs::write(index("bad-version").join("CURRENT"), "x".repeat(64)).unwrap();
    segment_files(&index("truncated")).iter().for_each(|file| truncate(file));
    // It is in use, so its files exist until the server looks for a new version.
    thread::sleep(Duration::from_millis(200));
    assert!([200, 404].contains(&status("deleted")));
    wait_until("its deletion is noticed", || ask(&server, search("deleted")).0.status == 404);
    for (name, expected, code) in [
        ("no-segments", 500, "index.io"),
        ("no-version", 404, "index.not_found"),
        ("bad-version", 500, "index.damaged"),
        ("truncated", 500, "index.damaged"),
    ] {
        for path in ["/search", "/mine", "/cluster", "/map"] {
            let body = match path {
                "/search" => json!({"index": name, "query": "text 7"}),
                _ => json!({"index": name}),
            };
            let (response, _) = ask(&server, post(path, "", body.to_string().as_bytes()));
            let text = String::from_utf8_lossy(&response.body).into_owned();
            assert_eq!((response.status, response.code().as_str()), (expected, code), "{text}");
            assert!(!text.contains(folder), "{path}, {name}: no path of the service: {text}");
        }
        assert_eq!(ask(&server, search("whole")).0.status, 200);
    }
    assert!(server.stop().expect("the server ends").success());
    let lines: Vec<Value> = server.log().with_message("event failed");
    assert_eq!(lines.len(), 3 * 4);
    assert!(lines.iter().all(|line| line["error"].as_str().unwrap().contains(folder)), "{lines:?}");
}

#[test]
fn an_index_that_is_truncated_while_it_is_used_is_logged_before_the_process_ends() {
    let root = indexes(&["docs"]);
    let mut server = serve(&["--index-dir", root.path().to_str().unwrap()]);
    assert_eq!(ask(&server, search("docs")).0.status, 200);
    segment_files(&root.path().join("docs")).iter().for_each(|file| truncate(file));
    assert!(read(send(&server, search("docs"))).is_none(), "there is nothing to answer with");
    assert_reported(&mut server);
}

#[test]
fn open_indexes_do_not_use_up_the_descriptors() {
    let names: Vec<String> = (0..60).map(|number| format!("docs{number}")).collect();
    let root = indexes(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let arguments = ["--index-dir", root.path().to_str().unwrap()];
    let server = Server::start(command("ulimit -n 52", &arguments)).unwrap();
    for name in &names {
        let (response, _) = ask(&server, search(name));
        assert_eq!(response.status, 200, "{name}: {}", String::from_utf8_lossy(&response.body));
    }
    let descriptors = fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count();
    println!("{} indexes are open, and {descriptors} descriptors", names.len());
}
