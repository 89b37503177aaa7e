//! Every option in the tables of docs/http.md does what its row says.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use semblance_api::routes;
use semblance_test_support::{
    OptionRow, assert_close, bundle, cross_encoder_bundle, load, option_rows, service, service_of,
};
use serde_json::{Value, json};

use crate::documents::openapi;
use crate::{call, run};

/// Returns the example of a route with a field set. The field is a path.
fn with(document: &Value, path: &str, field: &str, value: Value) -> Value {
    let body = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
    let reference = body["schema"]["$ref"].as_str().unwrap();
    let body = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
    let mut request = body["examples"][0].clone();
    let place = field.split('.').fold(&mut request, |place, name| &mut place[name]);
    *place = value;
    request
}

/// Returns a reply without what differs between equal requests.
fn answer(path: &str, request: Value) -> Value {
    let (mut reply, _) = run(service(), path, request).unwrap();
    for name in ["id", "total_duration"] {
        reply.as_object_mut().map(|reply| reply.remove(name));
    }
    reply
}

#[test]
fn every_option_does_what_the_documentation_says() {
    let (document, limits) = (openapi(), service().limits());
    let (mut applied, mut none, mut refused) = (0, 0, 0);
    // `/embed_sparse` refuses every request.
    let rows = option_rows().into_iter().filter(|row| row.path != "/embed_sparse");
    for OptionRow { path, field, kind, effect, .. } in rows {
        let with = |value: Value| with(&document, &path, &field, value);
        let error = |value: Value| {
            let error = call(&path, with(value), limits).err();
            let error = error.unwrap_or_else(|| panic!("{path} {field}"));
            (error.code().name, error.field().map(|field| field.to_string()).unwrap_or_default())
        };
        match effect.as_str() {
            "refused" => {
                for value in [json!(true), json!(1), json!("x"), json!(["x"])] {
                    let expected = ("request.unsupported_option", field.clone());
                    assert_eq!(error(value), expected, "{path}");
                }
                for value in [json!(null), json!(false), json!([])] {
                    assert!(call(&path, with(value), limits).is_ok(), "{path} {field}");
                }
                refused += 1;
            }
            "no effect" => {
                let plain = answer(&path, with(json!(null)));
                for value in [json!("x"), json!(3), json!({"a": [1]})] {
                    assert_eq!(answer(&path, with(value)), plain, "{path} {field}");
                }
                none += 1;
            }
            "applied" => {
                let wrong = if kind == "object" { json!(5) } else { json!({"no": "value"}) };
                let (code, found) = error(wrong);
                let is_own = found.starts_with(&field) || field == "inputs" && found.contains('.');
                assert!(is_own, "{path}: {field} {found}");
                let known = ["request.wrong_type", "request.missing_field", "request.bad_filter"];
                assert!(known.contains(&code), "{path} {field}: {code}");
                for value in values(&kind) {
                    let request = with(value.clone());
                    let decoded = call(&path, request, limits);
                    assert!(decoded.is_ok(), "{path} {field} {value}: {:?}", decoded.err());
                }
                applied += 1;
            }
            other => panic!("{path} {field}: {other}"),
        }
    }
    println!("options: {applied} applied, {none} without effect, {refused} refused");
    assert!(applied > 70 && none > 15 && refused > 4, "{applied} {none} {refused}");
}

/// Returns values of a type, as docs/http.md describes it.
fn values(kind: &str) -> Vec<Value> {
    match kind {
        "boolean" => vec![json!(true), json!(false), json!(null)],
        "integer" => vec![json!(1), json!(2), json!(2.0), json!(null)],
        "name" => vec![json!(null)],
        kind if kind.contains('`') => {
            let values = kind.split(" or ").map(|value| match value.strip_prefix('`') {
                Some(value) => json!(value.trim_matches('`')),
                None => json!(true),
            });
            values.chain([json!(null)]).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_post_route_is_in_the_tables_or_takes_an_event() {
    let described: Vec<String> = option_rows().into_iter().map(|row| row.path).collect();
    for route in routes().filter(|route| route.method == "POST") {
        let is_event = ["/", "/invocations"].contains(&route.path);
        assert!(is_event || described.iter().any(|path| path == route.path), "{}", route.path);
    }
}

#[test]
fn ranked_fields_are_joined_in_order() {
    let documents = json!([
        {"title": "Paris is the capital of France", "text": "bread"},
        {"title": "bread", "text": "Paris is the capital of France"},
    ]);
    let rank = |fields: Value| {
        let request = json!({"query": "capital of France", "documents": documents,
                             "rank_fields": fields});
        answer("/v1/rerank", request)["results"].clone()
    };
    assert_eq!(rank(json!(["title"]))[0]["index"], 0);
    assert_eq!(rank(json!(["text"]))[0]["index"], 1);
    assert_eq!(rank(json!(null))[0]["index"], 1);
    let joined = json!({"query": "capital of France",
                        "documents": ["bread\nParis is the capital of France"]});
    let joined = answer("/v1/rerank", joined)["results"][0]["relevance_score"].clone();
    let both = rank(json!(["text", "title"]));
    let first = both.as_array().unwrap().iter().find(|result| result["index"] == 0).unwrap();
    assert_eq!(first["relevance_score"], joined);
    let request = json!({"query": "a", "documents": [{"title": "b"}, {"year": 1999}],
                         "rank_fields": ["title", "year"], "return_documents": true});
    let reply = answer("/v1/rerank", request);
    let result = reply["results"].as_array().unwrap().iter().find(|one| one["index"] == 1).unwrap();
    assert_eq!(result["document"], json!({"year": 1999}), "the object of the request");
    let missing = json!({"query": "a", "documents": [{"text": "b"}], "rank_fields": ["title"]});
    let error = call("/v1/rerank", missing, service().limits()).err().unwrap();
    assert_eq!(error.code().name, "request.missing_field");
}

#[test]
fn a_document_is_limited_to_its_first_tokens() {
    let rerank = |document: &str, limit: Value| {
        let request = json!({"query": "capital", "documents": [document],
                             "max_tokens_per_doc": limit});
        let (reply, report) = run(service(), "/v2/rerank", request).unwrap();
        (reply["results"][0]["relevance_score"].clone(), report.cost.truncated)
    };
    let (short, _) = rerank("Paris is the", json!(null));
    assert_eq!(rerank("Paris is the capital of France", json!(3)), (short, vec![1]));
    let (whole, _) = rerank("Paris is the capital of France", json!(null));
    assert_eq!(rerank("Paris is the capital of France", json!(4_096)), (whole, vec![]));
}

#[test]
fn a_rerank_has_a_limit_on_the_tokens_of_a_pair() {
    let cross = cross_encoder_bundle("cross");
    let with_cross = service_of(load(&bundle(), Some(&cross), NonZeroUsize::MIN));
    for (service, special) in [(&**service(), 2), (&with_cross, 3)] {
        let rerank = |query: &str, document: &str, options: Value| {
            let mut request = json!({"query": query, "documents": [document]});
            request.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
            run(service, "/rerank", request)
        };
        let (query, long) = ("city", "Paris is the capital of France");
        // A pair has the query and the document; the embedding model reads each alone.
        let tokens = if special == 3 { special + 1 + 2 } else { special + 2 };
        let limited = rerank(query, long, json!({"truncate_prompt_tokens": tokens})).unwrap();
        assert_eq!(limited.1.cost.truncated, [1]);
        let short = rerank(query, "Paris is", json!({})).unwrap();
        let score = |reply: &Value| reply["results"][0]["relevance_score"].clone();
        assert_close(&score(&limited.0), &score(&short.0));
        let whole = rerank(query, long, json!({})).unwrap();
        let unlimited = rerank(query, long, json!({"truncate_prompt_tokens": -1})).unwrap();
        assert_close(&score(&unlimited.0), &score(&whole.0));
        for tokens in [special, 100_000] {
            let error = rerank(query, long, json!({"truncate_prompt_tokens": tokens})).unwrap_err();
            assert_eq!(error.code().name, "request.out_of_range");
            assert!(error.to_string().contains(&format!("from {} to", special + 1)), "{error}");
        }
        let refusing = json!({"truncate_prompt_tokens": tokens, "truncation": false});
        let error = rerank(query, long, refusing).unwrap_err();
        assert_eq!(error.code().name, "request.too_many_tokens");
    }
}

#[test]
fn the_score_of_a_document_is_that_of_its_best_chunk() {
    let cross = cross_encoder_bundle("cross");
    let with_cross = service_of(load(&bundle(), Some(&cross), NonZeroUsize::MIN));
    // One token of the query and special tokens leave this many of the document.
    for (service, room) in [(&**service(), 254), (&with_cross, 60)] {
        let rerank = |documents: &[String], chunks: Value| {
            let request = json!({"query": "city", "documents": documents,
                                 "max_chunks_per_doc": chunks, "on_error": "null"});
            run(service, "/v1/rerank", request).unwrap()
        };
        let scores = |reply: &Value| -> Vec<Value> {
            let results = reply["results"].as_array().unwrap();
            let of = |index| results.iter().find(|one| one["index"] == index).unwrap();
            (0..results.len()).map(|index| of(index)["relevance_score"].clone()).collect()
        };
        let parts = ["bread ".repeat(room), "city ".repeat(room), "river ".repeat(9)];
        let whole = parts.concat();
        let documents = [whole.clone(), String::new(), "a short text".to_owned()];
        let found = rerank(&documents, json!(3));
        let alone = scores(&rerank(&parts, json!(null)).0);
        let best = alone.iter().map(|score| score.as_f64().unwrap()).fold(f64::MIN, f64::max);
        assert_close(&scores(&found.0)[0], &json!(best));
        assert_eq!(found.0["errors"][0]["index"], 1);
        assert!(found.1.cost.truncated.is_empty(), "every token was read");
        assert_close(&scores(&found.0)[2], &scores(&rerank(&documents, json!(null)).0)[2]);
        // The first chunk alone, and what is left.
        let first = rerank(&documents, json!(1));
        assert_close(&scores(&first.0)[0], &alone[0]);
        assert_eq!(first.1.cost.truncated, [1]);
        let two = rerank(&documents, json!(2));
        assert_eq!(two.1.cost.truncated, [1]);
        // A part of spaces has no tokens.
        let spaces = [format!("{}{}", parts[0], " ".repeat(99)), "a".to_owned()];
        assert_close(&scores(&rerank(&spaces, json!(3)).0)[0], &alone[0]);
    }
}

/// One rule for all routes: an option of another route, in another spelling or with one wrong letter is
/// refused unless it has no effect; other unknown fields are ignored.
#[test]
fn unknown_fields_have_one_rule_on_all_routes() {
    let (document, limits) = (openapi(), service().limits());
    let rows: Vec<OptionRow> =
        option_rows().into_iter().filter(|row| row.path != "/embed_sparse").collect();
    let paths: BTreeSet<&str> = rows.iter().map(|row| row.path.as_str()).collect();
    let (mut refused, mut ignored) = (0, 0);
    for path in paths {
        let own: BTreeSet<&str> =
            rows.iter().filter(|row| row.path == path).map(|row| row.field.as_str()).collect();
        for (name, value) in [
            ("top_n", json!(1)),
            ("dimensions", json!(8)),
            ("min_score", json!(0.5)),
            ("exact", json!(true)),
            ("rank_fields", json!(["title"])),
            ("add_special_tokens", json!(false)),
            ("encoding_format", json!("base64")),
            ("outputDimensions", json!(8)),
            ("treshold", json!(0.5)),
            ("Truncation-Direction", json!("left")),
        ] {
            if own.contains(name) {
                continue;
            }
            let found = call(path, with(&document, path, name, value), limits);
            let error = found.err().unwrap_or_else(|| panic!("{path} {name} is dropped"));
            assert_eq!(error.code().name, "request.unsupported_option", "{path} {name}");
            let found = call(path, with(&document, path, name, json!(null)), limits);
            assert!(found.is_ok(), "{path} {name} null");
            refused += 1;
        }
        for name in ["color", "x-trace", "metadata", "stream"] {
            let with = |value: Value| with(&document, path, name, value);
            assert!(call(path, with(json!({"a": [1]})), limits).is_ok(), "{path} {name}");
            // The service has no cross-encoder.
            if path != "/predict" {
                let (plain, found) = (with(json!(null)), with(json!({"a": [1]})));
                assert_eq!(answer(path, found), answer(path, plain), "{path} {name}");
            }
            ignored += 1;
        }
    }
    println!("{refused} options refused, {ignored} unknown fields ignored");
}

#[test]
fn a_rerank_of_voyage_has_its_form() {
    let documents = ["a river", "London is a city", "bread"];
    let voyage = json!({"query": "city", "documents": documents, "top_k": 1, "model": "rerank-2",
                        "truncation": true});
    let reply = answer("/v1/rerank", voyage);
    assert_eq!(reply["object"], "list");
    assert_eq!(reply["data"].as_array().unwrap().len(), 1);
    assert_eq!(reply["data"][0]["index"], 1);
    assert!(reply["usage"]["total_tokens"].as_u64().unwrap() > 0 && reply.get("results").is_none());
    let cohere = answer("/rerank", json!({"query": "city", "documents": documents, "top_n": 1}));
    assert_eq!(cohere["results"], reply["data"], "the same scores");
    assert_eq!(cohere["usage"], reply["usage"]);
    assert_eq!(cohere["model"], "all-minilm-l6-v2");
}

#[test]
fn an_embedding_has_the_requested_format() {
    let embed = |options: Value| {
        let mut request = json!({"input": ["London"]});
        request.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        answer("/v1/embeddings", request)["data"][0]["embedding"].clone()
    };
    let float: Vec<f64> = serde_json::from_value(embed(json!({}))).unwrap();
    let bits: Vec<u8> = serde_json::from_value(embed(json!({"output_dtype": "ubinary"}))).unwrap();
    let signed: Vec<i8> =
        serde_json::from_value(embed(json!({"embedding_type": "binary"}))).unwrap();
    assert_eq!((float.len(), bits.len(), signed.len()), (384, 48, 48));
    for (index, value) in float.iter().enumerate() {
        assert_eq!(bits[index / 8] >> (7 - index % 8) & 1 == 1, *value > 0.0, "{index}");
        assert_eq!(i16::from(signed[index / 8]), i16::from(bits[index / 8]) - 128);
    }
    let short: Vec<f64> = serde_json::from_value(embed(json!({"output_dimension": 8}))).unwrap();
    assert_eq!(short.len(), 8);
    for (field, request) in [
        ("output_dtype", json!({"output_dtype": "float16"})),
        ("embedding_type", json!({"embedding_type": ["float", "binary"]})),
        ("output_dtype", json!({"output_dtype": "int8", "normalized": false})),
        ("embedding_type", json!({"embedding_type": "uint8", "normalized": false})),
    ] {
        let mut request = request;
        request["input"] = json!("a");
        let error = call("/v1/embeddings", request, service().limits()).err().unwrap();
        assert_eq!(error.code().name, "request.unsupported_option");
        assert_eq!(error.field().unwrap().to_string(), field);
    }
    let both = json!({"texts": ["London"], "embedding_types": ["float", "ubinary", "base64"]});
    let reply = answer("/v1/embed", both);
    assert_eq!(reply["embeddings"]["ubinary"][0], json!(bits));
    assert_eq!(reply["response_type"], "embeddings_by_type");
    assert_eq!(
        answer("/v1/embed", json!({"texts": ["London"]}))["embeddings"][0],
        json!(embed(json!({})))
    );
}

#[test]
fn an_error_names_the_field_of_the_dialect() {
    for (form, request, field) in [
        ("/embed", json!({"inputs": "a", "dimensions": 385}), "dimensions"),
        ("/v1/embeddings", json!({"input": "a", "dimensions": 385}), "dimensions"),
        ("/v1/embeddings", json!({"input": "a", "output_dimension": 385}), "output_dimension"),
        ("/v2/embed", json!({"texts": ["a"], "output_dimension": 385}), "output_dimension"),
        ("/api/embed", json!({"input": "a", "dimensions": 385}), "dimensions"),
    ] {
        let error = run(service(), form, request).unwrap_err();
        assert_eq!(error.code().name, "request.out_of_range", "{form}");
        assert_eq!(error.field().as_deref(), Some(field), "{form}");
    }
}

#[test]
fn a_body_is_recognized_by_its_fields() {
    let items = |path: &str, request: Value| {
        let (reply, _) = run(service(), path, request).unwrap();
        reply
    };
    for path in ["/", "/invocations"] {
        let embedded = json!({"texts": ["a"], "input_type": "search_query"});
        assert_eq!(items(path, embedded)["response_type"], "embeddings_floats");
        let ranked = json!({"query": "a", "texts": ["a"]});
        assert_eq!(items(path, ranked)[0]["index"], 0);
        let documents = json!({"query": "a", "texts": null, "documents": ["a"]});
        assert_eq!(items(path, documents)["results"][0]["index"], 0);
    }
    // An image is refused by name, before a missing text is.
    let images = json!({"images": ["data:image/png;base64,"], "input_type": "image"});
    let error = call("/v2/embed", images, service().limits()).err().unwrap();
    assert_eq!(error.field().unwrap().to_string(), "images");
    for parameters in [json!(7), json!("x"), json!([])] {
        for path in ["/embed", "/tokenize", "/similarity"] {
            let inputs = match path {
                "/similarity" => json!({"source_sentence": "a", "sentences": ["b"]}),
                _ => json!("a"),
            };
            let request = json!({"inputs": inputs, "parameters": parameters});
            let error = call(path, request, service().limits()).err().unwrap();
            assert_eq!(error.code().name, "request.wrong_type", "{path} {parameters}");
        }
    }
}

#[test]
fn options_can_be_in_an_object_of_parameters_or_not() {
    let nested = json!({"inputs": "London", "parameters": {"normalize": false}});
    assert_eq!(
        answer("/embed", nested),
        answer("/embed", json!({"inputs": "London", "normalize": false}))
    );
    let long = "word ".repeat(300);
    let inputs = json!({"source_sentence": "a", "sentences": [long]});
    for request in [
        json!({"inputs": inputs, "truncate": false}),
        json!({"inputs": inputs, "parameters": {"truncate": false}}),
    ] {
        let error = run(service(), "/similarity", request).unwrap_err();
        assert_eq!(error.code().name, "request.too_many_tokens");
    }
}
