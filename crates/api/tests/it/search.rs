//! The operation `search`, on a real index.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use semblance_api::{ApiError, Service};
use semblance_test_support::{
    assert_close, bundle, cross_encoder_bundle, fake_service, load, service, service_of,
};
use serde_json::{Value, json};

use crate::run;

fn answer(request: Value) -> Value {
    let event = with_operation(&request);
    let of_event = run(service(), "event", event.clone()).unwrap().0;
    let of_route = run(service(), "/search", request).unwrap().0;
    assert_eq!(of_event, of_route);
    assert_eq!(run(service(), "/", event).unwrap().0, of_route);
    of_route
}

fn with_operation(request: &Value) -> Value {
    let mut event = request.clone();
    event["operation"] = json!("search");
    event
}

fn ids(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

fn code(request: Value) -> (String, String) {
    let error = run(service(), "/search", request).unwrap_err();
    (error.code().name.to_owned(), error.to_string())
}

#[test]
fn a_search_returns_rows_with_scores_texts_and_metadata() {
    let query = "How do I get a new password?";
    let reply = answer(json!({"index": "docs", "query": query, "top_k": 2}));
    assert_eq!(
        (&reply["index"], &reply["exact"], &reply["searched"]),
        (&json!("docs"), &json!(true), &json!(6))
    );
    assert_eq!(reply["version"].as_str().unwrap().len(), 64);
    let rows = &reply["results"][0];
    let mut found = ids(rows);
    found.sort_unstable();
    assert_eq!(found, ["login", "reset"]);
    let first = &rows[0];
    let text = first["text"].as_str().unwrap();
    let request = json!({"inputs": {"source_sentence": query, "sentences": [text]}});
    let scores = run(service(), "/similarity", request).unwrap().0;
    assert_close(&first["score"], &scores[0]);
    assert!(first["metadata"]["year"].is_i64() && first.get("rerank_score").is_none());
}

#[test]
fn several_queries_and_vectors_have_the_results_of_each() {
    let texts = ["a new password", "electric vehicle"];
    let one = |text: &str| answer(json!({"index": "docs", "query": text}))["results"][0].clone();
    let both = answer(json!({"index": "docs", "query": texts}));
    assert_close(&both["results"], &json!([one(texts[0]), one(texts[1])]));
    let rows = run(service(), "/embed", json!({"inputs": texts, "normalize": false})).unwrap().0;
    let vectors = answer(json!({"index": "docs", "vectors": rows}));
    assert_close(&vectors["results"], &both["results"]);
}

#[test]
fn a_filter_selects_the_rows() {
    let search = |filter: Value| {
        let request = json!({"index": "docs", "query": "a new password", "filter": filter});
        let reply = answer(request);
        let mut found: Vec<String> =
            ids(&reply["results"][0]).into_iter().map(str::to_owned).collect();
        assert_eq!(reply["searched"], found.len());
        found.sort_unstable();
        found
    };
    assert_eq!(search(json!({"product": "car"})), ["range", "tires"]);
    assert_eq!(
        search(json!({"product": {"$in": ["car", "web"]}, "year": {"$gte": 2024}})),
        ["login", "tires"]
    );
    assert_eq!(
        search(json!({"$or": [{"year": 2020}, {"product": "app"}]})),
        ["cookies", "invoice", "reset"]
    );
    assert_eq!(search(json!({"$not": {"year": {"$lt": 2025}}})), ["reset", "tires"]);
    assert_eq!(search(json!({"product": "boat"})), [""; 0]);
}

#[test]
fn the_cross_encoder_orders_the_first_rows() {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    let service = SERVICE.get_or_init(|| {
        service_of(load(&bundle(), Some(&cross_encoder_bundle("cross")), NonZeroUsize::MIN))
    });
    let query = "How do I get a new password?";
    let plain = json!({"index": "docs", "query": query, "top_k": 4});
    let plain = run(service, "/search", plain).unwrap().0["results"][0].clone();
    let request = json!({"index": "docs", "query": query, "top_k": 2, "rerank": 4});
    let rows = run(service, "/search", request).unwrap().0["results"][0].clone();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    let texts: Vec<&Value> = plain.as_array().unwrap().iter().map(|row| &row["text"]).collect();
    let request = json!({"query": query, "texts": texts, "truncate": true});
    let ranks = run(service, "/rerank", request).unwrap().0;
    for (row, rank) in rows.as_array().unwrap().iter().zip(ranks.as_array().unwrap()) {
        let index = usize::try_from(rank["index"].as_u64().unwrap()).unwrap();
        assert_eq!(row["id"], plain[index]["id"]);
        assert_close(&row["rerank_score"], &rank["score"]);
        assert_close(&row["score"], &plain[index]["score"]);
    }
}

#[test]
fn an_invalid_search_is_an_error_that_names_the_rule() {
    let vector = vec![0.5; 384];
    let cases = [
        (json!({"query": "x"}), "request.missing_field"),
        (json!({"index": 1, "query": "x"}), "request.wrong_type"),
        (json!({"index": "docs"}), "request.wrong_fields"),
        (json!({"index": "docs", "query": "x", "vectors": [vector]}), "request.wrong_fields"),
        (json!({"index": "docs", "vectors": []}), "request.wrong_fields"),
        (json!({"index": "docs", "query": " "}), "request.empty_text"),
        (json!({"index": "docs", "query": []}), "request.no_texts"),
        (json!({"index": "docs", "query": "x", "top_k": 0}), "request.out_of_range"),
        (json!({"index": "docs", "query": "x", "top_k": 1_001}), "request.out_of_range"),
        (json!({"index": "docs", "query": "x", "rerank": 1_001}), "request.out_of_range"),
        (json!({"index": "docs", "query": "x", "rerank": 2}), "request.no_cross_encoder"),
        (json!({"index": "docs", "vectors": [vector], "rerank": 2}), "request.wrong_fields"),
        (json!({"index": "docs", "query": "x", "exact": 1}), "request.wrong_type"),
        (json!({"index": "docs", "query": "x", "filter": []}), "request.bad_filter"),
        (json!({"index": "docs", "query": "x", "filter": {"size": 1}}), "request.unknown_column"),
        (json!({"index": "docs", "vectors": [[1.0, 2.0]]}), "request.wrong_dimensions"),
        (json!({"index": "docs", "vectors": [vec![0.0; 384]]}), "request.degenerate_vector"),
        (json!({"index": "docs", "vectors": [["x"]]}), "request.wrong_type"),
        (json!({"index": "docs", "vectors": ["x"]}), "request.wrong_type"),
        (json!({"index": "docs", "vectors": "x"}), "request.wrong_type"),
        (json!({"index": "other", "query": "x"}), "index.not_found"),
        (json!({"index": "../docs", "query": "x"}), "index.invalid_name"),
        (json!({"index": "", "query": "x"}), "index.invalid_name"),
        (json!({"index": "docs", "query": "x", "prompt_name": "none"}), "request.unknown_value"),
    ];
    for (request, expected) in cases {
        let (code, message) = code(request.clone());
        assert_eq!(code, expected, "{request}: {message}");
        assert!(!message.contains("target"), "no path of the service: {message}");
    }
}

#[test]
fn without_a_folder_of_indexes_there_is_none() {
    let service = fake_service(
        semblance_test_support::OneHot::default(),
        16,
        semblance_api::Limits::default(),
    );
    let error = run(&service, "/search", json!({"index": "docs", "query": "x"})).unwrap_err();
    assert!(matches!(error, ApiError::NoIndexes), "{error}");
    assert_eq!(error.code().name, "index.not_found");
    assert!(error.to_string().contains("SEMBLANCE_INDEX_DIR"), "{error}");
}

#[test]
fn an_invalid_query_does_not_lose_the_others() {
    let search = |query: Value| json!({"index": "docs", "query": query, "on_error": "null"});
    let reply = answer(search(json!(["password", "", 7, "car", "word ".repeat(20_000)])));
    let nulls: Vec<bool> =
        reply["results"].as_array().unwrap().iter().map(Value::is_null).collect();
    assert_eq!(nulls, [false, true, true, false, false]);
    let errors: Vec<_> = reply["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["index"].as_u64().unwrap(), error["code"].as_str().unwrap()))
        .collect();
    assert_eq!(errors, [(1, "request.empty_text"), (2, "request.wrong_type")]);
    let alone = answer(search(json!(["password", "car"])));
    assert_eq!(alone["errors"], json!([]));
    let scores = |rows: &Value| rows[0]["score"].clone();
    assert_close(&scores(&reply["results"][0]), &scores(&alone["results"][0]));
    assert_close(&scores(&reply["results"][3]), &scores(&alone["results"][1]));
    assert_eq!(answer(search(json!(["", " "])))["results"], json!([null, null]));
    let refused = json!({"index": "docs", "query": ["password", ""]});
    assert_eq!(code(refused).0, "request.empty_text");
}

#[test]
fn a_query_beyond_the_size_limit_is_truncated_and_reported() {
    let request = json!({"index": "docs", "query": ["car", "word ".repeat(20_000)]});
    let (_, report) = run(service(), "/search", request.clone()).unwrap();
    assert_eq!(report.cost.truncated, [1]);
    let mut refused = request;
    refused["truncate"] = json!(false);
    assert_eq!(code(refused).0, "request.text_too_long");
}
