//! Runs that die, runs side by side, and answers that break off.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use semblance_test_support::Kind;
use tempfile::TempDir;

use crate::bundle::{Bundle, MIB, MODEL, staged};
use crate::function::{Setting, answer, until};
use crate::gate::Gate;
use crate::moto::{Moto, TestBucket};

/// Bytes of a range.
const RANGE: usize = 4 * MIB;

/// A root, a bucket with a bundle of four ranges, and a gate before it.
struct Place {
    root: TempDir,
    bucket: TestBucket,
    bundle: Bundle,
    gate: Gate,
}

impl Place {
    fn new(seed: u64) -> Self {
        let (root, bucket) = (TempDir::new().unwrap(), Moto::shared().bucket());
        let bundle = Bundle::new(4 * RANGE, seed);
        bucket.upload(&bundle);
        let gate = Gate::before(bucket.port);
        Self { root, bucket, bundle, gate }
    }

    fn setting(&self) -> Setting<'_> {
        Setting { port: self.gate.port, ..Setting::new(self.root.path(), &self.bucket) }
    }

    /// Where a run with this slot puts the bundle together.
    fn staging(&self, slot: usize) -> PathBuf {
        staging(self.root.path(), slot, &self.bundle)
    }

    fn staged_weights(&self, slot: usize) -> usize {
        let weights = fs::metadata(self.staging(slot).join("model.weights"));
        weights.map_or(0, |weights| usize::try_from(weights.len()).unwrap())
    }

    /// Leaves what a run leaves that was killed when two of the four ranges were written.
    fn kill_half_way(&self) {
        self.gate.hold_from(2 * RANGE as u64);
        let function = self.setting().start();
        let _pending = function.queue(&self.bundle.event());
        until("two ranges are written", || self.staged_weights(0) == 2 * RANGE);
        assert!(!self.bundle.is_published(self.root.path()));
        let (status, _) = function.kill();
        assert_eq!(status.code(), None, "killed, not ended");
        self.gate.open();
    }
}

fn staging(root: &Path, slot: usize, bundle: &Bundle) -> PathBuf {
    root.join(format!(".staging/{slot}/{MODEL}-{}", bundle.digest))
}

/// Leaves weights below a root as a run leaves them that died.
fn leave(root: &Path, bundle: &Bundle, weights: &[u8]) {
    let folder = staging(root, 0, bundle);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("model.weights"), weights).unwrap();
}

#[test]
fn the_next_run_resumes_a_killed_one() {
    let place = Place::new(100);
    place.kill_half_way();
    assert_eq!(place.staged_weights(0), 2 * RANGE);
    assert!(!place.bundle.is_published(place.root.path()));
    let before = place.gate.traffic().1;
    let report = place.setting().start().report(&place.bundle.event());
    let graph = place.bundle.files["model.onnx"].len();
    assert_eq!(report["copied"], true);
    assert_eq!(report["bytes"], place.bundle.bytes());
    assert_eq!(report["resumed_bytes"], 2 * RANGE + graph);
    let read = place.gate.traffic().1 - before;
    assert!(read < 2 * RANGE + MIB, "{read} bytes were read again");
    place.bundle.assert_published(place.root.path());
    assert_eq!(staged(place.root.path()), [""; 0]);
}

#[test]
fn another_version_removes_what_a_killed_run_left() {
    let place = Place::new(200);
    place.kill_half_way();
    // The same for another killed run, in the next slot.
    let (beside, left) = (staging(place.root.path(), 1, &place.bundle), place.staging(0));
    fs::create_dir_all(&beside).unwrap();
    fs::copy(left.join("model.weights"), beside.join("model.weights")).unwrap();
    let other = Bundle::new(1_000, 300);
    place.bucket.upload(&other);
    place.setting().start().report(&other.event());
    assert_eq!(staged(place.root.path()), [""; 0]);
    assert!(!place.bundle.is_published(place.root.path()));
    other.assert_published(place.root.path());
}

#[test]
fn a_crash_at_any_byte_is_resumed() {
    let place = Place::new(400);
    let weights = &place.bundle.files["model.weights"];
    let whole = weights.len();
    for left in [0, 1, RANGE - 1, RANGE, RANGE + 1, whole - 1, whole, whole + 1] {
        let root = TempDir::new().unwrap();
        let mut content = weights.clone();
        content.resize(left, 0);
        leave(root.path(), &place.bundle, &content);
        let setting = Setting { root: root.path(), ..place.setting() };
        let report = setting.start().report(&place.bundle.event());
        // What is longer than the file is no beginning of it.
        let resumed = if left > whole { 0 } else { left };
        assert_eq!(report["resumed_bytes"], resumed, "{left} bytes left");
        place.bundle.assert_published(root.path());
    }
}

#[test]
fn broken_remains_of_a_crash_are_fetched_again() {
    let place = Place::new(500);
    // A file system that crashed may have the length of a file and not its bytes.
    leave(place.root.path(), &place.bundle, &vec![0; 2 * RANGE]);
    let report = place.setting().start().report(&place.bundle.event());
    assert_eq!((&report["copied"], &report["resumed_bytes"]), (&true.into(), &0.into()));
    place.bundle.assert_published(place.root.path());
}

#[test]
fn two_runs_at_once_succeed_and_one_publishes() {
    let place = Place::new(600);
    place.gate.hold_from(RANGE as u64);
    let functions = [place.setting().start(), place.setting().start()];
    let pending = functions.each_ref().map(|function| function.queue(&place.bundle.event()));
    until("both runs write", || [0, 1].iter().all(|&slot| place.staged_weights(slot) == RANGE));
    place.gate.open();
    let mut copied = pending.each_ref().map(|pending| {
        let (kind, report) = answer(pending);
        assert_eq!(kind, Kind::Response, "{report}");
        report["copied"].as_bool().unwrap()
    });
    copied.sort_unstable();
    assert_eq!(copied, [false, true]);
    place.bundle.assert_published(place.root.path());
    assert_eq!(staged(place.root.path()), [""; 0]);
}

#[test]
fn a_run_keeps_the_staging_of_another_run() {
    let place = Place::new(700);
    place.gate.hold_from(RANGE as u64);
    let slow = place.setting().start();
    let pending = slow.queue(&place.bundle.event());
    until("the slow run writes", || place.staged_weights(0) == RANGE);
    let other = Bundle::new(1_000, 800);
    place.bucket.upload(&other);
    place.setting().start().report(&other.event());
    assert_eq!(place.staged_weights(0), RANGE);
    place.gate.open();
    assert_eq!(answer(&pending).1["copied"], true);
    place.bundle.assert_published(place.root.path());
    other.assert_published(place.root.path());
}

#[test]
fn an_interrupted_response_is_requested_again() {
    let place = Place::new(900);
    place.gate.cut(RANGE as u64, 2);
    let report = place.setting().start().report(&place.bundle.event());
    assert_eq!((&report["copied"], place.gate.cuts_left()), (&true.into(), 0));
    place.bundle.assert_published(place.root.path());
}

#[test]
fn the_next_run_resumes_after_failed_responses() {
    let place = Place::new(1_000);
    place.gate.cut(RANGE as u64, 3);
    let function = place.setting().start();
    let (code, message) = function.refusal(&place.bundle.event());
    assert_eq!((code.as_str(), place.gate.cuts_left()), ("sync.storage", 0), "{message}");
    assert!(message.contains(&place.bundle.key("model.weights")), "{message}");
    assert!(!place.bundle.is_published(place.root.path()));
    let report = function.report(&place.bundle.event());
    assert!(report["resumed_bytes"].as_u64().unwrap() >= RANGE as u64, "{report}");
    place.bundle.assert_published(place.root.path());
}

#[test]
fn the_next_run_resumes_after_the_time_is_up() {
    let place = Place::new(1_100);
    place.gate.hold_from(2 * RANGE as u64);
    let timeout = Duration::from_secs(8);
    let function = Setting { timeout, ..place.setting() }.start();
    let started = Instant::now();
    let (code, message) = function.refusal(&place.bundle.event());
    assert_eq!(code, "sync.time_up", "{message}");
    assert!(message.contains(&place.bundle.key("model.weights")), "{message}");
    assert!(started.elapsed() < timeout);
    assert!(!place.bundle.is_published(place.root.path()));
    place.gate.open();
    let report = function.report(&place.bundle.event());
    let graph = place.bundle.files["model.onnx"].len();
    assert_eq!(report["resumed_bytes"], 2 * RANGE + graph);
    place.bundle.assert_published(place.root.path());
}
