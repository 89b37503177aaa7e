//! A bundle that tests can break.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use semblance::internals::bundle::MANIFEST_FILE;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bundle;

/// A copy of a bundle: the manifest is copied, the other files are linked.
pub struct Breakable {
    folder: TempDir,
}

impl Default for Breakable {
    fn default() -> Self {
        Self::new()
    }
}

impl Breakable {
    /// Returns a copy of the default bundle.
    ///
    /// # Panics
    /// If the default bundle was not built.
    #[must_use]
    pub fn new() -> Self {
        Self::of(&bundle())
    }

    /// Returns a copy of a bundle.
    ///
    /// # Panics
    /// If the bundle was not built.
    #[must_use]
    pub fn of(bundle: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        for entry in fs::read_dir(bundle).unwrap() {
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

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of a file.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the folder, which nobody removes any more.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// Replaces the content of a file.
    ///
    /// # Panics
    /// If there is no such file.
    #[must_use]
    pub fn replace(self, name: &str, content: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Self {
        let content = content(fs::read(self.file(name)).unwrap());
        fs::remove_file(self.file(name)).unwrap();
        fs::write(self.file(name), content).unwrap();
        self
    }

    /// Removes a file.
    ///
    /// # Panics
    /// If there is no such file.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        fs::remove_file(self.file(name)).unwrap();
        self
    }

    /// Changes the manifest.
    ///
    /// # Panics
    /// If the manifest is not JSON.
    #[must_use]
    pub fn with_manifest(self, change: impl FnOnce(&mut Value)) -> Self {
        self.replace(MANIFEST_FILE, |bytes| {
            let mut manifest = serde_json::from_slice(&bytes).unwrap();
            change(&mut manifest);
            serde_json::to_vec(&manifest).unwrap()
        })
    }

    /// Changes the manifest to that of a cross-encoder.
    #[must_use]
    pub fn for_cross_encoder(self) -> Self {
        self.with_manifest(|manifest| {
            manifest["task"] = json!("cross-encoder");
            manifest["pooling"] = json!(null);
            manifest["normalize"] = json!(null);
            manifest["labels"] = json!(1);
            manifest["activation"] = json!("sigmoid");
        })
    }

    /// Makes the model return vectors that are not finite for every text with this word. Other
    /// texts are not affected, so the model starts.
    ///
    /// # Panics
    /// If the vocabulary has no such word.
    #[must_use]
    pub fn with_faulty_word(self, word: &str) -> Self {
        let vocabulary = fs::read_to_string(self.file("vocabulary.txt")).unwrap();
        let words = vocabulary.lines().count();
        let id = vocabulary.lines().position(|line| line == word).unwrap();
        self.replace("model.words", |mut table| {
            let row_bytes = table.len() / words;
            let row = &mut table[id * row_bytes..(id + 1) * row_bytes];
            for value in row.chunks_exact_mut(4) {
                value.copy_from_slice(&f32::NAN.to_le_bytes());
            }
            table
        })
    }
}

/// Flips one bit in the middle, so that the size stays.
#[must_use]
pub fn flip(mut content: Vec<u8>) -> Vec<u8> {
    let middle = content.len() / 2;
    content[middle] ^= 1;
    content
}
