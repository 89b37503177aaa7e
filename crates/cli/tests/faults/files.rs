//! Files of a bundle that change while the server runs.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use semblance_test_support::bundle;
use tempfile::TempDir;

use crate::raw::*;

/// SIGBUS on Linux.
const SIGBUS: i32 = 7;

#[test]
fn a_truncated_weights_file_is_logged_before_the_process_ends() {
    let folder = TempDir::new().unwrap();
    for entry in fs::read_dir(bundle()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let mut server = serve(&["--bundle", folder.path().to_str().unwrap()]);
    assert_eq!(ask(&server, small()).0.status, 200);
    let largest = fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
    let largest = largest.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap();
    fs::File::options().write(true).open(largest.path()).unwrap().set_len(0).unwrap();
    assert!(read(send(&server, small())).is_none(), "there is nothing to answer with");
    let status = server.wait().expect("the server ends");
    assert_eq!(status.signal(), Some(SIGBUS), "{status}");
    let lines = server.log().with_message("the process ends");
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["code"], &lines[0]["level"]),
        (&"bundle.file_changed".into(), &"ERROR".into())
    );
}
