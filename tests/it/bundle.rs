//! Opening and verifying valid and broken bundles.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use semblance::internals::bundle::{Bundle, BundleError, MANIFEST_FILE, Task, VerifyError};
use semblance_test_support::{Breakable, flip};
use serde_json::json;
use tempfile::TempDir;

/// The files of a bundle, without the manifest.
const FILES: [&str; 5] =
    ["model.onnx", "model.weights", "model.words", "tokenizer.json", "vocabulary.txt"];

fn open(bundle: &Breakable) -> Result<Bundle, BundleError> {
    Bundle::open(bundle.path())
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
        let broken = Breakable::new().replace(file, flip);
        match open(&broken).unwrap().verify(|_| ()).unwrap_err() {
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
    fs::rename(Breakable::new().keep(), &named).unwrap();
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
        match open(&Breakable::new().without(file)).unwrap_err() {
            BundleError::FileMissing { file: found, .. } => assert_eq!(found, file),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_size_mismatch_reports_both_sizes() {
    let broken = Breakable::new().replace("model.onnx", |mut bytes| {
        bytes.pop();
        bytes
    });
    match open(&broken).unwrap_err() {
        BundleError::SizeMismatch { file, found_bytes, expected_bytes, .. } => {
            assert_eq!((file.as_str(), found_bytes + 1), ("model.onnx", expected_bytes));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn rejects_an_invalid_manifest() {
    let broken = Breakable::new().with_manifest(|manifest| manifest["pooling"] = json!("median"));
    assert!(matches!(open(&broken).unwrap_err(), BundleError::Manifest { .. }));
}

#[test]
fn an_error_names_the_wrong_task() {
    let bundle = open(&Breakable::new().for_cross_encoder()).unwrap();
    let error = bundle.for_task(Task::Embedding).unwrap_err();
    assert!(error.to_string().contains("cross-encoder"), "{error}");
}

#[test]
fn an_unreadable_manifest_is_an_io_error() {
    let broken = Breakable::new().without(MANIFEST_FILE);
    fs::create_dir(broken.file(MANIFEST_FILE)).unwrap();
    assert!(matches!(open(&broken).unwrap_err(), BundleError::Io { .. }));
}
