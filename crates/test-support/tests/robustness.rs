//! docs/robustness.md names tests. Each of them exists.

use std::fs;

use semblance_test_support::repository;

/// The short names of folders, as the page explains them.
const FOLDERS: [(&str, &str); 4] = [
    ("faults/", "crates/cli/tests/faults/"),
    ("api/", "crates/api/tests/it/"),
    ("function/", "crates/similarity/tests/it/"),
    ("sync/", "crates/model-sync/tests/it/"),
];

/// Returns the path of a file, whose name can be a short one.
fn path(name: &str) -> String {
    let long = |(short, long)| Some(format!("{long}{}", name.strip_prefix(short)?));
    FOLDERS.into_iter().find_map(long).unwrap_or_else(|| name.to_owned())
}

#[test]
fn every_test_that_the_page_names_exists() {
    let page = fs::read_to_string(repository("docs/robustness.md")).unwrap();
    for (short, long) in FOLDERS {
        let (short, long) = (short.trim_end_matches('/'), long.trim_end_matches('/'));
        assert!(page.contains(&format!("`{short}` is `{long}`")), "{short}");
    }
    let named: Vec<(&str, &str)> =
        page.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::")).collect();
    assert!(named.len() > 80, "{}", named.len());
    for (file, test) in named {
        if (file, test) == ("file", "name") {
            continue;
        }
        let source = fs::read_to_string(repository(&path(file))).expect(file);
        let is_declared =
            [format!("fn {test}("), format!("def {test}("), format!("run \"{test}\"")]
                .iter()
                .any(|declaration| source.contains(declaration));
        assert!(is_declared, "{file} has no test {test}");
    }
}
