//! Indexes: copied, made current, rolled back, pruned, repaired, and never half of one.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use semblance::corpus::{
    Index, OnDuplicate, Row, Value as Metadata, VectorPrecision, VectorSource, Writer,
    WriterOptions,
};
use semblance_test_support::Kind;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bundle::{MIB, names};
use crate::function::{Setting, answer, until};
use crate::gate::Gate;
use crate::moto::{Moto, TestBucket};

/// Dimensions of the vectors: a row has 16 KiB.
const DIM: usize = 4_096;
/// Bytes of a range of a copy.
const RANGE: usize = 4 * MIB;

/// An index on this machine, as it is before it is uploaded.
struct Source {
    folder: TempDir,
}

impl Source {
    /// Returns an index with this number of rows.
    fn new(rows: usize) -> Self {
        let source = Self { folder: TempDir::new().unwrap() };
        let vectors = VectorSource {
            bundle_digest: "0".repeat(64),
            model_name: "tiny".to_owned(),
            dimensions: DIM,
            prompt_name: None,
            precision: VectorPrecision::F32,
        };
        let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
        let writer = Writer::create(&source.path(), vectors, options).unwrap();
        fill(writer, 0..rows);
        source
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("docs")
    }

    /// Appends rows, and returns the version.
    fn append(&self, rows: std::ops::Range<usize>) -> String {
        let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
        fill(Writer::open(&self.path(), options).unwrap(), rows)
    }

    /// Deletes a row, and returns the version.
    fn delete(&self, id: &str) -> String {
        let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
        let mut writer = Writer::open(&self.path(), options).unwrap();
        assert!(writer.delete(id).unwrap());
        writer.publish().unwrap().digest
    }

    fn version(&self) -> String {
        Index::current(&self.path()).unwrap().unwrap()
    }

    /// Paths of its immutable files, below its folder.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let folder = self.path();
        for part in ["manifests", "tombstones"] {
            files.extend(names(&folder.join(part)).iter().map(|name| format!("{part}/{name}")));
        }
        for segment in names(&folder.join("segments")) {
            let path = folder.join("segments").join(&segment);
            files.extend(names(&path).iter().map(|name| format!("segments/{segment}/{name}")));
        }
        files
    }

    /// Puts every file where Terraform puts it.
    fn upload(&self, bucket: &TestBucket) {
        for file in self.files() {
            bucket.put(&format!("indexes/docs/{file}"), &fs::read(self.path().join(file)).unwrap());
        }
    }

    /// Path and size of the vectors of its only segment.
    fn vectors(&self) -> (String, usize) {
        let mut files = self.files();
        files.retain(|file| file.ends_with("/vectors.npy"));
        let [file] = files.as_slice() else { panic!("{files:?}") };
        let size = fs::metadata(self.path().join(file)).unwrap().len();
        (file.clone(), usize::try_from(size).unwrap())
    }
}

fn fill(mut writer: Writer, rows: std::ops::Range<usize>) -> String {
    for number in rows {
        let mut state = number as u64 + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 40) as f32) / (1u32 << 24) as f32 - 0.5
        };
        let vector: Vec<f32> = std::iter::repeat_with(&mut next).take(DIM).collect();
        let metadata = vec![("number".to_owned(), Metadata::Number(number as f64))];
        let row = Row { id: format!("row {number}"), text: format!("text {number}"), metadata };
        writer.push(&row, 1, &vector, OnDuplicate::Refuse).unwrap().unwrap();
    }
    writer.publish().unwrap().digest
}

fn event(digest: &str) -> Value {
    json!({"index": "docs", "digest": digest, "tf": {"action": "create"}})
}

fn with(mut event: Value, field: &str, value: bool) -> Value {
    event[field] = json!(value);
    event
}

/// The copy below a root.
fn copy(root: &Path) -> PathBuf {
    root.join(".indexes/docs")
}

/// Asserts that a version is current and intact, and nothing is left of its copying.
fn assert_current(root: &Path, digest: &str, rows: usize) {
    let index = Index::open(&copy(root)).unwrap();
    assert_eq!(index.digest(), digest);
    assert_eq!(index.verify(|_| {}).unwrap().rows, rows);
    assert_eq!(names(&copy(root).join(".staging")), ["lock"]);
    assert!(!copy(root).join("CURRENT.tmp").exists());
}

#[test]
fn an_index_is_copied_whole_and_can_be_read_by_another_user() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let source = Source::new(20);
    source.upload(&bucket);
    let function = Setting::new(root.path(), &bucket).start();
    let report = function.report(&event(&source.version()));
    assert_eq!(report["path"], json!(copy(root.path())));
    assert_eq!((&report["copied"], &report["files"]), (&json!(true), &json!(source.files().len())));
    let sizes = source.files().into_iter().map(|file| source.path().join(file));
    let bytes: u64 = sizes.map(|file| fs::metadata(file).unwrap().len()).sum();
    assert_eq!((&report["bytes"], &report["pruned"]), (&json!(bytes), &json!([])));
    assert_current(root.path(), &source.version(), 20);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = copy(root.path());
    for file in source.files().iter().map(String::as_str).chain(["CURRENT"]) {
        let path = folder.join(file);
        assert_eq!(mode(&path), 0o644, "{file}");
        assert_eq!(mode(path.parent().unwrap()), 0o755, "{file}");
    }
    assert_eq!(mode(folder.parent().unwrap()), 0o755);
    // A second run copies nothing.
    let report = function.report(&event(&source.version()));
    assert_eq!((&report["copied"], &report["bytes"]), (&json!(false), &json!(0)));
}

#[test]
fn an_update_copies_the_new_segment_and_a_roll_back_nothing() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let source = Source::new(400);
    source.upload(&bucket);
    let gate = Gate::before(bucket.port);
    let setting = Setting { port: gate.port, ..Setting::new(root.path(), &bucket) };
    let function = setting.start();
    let first = source.version();
    function.report(&event(&first));
    let reader = Index::open(&copy(root.path())).unwrap();
    let second = source.append(400..410);
    let third = source.delete("row 3");
    source.upload(&bucket);
    let before = gate.traffic().1;
    assert_eq!(function.report(&event(&third))["copied"], true);
    let read = gate.traffic().1 - before;
    assert!(read < MIB, "{read} bytes for 10 rows of 16 KiB");
    assert_current(root.path(), &third, 409);
    // The former version is as its readers opened it.
    assert_eq!(reader.verify(|_| {}).unwrap().rows, 400);
    let before = gate.traffic();
    let report = function.report(&event(&first));
    assert_eq!((&report["copied"], &report["pruned"]), (&json!(false), &json!([])));
    assert_eq!(gate.traffic(), before, "it is all there");
    assert_current(root.path(), &first, 400);
    // A version that was never copied.
    assert_eq!(function.report(&event(&second))["files"], 1);
    assert_current(root.path(), &second, 410);
}

#[test]
fn the_schedule_replaces_no_version() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let source = Source::new(5);
    let first = source.version();
    let second = source.append(5..6);
    source.upload(&bucket);
    let function = Setting::new(root.path(), &bucket).start();
    let scheduled = |digest: &str| with(event(digest), "replace", false);
    assert_eq!(function.report(&scheduled(&first))["copied"], true);
    assert_current(root.path(), &first, 5);
    assert_eq!(function.report(&scheduled(&second))["copied"], false);
    assert_current(root.path(), &first, 5);
    function.report(&event(&second));
    function.report(&scheduled(&first));
    assert_current(root.path(), &second, 6);
}

#[test]
fn a_version_is_removed_after_the_grace_period_and_never_while_it_is_current() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let source = Source::new(5);
    let first = source.version();
    let other = Source::new(7);
    let second = other.version();
    source.upload(&bucket);
    other.upload(&bucket);
    let function = Setting::new(root.path(), &bucket).start();
    function.report(&event(&first));
    assert_eq!(function.report(&event(&second))["pruned"], json!([]));
    let folder = copy(root.path());
    assert_eq!(names(&folder.join("segments")).len(), 2);
    // Copied long ago, and replaced just now: the time of the replacement counts.
    let old = std::time::SystemTime::now() - Duration::from_secs(48 * 3_600);
    for path in [
        folder.join("manifests").join(format!("{second}.json")),
        folder.join("segments").join(&names(&folder.join("segments"))[0]),
        folder.join("segments").join(&names(&folder.join("segments"))[1]),
    ] {
        fs::File::open(path).unwrap().set_modified(old).unwrap();
    }
    assert_eq!(function.report(&event(&first))["pruned"], json!([]));
    assert_eq!(function.report(&event(&second))["pruned"], json!([]));
    drop(function);
    let function = Setting { grace_hours: 0, ..Setting::new(root.path(), &bucket) }.start();
    let scheduled = with(event(&second), "replace", false);
    assert_eq!(function.report(&scheduled)["pruned"], json!([first]));
    assert_eq!(names(&folder.join("manifests")), [format!("{second}.json")]);
    assert_eq!(names(&folder.join("segments")).len(), 1);
    assert_current(root.path(), &second, 7);
}

#[test]
fn the_next_run_resumes_a_killed_one() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let source = Source::new(1_000);
    source.upload(&bucket);
    let gate = Gate::before(bucket.port);
    let setting = Setting { port: gate.port, ..Setting::new(root.path(), &bucket) };
    gate.hold_from(2 * RANGE as u64);
    let function = setting.start();
    let _pending = function.queue(&event(&source.version()));
    let (path, size) = source.vectors();
    let segment = path.split('/').nth(1).unwrap();
    let staged = copy(root.path()).join(".staging").join(segment).join("vectors.npy");
    let written = || fs::metadata(&staged).map_or(0, |file| file.len());
    until("two ranges are written", || written() == 2 * RANGE as u64);
    function.kill();
    assert_eq!(Index::current(&copy(root.path())).unwrap(), None);
    gate.open();
    let report = setting.start().report(&event(&source.version()));
    assert!(report["resumed_bytes"].as_u64().unwrap() >= 2 * RANGE as u64, "{report}");
    assert!(report["bytes"].as_u64().unwrap() > size as u64);
    assert_current(root.path(), &source.version(), 1_000);
}

#[test]
fn a_copy_that_fails_leaves_the_current_version() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let source = Source::new(5);
    source.upload(&bucket);
    let first = source.version();
    let function = Setting::new(root.path(), &bucket).start();
    function.report(&event(&first));
    let before = source.files();
    let second = source.append(5..9);
    let third = source.delete("row 1");
    source.upload(&bucket);
    // The files of a segment first: segments that are complete stay for the next run.
    let mut added = source.files();
    added.retain(|file| !before.contains(file));
    added.reverse();
    for file in &added {
        if file.contains(&second) {
            continue;
        }
        let key = format!("indexes/docs/{file}");
        let mut content = fs::read(source.path().join(file)).unwrap();
        bucket.delete(&key);
        let (code, message) = function.refusal(&event(&third));
        assert_eq!(
            (code.as_str(), message.contains(&key)),
            ("sync.object_missing", true),
            "{message}"
        );
        let middle = content.len() / 2;
        content[middle] ^= 1;
        bucket.put(&key, &content);
        let (code, message) = function.refusal(&event(&third));
        assert_eq!(
            (code.as_str(), message.contains(&key)),
            ("sync.digest_mismatch", true),
            "{message}"
        );
        assert_current(root.path(), &first, 5);
        content[middle] ^= 1;
        bucket.put(&key, &content);
    }
    assert!(added.len() > 8, "{added:?}");
    function.report(&event(&third));
    assert_current(root.path(), &third, 8);
}

#[test]
fn a_corrupt_copy_is_repaired_on_request() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let source = Source::new(20);
    source.upload(&bucket);
    let function = Setting::new(root.path(), &bucket).start();
    let version = source.version();
    function.report(&event(&version));
    let verify = with(event(&version), "verify", true);
    assert_eq!(function.report(&verify)["repaired"], json!([]));
    let (path, _) = source.vectors();
    let vectors = copy(root.path()).join(&path);
    let mut bytes = fs::read(&vectors).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&vectors, &bytes).unwrap();
    assert!(Index::open(&copy(root.path())).unwrap().verify(|_| {}).is_err());
    let report = function.report(&verify);
    assert_eq!(report["repaired"], json!([path.strip_prefix("segments/").unwrap()]));
    assert_current(root.path(), &version, 20);
    // A file that is missing is copied with its segment; a damaged CURRENT is replaced.
    fs::remove_file(&vectors).unwrap();
    fs::write(copy(root.path()).join("CURRENT"), b"damaged").unwrap();
    assert_eq!(function.report(&event(&version))["copied"], true);
    assert_current(root.path(), &version, 20);
}

#[test]
fn a_run_waits_for_the_writer_of_the_index() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let source = Source::new(5);
    source.upload(&bucket);
    let version = source.version();
    let function = Setting::new(root.path(), &bucket).start();
    function.report(&event(&version));
    let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
    let writer = Writer::open(&copy(root.path()), options).unwrap();
    let pending = function.queue(&event(&version));
    drop(writer);
    assert_eq!(answer(&pending).0, Kind::Response);
    drop(function);
    let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
    let _writer = Writer::open(&copy(root.path()), options).unwrap();
    let timeout = Duration::from_secs(4);
    let function = Setting { timeout, ..Setting::new(root.path(), &bucket) }.start();
    let (code, message) = function.refusal(&event(&version));
    assert_eq!((code.as_str(), message.contains("docs")), ("sync.busy", true), "{message}");
}

#[test]
fn a_planted_link_is_not_followed() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let source = Source::new(5);
    source.upload(&bucket);
    let elsewhere = TempDir::new().unwrap();
    let function = Setting::new(root.path(), &bucket).start();
    for link in [".indexes", ".indexes/docs", ".indexes/docs/segments", ".indexes/docs/.staging"] {
        let path = root.path().join(link);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(elsewhere.path(), &path).unwrap();
        let (code, message) = function.refusal(&event(&source.version()));
        assert_eq!(code, "sync.invalid_manifest", "{link}: {message}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "{link}");
        fs::remove_file(&path).unwrap();
    }
    function.report(&event(&source.version()));
    assert_current(root.path(), &source.version(), 5);
}

#[test]
fn an_invalid_manifest_is_refused_by_its_field() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let source = Source::new(5);
    let path = source.path().join(format!("manifests/{}.json", source.version()));
    let mut manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    manifest["segments"][0]["digest"] = json!("../../../etc");
    let bytes = manifest.to_string().into_bytes();
    let digest = semblance::internals::bundle::sha256_hex(&bytes);
    bucket.put(&format!("indexes/docs/manifests/{digest}.json"), &bytes);
    let function = Setting::new(root.path(), &bucket).start();
    let (code, message) = function.refusal(&event(&digest));
    assert_eq!(code, "sync.invalid_manifest", "{message}");
    assert!(message.contains("segments[0].digest"), "{message}");
}
