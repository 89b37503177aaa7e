//! An index of a few rows, of which a fuzz target changes a part. All digests are right, so that the
//! change reaches the readers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use semblance::corpus::{
    ClusterOptions, Filter, Index, MineOptions, OnDuplicate, Row, SearchOptions, Test, Value,
    VectorPrecision, VectorSource, Writer, WriterOptions,
};
use semblance::internals::bundle::sha256_hex;
use tempfile::TempDir;

/// Dimensions of the vectors.
const DIM: usize = 5;

/// The files of an index.
pub struct Base {
    /// The manifest of the version.
    pub manifest: Vec<u8>,
    /// The manifest of the segment.
    pub segment: Vec<u8>,
    /// The set of deleted rows.
    pub tombstones: Vec<u8>,
    /// The other files of the segment, by name.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Returns the files of a valid index.
pub fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let root = TempDir::new().unwrap();
        let source = VectorSource {
            bundle_digest: "a".repeat(64),
            model_name: "tiny".to_owned(),
            dimensions: DIM,
            prompt_name: None,
            precision: VectorPrecision::F32,
        };
        let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
        let mut writer = Writer::create(root.path(), source, options).unwrap();
        for number in 0..9u8 {
            let vector: Vec<f32> =
                (0..DIM).map(|i| f32::from(number * 7 % 11) - i as f32 * 1.5).collect();
            let metadata = vec![
                ("kind".to_owned(), Value::Text(["a", "b"][usize::from(number % 2)].to_owned())),
                ("year".to_owned(), Value::Integer(number.into())),
            ];
            let row = Row { id: format!("r{number}"), text: format!("text {number}"), metadata };
            writer.push(&row, 1, &vector, OnDuplicate::Refuse).unwrap().unwrap();
        }
        writer.delete("r4").unwrap();
        let published = writer.publish().unwrap();
        let entry = &published.manifest.segments[0];
        let read = |path: &str| fs::read(root.path().join(path)).unwrap();
        let folder = root.path().join("segments").join(&entry.digest);
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut files: BTreeMap<String, Vec<u8>> = files
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read(path).unwrap())
            })
            .collect();
        Base {
            manifest: read(&format!("manifests/{}.json", published.digest)),
            segment: files.remove("segment.json").unwrap(),
            tombstones: read(&format!("tombstones/{}.bits", entry.tombstones.as_ref().unwrap())),
            files,
        }
    })
}

impl Base {
    /// Writes the index to a folder. The version refers to the segment and the tombstones by their
    /// digests, where its manifest had those of the base.
    pub fn write(&self, folder: &Path) {
        let base = base();
        let (segment, tombstones) = (sha256_hex(&self.segment), sha256_hex(&self.tombstones));
        let mut manifest = self.manifest.clone();
        // Digits instead of a digest are those of the seeds.
        let digests = [
            (sha256_hex(&base.segment), &segment),
            ("0".repeat(64), &segment),
            (sha256_hex(&base.tombstones), &tombstones),
            ("1".repeat(64), &tombstones),
        ];
        for (old, new) in digests {
            if let Some(at) = manifest.windows(64).position(|part| part == old.as_bytes()) {
                manifest[at..at + 64].copy_from_slice(new.as_bytes());
            }
        }
        let version = sha256_hex(&manifest);
        let parts = folder.join("segments").join(&segment);
        for folder in [&parts, &folder.join("manifests"), &folder.join("tombstones")] {
            fs::create_dir_all(folder).unwrap();
        }
        for (name, bytes) in &self.files {
            fs::write(parts.join(name), bytes).unwrap();
        }
        fs::write(parts.join("segment.json"), &self.segment).unwrap();
        fs::write(folder.join("tombstones").join(format!("{tombstones}.bits")), &self.tombstones)
            .unwrap();
        fs::write(folder.join("manifests").join(format!("{version}.json")), manifest).unwrap();
        fs::write(folder.join("CURRENT"), format!("{version}\n")).unwrap();
    }
}

/// Opens an index and runs everything that reads it. Any error is fine; a panic is not.
pub fn use_all(folder: &Path) {
    let Ok(index) = Index::open(folder) else { return };
    assert_eq!(index.len() as u64, index.manifest().rows);
    let dim = index.manifest().vectors.dimensions;
    let mut query = vec![0.25; dim];
    query[0] = 1.0;
    let year = Filter::Column { name: "year".to_owned(), test: Test::AtLeast(Value::Integer(3)) };
    for (filter, exact_rows) in [(None, usize::MAX), (None, 0), (Some(year), 0)] {
        let options = SearchOptions { filter, exact_rows, ..SearchOptions::default() };
        if let Ok(found) = index.search(&[&query], &options) {
            assert!(found.hits[0].iter().all(|hit| hit.score.is_finite()));
        }
    }
    let is_valid = index.verify(|_| {}).is_ok();
    let rows: Vec<_> = index.rows().collect();
    assert_eq!(rows.len(), index.len());
    assert!(!is_valid || rows.iter().all(Result::is_ok));
    let _ = index.mine(&MineOptions::default());
    if let Ok(clusters) = index.cluster(&ClusterOptions { min_size: 2, ..Default::default() }) {
        let _ = index.labels(&clusters);
    }
    let _ = index.map();
}

/// Writes an index to a new folder and uses it.
pub fn try_index(index: &Base) {
    let root = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
    index.write(root.path());
    use_all(root.path());
}

impl Clone for Base {
    fn clone(&self) -> Self {
        Self {
            manifest: self.manifest.clone(),
            segment: self.segment.clone(),
            tombstones: self.tombstones.clone(),
            files: self.files.clone(),
        }
    }
}
