//! What fails a copy: the code, the message, and nothing touched.

use std::path::Path;

use semblance_test_support::Kind;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bundle::{Bundle, MIB, names, staged};
use crate::function::{Function, Setting};
use crate::moto::{Moto, TestBucket};

/// A function that has a version on the file system, and is asked for another.
struct Place {
    root: TempDir,
    bucket: TestBucket,
    old: Bundle,
    new: Bundle,
    function: Function,
}

impl Place {
    fn new() -> Self {
        let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
        let (old, new) = (Bundle::new(1_000, 1_000), Bundle::new(5 * MIB, 2_000));
        bucket.upload(&old);
        bucket.upload(&new);
        let function = Setting::new(root.path(), &bucket).start();
        function.report(&old.event());
        Self { root, bucket, old, new, function }
    }

    /// Asks for the new version, which fails with this code and leaves the old one as it was;
    /// returns the message. Afterwards the upload is mended, and the copy succeeds.
    fn fails_with(self, expected: &str) -> String {
        let (code, message) = self.function.refusal(&self.new.event());
        assert_eq!(code, expected, "{message}");
        assert_untouched(self.root.path(), &self.old, &self.new);
        self.bucket.upload(&self.new);
        assert_eq!(self.function.report(&self.new.event())["copied"], true);
        self.new.assert_published(self.root.path());
        message
    }
}

fn assert_untouched(root: &Path, old: &Bundle, new: &Bundle) {
    old.assert_published(root);
    assert!(!new.is_published(root));
    assert_eq!(staged(root), [""; 0]);
}

#[test]
fn a_missing_object_is_named() {
    for file in ["bundle.json", "model.weights"] {
        let place = Place::new();
        let key = place.new.key(file);
        place.bucket.delete(&key);
        assert!(place.fails_with("sync.object_missing").contains(&key));
    }
}

#[test]
fn a_changed_byte_is_reported_with_both_hashes() {
    let place = Place::new();
    let key = place.new.key("model.weights");
    let mut weights = place.new.files["model.weights"].clone();
    weights[4 * MIB + 7] ^= 1;
    place.bucket.put(&key, &weights);
    let message = place.fails_with("sync.digest_mismatch");
    let hashes = message.split([' ', ';']).filter(|word| word.len() == 64).count();
    assert!(message.contains(&key) && hashes == 2, "{message}");
}

#[test]
fn another_size_is_reported_with_both_sizes() {
    for (bytes, found) in [(5 * MIB - 1, "5242879"), (5 * MIB + 1, "5242881")] {
        let place = Place::new();
        place.bucket.put(&place.new.key("model.weights"), &vec![0; bytes]);
        let message = place.fails_with("sync.digest_mismatch");
        assert!(message.contains(found) && message.contains("5242880"), "{message}");
    }
}

#[test]
fn a_manifest_with_another_digest_is_refused() {
    let place = Place::new();
    let key = place.new.key("bundle.json");
    let mut manifest = place.new.files["bundle.json"].clone();
    manifest.push(b'\n');
    place.bucket.put(&key, &manifest);
    assert!(place.fails_with("sync.digest_mismatch").contains(&key));
}

#[test]
fn a_manifest_that_is_too_large_is_not_read() {
    let place = Place::new();
    place.bucket.put(&place.new.key("bundle.json"), &vec![b' '; 2 * MIB]);
    assert!(place.fails_with("sync.invalid_manifest").contains("2097152"));
}

#[test]
fn an_invalid_event_is_refused() {
    let place = Place::new();
    let digest = place.new.digest.clone();
    let cases: [(Value, &str); 4] = [
        (json!({"digest": digest}), "model_name"),
        (json!({"model_name": "../up", "digest": digest}), "model_name"),
        (json!({"model_name": "tiny", "digest": "../../x"}), "digest"),
        (json!(["tiny"]), "field"),
    ];
    for (event, named) in cases {
        let (code, message) = place.function.refusal(&event);
        assert_eq!(code, "sync.invalid_event");
        assert!(message.contains(named), "{message}");
    }
    let (kind, answer) = place.function.invoke(b"not JSON");
    assert_eq!((kind, &answer["errorType"]), (Kind::Error, &"sync.invalid_event".into()));
    assert_untouched(place.root.path(), &place.old, &place.new);
    assert_eq!(place.function.report(&place.new.event())["copied"], true);
}

#[test]
fn a_full_file_system_fails_and_is_freed() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let (old, new) = (Bundle::new(MIB, 3_000), Bundle::new(16 * MIB, 4_000));
    bucket.upload(&old);
    bucket.upload(&new);
    let setting = Setting { mount: Some("size=10m"), ..Setting::new(root.path(), &bucket) };
    let function = setting.start();
    function.report(&old.event());
    let (code, message) = function.refusal(&new.event());
    assert_eq!(code, "sync.disk_full", "{message}");
    assert!(message.contains("model.weights") && message.contains("16777216"), "{message}");
    assert_untouched(&function.root(), &old, &new);
    // What is there still serves, and there is room for what fits.
    assert_eq!(function.report(&old.event())["copied"], false);
    let small = Bundle::new(7 * MIB, 5_000);
    bucket.upload(&small);
    assert_eq!(function.report(&small.event())["copied"], true);
    small.assert_published(&function.root());
}

#[test]
fn a_read_only_file_system_is_reported() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let bundle = Bundle::new(1_000, 6_000);
    bucket.upload(&bundle);
    let setting = Setting { mount: Some("ro"), ..Setting::new(root.path(), &bucket) };
    let (code, message) = setting.start().refusal(&bundle.event());
    assert_eq!(code, "sync.permission_denied", "{message}");
    assert!(message.contains(root.path().to_str().unwrap()), "{message}");
}

#[test]
fn an_object_without_permission_is_reported() {
    let (root, moto) = (TempDir::new().unwrap(), Moto::start());
    let bucket = moto.bucket();
    let bundle = Bundle::new(1_000, 7_000);
    bucket.upload(&bundle);
    let credentials = moto.user_without_rights();
    let function = Setting { credentials, ..Setting::new(root.path(), &bucket) }.start();
    let (code, message) = function.refusal(&bundle.event());
    assert_eq!(code, "sync.permission_denied", "{message}");
    let is_named = message.contains(&bundle.key("bundle.json"));
    assert!(is_named && message.contains("AccessDenied"), "{message}");
    assert!(!bundle.is_published(root.path()));
}

#[test]
fn an_unreachable_s3_is_reported() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let bundle = Bundle::new(1_000, 8_000);
    // Port 9, "discard": nothing listens there.
    let function = Setting { port: 9, ..Setting::new(root.path(), &bucket) }.start();
    let (code, message) = function.refusal(&bundle.event());
    assert_eq!(code, "sync.storage", "{message}");
    assert!(message.contains("refused"), "{message}");
}

#[test]
fn a_missing_bucket_is_reported() {
    let root = TempDir::new().unwrap();
    let bucket = TestBucket { name: "no-such-bucket".to_owned(), port: Moto::shared().port };
    let bundle = Bundle::new(1_000, 9_000);
    let (code, message) = Setting::new(root.path(), &bucket).start().refusal(&bundle.event());
    assert_eq!(code, "sync.storage", "{message}");
    assert!(message.contains("NoSuchBucket"), "{message}");
}

#[test]
fn a_missing_mount_is_reported_and_not_created() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let missing = root.path().join("models");
    let bundle = Bundle::new(1_000, 9_100);
    let (code, message) = Setting::new(&missing, &bucket).start().refusal(&bundle.event());
    assert_eq!(code, "sync.io", "{message}");
    assert!(message.contains(missing.to_str().unwrap()), "{message}");
    assert!(!missing.exists());
}

#[test]
fn a_missing_variable_is_reported_in_one_line() {
    let root = TempDir::new().unwrap();
    let bucket = TestBucket { name: String::new(), port: 9 };
    let (status, log) = Setting::new(root.path(), &bucket).start().end();
    assert_eq!(status.code(), Some(1));
    let line: Value = serde_json::from_str(log.trim()).unwrap();
    assert_eq!((&line["level"], &line["code"]), (&"ERROR".into(), &"config.missing".into()));
    assert!(line["error"].as_str().unwrap().contains("SEMBLANCE_MODELS_BUCKET"));
    assert_eq!(names(root.path()), [""; 0]);
}
