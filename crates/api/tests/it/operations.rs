//! Requests and results of each operation, with the real model.

use semblance_api::{ApiError, Limits, Report, RequestError};
use semblance_test_support::{OneHot, assert_close, fake_service, service};
use serde_json::{Value, json};

use crate::{call, run};

fn answer_and_report(form: &str, request: Value) -> Result<(Value, Report), ApiError> {
    run(service(), form, request)
}

fn answer(form: &str, request: Value) -> Value {
    answer_and_report(form, request).unwrap().0
}

fn error(form: &str, request: Value) -> (String, String) {
    let error = answer_and_report(form, request).unwrap_err();
    (error.code().name.to_owned(), error.to_string())
}

fn vector(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn norm(vector: &[f32]) -> f32 {
    vector.iter().map(|number| number * number).sum::<f32>().sqrt()
}

#[test]
fn an_event_returns_the_result_of_its_route() {
    let cases = [
        ("embed", "/embed", json!({"inputs": ["a", "b"]})),
        ("rerank", "/rerank", json!({"query": "a", "texts": ["b", "a"]})),
        ("tokenize", "/tokenize", json!({"inputs": "a b"})),
        (
            "similarity",
            "/similarity",
            json!({"inputs": {"source_sentence": "a", "sentences": ["b", "a"]}}),
        ),
    ];
    for (name, form, body) in cases {
        let mut event = body.clone();
        event["operation"] = json!(name);
        assert_close(&answer("event", event.clone()), &answer(form, body));
        assert_close(&answer("/invocations", event.clone()), &answer("event", event));
    }
    let seed = json!({"query_from_app": "a", "actual_queries": ["b", "a"]});
    let mut named = seed.clone();
    named["operation"] = json!("similarity");
    assert_close(&answer("event", named), &answer("event", seed.clone()));
    assert_close(&answer("/invocations", seed.clone()), &answer("event", seed));
    assert_eq!(answer("event", json!({"operation": "health"})), json!({"status": "ok"}));
}

#[test]
fn the_shape_of_an_invocation_selects_the_operation() {
    let pair = json!({"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": {}});
    assert_close(&answer("/invocations", pair.clone()), &answer("/similarity", pair));
    let texts = json!({"inputs": "a", "normalize": true});
    assert_close(&answer("/invocations", texts.clone()), &answer("/embed", texts));
}

#[test]
fn similarity_and_the_event_return_the_same_scores() {
    let (query, texts) = ("How many people live in London?", ["a river", "9 million", "a river"]);
    let request = json!({"inputs": {"source_sentence": query, "sentences": texts}});
    let scores = answer("/similarity", request);
    let event = answer("event", json!({"query_from_app": query, "actual_queries": texts}));
    for (text, score) in texts.iter().zip(scores.as_array().unwrap()) {
        let pairs = event["Scores"].as_array().unwrap();
        let pair = pairs.iter().find(|pair| pair[0] == *text).unwrap();
        assert_close(score, &pair[1]);
    }
    assert_eq!(scores[0], scores[2]);
}

#[test]
fn embeddings_have_unit_length_by_default() {
    let rows = answer("/embed", json!({"inputs": "London"}));
    let unit = vector(&rows[0]);
    assert_eq!(unit.len(), 384);
    assert!((norm(&unit) - 1.0).abs() < 1e-5);
    let raw = vector(&answer("/embed", json!({"inputs": "London", "normalize": false}))[0]);
    assert!((norm(&raw) - 1.0).abs() > 0.1, "{}", norm(&raw));
    let length = norm(&raw);
    assert!(raw.iter().zip(&unit).all(|(raw, unit)| (raw / length - unit).abs() < 1e-6));
}

#[test]
fn dimensions_truncates_and_normalizes() {
    let whole = vector(&answer("/embed", json!({"inputs": "London"}))[0]);
    let truncated = vector(&answer("/embed", json!({"inputs": "London", "dimensions": 64}))[0]);
    let length = norm(&whole[..64]);
    assert_eq!(truncated.len(), 64);
    let is_close = |(found, whole): (&f32, &f32)| (found - whole / length).abs() < 1e-6;
    assert!(truncated.iter().zip(&whole).all(is_close));
    let (code, message) = error("/embed", json!({"inputs": "a", "dimensions": 385}));
    assert_eq!(code, "request.out_of_range");
    assert_eq!(message, "the field dimensions must be an integer from 1 to 384, found 385");
    assert_eq!(error("/embed", json!({"inputs": "a", "dimensions": 0})).0, "request.out_of_range");
}

#[test]
fn truncation_on_the_left_keeps_the_end() {
    let long = format!("start {}end", "cat ".repeat(300));
    let embed = |side: &str| {
        let request = json!({"inputs": long, "truncate": true, "truncation_direction": side});
        answer_and_report("/embed", request).unwrap()
    };
    let ((right, report), (left, _)) = (embed("Right"), embed("left"));
    assert_eq!(report.cost.truncated, [0]);
    assert_eq!(report.cost.prompt_tokens, 256);
    let kept = |text: String| answer("/embed", json!({"inputs": text}))[0].clone();
    assert_close(&right[0], &kept(format!("start {}", "cat ".repeat(253))));
    assert_close(&left[0], &kept(format!("{}end", "cat ".repeat(253))));
    assert_ne!(left[0], right[0], "the cache distinguishes the sides");
    let refused = json!({"inputs": long, "truncate": false});
    assert_eq!(error("/embed", refused).0, "request.too_many_tokens");
    let (_, report) = answer_and_report("/embed", json!({"inputs": long})).unwrap();
    assert_eq!(report.cost.truncated, [0], "truncation is the default");
    let wrong = json!({"inputs": "a", "truncation_direction": "up"});
    assert_eq!(error("/embed", wrong).0, "request.unknown_value");
}

#[test]
fn a_prompt_is_a_prefix_of_each_text() {
    let service = fake_service(OneHot::default(), 16, Limits::default());
    let embed = |request: Value| run(&service, "/embed", request).map(|(reply, _)| reply);
    let prompted = embed(json!({"inputs": ["cat", "dog"], "prompt_name": "color"})).unwrap();
    assert_eq!(prompted, embed(json!({"inputs": ["red cat", "red dog"]})).unwrap());
    let error = embed(json!({"inputs": "cat", "prompt_name": "passage"})).unwrap_err();
    assert_eq!(error.to_string(), "the field prompt_name must be a prompt of the model: \"color\"");
}

#[test]
fn tokens_have_ids_characters_and_positions() {
    let tokens = answer("/tokenize", json!({"inputs": ["Über unaffable", "日本"]}));
    let of = |id: u64, text: &str, place: Option<(u64, u64)>| {
        json!({"id": id, "text": text, "special": place.is_none(),
               "start": place.map(|(start, _)| start), "stop": place.map(|(_, stop)| stop)})
    };
    let first = tokens[0].as_array().unwrap();
    assert_eq!(first[0], of(101, "[CLS]", None));
    assert_eq!(first[1], of(19_169, "Über", Some((0, 4))));
    assert_eq!(first.last().unwrap(), &of(102, "[SEP]", None));
    let text: Vec<char> = "Über unaffable".chars().collect();
    for token in &first[1..first.len() - 1] {
        let place = |name: &str| usize::try_from(token[name].as_u64().unwrap()).unwrap();
        let of_text: String = text[place("start")..place("stop")].iter().collect();
        assert_eq!(token["text"], of_text);
    }
    assert_eq!(tokens[1][1]["stop"], 1, "characters, not bytes");
    let bare = answer("/tokenize", json!({"inputs": "a", "add_special_tokens": false}));
    assert_eq!(bare.as_array().unwrap()[0].as_array().unwrap().len(), 1);
    let long = answer("/tokenize", json!({"inputs": "cat ".repeat(300)}));
    assert_eq!(long[0].as_array().unwrap().len(), 302, "tokenize does not truncate");
}

#[test]
fn decode_returns_the_text_of_token_ids() {
    let decode = |request: Value| answer("/decode", request);
    let tokens = answer("/tokenize", json!({"inputs": "unaffable people, in London!"}));
    let ids: Vec<&Value> = tokens[0].as_array().unwrap().iter().map(|token| &token["id"]).collect();
    let text = "unaffable people, in london!";
    assert_eq!(decode(json!({"ids": ids})), json!([text]));
    assert_eq!(decode(json!({"ids": [ids, [2414]]})), json!([text, "london"]));
    let whole = decode(json!({"ids": ids, "skip_special_tokens": false}));
    assert_eq!(whole, json!([format!("[CLS] {text} [SEP]")]));
    let (code, message) = error("/decode", json!({"ids": [[1], [30_522]]}));
    assert_eq!(code, "request.out_of_range");
    assert_eq!(message, "the field ids[1] must be an integer from 0 to 30521, found 30522");
    for ids in [json!(["a"]), json!("a"), json!([[1], ["b"]]), json!([1, [2]])] {
        assert_eq!(error("/decode", json!({"ids": ids})).0, "request.wrong_type");
    }
    assert_eq!(error("/decode", json!({"ids": [-1]})).0, "request.out_of_range");
}

#[test]
fn usage_counts_repeated_and_cached_texts() {
    let request = json!({"input": ["Hello, world", "Hello, world"]});
    let answer = answer("/v1/embeddings", request);
    let (one, _) = answer_and_report("/tokenize", json!({"inputs": "Hello, world"})).unwrap();
    let one = one[0].as_array().unwrap().len();
    assert_eq!(answer["usage"], json!({"prompt_tokens": 2 * one, "total_tokens": 2 * one}));
    assert_eq!(answer["data"][0]["embedding"], answer["data"][1]["embedding"]);
    assert_eq!(answer["model"], "all-minilm-l6-v2");
}

#[test]
fn an_error_names_the_field_in_every_dialect() {
    let cases = [
        ("/embed", json!({}), "request.missing_field", "inputs"),
        ("/embed", json!({"inputs": []}), "request.no_texts", "inputs"),
        ("/embed", json!({"inputs": 1}), "request.wrong_type", "inputs"),
        ("/embed", json!({"inputs": ["a", 1]}), "request.wrong_type", "inputs[1]"),
        ("/embed", json!({"inputs": "a", "normalize": 1}), "request.wrong_type", "normalize"),
        (
            "/similarity",
            json!({"inputs": {"source_sentence": "a"}}),
            "request.missing_field",
            "inputs.sentences",
        ),
        ("/similarity", json!({"inputs": "a"}), "request.wrong_type", "inputs"),
        (
            "/similarity",
            json!({"inputs": {"source_sentence": "a", "sentences": ["b"]},
                   "parameters": {"truncate": "yes"}}),
            "request.wrong_type",
            "parameters.truncate",
        ),
        ("/rerank", json!({"query": "a", "texts": []}), "request.no_texts", "texts"),
        ("/predict", json!({"inputs": ["a", "b", "c"]}), "request.not_a_pair", "inputs"),
        ("/predict", json!({"inputs": [["a", "b"], []]}), "request.not_a_pair", "inputs[1]"),
        ("/predict", json!({"inputs": [["a", 1]]}), "request.wrong_type", "inputs[0][1]"),
        ("/predict", json!({"inputs": []}), "request.no_texts", "inputs"),
        (
            "/v1/embeddings",
            json!({"input": [[1], [2]], "model": "text-embedding-3-small"}),
            "request.unsupported_option",
            "input",
        ),
        ("/v1/embeddings", json!({"input": [[1], "a"]}), "request.wrong_type", "input[1]"),
        ("/v1/embeddings", json!({"input": [1, -2]}), "request.out_of_range", "input"),
        ("/decode", json!({"ids": [[1], "a"]}), "request.wrong_type", "ids[1]"),
        // Options of other routes.
        ("/embed", json!({"inputs": "a", "top_n": 3}), "request.unsupported_option", "top_n"),
        (
            "/embed",
            json!({"inputs": "a", "parameters": {"output_dimension": 3}}),
            "request.unsupported_option",
            "output_dimension",
        ),
        (
            "/similarity",
            json!({"inputs": {"source_sentence": "a", "sentences": ["b"], "truncate": false}}),
            "request.unsupported_option",
            "inputs.truncate",
        ),
        (
            "/v1/embeddings",
            json!({"input": "a", "parameters": {"dimensions": 8}}),
            "request.unsupported_option",
            "parameters",
        ),
        (
            "/v2/embed",
            json!({"texts": ["a"], "dimensions": 8}),
            "request.unsupported_option",
            "dimensions",
        ),
        (
            "event",
            json!({"query_from_app": "a", "actual_queries": ["b"], "parameters": {"top_n": 1}}),
            "request.unsupported_option",
            "top_n",
        ),
        // Other spellings.
        (
            "/v1/rerank",
            json!({"query": "a", "documents": ["b"], "topN": 1}),
            "request.unsupported_option",
            "top_n",
        ),
        (
            "event",
            json!({"query_from_app": "a", "actual_queries": ["b"], "Truncate": false}),
            "request.unsupported_option",
            "truncate",
        ),
        (
            "/embed",
            json!({"inputs": "a", "normalise": false}),
            "request.unsupported_option",
            "normalize",
        ),
        (
            "/search",
            json!({"index": "docs", "query": "a", "limit": 3, "top_n": 1}),
            "request.unsupported_option",
            "top_n",
        ),
        (
            "/search",
            json!({"index": "docs", "query": "a", "min_score": 0.5}),
            "request.unsupported_option",
            "min_score",
        ),
        (
            "/mine",
            json!({"texts": ["a"], "treshold": 0.5}),
            "request.unsupported_option",
            "threshold",
        ),
        (
            "/v1/embeddings",
            json!({"input": "a", "num_ctx": 8}),
            "request.unsupported_option",
            "num_ctx",
        ),
        // Inputs of Cohere that are not texts.
        (
            "/v2/embed",
            json!({"inputs": [{"content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
            "request.unsupported_option",
            "inputs[0].content[0].type",
        ),
        (
            "/v2/embed",
            json!({"inputs": [{"content": [{"type": "text", "text": "a"},
                                           {"type": "text", "text": "b"}]}]}),
            "request.unsupported_option",
            "inputs[0].content",
        ),
        (
            "/v2/embed",
            json!({"inputs": [{"content": "a"}]}),
            "request.wrong_type",
            "inputs[0].content",
        ),
        ("/v2/embed", json!({"inputs": ["a"]}), "request.wrong_type", "inputs[0]"),
        ("/v2/embed", json!({"inputs": [{}]}), "request.missing_field", "inputs[0].content"),
        ("/v2/embed", json!({"inputs": []}), "request.no_texts", "inputs"),
        ("/v2/embed", json!({}), "request.missing_field", "texts"),
        (
            "/api/embed",
            json!({"input": "a", "options": {"num_ctx": 0}}),
            "request.out_of_range",
            "options.num_ctx",
        ),
        (
            "/api/embed",
            json!({"input": "a", "options": {"num_ctx": "8"}}),
            "request.wrong_type",
            "options.num_ctx",
        ),
        // Two values of one option.
        (
            "/v1/embeddings",
            json!({"input": "a", "dimensions": 8, "output_dimension": 9}),
            "request.wrong_fields",
            "output_dimension",
        ),
        (
            "/v1/embeddings",
            json!({"input": "a", "input_type": "query", "task": "retrieval.passage"}),
            "request.wrong_fields",
            "task",
        ),
        (
            "/v1/rerank",
            json!({"query": "a", "documents": ["b"], "top_n": 1, "top_k": 2}),
            "request.wrong_fields",
            "top_k",
        ),
        (
            "/embed",
            json!({"inputs": "a", "truncate": true, "parameters": {"truncate": false}}),
            "request.wrong_fields",
            "parameters",
        ),
        (
            "/similarity",
            json!({"inputs": {"source_sentence": "a", "sentences": ["b"]}, "truncate": true,
                   "parameters": {"truncate": false}}),
            "request.wrong_fields",
            "parameters",
        ),
        (
            "/v1/embeddings",
            json!({"input": "a", "encoding_format": "hex"}),
            "request.unknown_value",
            "encoding_format",
        ),
        (
            "/v1/rerank",
            json!({"query": "a", "documents": ["b", {"title": "c"}]}),
            "request.missing_field",
            "documents[1].text",
        ),
        (
            "/v1/rerank",
            json!({"query": "a", "documents": ["b"], "top_n": 0}),
            "request.out_of_range",
            "top_n",
        ),
        ("event", json!({"operation": "dance"}), "request.unknown_value", "operation"),
        ("event", json!({"operation": 1}), "request.wrong_type", "operation"),
    ];
    for (form, request, code, field) in cases {
        let error = call(form, request.clone(), &Limits::default()).err().unwrap();
        assert_eq!(error.code().name, code, "{request}: {error}");
        let found = error.field().map(|field| field.to_string());
        assert_eq!(found.as_deref(), Some(field), "{request}");
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn unknown_fields_and_options_without_effect_are_ignored() {
    let plain = answer("/embed", json!({"inputs": "a river"}));
    let request = json!({
        "inputs": "a river", "purpose": "test", "top_n": null, "return_documents": false,
        "embedding_types": ["float"], "truncation": true, "color": 3,
    });
    assert_close(&answer("/embed", request), &plain);
    let request = json!({"inputs": "a river", "truncate": true, "parameters": {"truncate": true}});
    assert_close(&answer("/embed", request), &plain);
    let two = json!({"input": "a river", "dimensions": 8, "output_dimension": 8});
    assert_eq!(vector(&answer("/v1/embeddings", two)["data"][0]["embedding"]).len(), 8);
}

#[test]
fn an_event_takes_options_in_an_object() {
    let event = json!({"query_from_app": "a", "actual_queries": ["b", "a"]});
    let mut with = event.clone();
    with["parameters"] = json!({"top_k": 1});
    let best = answer("event", event)["Scores"][0].clone();
    assert_close(&answer("event", with)["Scores"], &json!([best]));
}

/// The token ids of texts.
fn ids(texts: Value, special: bool) -> Vec<Vec<u64>> {
    let request = json!({"inputs": texts, "add_special_tokens": special});
    let tokens = answer("/tokenize", request);
    let ids = |tokens: &Value| {
        tokens.as_array().unwrap().iter().map(|token| token["id"].as_u64().unwrap()).collect()
    };
    tokens.as_array().unwrap().iter().map(ids).collect()
}

#[test]
fn token_ids_have_the_embedding_of_their_text() {
    let texts = json!(["How many people live in London?", "Zürich", "a river"]);
    let lists = ids(texts.clone(), true);
    let expected = answer("/embed", json!({"inputs": texts}));
    assert_close(&answer("/embed", json!({"inputs": lists})), &expected);
    assert_close(&answer("/embed", json!({"inputs": lists[1]})), &json!([expected[1]]));
    let (found, report) =
        answer_and_report("/v1/embeddings", json!({"input": lists, "model": "any"})).unwrap();
    for (item, row) in found["data"].as_array().unwrap().iter().zip(expected.as_array().unwrap()) {
        assert_close(&item["embedding"], row);
    }
    let tokens: usize = lists.iter().map(Vec::len).sum();
    assert_eq!(found["usage"]["prompt_tokens"], tokens);
    assert_eq!(report.cost.texts, 3);
    // The ids are read as they are: without special tokens, the embedding is another one.
    let bare = answer("/embed", json!({"inputs": ids(json!(["a river"]), false)}));
    assert!(norm(&vector(&bare[0])) > 0.99);
    assert_ne!(bare[0], expected[2]);
}

#[test]
fn token_ids_are_truncated_between_the_special_tokens() {
    let long = format!("{}{}", "river ".repeat(200), "bread ".repeat(200));
    let lists = ids(json!([long]), true);
    assert_eq!(lists[0].len(), 402);
    for side in ["Right", "Left"] {
        let request = |inputs: Value| json!({"inputs": inputs, "truncation_direction": side});
        let (found, report) = answer_and_report("/embed", request(json!(lists))).unwrap();
        assert_close(&found, &answer("/embed", request(json!([long]))));
        assert_eq!(report.cost.truncated, [0]);
    }
    let request = json!({"inputs": lists, "truncate": false});
    let (code, message) = error("/embed", request);
    assert_eq!(code, "request.too_many_tokens");
    assert!(message.contains("inputs[0] has 402 tokens; the limit is 256"), "{message}");
}

#[test]
fn invalid_token_ids_are_refused_with_value_and_limit() {
    let (code, message) = error("/embed", json!({"inputs": [[101, 102], [101, 30522, 102]]}));
    // The first fault is the empty text.
    assert_eq!((code.as_str(), message.contains("inputs[0]")), ("request.empty_text", true));
    for (form, request) in [
        ("/embed", json!({"inputs": [101, 30522, 102]})),
        ("/v1/embeddings", json!({"input": [101, 30522, 102]})),
    ] {
        let (code, message) = error(form, request);
        assert_eq!(code, "request.out_of_range");
        assert!(message.contains("from 0 to 30521, found 30522"), "{message}");
    }
    let request = json!({
        "inputs": [[101, 2414, 102], [101, 102], [101, 99999, 102], [], [101, "a"]],
        "on_error": "null",
    });
    let found = answer("/embed", request);
    let codes = found["errors"].as_array().unwrap().iter();
    let codes: Vec<_> = codes.map(|error| (&error["index"], &error["code"])).collect();
    assert_eq!(
        codes,
        [
            (&json!(1), &json!("request.empty_text")),
            (&json!(2), &json!("request.out_of_range")),
            (&json!(3), &json!("request.empty_text")),
            (&json!(4), &json!("request.wrong_type")),
        ]
    );
    assert!(found["results"][0].is_array() && found["results"][1].is_null());
}

#[test]
fn a_limit_on_the_tokens_of_a_text_truncates_it() {
    let long = "one two three four five";
    let short = answer("/v2/embed", json!({"texts": ["one two"]}))["embeddings"].clone();
    let request = json!({"texts": [long], "max_tokens": 2});
    let (found, report) = answer_and_report("/v2/embed", request).unwrap();
    assert_close(&found["embeddings"], &short);
    assert_eq!((report.cost.truncated.as_slice(), report.cost.prompt_tokens), (&[0][..], 4));
    let request = json!({"texts": [long], "max_tokens": 2, "truncate": "START"});
    let end = answer("/v2/embed", json!({"texts": ["four five"]}))["embeddings"].clone();
    assert_close(&answer("/v2/embed", request)["embeddings"], &end);
    // The cache keeps the embeddings apart.
    let whole = answer("/v2/embed", json!({"texts": [long]}))["embeddings"].clone();
    assert_ne!(whole, short);
    let request = json!({"texts": [long], "max_tokens": 2, "truncate": "NONE"});
    let (code, message) = error("/v2/embed", request);
    assert_eq!(code, "request.too_many_tokens");
    assert!(message.contains("has 7 tokens; the limit is 4"), "{message}");
    let request = json!({
        "texts": ["one", long], "max_tokens": 2, "truncate": "NONE", "on_error": "null",
    });
    assert_eq!(answer("/v2/embed", request)["errors"][0]["index"], 1);
    // vLLM counts the special tokens.
    let embedding =
        |request: Value| answer("/v1/embeddings", request)["data"][0]["embedding"].clone();
    let request = json!({"input": long, "truncate_prompt_tokens": 4});
    assert_close(&embedding(request), &short["float"][0]);
    let request = json!({"input": ids(json!([long]), true), "truncate_prompt_tokens": 4});
    assert_close(&embedding(request), &short["float"][0]);
    let request = json!({"input": long, "truncate_prompt_tokens": -1});
    assert_close(&embedding(request), &whole["float"][0]);
    // Ollama counts them too. A limit beyond that of the model is that of the model.
    let ollama = |options: Value, truncate: bool| {
        let request = json!({"input": [long], "options": options, "truncate": truncate});
        run(service(), "/api/embed", request).map(|(reply, _)| reply["embeddings"].clone())
    };
    let four = json!({"num_ctx": 4, "temperature": 0.1, "top_k": 3});
    assert_close(&ollama(four.clone(), true).unwrap(), &short["float"]);
    let error_of = ollama(four, false).unwrap_err();
    assert_eq!(error_of.code().name, "request.too_many_tokens");
    assert_close(&ollama(json!({"num_ctx": 8192}), false).unwrap(), &whole["float"]);
    let too_small = ollama(json!({"num_ctx": 2}), true).unwrap_err();
    assert_eq!(too_small.code().name, "request.out_of_range");
    let request = json!({"prompt": long, "options": {"num_ctx": 4}});
    assert_close(&answer("/api/embeddings", request)["embedding"], &short["float"][0]);
    for tokens in [2, 257] {
        let request = json!({"input": long, "truncate_prompt_tokens": tokens});
        let (code, message) = error("/v1/embeddings", request);
        assert_eq!(code, "request.out_of_range");
        assert!(message.contains("from 3 to 256"), "{message}");
    }
}

#[test]
fn embed_all_returns_the_embedding_of_each_token() {
    let texts = json!(["How many people live in London?", "a river", "a river"]);
    let found = answer("/embed_all", json!({"inputs": texts}));
    let rows = answer("/embed", json!({"inputs": texts}));
    let token_ids = ids(texts.clone(), true);
    for ((tokens, row), ids) in
        found.as_array().unwrap().iter().zip(rows.as_array().unwrap()).zip(ids(texts, true))
    {
        let tokens: Vec<Vec<f32>> = tokens.as_array().unwrap().iter().map(vector).collect();
        assert_eq!((tokens.len(), tokens[0].len()), (ids.len(), 384));
        // The default model has mean pooling.
        let sum = |index: usize| tokens.iter().map(|token| token[index]).sum::<f32>();
        let sums: Vec<f32> = (0..384).map(sum).collect();
        let length = norm(&sums);
        for (sum, value) in sums.iter().zip(vector(row)) {
            assert!((sum / length - value).abs() < 1e-5);
        }
    }
    assert_eq!(found[1], found[2]);
    assert_close(&answer("/embed_all", json!({"inputs": token_ids})), &found);
    let request = json!({"inputs": [[101, 102], [101, 99999, 102], token_ids[1]],
                         "on_error": "null"});
    let listed = answer("/embed_all", request);
    let codes = [&listed["errors"][0]["code"], &listed["errors"][1]["code"]];
    assert_eq!(codes, ["request.empty_text", "request.out_of_range"]);
    assert_close(&listed["results"][2], &found[1]);
    let long = [vec![101], vec![2314; 300], vec![102]].concat();
    let (cut, report) = answer_and_report("/embed_all", json!({"inputs": long})).unwrap();
    assert_eq!((cut[0].as_array().unwrap().len(), report.cost.truncated), (256, vec![0]));
    let one = answer("/embed_all", json!({"inputs": "a river"}));
    assert_close(&one, &json!([found[1]]));
    let request = json!({"inputs": ["", "a river"], "on_error": "null"});
    let listed = answer("/embed_all", request);
    assert_eq!((&listed["results"][0], &listed["errors"][0]["index"]), (&Value::Null, &json!(0)));
    assert_close(&listed["results"][1], &one[0]);
    let (_, report) =
        answer_and_report("/embed_all", json!({"inputs": "river ".repeat(300)})).unwrap();
    assert_eq!((report.cost.truncated.as_slice(), report.cost.tokens), (&[0][..], 256));
    let request = json!({"inputs": "river ".repeat(300), "truncate": false});
    assert_eq!(error("/embed_all", request).0, "request.too_many_tokens");
}

#[test]
fn sparse_embeddings_are_refused_by_name() {
    for (form, request) in [
        ("/embed_sparse", json!({"inputs": "a"})),
        ("event", json!({"operation": "embed_sparse", "inputs": "a"})),
    ] {
        let (code, message) = error(form, request);
        assert_eq!(code, "request.no_sparse_embeddings");
        assert!(message.contains("SPLADE"), "{message}");
    }
}

#[test]
fn an_embedding_can_be_base64_on_the_route_of_text_embeddings_inference() {
    let request = json!({"inputs": ["a", ""], "encoding_format": "base64", "on_error": "null"});
    let found = answer("/embed", request);
    let other = answer("/v1/embeddings", json!({"input": "a", "encoding_format": "base64"}));
    assert_eq!(found["results"], json!([other["data"][0]["embedding"], null]));
}

#[test]
fn list_limits_apply_in_every_dialect() {
    let limits =
        Limits { texts: 2, client_texts: 2, text_bytes: 8, auto_truncate: false, predicts: false };
    let cases = [
        ("/embed", json!({"inputs": ["a", "b", "c"]})),
        ("/embed", json!({"inputs": [[1], [2], [3]]})),
        ("/embed_all", json!({"inputs": ["a", "b", "c"]})),
        ("/predict", json!({"inputs": [["a"], ["b"], ["c"]]})),
        ("/similarity", json!({"inputs": {"source_sentence": "a", "sentences": ["a", "b", "c"]}})),
        ("/rerank", json!({"query": "a", "texts": ["a", "b", "c"]})),
        ("/predict", json!({"inputs": [["a", "b"], ["a", "b"], ["a", "b"]]})),
        ("/tokenize", json!({"inputs": ["a", "b", "c"]})),
        ("/v1/embeddings", json!({"input": ["a", "b", "c"]})),
        ("/v1/rerank", json!({"query": "a", "documents": ["a", "b", "c"]})),
    ];
    for (form, request) in cases {
        let error = call(form, request, &limits).err().unwrap();
        assert!(matches!(error, RequestError::TooManyTexts { count: 3, limit: 2, .. }), "{error}");
    }
}
