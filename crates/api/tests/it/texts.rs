//! Texts that are empty, damaged or too long, on every route with a list of texts.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use semblance_api::{ApiError, Limits, Report, Service, parse_json};
use semblance_test_support::{
    OneHot, bundle, cross_encoder_bundle, fake_service, load, service_of,
};
use serde_json::{Value, json};

use crate::run;

/// A service with both models.
fn service() -> &'static Service {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let cross_encoder = cross_encoder_bundle("cross");
        service_of(load(&bundle(), Some(&cross_encoder), NonZeroUsize::MIN))
    })
}

fn answer(form: &str, request: Value) -> Result<(Value, Report), ApiError> {
    run(service(), form, request)
}

/// Every operation with a list of texts: its form, the request for a list, and where the results of the
/// list and the errors are in the response.
type Case = (&'static str, fn(Value) -> Value, fn(&Value, usize) -> Value);

fn by_index(list: &Value, index: usize, name: &str) -> Value {
    let items = list.as_array().unwrap();
    items.iter().find(|item| item["index"] == index).unwrap()[name].clone()
}

const CASES: [Case; 11] = [
    (
        "/similarity",
        |texts| json!({"inputs": {"source_sentence": "London", "sentences": texts}}),
        |reply, index| reply["results"][index].clone(),
    ),
    ("/embed", |texts| json!({"inputs": texts}), |reply, index| reply["results"][index].clone()),
    (
        "/rerank",
        |texts| json!({"query": "London", "texts": texts}),
        |reply, index| by_index(&reply["results"], index, "score"),
    ),
    ("/tokenize", |texts| json!({"inputs": texts}), |reply, index| reply["results"][index].clone()),
    (
        "/predict",
        |texts| {
            let pairs: Vec<Value> =
                texts.as_array().unwrap().iter().map(|text| json!(["London", text])).collect();
            json!({"inputs": pairs})
        },
        |reply, index| reply["results"][index].clone(),
    ),
    (
        "event",
        |texts| json!({"query_from_app": "London", "actual_queries": texts}),
        |reply, index| {
            // Invalid texts are last; the request has no equal texts.
            let texts = ["a river", "", "a city", "a bridge"];
            let pairs = reply["Scores"].as_array().unwrap();
            let pair = pairs.iter().find(|pair| pair[0] == texts[index]);
            pair.map_or(Value::Null, |pair| pair[1].clone())
        },
    ),
    (
        "/v1/embeddings",
        |texts| json!({"input": texts}),
        |reply, index| reply["data"][index]["embedding"].clone(),
    ),
    (
        "/v1/rerank",
        |texts| json!({"query": "London", "documents": texts}),
        |reply, index| by_index(&reply["results"], index, "relevance_score"),
    ),
    (
        "/v1/embed",
        |texts| json!({"texts": texts}),
        |reply, index| reply["embeddings"][index].clone(),
    ),
    (
        "/v2/embed",
        |texts| json!({"texts": texts}),
        |reply, index| reply["embeddings"]["float"][index].clone(),
    ),
    (
        "/api/embed",
        |texts| json!({"input": texts}),
        |reply, index| reply["embeddings"][index].clone(),
    ),
];

/// Returns the errors in a response. An event capitalizes the names of its fields.
fn errors_of(reply: &Value) -> Value {
    reply.get("errors").or_else(|| reply.get("Errors")).unwrap().clone()
}

#[test]
fn an_invalid_text_refuses_the_request_by_default() {
    let empty =
        ["", " ", "\n", "\u{0}", "\u{200b}", "\u{fe0f}", "\u{ad}\u{ad}", "\u{fffd}", "\u{1}"];
    for (form, request, _) in CASES {
        for text in empty {
            let error = answer(form, request(json!(["a", text]))).unwrap_err();
            assert_eq!(error.code().name, "request.empty_text", "{form} {text:?} {error}");
            let field = error.field().unwrap();
            assert!(field.contains("[1]"), "{form}: {field}");
        }
    }
    for (form, request) in [
        ("event", json!({"query_from_app": "\u{200b}", "actual_queries": ["a"]})),
        ("event", json!({"query_from_app": "\u{200b}", "actual_queries": []})),
        ("/rerank", json!({"query": "\u{0}", "texts": ["a", "b"]})),
        ("/v1/rerank", json!({"query": " ", "documents": ["a"], "on_error": "null"})),
    ] {
        let error = answer(form, request).unwrap_err();
        let field = error.field().unwrap();
        assert_eq!(error.code().name, "request.empty_text", "{form}");
        assert!(["query_from_app", "query"].contains(&field.as_str()), "{field}");
    }
    let error = answer("/predict", json!({"inputs": ["a", "\u{0}"]})).unwrap_err();
    assert_eq!(error.field().as_deref(), Some("inputs[1]"));
    let error = answer("/predict", json!({"inputs": [["a", "b"], ["", "b"]]})).unwrap_err();
    assert_eq!(error.field().as_deref(), Some("inputs[1][0]"));
}

#[test]
fn with_on_error_null_the_valid_texts_are_processed() {
    let long = "word ".repeat(300);
    let bad = [
        (json!(""), "request.empty_text"),
        (json!("\u{200b}"), "request.empty_text"),
        (json!(7), "request.wrong_type"),
        (json!(null), "request.wrong_type"),
        (json!(long), "request.too_many_tokens"),
        (json!("x ".repeat(40_000)), "request.text_too_long"),
    ];
    for (form, request, result) in CASES {
        for (text, code) in &bad {
            let is_long = ["request.too_many_tokens", "request.text_too_long"].contains(code);
            if is_long && form == "/tokenize" {
                continue; // There is no truncation to disable.
            }
            let with = |texts: Value| {
                let mut request = request(texts);
                request["on_error"] = json!("null");
                if is_long {
                    request["truncate"] = json!(false);
                }
                request
            };
            let texts = json!(["a river", text, "a city", text]);
            let (reply, report) = answer(form, with(texts)).unwrap();
            let errors = errors_of(&reply);
            let errors = errors.as_array().unwrap();
            let found: Vec<_> =
                errors.iter().map(|error| (error["index"].as_u64(), &error["code"])).collect();
            let expected = json!(code);
            assert_eq!(found, [(Some(1), &expected), (Some(3), &expected)], "{form} {reply}");
            assert!(result(&reply, 1).is_null(), "{form}");
            let (good, _) = answer(form, with(json!(["a river", "a city"]))).unwrap();
            assert_eq!(errors_of(&good), json!([]), "{form}");
            if form != "event" {
                assert_eq!(result(&reply, 0), result(&good, 0), "{form}");
                assert_eq!(result(&reply, 2), result(&good, 1), "{form}");
            } else {
                assert_eq!(reply["Scores"][0], good["Scores"][0]);
                assert_eq!(reply["Scores"].as_array().unwrap().len(), 4);
                assert_eq!(reply["Scores"][2][1], Value::Null);
            }
            assert!(!result(&reply, 0).is_null(), "{form}");
            assert!(report.cost.texts <= 3, "{form}");
        }
        let mut all = request(json!(["", " "]));
        all["on_error"] = json!("null");
        let (reply, _) = answer(form, all).unwrap();
        assert_eq!(errors_of(&reply).as_array().unwrap().len(), 2, "{form}");
        let mut wrong = request(json!(["a"]));
        wrong["on_error"] = json!("skip");
        assert_eq!(answer(form, wrong).unwrap_err().code().name, "request.unknown_value", "{form}");
    }
}

#[test]
fn truncated_texts_are_reported_by_their_index_in_the_request() {
    let long = "word ".repeat(300);
    let texts = json!(["a river", "", long, "x ".repeat(40_000)]);
    for (form, request, _) in CASES {
        if form == "/tokenize" {
            continue;
        }
        let mut request = request(texts.clone());
        request["on_error"] = json!("null");
        let (_, report) = answer(form, request).unwrap();
        let first = usize::from(["/similarity", "/rerank", "event", "/v1/rerank"].contains(&form));
        assert_eq!(report.cost.truncated, [first + 2, first + 3], "{form}");
    }
}

#[test]
fn a_text_beyond_the_size_limit_is_truncated_like_any_other() {
    let short = json!({"inputs": "w ".repeat(400)});
    let (expected, _) = answer("/embed", short).unwrap();
    let (found, report) = answer("/embed", json!({"inputs": "w ".repeat(40_000)})).unwrap();
    assert_eq!((found, report.cost.truncated), (expected, vec![0]));
    let left = |words: usize| {
        let text = format!("{}end", "w ".repeat(words));
        let request = json!({"inputs": text, "truncate": true, "truncation_direction": "left"});
        answer("/embed", request).unwrap().0
    };
    assert_eq!(left(400), left(200_000));
    let blanks = format!("{}London", " ".repeat(300_000));
    let (found, report) = answer("/embed", json!({"inputs": blanks})).unwrap();
    assert_eq!(found, answer("/embed", json!({"inputs": "London"})).unwrap().0);
    assert_eq!(report.cost.truncated, [0]);
    let refused = json!({"inputs": "w ".repeat(40_000), "truncate": false});
    assert_eq!(answer("/embed", refused).unwrap_err().code().name, "request.text_too_long");
    let query = json!({"query_from_app": "w ".repeat(40_000), "actual_queries": ["a"]});
    assert_eq!(answer("event", query).unwrap().1.cost.truncated, [0]);
}

#[test]
fn a_lone_surrogate_and_nul_are_removed_as_by_the_tokenizer() {
    let read = |text: &str| {
        let request = parse_json(format!("{{\"inputs\": {text}}}").as_bytes()).unwrap();
        answer("/embed", request).unwrap().0
    };
    let plain = read("\"great\"");
    for damaged in [r#""great \ud83d""#, r#""\udc00great""#, r#""great\u0000""#, r#""gr\u0000eat""#]
    {
        assert_eq!(read(damaged), plain, "{damaged}");
    }
}

#[test]
fn a_prompt_does_not_make_an_empty_text_valid() {
    let service = fake_service(OneHot::default(), 16, Limits::default());
    for text in ["", " ", "\u{200b}"] {
        for (form, request) in [
            ("/embed", json!({"inputs": ["a", text], "prompt_name": "color"})),
            ("/tokenize", json!({"inputs": ["a", text], "prompt_name": "color"})),
            (
                "event",
                json!({"query_from_app": text, "actual_queries": ["a"],
                             "prompt_name": "color"}),
            ),
        ] {
            let error = run(&service, form, request).unwrap_err();
            assert_eq!(error.code().name, "request.empty_text", "{form} {text:?}");
        }
    }
}
