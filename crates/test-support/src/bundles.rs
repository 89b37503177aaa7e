//! The files that `make` builds.

use std::path::{Path, PathBuf};

/// Returns a path below the repository.
#[must_use]
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Returns the folder of the default bundle.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn bundle() -> PathBuf {
    existing("build/model/default", "make model")
}

/// Returns the folder of the same model in int8.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn int8_bundle() -> PathBuf {
    existing("build/model/int8", "make build/model/.int8")
}

/// Returns the folder of a seeded cross-encoder: `cross` with one label, `cross-labels` with three.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn cross_encoder_bundle(name: &str) -> PathBuf {
    existing(&format!("build/model/{name}"), "make build/model/.cross build/model/.cross-labels")
}

/// Returns the folder of the small model of a family, or with `-classifier` after it, of its
/// cross-encoder.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn family_bundle(name: &str) -> PathBuf {
    existing(&format!("build/model/families/{name}"), "make build/model/.families")
}

/// Returns the folder of multilingual-e5-small.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn multilingual_bundle() -> PathBuf {
    existing("build/model/e5", "make build/model/.e5")
}

/// Returns the folder of a real tokenizer: `source.json` is the published file, the others are those of
/// a bundle.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn tokenizer_folder(name: &str) -> PathBuf {
    existing(&format!("build/tokenizers/{name}"), "make build/tokenizers/.built")
}

/// Returns the ONNX Runtime library.
///
/// # Panics
/// If it was not installed.
#[must_use]
pub fn library() -> PathBuf {
    existing("build/lib/libonnxruntime.so", "make setup")
}

fn existing(path: &str, target: &str) -> PathBuf {
    let path = repository(path);
    assert!(path.exists(), "{} is missing: run `{target}`", path.display());
    path.canonicalize().unwrap()
}
