//! The operations on whole corpora: `mine`, `cluster`, `map` and `indexes`.

use semblance_test_support::{assert_close, service};
use serde_json::{Value, json};

use crate::run;

const TEXTS: [&str; 5] = [
    "How do I reset my password?",
    "The range of an electric car",
    "I forgot my password, how can I reset it?",
    "How far does an electric car drive?",
    "Resetting a forgotten password",
];

/// Runs a request as an event, on its route and on the root.
fn answer(operation: &str, request: Value) -> Value {
    let mut event = request.clone();
    event["operation"] = json!(operation);
    let of_event = run(service(), "event", event.clone()).unwrap().0;
    let of_route = run(service(), &format!("/{operation}"), request).unwrap().0;
    assert_eq!(of_event, of_route);
    assert_eq!(run(service(), "/", event).unwrap().0, of_route);
    of_route
}

fn vectors() -> Value {
    run(service(), "/embed", json!({"inputs": TEXTS, "normalize": false})).unwrap().0
}

fn pairs(reply: &Value) -> Vec<(u64, u64)> {
    let number = |pair: &Value, name: &str| pair[name].as_u64().unwrap();
    let pairs = reply["pairs"].as_array().unwrap().iter();
    pairs.map(|pair| (number(pair, "a"), number(pair, "b"))).collect()
}

#[test]
fn pairs_of_texts_and_of_their_vectors_are_those_of_the_scores() {
    let mined = answer("mine", json!({"texts": TEXTS}));
    assert_eq!(pairs(&mined).len(), 10);
    assert_eq!(pairs(&mined)[0], (0, 2));
    let first = &mined["pairs"][0];
    assert!(first.get("ids").is_none() && mined.get("version").is_none());
    let request = json!({"inputs": {"source_sentence": TEXTS[0], "sentences": [TEXTS[2]]}});
    assert_close(&first["score"], &run(service(), "/similarity", request).unwrap().0[0]);
    let scores: Vec<f64> = mined["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair["score"].as_f64().unwrap())
        .collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert_eq!(pairs(&answer("mine", json!({"vectors": vectors()}))), pairs(&mined));
    assert_eq!(pairs(&answer("mine", json!({"texts": TEXTS, "max_pairs": 3}))), pairs(&mined)[..3]);
    let near = answer("mine", json!({"texts": TEXTS, "min_score": 0.5}));
    let count = scores.iter().filter(|score| **score >= 0.5).count();
    assert_eq!(pairs(&near).len(), count);
    let nearest = answer("mine", json!({"texts": TEXTS, "top_k": 1}));
    assert!(pairs(&nearest).len() < 10 && pairs(&nearest)[0] == (0, 2));
    assert_eq!(answer("mine", json!({"texts": "one text"}))["pairs"], json!([]));
}

#[test]
fn pairs_of_an_index_have_ids_and_texts() {
    let mined = answer("mine", json!({"index": "docs", "max_pairs": 1}));
    assert_eq!(mined["version"].as_str().unwrap().len(), 64);
    let pair = &mined["pairs"][0];
    assert_eq!(pair["ids"], json!(["reset", "login"]));
    assert_eq!(pair["texts"][0], "Open the settings and choose Reset password");
}

#[test]
fn clusters_have_labels_and_words() {
    let options = json!({"texts": TEXTS, "threshold": 0.5, "min_size": 2});
    let reply = answer("cluster", options);
    let clusters = reply["clusters"].as_array().unwrap();
    assert_eq!(clusters.len(), 2);
    let mut members: Vec<u64> = clusters[0]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.as_u64().unwrap())
        .collect();
    members.sort_unstable();
    assert_eq!((members, &clusters[0]["size"]), (vec![0, 2, 4], &json!(3)));
    assert!(clusters[0]["words"].as_array().unwrap().contains(&json!("password")));
    assert!(TEXTS.contains(&clusters[0]["label"].as_str().unwrap()));
    let of_vectors =
        answer("cluster", json!({"vectors": vectors(), "threshold": 0.5, "min_size": 2}));
    assert_eq!(of_vectors["clusters"][0]["members"], clusters[0]["members"]);
    assert!(of_vectors["clusters"][0].get("label").is_none());
    // By default, a cluster has ten rows.
    assert_eq!(answer("cluster", json!({"texts": TEXTS}))["clusters"], json!([]));
    let of_index = answer("cluster", json!({"index": "docs", "threshold": 0.3, "min_size": 2}));
    let first = &of_index["clusters"][0];
    assert_eq!(first["ids"].as_array().unwrap().len(), first["members"].as_array().unwrap().len());
}

#[test]
fn a_map_has_a_point_for_each_row() {
    let options = json!({"texts": TEXTS, "threshold": 0.5, "min_size": 2});
    let map = answer("map", options);
    let points = map["points"].as_array().unwrap();
    assert_eq!(points.len(), TEXTS.len());
    assert!(points.iter().flat_map(|point| point.as_array().unwrap()).all(Value::is_number));
    let at = |row: usize| [0, 1].map(|axis| points[row][axis].as_f64().unwrap());
    let apart = |a: usize, b: usize| {
        let ([x, y], [u, v]) = (at(a), at(b));
        (x - u).hypot(y - v)
    };
    assert!(apart(0, 2) < apart(0, 1), "near texts are near each other: {map}");
    assert_eq!(map["clusters"].as_array().unwrap().len(), 2);
    let of_index = answer("map", json!({"index": "docs"}));
    assert_eq!(of_index["ids"][0], "reset");
    assert_eq!(of_index["texts"].as_array().unwrap().len(), 6);
}

#[test]
fn an_invalid_text_does_not_lose_the_others() {
    let mut texts: Vec<Value> = TEXTS.map(|text| json!(text)).to_vec();
    texts.insert(1, json!(" "));
    texts.insert(3, json!(7));
    let with = |operation: &str, options: Value| {
        let mut request = json!({"texts": texts, "on_error": "null", "min_size": 2});
        if operation == "mine" {
            request.as_object_mut().unwrap().remove("min_size");
        }
        request.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        answer(operation, request)
    };
    let number = |row: u64| [0, 2, 4, 5, 6][row as usize];
    let mined = with("mine", json!({}));
    let expected = pairs(&answer("mine", json!({"texts": TEXTS})));
    let expected: Vec<_> = expected.iter().map(|&(a, b)| (number(a), number(b))).collect();
    assert_eq!(pairs(&mined), expected);
    let errors = json!([
        {"index": 1, "code": "request.empty_text"}, {"index": 3, "code": "request.wrong_type"},
    ]);
    let without_message = |reply: &Value| {
        let mut errors = reply["errors"].clone();
        for error in errors.as_array_mut().unwrap() {
            error.as_object_mut().unwrap().remove("message");
        }
        errors
    };
    assert_eq!(without_message(&mined), errors);
    let clustered = with("cluster", json!({"threshold": 0.5}));
    let mut members: Vec<u64> =
        serde_json::from_value(clustered["clusters"][0]["members"].clone()).unwrap();
    members.sort_unstable();
    assert_eq!((members, without_message(&clustered)), (vec![0, 4, 6], errors.clone()));
    let map = with("map", json!({"threshold": 0.5}));
    let points = map["points"].as_array().unwrap();
    let nulls: Vec<bool> = points.iter().map(Value::is_null).collect();
    assert_eq!(nulls, [false, true, false, true, false, false, false]);
    assert_eq!(without_message(&map), errors);
    let none = json!({"texts": ["", " "], "on_error": "null"});
    let found = answer("mine", none);
    assert_eq!((&found["pairs"], found["errors"].as_array().unwrap().len()), (&json!([]), 2));
    // A text that must be truncated is not too long.
    let long = json!({"texts": ["river ".repeat(20_000), "a river"]});
    assert_eq!(pairs(&answer("mine", long)), [(0, 1)]);
}

#[test]
fn the_indexes_are_listed() {
    let listed = run(service(), "event", json!({"operation": "indexes"})).unwrap().0;
    assert_eq!(listed, json!({"indexes": ["docs"]}));
    assert_eq!(
        run(service(), "event", json!({"operation": "info"})).unwrap().0["has_indexes"],
        true
    );
}

#[test]
fn an_invalid_corpus_is_an_error_that_names_the_rule() {
    let many: Vec<String> = (0..1_001).map(|number| number.to_string()).collect();
    let cases = [
        (json!({}), "request.wrong_fields"),
        (json!({"texts": ["a"], "index": "docs"}), "request.wrong_fields"),
        (json!({"texts": ["a"], "vectors": [[1.0]]}), "request.wrong_fields"),
        (json!({"vectors": []}), "request.wrong_fields"),
        (json!({"texts": []}), "request.no_texts"),
        (json!({"texts": ["a", " "]}), "request.empty_text"),
        (json!({"texts": many}), "request.too_many_texts"),
        (json!({"vectors": vec![[1.0]; 1_001]}), "request.too_many_texts"),
        (json!({"texts": ["a", 1]}), "request.wrong_type"),
        (json!({"vectors": [[1.0, 2.0], [1.0]]}), "request.wrong_dimensions"),
        (json!({"vectors": [[0.0, 0.0], [1.0, 0.0]]}), "request.degenerate_vector"),
        (json!({"index": "none"}), "index.not_found"),
        (json!({"index": "../docs"}), "index.invalid_name"),
        (json!({"texts": ["a"], "prompt_name": "none"}), "request.unknown_value"),
    ];
    for operation in ["mine", "cluster", "map"] {
        for (request, expected) in &cases {
            let error = run(service(), &format!("/{operation}"), request.clone()).unwrap_err();
            assert_eq!(error.code().name, *expected, "{operation} {request}: {error}");
        }
    }
    let of_mine = [
        (json!({"texts": ["a"], "max_pairs": 10_001}), "request.out_of_range"),
        (json!({"texts": ["a"], "max_pairs": 0}), "request.out_of_range"),
        (json!({"texts": ["a"], "min_score": "x"}), "request.wrong_type"),
    ];
    for (request, expected) in of_mine {
        let error = run(service(), "/mine", request.clone()).unwrap_err();
        assert_eq!(error.code().name, expected, "{request}: {error}");
    }
}
