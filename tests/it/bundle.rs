//! Opening and verifying valid and broken bundles.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use semblance::internals::bundle::{Bundle, BundleError, MANIFEST_FILE, Task, VerifyError};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The files of a bundle, without the manifest.
const FILES: [&str; 5] =
    ["model.onnx", "model.weights", "model.words", "tokenizer.json", "vocabulary.txt"];

/// A copy of the real bundle that a test can modify. The manifest is copied, other files are links.
pub(crate) struct BundleCopy {
    folder: TempDir,
}

impl BundleCopy {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for entry in fs::read_dir(semblance_test_support::bundle()).unwrap() {
            let path = entry.unwrap().path();
            let copy = folder.path().join(path.file_name().unwrap());
            if path.ends_with(MANIFEST_FILE) {
                fs::copy(&path, copy).unwrap();
            } else {
                symlink(&path, copy).unwrap();
            }
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a link with a file of this content.
    pub(crate) fn replace(self, name: &str, content: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Self {
        let content = content(fs::read(self.file(name)).unwrap());
        fs::remove_file(self.file(name)).unwrap();
        fs::write(self.file(name), content).unwrap();
        self
    }

    pub(crate) fn without(self, name: &str) -> Self {
        fs::remove_file(self.file(name)).unwrap();
        self
    }

    pub(crate) fn with_manifest(self, change: impl FnOnce(&mut Value)) -> Self {
        self.replace(MANIFEST_FILE, |bytes| {
            let mut manifest = serde_json::from_slice(&bytes).unwrap();
            change(&mut manifest);
            serde_json::to_vec(&manifest).unwrap()
        })
    }

    /// Changes the manifest to that of a cross-encoder.
    pub(crate) fn for_cross_encoder(self) -> Self {
        self.with_manifest(|manifest| {
            manifest["task"] = json!("cross-encoder");
            manifest["pooling"] = json!(null);
            manifest["normalize"] = json!(null);
            manifest["labels"] = json!(1);
            manifest["activation"] = json!("sigmoid");
        })
    }

    fn open(&self) -> Result<Bundle, BundleError> {
        Bundle::open(self.path())
    }
}

/// Flips one bit in the middle. The size does not change.
pub(crate) fn flip(mut content: Vec<u8>) -> Vec<u8> {
    let middle = content.len() / 2;
    content[middle] ^= 1;
    content
}

#[test]
fn the_real_bundle_verifies() {
    let bundle = Bundle::open(&semblance_test_support::bundle()).unwrap();
    let mut reported = 0;
    let verified = bundle.verify(|bytes| reported += bytes).unwrap();
    assert_eq!((verified.files, verified.bytes), (5, reported));
    assert_eq!(
        semblance_test_support::bundle().file_name().unwrap().to_str(),
        Some(bundle.digest())
    );
}

#[test]
fn verify_finds_a_changed_byte_in_every_file() {
    for file in FILES {
        let broken = BundleCopy::new().replace(file, flip);
        match broken.open().unwrap().verify(|_| ()).unwrap_err() {
            VerifyError::DigestMismatch { file: found, .. } => assert_eq!(found, file),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn verify_finds_a_folder_named_by_another_digest() {
    let parent = TempDir::new().unwrap();
    let named = parent.path().join("0".repeat(64));
    symlink(semblance_test_support::bundle(), &named).unwrap();
    assert!(
        Bundle::open(&named).unwrap().verify(|_| ()).is_ok(),
        "a link has the name of its target"
    );
    fs::remove_file(&named).unwrap();
    fs::rename(BundleCopy::new().folder.keep(), &named).unwrap();
    let error = Bundle::open(&named).unwrap().verify(|_| ()).unwrap_err();
    assert!(matches!(error, VerifyError::NameMismatch { .. }), "{error}");
}

#[test]
fn a_missing_folder_is_an_error_that_names_it() {
    let error = Bundle::open(Path::new("/nowhere/at/all")).unwrap_err();
    assert!(matches!(&error, BundleError::FolderMissing { folder } if folder == "/nowhere/at/all"));
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    for file in FILES.into_iter().chain([MANIFEST_FILE]) {
        match BundleCopy::new().without(file).open().unwrap_err() {
            BundleError::FileMissing { file: found, .. } => assert_eq!(found, file),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_size_mismatch_reports_both_sizes() {
    let broken = BundleCopy::new().replace("model.onnx", |mut bytes| {
        bytes.pop();
        bytes
    });
    match broken.open().unwrap_err() {
        BundleError::SizeMismatch { file, found_bytes, expected_bytes, .. } => {
            assert_eq!((file.as_str(), found_bytes + 1), ("model.onnx", expected_bytes));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn rejects_an_invalid_manifest() {
    let broken = BundleCopy::new().with_manifest(|manifest| manifest["pooling"] = json!("median"));
    assert!(matches!(broken.open().unwrap_err(), BundleError::Manifest { .. }));
}

#[test]
fn an_error_names_the_wrong_task() {
    let bundle = BundleCopy::new().for_cross_encoder().open().unwrap();
    let error = bundle.for_task(Task::Embedding).unwrap_err();
    assert!(error.to_string().contains("cross-encoder"), "{error}");
}

#[test]
fn an_unreadable_manifest_is_an_io_error() {
    let broken = BundleCopy::new().without(MANIFEST_FILE);
    fs::create_dir(broken.file(MANIFEST_FILE)).unwrap();
    assert!(matches!(broken.open().unwrap_err(), BundleError::Io { .. }));
}
