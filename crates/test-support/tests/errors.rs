//! docs/errors.md is generated from the codes that every crate declares.
//!
//! `UPDATE_DOCS=1 cargo test -p semblance-test-support` writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use semblance::corpus::{CorpusError, RowFault};
use semblance::internals::bundle::{BundleError, VerifyError};
use semblance::{Code, Fault, LoadError, ModelError};
use semblance_api::{ApiError, RequestError, TextFault, Verdict, statuses};
use semblance_cli::{CommandError, RowError, ServerError};
use semblance_model_sync::SyncError;
use semblance_process::{ConfigError, FILE_CHANGED, RUNTIME_UNREACHABLE};
use semblance_test_support::assert_document;

const INTRODUCTION: &str = "# Error codes

Every error has a stable code, for programs. This page is generated from the declarations of the
codes.

- A direct invocation returns the code as `errorType` and the message as `errorMessage`.
- Over HTTP, the code is in the body ([http.md](http.md#errors)). The status depends on the form of
  the body: text-embeddings-inference / OpenAI.
- The command line prints `error: CODE: MESSAGE` and exits with status 1.
- A log line has `code` and `error`. Refused requests are logged at WARN, faults of the service at
  ERROR.

";

/// The codes by name. A code that two types declare has one description.
fn codes() -> BTreeMap<&'static str, Code> {
    let lists: [&[Code]; 15] = [
        RequestError::CODES,
        TextFault::CODES,
        ApiError::CODES,
        ModelError::CODES,
        LoadError::CODES,
        BundleError::CODES,
        VerifyError::CODES,
        ConfigError::CODES,
        CommandError::CODES,
        ServerError::CODES,
        CorpusError::CODES,
        RowFault::CODES,
        RowError::CODES,
        SyncError::CODES,
        &[RUNTIME_UNREACHABLE, FILE_CHANGED],
    ];
    let mut codes = BTreeMap::new();
    for code in lists.into_iter().flatten() {
        let known = codes.insert(code.name, *code);
        assert!(known.is_none_or(|known| known == *code), "{} is declared in two ways", code.name);
    }
    codes
}

#[test]
fn errors_md_is_current() {
    let mut page = INTRODUCTION.to_owned();
    let mut group = "";
    for (name, code) in codes() {
        let (prefix, _) = name.split_once('.').expect("a code has a prefix");
        if prefix != group {
            group = prefix;
            let _ = write!(
                page,
                "## {prefix}\n\n| code | HTTP status | log level | description |\n|---|---|---|---|\n"
            );
        }
        let is_last = codes().keys().rfind(|name| name.starts_with(prefix)) == Some(&name);
        let status = match code.fault {
            Fault::Start | Fault::Command => "-".to_owned(),
            _ if prefix == "sync" => "-".to_owned(),
            fault => match statuses(fault) {
                [tei, open_ai] if tei == open_ai => tei.to_string(),
                [tei, open_ai] => format!("{tei} / {open_ai}"),
            },
        };
        let level = match (prefix, Verdict::from_fault(code.fault)) {
            ("sync", _) | (_, Verdict::Fault) => "ERROR",
            _ if code.fault == Fault::Command => "-",
            _ => "WARN",
        };
        let _ = writeln!(page, "| `{name}` | {status} | {level} | {} |", code.description);
        if is_last {
            page.push('\n');
        }
    }
    assert_document("docs/errors.md", &(page.trim_end().to_owned() + "\n"));
}
