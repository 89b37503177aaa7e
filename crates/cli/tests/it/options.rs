//! Every option that docs/http.md calls applied changes the answer of a server as its row says.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;

use semblance::corpus::{OnDuplicate, Row, VectorPrecision, VectorSource, Writer, WriterOptions};
use semblance_test_support::{
    Breakable, Server, assert_close, cross_encoder_bundle, indexes, load, option_rows,
};
use serde_json::json;
use tempfile::TempDir;

use crate::cases::{self, Case, Check, answer};
use crate::client::Client;

/// More rows than a search compares exactly by default.
const MANY_ROWS: usize = 50_001;

/// A server on a model with prompts and without Normalize, and the indexes `docs` and `many`.
struct Fixture {
    /// With a cross-encoder.
    with_cross_encoder: Server,
    /// With the embedding model alone, which also reranks.
    alone: Server,
    _folders: (Breakable, TempDir),
}

impl Fixture {
    fn start() -> Self {
        let bundle = Breakable::new().with_manifest(|manifest| {
            manifest["normalize"] = json!(false);
            manifest["prompts"] = json!({
                "query": cases::QUERY_PROMPT, "document": cases::DOCUMENT_PROMPT,
                "classification": "classify: ",
            });
        });
        let model = load(bundle.path(), None, NonZeroUsize::MIN);
        let folder = TempDir::new().unwrap();
        std::os::unix::fs::symlink(indexes(&model).join("docs"), folder.path().join("docs"))
            .unwrap();
        let info = model.info();
        let source = VectorSource {
            bundle_digest: info.digest.clone(),
            model_name: info.name.clone(),
            dimensions: info.dimensions,
            prompt_name: None,
            precision: VectorPrecision::F32,
        };
        many(&folder.path().join("many"), source);
        let serve = |arguments: &[&str]| {
            let program = env!("CARGO_BIN_EXE_semblance").as_ref();
            let mut command = Server::command(program, arguments);
            command.env("SEMBLANCE_BUNDLE", bundle.path()).env("SEMBLANCE_CACHE_BYTES", "0");
            command.env("SEMBLANCE_INDEX_DIR", folder.path());
            Server::start(command).unwrap()
        };
        let cross_encoder = cross_encoder_bundle("cross").display().to_string();
        let with_cross_encoder = serve(&["--cross-encoder", &cross_encoder]);
        let alone = serve(&[]);
        Self { with_cross_encoder, alone, _folders: (bundle, folder) }
    }
}

/// Writes an index of many rows with different vectors.
fn many(folder: &Path, source: VectorSource) {
    let dimensions = source.dimensions;
    // The nearest rows of random vectors do not matter here.
    let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
    let mut writer = Writer::create(folder, source, options).unwrap();
    let mut state = 1_u32;
    let mut number = || {
        // Numerical Recipes, a linear congruential generator.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 16) as u16) / 65_536.0 - 0.5
    };
    for id in 0..MANY_ROWS {
        let vector: Vec<f32> = (0..dimensions).map(|_| number()).collect();
        let row = Row { id: id.to_string(), text: "a text".to_owned(), metadata: Vec::new() };
        writer.push(&row, 1, &vector, OnDuplicate::Refuse).unwrap().unwrap();
    }
    writer.publish().unwrap();
}

/// Checks one option. `path` is the route.
fn check(client: &Client, path: &str, case: &Case) {
    let Case { field, without, with, check } = case;
    let place = format!("{path} {field}");
    let (plain_status, plain) = answer(client, path, without);
    let (status, found) = answer(client, path, with);
    assert_ne!((plain_status, &plain), (status, &found), "{place}: no difference");
    match check {
        Check::Refused(code) => {
            assert_eq!(plain_status, 200, "{place}: {plain}");
            let error = found.get("error_type").unwrap_or(&found["error"]["code"]);
            assert_eq!(error, *code, "{place}: {found}");
        }
        Check::As(other) => {
            let (other_status, other) = answer(client, path, other);
            assert_eq!((plain_status, status, other_status), (200, 200, 200), "{place}: {found}");
            assert_close(&found, &other);
        }
        Check::Valid(check) => {
            assert_eq!(status, 200, "{place}: {found}");
            check(&plain, &found);
        }
    }
}

#[test]
fn every_applied_option_changes_the_answer_as_documented() {
    let fixture = Fixture::start();
    let (pair, alone) = (Client::new(&fixture.with_cross_encoder), Client::new(&fixture.alone));
    let event = [
        "query_from_app",
        "actual_queries",
        "top_k",
        "truncate",
        "truncation_direction",
        "prompt_name",
        "on_error",
    ];
    let applied = option_rows().into_iter().filter(|row| row.effect == "applied");
    let mut rows: BTreeSet<(String, String)> = applied.map(|row| (row.path, row.field)).collect();
    for path in ["/", "/invocations"] {
        rows.extend(event.iter().map(|field| (path.to_owned(), (*field).to_owned())));
    }
    // One function applies it to the corpora of all three routes; `/mine` shows the effect.
    rows.retain(|(path, field)| {
        !matches!(path.as_str(), "/cluster" | "/map") || field != "truncation_direction"
    });
    let paths: BTreeSet<&String> = rows.iter().map(|(path, _)| path).collect();
    let mut checked = BTreeSet::new();
    for path in paths {
        for case in cases::of(path, &pair) {
            // A cross-encoder has no prompts, so the embedding model must rerank.
            let is_prompt_of_rerank = path.contains("rerank") && case.field == "prompt_name";
            check(if is_prompt_of_rerank { &alone } else { &pair }, path, &case);
            checked.insert((path.clone(), case.field.to_owned()));
        }
    }
    let missing: Vec<_> = rows.difference(&checked).collect();
    assert!(missing.is_empty(), "options without a test of their effect: {missing:?}");
    let unknown: Vec<_> = checked.difference(&rows).collect();
    assert!(unknown.is_empty(), "options that are not in docs/http.md: {unknown:?}");
    println!("{} applied options change the answer as documented", rows.len());
}
