//! Documents that are generated and kept in the repository.

use std::fs;

use crate::repository;

/// Asserts that a file of the repository has this content. With `UPDATE_DOCS=1`, writes it.
///
/// # Panics
/// If the content differs.
pub fn assert_document(path: &str, content: &str) {
    let file = repository(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, content).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == content, "{path} is out of date: run the test again with UPDATE_DOCS=1");
}
