//! A small index of real vectors.

use std::path::PathBuf;
use std::time::Duration;

use semblance::Model;
use semblance::corpus::{
    CorpusError, Index, OnDuplicate, Row, Value, VectorPrecision, VectorSource, Writer,
    WriterOptions,
};

use crate::repository;

/// The rows of the index `docs`: id, text, product, year.
const ROWS: [(&str, &str, &str, i64); 6] = [
    ("reset", "Open the settings and choose Reset password", "app", 2025),
    ("invoice", "Download an invoice from the billing page", "app", 2024),
    ("range", "The car drives 400 km with one charge", "car", 2023),
    ("tires", "Change the tires every 50,000 km", "car", 2025),
    ("login", "If you forgot your password, ask for a new one by mail", "web", 2024),
    ("cookies", "The site works without cookies", "web", 2020),
];

/// Returns a folder with the index `docs`, whose vectors are those of a model. It is built once.
///
/// # Panics
/// If it cannot be built.
#[must_use]
pub fn indexes(model: &Model) -> PathBuf {
    let info = model.info();
    let root = repository("target").join("test-indexes").join(&info.digest);
    let folder = root.join("docs");
    if !model.embeds() {
        return root;
    }
    loop {
        if Index::open(&folder).is_ok_and(|index| index.verify(|_| {}).is_ok()) {
            return root;
        }
        let source = VectorSource {
            bundle_digest: info.digest.clone(),
            model_name: info.name.clone(),
            dimensions: info.dimensions,
            prompt_name: None,
            precision: VectorPrecision::F32,
        };
        match Writer::create(&folder, source, WriterOptions::default()) {
            Ok(writer) => fill(writer, model),
            // Another test builds it.
            Err(CorpusError::Locked { .. }) => std::thread::sleep(Duration::from_millis(20)),
            Err(CorpusError::Exists { .. }) => {
                let current = folder.join("CURRENT");
                assert!(Index::open(&folder).is_ok(), "remove {}", current.display());
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn fill(mut writer: Writer, model: &Model) {
    let texts: Vec<&str> = ROWS.iter().map(|(_, text, ..)| *text).collect();
    let vectors = model.embed(&texts).unwrap();
    for ((id, text, product, year), vector) in ROWS.iter().zip(vectors.outer_iter()) {
        let metadata = vec![
            ("product".to_owned(), Value::Text((*product).to_owned())),
            ("year".to_owned(), Value::Integer(*year)),
        ];
        let row = Row { id: (*id).to_owned(), text: (*text).to_owned(), metadata };
        writer.push(&row, 1, &vector.to_vec(), OnDuplicate::Refuse).unwrap().unwrap();
    }
    writer.publish().unwrap();
}
