//! What a copy is: whole, once, readable, and the old ones leave.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bundle::{Bundle, MIB, MODEL, names, staged};
use crate::function::Setting;
use crate::gate::Gate;
use crate::moto::Moto;

#[test]
fn a_bundle_is_copied_whole() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    // Three ranges, the last one short.
    let bundle = Bundle::new(9 * MIB + 1, 10);
    bucket.upload(&bundle);
    let function = Setting::new(root.path(), &bucket).start();
    let mut report = function.report(&bundle.event());
    for measured in ["duration_ms", "megabytes_per_second"] {
        assert!(report[measured].take().as_f64().unwrap() > 0.0);
    }
    let path = root.path().join(MODEL).join(&bundle.digest);
    let expected = json!({
        "path": path, "copied": true, "files": 6, "bytes": bundle.bytes(), "resumed_bytes": 0,
        "duration_ms": null, "megabytes_per_second": null, "pruned": []
    });
    assert_eq!(report, expected);
    bundle.assert_published(root.path());
    assert_eq!(staged(root.path()), [""; 0]);
    let (_, log) = function.kill();
    let line: Value = serde_json::from_str(log.trim()).unwrap();
    assert_eq!((&line["level"], &line["copied"]), (&"INFO".into(), &true.into()), "{log}");
}

#[test]
fn a_copy_can_be_read_by_another_user() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let bundle = Bundle::new(MIB, 20);
    bucket.upload(&bundle);
    Setting::new(root.path(), &bucket).start().report(&bundle.event());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let model = root.path().join(MODEL);
    let folder = model.join(&bundle.digest);
    assert_eq!((mode(&model), mode(&folder)), (0o755, 0o755));
    for name in names(&folder) {
        assert_eq!(mode(&folder.join(&name)), 0o644, "{name}");
    }
}

#[test]
fn a_second_run_copies_nothing_and_needs_no_s3() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let bundle = Bundle::new(MIB, 30);
    bucket.upload(&bundle);
    let gate = Gate::before(bucket.port);
    let function = Setting { port: gate.port, ..Setting::new(root.path(), &bucket) }.start();
    assert_eq!(function.report(&bundle.event())["copied"], true);
    let traffic = gate.traffic();
    assert!(traffic.1 > bundle.bytes());
    let report = function.report(&bundle.event());
    assert_eq!((&report["copied"], &report["bytes"]), (&false.into(), &0.into()));
    assert_eq!(gate.traffic(), traffic);
    bundle.assert_published(root.path());
}

#[test]
fn an_incomplete_folder_is_replaced() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let bundle = Bundle::new(MIB, 40);
    bucket.upload(&bundle);
    let function = Setting::new(root.path(), &bucket).start();
    function.report(&bundle.event());
    fs::remove_file(root.path().join(MODEL).join(&bundle.digest).join("model.onnx")).unwrap();
    assert_eq!(function.report(&bundle.event())["copied"], true);
    bundle.assert_published(root.path());
    assert_eq!(staged(root.path()), [""; 0]);
}

#[test]
fn an_empty_file_is_copied() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let bundle = Bundle::new(0, 50);
    bucket.upload(&bundle);
    let report = Setting::new(root.path(), &bucket).start().report(&bundle.event());
    assert_eq!(report["bytes"], bundle.bytes());
    bundle.assert_published(root.path());
}

#[test]
fn old_versions_are_removed_oldest_use_first() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let versions: Vec<_> = (0..4).map(|n| Bundle::new(1_000, 60 + 10 * n)).collect();
    let setting = Setting { keep_versions: 2, ..Setting::new(root.path(), &bucket) };
    let function = setting.start();
    let pruned = |version: &Bundle| function.report(&keeping(version, &[]))["pruned"].clone();
    for version in &versions {
        bucket.upload(version);
    }
    assert_eq!(pruned(&versions[0]), json!([]));
    assert_eq!(pruned(&versions[1]), json!([]));
    assert_eq!(pruned(&versions[2]), json!([versions[0].digest]));
    // Back to 1: it is in service again, so 2 is the one to leave when 3 comes.
    assert_eq!(pruned(&versions[1]), json!([]));
    assert_eq!(pruned(&versions[3]), json!([versions[2].digest]));
    let mut expected = [versions[1].digest.as_str(), versions[3].digest.as_str()];
    expected.sort_unstable();
    assert_eq!(names(&root.path().join(MODEL)), expected);
    assert_eq!(staged(root.path()), [""; 0]);
}

/// An event that names the versions in service, so that others can be removed.
fn keeping(version: &Bundle, in_service: &[&Bundle]) -> Value {
    let mut event = version.event();
    event["keep"] = in_service.iter().map(|version| version.digest.as_str()).collect();
    event
}

#[test]
fn a_version_in_service_is_never_removed() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let versions: Vec<_> = (0..5).map(|n| Bundle::new(1_000, 110 + 10 * n)).collect();
    let setting = Setting { keep_versions: 2, ..Setting::new(root.path(), &bucket) };
    let function = setting.start();
    for version in &versions {
        bucket.upload(version);
        // The copy, before the alias moves: it does not know what is in service.
        assert_eq!(function.report(&version.event())["pruned"], json!([]));
    }
    let (rolled_back, newest) = (&versions[0], &versions[4]);
    // The alias was moved back to the first version, and then to the newest one.
    let report = function.report(&keeping(newest, &[rolled_back, newest]));
    let mut pruned: Vec<&str> = report["pruned"]
        .as_array()
        .unwrap()
        .iter()
        .map(|digest| digest.as_str().unwrap())
        .collect();
    pruned.sort_unstable();
    let mut expected = [versions[1].digest.as_str(), versions[2].digest.as_str()];
    expected.sort_unstable();
    assert_eq!(pruned, expected);
    rolled_back.assert_published(root.path());
    newest.assert_published(root.path());
}

#[test]
fn a_corrupt_copy_is_repaired_on_request() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let bundle = Bundle::new(5 * MIB, 170);
    bucket.upload(&bundle);
    let function = Setting::new(root.path(), &bucket).start();
    function.report(&bundle.event());
    let mut verify = bundle.event();
    verify["verify"] = json!(true);
    let report = function.report(&verify);
    assert_eq!((&report["repaired"], &report["copied"]), (&json!([]), &json!(false)));
    // A bit flips at rest: the size is the same.
    let weights = root.path().join(MODEL).join(&bundle.digest).join("model.weights");
    let mut bytes = fs::read(&weights).unwrap();
    bytes[3_000_000] ^= 1;
    fs::write(&weights, &bytes).unwrap();
    let opened = fs::File::open(&weights).unwrap();
    assert_eq!(function.report(&bundle.event())["copied"], false, "the size alone says nothing");
    let report = function.report(&verify);
    assert_eq!((&report["repaired"], &report["files"]), (&json!(["model.weights"]), &json!(1)));
    assert_eq!(report["bytes"], bytes.len());
    bundle.assert_published(root.path());
    assert_eq!(staged(root.path()), [""; 0]);
    // It was replaced, not written in place: an open file is unchanged.
    use std::os::unix::fs::FileExt as _;
    let mut byte = [0];
    opened.read_exact_at(&mut byte, 3_000_000).unwrap();
    assert_eq!(byte[0], bytes[3_000_000]);
    assert_eq!(function.report(&verify)["repaired"], json!([]));
}

#[test]
fn a_planted_link_is_not_followed() {
    let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
    let bundle = Bundle::new(MIB, 180);
    bucket.upload(&bundle);
    let victim = root.path().join("victim");
    fs::write(&victim, b"unchanged").unwrap();
    let folder = root.path().join(".staging/0").join(format!("{MODEL}-{}", bundle.digest));
    fs::create_dir_all(&folder).unwrap();
    for name in ["bundle.json", "model.weights"] {
        std::os::unix::fs::symlink(&victim, folder.join(name)).unwrap();
    }
    Setting::new(root.path(), &bucket).start().report(&bundle.event());
    bundle.assert_published(root.path());
    assert_eq!(fs::read(&victim).unwrap(), b"unchanged");
    let published = root.path().join(MODEL).join(&bundle.digest);
    for name in names(&published) {
        assert!(fs::symlink_metadata(published.join(&name)).unwrap().is_file(), "{name}");
    }
}
