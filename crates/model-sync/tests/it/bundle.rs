//! A bundle that weighs what a test wants.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use semblance_test_support::tiny_manifest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Name of the model.
pub(crate) const MODEL: &str = "tiny";
/// One mebibyte; a range of the copy has four.
pub(crate) const MIB: usize = 1 << 20;

/// A bundle in memory.
pub(crate) struct Bundle {
    /// Content by file name.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// sha256 of its manifest.
    pub(crate) digest: String,
}

impl Bundle {
    /// Returns a bundle with this number of bytes of weights. Another seed gives another bundle.
    pub(crate) fn new(weights_bytes: usize, seed: u64) -> Self {
        let mut files = BTreeMap::from([
            ("model.onnx".to_owned(), noise(20_000, seed)),
            ("model.weights".to_owned(), noise(weights_bytes, seed + 1)),
            ("model.words".to_owned(), noise(20 * 8 * 4, seed + 3)),
            ("tokenizer.json".to_owned(), noise(5_000, seed + 2)),
            ("vocabulary.txt".to_owned(), noise(50_000, seed + 4)),
        ]);
        let mut manifest = tiny_manifest();
        for file in manifest["files"].as_object_mut().unwrap().values_mut() {
            let content = &files[file["path"].as_str().unwrap()];
            file["size_bytes"] = json!(content.len());
            file["sha256"] = json!(sha256(content));
        }
        let manifest = manifest.to_string().into_bytes();
        let digest = sha256(&manifest);
        files.insert("bundle.json".to_owned(), manifest);
        Self { files, digest }
    }

    /// The event that asks for it, as Terraform sends it.
    pub(crate) fn event(&self) -> Value {
        json!({"model_name": MODEL, "digest": self.digest, "tf": {"action": "create"}})
    }

    /// Bytes of all its files.
    pub(crate) fn bytes(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }

    /// Key of one of its files.
    pub(crate) fn key(&self, file: &str) -> String {
        format!("models/{MODEL}/{}/{file}", self.digest)
    }

    /// Asserts that `root` has the complete bundle and nothing else.
    pub(crate) fn assert_published(&self, root: &Path) {
        let folder = root.join(MODEL).join(&self.digest);
        let read = |name: String| (name.clone(), fs::read(folder.join(name)).unwrap());
        let found: BTreeMap<_, _> = names(&folder).into_iter().map(read).collect();
        assert!(found == self.files, "{:?} in {}", found.keys(), folder.display());
    }

    /// Whether there is a folder for it below `root`.
    pub(crate) fn is_published(&self, root: &Path) -> bool {
        root.join(MODEL).join(&self.digest).exists()
    }
}

/// Names in a folder, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    let mut names: Vec<_> = entries.map(|entry| name(entry).unwrap()).collect();
    names.sort();
    names
}

/// Returns the files in the staging slots below `root`.
pub(crate) fn staged(root: &Path) -> Vec<String> {
    let staging = root.join(".staging");
    let slots = names(&staging).into_iter().filter(|name| !name.ends_with(".lock"));
    slots.flat_map(|slot| names(&staging.join(slot))).collect()
}

/// Bytes without a pattern: splitmix64.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    });
    words.take(bytes.div_ceil(8)).flatten().take(bytes).collect()
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
