//! Folders that an attacker wrote: every digest is right, and the content is hostile.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index as Position;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::tests::{DIM, build, column, republish, vector};
use super::*;
use crate::bundle::sha256_hex;

/// Rows of the index.
const ROWS: usize = 100;

/// The folder of the only segment.
fn segment(folder: &Path) -> PathBuf {
    let index = Index::open(folder).unwrap();
    folder.join("segments").join(&index.manifest().segments[0].digest)
}

/// Changes files of the only segment and its manifest, and makes every size and digest right.
fn forge(folder: &Path, files: impl FnOnce(&Path), manifest: impl FnOnce(&mut Json)) {
    let old = segment(folder);
    files(&old);
    let path = old.join("segment.json");
    let mut json: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (name, file) in json["files"].as_object_mut().unwrap() {
        let bytes = fs::read(old.join(name)).unwrap();
        *file = json!({"size_bytes": bytes.len(), "sha256": sha256_hex(&bytes)});
    }
    manifest(&mut json);
    let bytes = json.to_string().into_bytes();
    fs::write(path, &bytes).unwrap();
    let digest = sha256_hex(&bytes);
    fs::rename(&old, folder.join("segments").join(&digest)).unwrap();
    republish(folder, |manifest| manifest["segments"][0]["digest"] = json!(digest));
}

/// Opens, verifies, searches and compares. Returns the error of opening or verifying.
fn use_all(folder: &Path) -> CorpusError {
    let index = match Index::open(folder) {
        Ok(index) => index,
        Err(error) => return error,
    };
    operate(&index);
    index.verify(|_| {}).unwrap_err()
}

/// Runs every operation. What only a verification sees must not crash any of them.
fn operate(index: &Index) {
    let filter = Some(column("year", Test::AtLeast(Value::Integer(2_000))));
    for (filter, exact_rows) in [(None, ROWS), (None, 0), (filter, 0)] {
        let options = SearchOptions { filter, exact_rows, ..SearchOptions::default() };
        let _ = index.search(&[vector(1)], &options);
    }
    let _ = index.rows().collect::<Vec<_>>();
    let _ = index.mine(&MineOptions::default());
    if let Ok(clusters) = index.cluster(&ClusterOptions { min_size: 2, ..Default::default() }) {
        let _ = index.labels(&clusters);
    }
    let _ = index.map();
}

fn overwrite(folder: &Path, name: &str, at: usize, bytes: &[u8]) {
    let mut content = fs::read(folder.join(name)).unwrap();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(folder.join(name), content).unwrap();
}

/// Where the bounds of the texts start.
fn bounds(folder: &Path) -> usize {
    fs::metadata(folder.join("texts.bin")).unwrap().len() as usize - 8 * (2 * ROWS + 1)
}

#[test]
fn hostile_content_is_refused_by_file_and_row() {
    type Files = fn(&Path);
    let cases: [(&str, Files, &str, &str); 15] = [
        (
            "not a number",
            |s| overwrite(s, "vectors.npy", 128 + 4 * DIM * 7, &f32::NAN.to_le_bytes()),
            "vectors.npy",
            "row 7 is not a vector of unit length",
        ),
        (
            "infinity",
            |s| overwrite(s, "vectors.npy", 128, &f32::INFINITY.to_le_bytes()),
            "vectors.npy",
            "row 0 is not a vector of unit length",
        ),
        (
            "a vector of zeros",
            |s| overwrite(s, "vectors.npy", 128 + 4 * DIM * 99, &[0; 4 * DIM]),
            "vectors.npy",
            "row 99 is not a vector of unit length",
        ),
        (
            "factors of 1-bit codes that are not numbers",
            |s| overwrite(s, "factors.1.npy", 128 + 4 * 5, &f32::NAN.to_le_bytes()),
            "factors.1.npy",
            "a value of row 5 is not finite",
        ),
        (
            "factors of 8-bit codes that are not numbers",
            |s| overwrite(s, "factors.8.npy", 128 + 16 * 5 + 4, &f32::INFINITY.to_le_bytes()),
            "factors.8.npy",
            "a value of row 5 is not finite",
        ),
        (
            "a center that is not a number",
            |s| overwrite(s, "center.npy", 128, &f32::NAN.to_le_bytes()),
            "center.npy",
            "a value is not finite",
        ),
        (
            "a header of another type",
            |s| overwrite(s, "vectors.npy", 20, b"'<f8'"),
            "vectors.npy",
            "its NumPy header is not that of <f4 [100, 72]",
        ),
        (
            "a header of more rows",
            |s| overwrite(s, "codes.8.upper.npy", 61, b"9"),
            "codes.8.upper.npy",
            "its NumPy header",
        ),
        (
            "an id that is not UTF-8",
            |s| overwrite(s, "texts.bin", 0, &[0xff]),
            "texts.bin",
            "row 0 is not UTF-8",
        ),
        (
            "bounds that descend",
            |s| {
                let at = bounds(s) + 8 * 9;
                overwrite(s, "texts.bin", at, &1u64.to_le_bytes());
            },
            "texts.bin",
            "the bounds of row 4 are invalid",
        ),
        (
            "bounds beyond the file",
            |s| {
                let at = bounds(s) + 8 * 9;
                overwrite(s, "texts.bin", at, &u64::MAX.to_le_bytes());
            },
            "texts.bin",
            "the bounds of row 4 are invalid",
        ),
        (
            "bounds that leave a gap",
            |s| {
                let at = bounds(s);
                overwrite(s, "texts.bin", at, &1u64.to_le_bytes());
            },
            "texts.bin",
            "its texts do not fill it",
        ),
        (
            "ids of rows that do not exist",
            |s| overwrite(s, "ids.bin", 8, &u64::MAX.to_le_bytes()),
            "texts.bin",
            "there is no row",
        ),
        (
            "ids out of order",
            |s| overwrite(s, "ids.bin", 16 * 50, &0u64.to_le_bytes()),
            "texts.bin",
            "cannot be found by its id",
        ),
        (
            "codes of values that do not exist",
            |s| overwrite(s, "columns.bin", 0, &u32::MAX.to_le_bytes()),
            "columns.bin",
            "the column \"color\" is invalid",
        ),
    ];
    for (name, files, file, reason) in cases {
        let root = TempDir::new().unwrap();
        build(root.path(), ROWS as u64);
        forge(root.path(), files, |_| {});
        let error = use_all(root.path());
        assert_eq!(error.code().name, "index.damaged", "{name}: {error}");
        let message = error.to_string();
        assert!(message.contains(file) && message.contains(reason), "{name}: {message}");
    }
}

#[test]
fn a_hostile_segment_is_refused_by_field() {
    let digest = "a".repeat(64);
    let file = json!({"size_bytes": 1, "sha256": digest});
    let cases = [
        ("/schema_version", json!(9), "schema_version"),
        ("/rows", json!(0), "rows"),
        ("/rows", json!(u64::MAX), "rows"),
        ("/rows", json!(-1), "rows"),
        ("/rows", json!(99), "files.codes.8.lower.npy.size_bytes"),
        ("/vectors/dimensions", json!(1 << 20), "vectors.dimensions"),
        ("/vectors/dimensions", json!(70), "files.codes.8.lower.npy.size_bytes"),
        ("/vectors/precision", json!("f16"), "files.vectors.npy.size_bytes"),
        ("/vectors/bundle_digest", json!("../../x"), "vectors.bundle_digest"),
        ("/columns/0/name", json!("z"), "columns[1].name"),
        ("/columns/0/distinct", json!(101), "columns[0].distinct"),
        ("/columns/0/value_bytes", json!(u64::MAX), "files.columns.bin.size_bytes"),
        ("/columns/0/value_bytes", json!(-1), "columns[0].value_bytes"),
        ("/files/vectors.npy/sha256", json!("x"), "files.vectors.npy.sha256"),
        ("/files/vectors.npy/size_bytes", json!(u64::MAX), "files.vectors.npy.size_bytes"),
        ("/files/texts.bin", Json::Null, "files.texts.bin"),
        ("/files", json!({"../../../etc/passwd": file}), "files"),
        ("/files", json!({"/etc/passwd": file}), "files"),
        ("/files", json!({}), "files"),
    ];
    for (pointer, value, field) in cases {
        let root = TempDir::new().unwrap();
        build(root.path(), ROWS as u64);
        let shown = value.to_string();
        forge(root.path(), |_| {}, |json| *json.pointer_mut(pointer).unwrap() = value);
        match use_all(root.path()) {
            CorpusError::InvalidManifest { field: found, .. } => {
                assert_eq!(found, field, "{pointer} {shown}");
            }
            other => panic!("{pointer} {shown}: {other}"),
        }
    }
}

#[test]
fn texts_without_room_for_their_bounds_are_refused() {
    let root = TempDir::new().unwrap();
    build(root.path(), ROWS as u64);
    forge(root.path(), |s| fs::write(s.join("texts.bin"), [0; 8]).unwrap(), |_| {});
    let error = use_all(root.path()).to_string();
    assert!(error.contains("texts.bin") && error.contains("no room for the bounds"), "{error}");
}

#[test]
fn links_pipes_and_folders_are_not_files_of_an_index() {
    type Replace = fn(&Path);
    let replace: [(&str, Replace); 3] = [
        ("link", |path| symlink("/etc/passwd", path).unwrap()),
        ("folder", |path| fs::create_dir(path).unwrap()),
        ("pipe", |path| {
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
    ];
    for (kind, replace) in replace {
        for which in ["CURRENT", "manifest", "segment.json", "vectors.npy", "texts.bin", "bits"] {
            let root = TempDir::new().unwrap();
            build(root.path(), ROWS as u64);
            let mut writer = Writer::open(root.path(), WriterOptions::default()).unwrap();
            writer.delete("row-3").unwrap();
            let published = writer.publish().unwrap();
            let entry = &published.manifest.segments[0];
            let path = match which {
                "CURRENT" => root.path().join("CURRENT"),
                "manifest" => {
                    root.path().join("manifests").join(format!("{}.json", published.digest))
                }
                "bits" => {
                    let digest = entry.tombstones.as_deref().unwrap();
                    root.path().join("tombstones").join(format!("{digest}.bits"))
                }
                name => segment(root.path()).join(name),
            };
            fs::remove_file(&path).unwrap();
            replace(&path);
            let error = use_all(root.path());
            assert_eq!(error.code().name, "index.damaged", "{kind} {which}: {error}");
            assert!(
                error.to_string().contains("it is not a regular file"),
                "{kind} {which}: {error}"
            );
        }
    }
    let root = TempDir::new().unwrap();
    build(root.path(), ROWS as u64);
    let (folder, elsewhere) = (segment(root.path()), root.path().join("elsewhere"));
    fs::rename(&folder, &elsewhere).unwrap();
    symlink(&elsewhere, &folder).unwrap();
    let error = use_all(root.path()).to_string();
    assert!(error.contains("it is not a folder"), "{error}");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    for name in ["CURRENT", "manifest"] {
        let root = TempDir::new().unwrap();
        let digest = build(root.path(), ROWS as u64).digest().to_owned();
        let path = match name {
            "CURRENT" => root.path().join("CURRENT"),
            _ => root.path().join("manifests").join(format!("{digest}.json")),
        };
        // A file with a hole: it has a size and no blocks.
        fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
        let error = use_all(root.path()).to_string();
        assert!(error.contains("it has more than 16777216 bytes"), "{error}");
    }
}

#[test]
fn a_file_with_a_hole_is_refused_and_not_read() {
    for name in ["codes.8.upper.npy", "codes.8.lower.npy", "factors.8.npy"] {
        let root = TempDir::new().unwrap();
        build(root.path(), ROWS as u64);
        let file = fs::File::options().write(true).open(segment(root.path()).join(name)).unwrap();
        file.set_len(1 << 40).unwrap();
        let error = Index::open_for_search(root.path()).unwrap_err();
        assert!(matches!(error, CorpusError::SizeMismatch { .. }), "{name}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    // The fuzz target `index_files` looks for the same.
    #[test]
    fn damaged_content_is_refused_or_can_be_used(
        edits in prop::collection::vec((any::<Position>(), any::<Position>(), any::<u8>()), 1..6),
    ) {
        let root = TempDir::new().unwrap();
        build(root.path(), ROWS as u64);
        let damage = |folder: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
            names.retain(|path| !path.ends_with("segment.json"));
            names.sort();
            for (file, at, byte) in &edits {
                let path = file.get(&names);
                let mut bytes = fs::read(path).unwrap();
                let at = at.index(bytes.len());
                bytes[at] = *byte;
                fs::write(path, bytes).unwrap();
            }
        };
        forge(root.path(), damage, |_| {});
        if let Ok(index) = Index::open(root.path()) {
            operate(&index);
            let is_valid = index.verify(|_| {}).is_ok();
            prop_assert!(!is_valid || index.rows().all(|row| row.is_ok()));
        }
    }
}
