//! Two models that one process loads at the same time.

use std::env;
use std::num::NonZeroUsize;
use std::process::Command;

use semblance_test_support::{bundle, cross_encoder_bundle, load};

/// Fresh processes. ONNX Runtime registers operators once per process, so a race shows in new ones.
const PROCESSES: usize = 12;

#[test]
fn a_process_loads_two_models() {
    let threads = NonZeroUsize::new(2).unwrap();
    let model = load(&bundle(), Some(&cross_encoder_bundle("cross")), threads);
    assert_eq!(model.embed(&["a text"]).unwrap().dim(), (1, 384));
}

#[test]
fn every_fresh_process_loads_two_models() {
    let program = env::current_exe().unwrap();
    let mut failures = Vec::new();
    for number in 0..PROCESSES {
        let test = ["--exact", "start::a_process_loads_two_models"];
        let output = Command::new(&program).args(test).output().unwrap();
        if !output.status.success() {
            failures.push(format!("{number}: {}", String::from_utf8_lossy(&output.stdout)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
