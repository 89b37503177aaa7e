//! The commands `rerank` and `predict`.

use semblance_test_support::repository;
use serde_json::Value;

use crate::program::{error, lines, output, text};

fn cross(name: &str) -> String {
    repository(&format!("build/model/{name}")).display().to_string()
}

#[test]
fn rerank_uses_the_cross_encoder_if_there_is_one() {
    let cross = cross("cross");
    let texts = ["a query", "one", "two", "three"];
    let json = |extra: &[&str]| {
        lines(&output(&[&["rerank", "--json"][..], extra, &texts].concat())).remove(0)
    };
    let (by_pairs, by_vectors) = (json(&["--cross-encoder", &cross]), json(&[]));
    assert_ne!(by_pairs, by_vectors);
    let predicted =
        output(&[&["predict", "--json", "--cross-encoder", &cross][..], &texts].concat());
    let predicted = lines(&predicted).remove(0);
    for ranked in by_pairs.as_array().unwrap() {
        let index = usize::try_from(ranked["index"].as_u64().unwrap()).unwrap();
        assert_eq!(ranked["text"], texts[index + 1]);
        assert_eq!(ranked["score"], predicted[index][0]["score"]);
    }
    let scores: Vec<f64> =
        by_pairs.as_array().unwrap().iter().map(|one| one["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let table = output(&["rerank", "--top-k", "1", "a query", "one", "two"]);
    let table: Vec<&str> = text(&table.stdout).lines().collect();
    assert_eq!((table.len(), table[1]), (2, "scored by the embedding model"));
}

#[test]
fn predict_scores_every_label() {
    let cross = cross("cross-labels");
    let arguments = ["predict", "--json", "--cross-encoder", &cross, "a text", "one", "two"];
    let predicted = lines(&output(&arguments)).remove(0);
    for pair in predicted.as_array().unwrap() {
        let mut labels: Vec<&str> =
            pair.as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect();
        labels.sort_unstable();
        assert_eq!(labels, ["LABEL_0", "LABEL_1", "LABEL_2"]);
        let score = |index: usize| pair[index]["score"].as_f64().unwrap();
        assert!(score(0) >= score(1) && score(1) >= score(2), "{pair}");
    }
    assert_eq!(predicted.as_array().map(Vec::len), Some(2));
}

#[test]
fn predict_scores_a_text_alone() {
    let cross = cross("cross-labels");
    let predict =
        |extra: &[&str]| output(&[&["predict", "--cross-encoder", &cross][..], extra].concat());
    let predicted = lines(&predict(&["--json", "a text"])).remove(0);
    assert_eq!(
        (predicted.as_array().unwrap().len(), predicted[0].as_array().unwrap().len()),
        (1, 3)
    );
    let pair = lines(&predict(&["--json", "a text", "a text"])).remove(0);
    assert_ne!(predicted, pair);
    let table = predict(&["a text"]);
    assert!(text(&table.stdout).lines().all(|line| line.ends_with("  a text")));
    let long = "cat ".repeat(600);
    let table = predict(&[&long]);
    assert!(text(&table.stdout).ends_with("truncated to the model's limit: QUERY\n"));
    let found = [
        error(&["predict", "--cross-encoder", &cross, " "]),
        error(&["predict", "--no-truncate", "--cross-encoder", &cross, &long]),
    ];
    let expected = [
        "error: request.empty_text: QUERY is empty",
        "error: request.too_many_tokens: QUERY has 602 tokens; the limit is 127",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn raw_scores_are_logits() {
    let cross = cross("cross");
    let scores = |extra: &[&str]| -> Vec<f64> {
        let arguments =
            [&["predict", "--json", "--cross-encoder", &cross][..], extra, &["a", "b", "c"]];
        let predicted: Value = lines(&output(&arguments.concat())).remove(0);
        predicted.as_array().unwrap().iter().map(|one| one[0]["score"].as_f64().unwrap()).collect()
    };
    let sigmoid = |logit: f64| 1.0 / (1.0 + (-logit).exp());
    for (score, logit) in scores(&[]).into_iter().zip(scores(&["--raw-scores"])) {
        assert!((score - sigmoid(logit)).abs() < 1e-6, "{score} {logit}");
    }
}

#[test]
fn an_error_of_a_pair_names_the_argument() {
    let cross = cross("cross");
    let long = "cat ".repeat(600);
    let found = [
        error(&["predict", "a", "b"]),
        error(&["predict", "--cross-encoder", &cross, "a", " "]),
        error(&["rerank", "", "b"]),
        error(&["rerank", "--no-truncate", "a", "b", &long]),
        error(&["predict", "--no-truncate", "--cross-encoder", &cross, "a", "b", &long]),
    ];
    let expected = [
        "error: request.no_cross_encoder: ",
        "error: request.empty_text: TEXT 1 is empty",
        "error: request.empty_text: QUERY is empty",
        "error: request.too_many_tokens: TEXT 2 has 602 tokens; the limit is 256 and --no-truncate",
        "error: request.too_many_tokens: QUERY with TEXT 2 has 604 tokens; the limit is ",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}
