//! The README's tables hold what the code does.

use std::collections::BTreeSet;
use std::fs;

use semblance::api::RequestError;
use semblance::http::HttpError;
use semblance::init::InitError;
use semblance::lambda::HandlerError;
use semblance::service::ServiceError;

use crate::support::repository;

/// The first cells, in backquotes, of the table rows between a heading and the next.
fn first_cells(heading: &str) -> Vec<String> {
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    let section = readme.split(&format!("\n{heading}\n")).nth(1).expect(heading);
    let section = section.split("\n#").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `"));
    cells.map(|line| line.split('`').next().unwrap().to_owned()).collect()
}

#[test]
fn the_table_of_request_errors_holds_every_code() {
    let codes: BTreeSet<String> = RequestError::CODES
        .into_iter()
        .filter(|code| *code != "request.not_utf8") // files only, see the next test
        .chain(ServiceError::CODES)
        .chain(HttpError::CODES)
        .chain([HandlerError::PANIC_CODE, HandlerError::TOO_LARGE_CODE])
        .map(str::to_owned)
        .collect();
    assert_eq!(first_cells("### Errors of a request").into_iter().collect::<BTreeSet<_>>(), codes);
}

#[test]
fn the_table_of_start_errors_holds_every_code() {
    let codes: BTreeSet<String> = InitError::CODES.into_iter().map(str::to_owned).collect();
    assert_eq!(first_cells("### Errors at the start").into_iter().collect::<BTreeSet<_>>(), codes);
}

#[test]
#[cfg(feature = "sync")]
fn the_table_of_model_syncs_errors_holds_every_code() {
    let codes = semblance::sync::SyncError::CODES.into_iter().chain([HandlerError::PANIC_CODE]);
    let codes: BTreeSet<String> = codes.map(str::to_owned).collect();
    assert_eq!(first_cells("### Errors of model-sync").into_iter().collect::<BTreeSet<_>>(), codes);
}

#[test]
fn the_table_of_variables_holds_what_the_configuration_reads() {
    let source = fs::read_to_string(repository("src/config.rs")).unwrap();
    let code = source.split("#[cfg(test)]").next().unwrap();
    let read: BTreeSet<String> = code
        .split('"')
        .filter(|literal| {
            ["SEMBLANCE_", "AWS_LAMBDA_", "LAMBDA_"].iter().any(|p| literal.starts_with(p))
        })
        .map(str::to_owned)
        .collect();
    assert!(read.len() >= 9, "{read:?}");
    assert_eq!(first_cells("### Environment variables").into_iter().collect::<BTreeSet<_>>(), read);
}
