//! ONNX Runtime collects nothing.

use std::fs;
use std::path::Path;

use super::program::semblance;

/// Embeds a text with this value of the variable in an environment with an empty home folder; returns whether ONNX
/// Runtime wrote to it.
fn writes_to_home(value: Option<&str>) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (home, texts) = (folder.path().join("home"), folder.path().join("texts.txt"));
    fs::create_dir(&home).unwrap();
    fs::write(&texts, "hello\n").unwrap();
    let output = folder.path().join("vectors.npy");
    let [texts, output] = [&texts, &output].map(|path| path.to_str().unwrap());
    let mut command = semblance(&["embed", texts, "-o", output]);
    // ONNX Runtime collects nothing in continuous integration either.
    let kept: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command.env_clear().envs(kept);
    command.env("HOME", &home);
    if let Some(value) = value {
        command.env("ORT_DISABLE_TELEMETRY", value);
    }
    assert!(command.output().unwrap().status.success());
    has_entries(&home)
}

fn has_entries(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_some()
}

#[test]
fn telemetry_of_onnx_runtime_is_off_unless_it_is_turned_on() {
    assert!(!writes_to_home(None));
    assert!(!writes_to_home(Some("")));
    assert!(!writes_to_home(Some("1")));
    // Without this, the test could not fail.
    assert!(writes_to_home(Some("0")), "ONNX Runtime writes elsewhere now: look there");
}
