//! The OpenAPI document describes the actual routes.

use super::*;

/// Collects the values of a key at any depth.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            if name == key {
                found.push(value);
            }
            all(value, key, found);
        }),
        Value::Array(items) => items.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

#[test]
fn the_document_describes_exactly_the_routes() {
    let document = call(&fake(), get("/openapi.json")).json();
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let declared = routes().map(|route| (route.path.to_owned(), route.method.to_string()));
    assert_eq!(described, declared.collect());
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 50, "{}", references.len());
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    let mut ids = Vec::new();
    all(&document, "operationId", &mut ids);
    let different: BTreeSet<&str> = ids.iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(different.len(), routes().count());
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Text"]["maxLength"], 2_000);
    assert_eq!(schemas["Texts"]["maxItems"], 40);
    let embed = &schemas["EmbedBody"]["properties"];
    assert_eq!(embed["dimensions"]["maximum"], 16);
    assert_eq!(embed["prompt_name"]["enum"], json!(["query", null]));
}

#[test]
fn the_document_has_the_fields_of_each_route() {
    let document = call(&fake(), get("/openapi.json")).json();
    let truncation = ["truncate", "truncation_direction"];
    let search = [
        "index",
        "query",
        "vectors",
        "top_k",
        "filter",
        "exact",
        "rerank",
        "prompt_name",
        truncation[0],
        truncation[1],
    ];
    let cases: [(&str, &[&str]); 8] = [
        ("/search", &search),
        ("/similarity", &["inputs", "parameters"]),
        (
            "/embed",
            &["inputs", "prompt_name", "normalize", "dimensions", truncation[0], truncation[1]],
        ),
        ("/rerank", &["query", "texts", "raw_scores", "return_text", truncation[0], truncation[1]]),
        ("/predict", &["inputs", "raw_scores", truncation[0], truncation[1]]),
        ("/tokenize", &["inputs", "add_special_tokens", "prompt_name"]),
        ("/v1/embeddings", &["input", "encoding_format", "dimensions", "model", "user"]),
        ("/v1/rerank", &["query", "documents", "top_n", "return_documents", "model"]),
    ];
    for (path, fields) in cases {
        let content = &document["paths"][path]["post"]["requestBody"]["content"];
        let reference = content["application/json"]["schema"]["$ref"].as_str().unwrap();
        let body = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        let described: BTreeSet<&str> =
            body["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, fields.iter().copied().collect(), "{path}");
    }
}

#[test]
fn examples_get_documented_statuses_and_headers() {
    let router = real();
    let document = call(&router, get("/openapi.json")).json();
    let mut tried = 0;
    for route in routes().filter(|route| route.method == Method::POST) {
        let operation = &document["paths"][route.path]["post"];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let own = |schema: &Value| {
            let pointer = schema["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
            document.pointer(pointer).unwrap()["examples"][0].clone()
        };
        let named = |operation: &Value| {
            let body = operation["allOf"][0].clone();
            let name = &operation["allOf"][1]["properties"]["operation"]["enum"][0];
            let mut example = own(&body);
            example["operation"] = name.clone();
            example
        };
        let examples = match schema["anyOf"].as_array() {
            Some(any) => any.iter().filter(|one| one["allOf"].is_array()).map(named).collect(),
            None => vec![own(schema)],
        };
        for example in examples {
            let reply = call(&router, post(route.path, example.to_string()));
            assert_eq!(reply.status, 200, "{} {example}", route.path);
            let headers = operation["responses"]["200"]["headers"].as_object().unwrap();
            for name in reply.headers.keys().filter(|name| name.as_str().starts_with("x-")) {
                let is_documented = headers.contains_key(name.as_str());
                assert!(is_documented || name == "x-content-type-options", "{name}");
            }
            tried += 1;
        }
        let reply = call(&router, post(route.path, "{}"));
        let status = reply.status.to_string();
        assert!(operation["responses"].get(&status).is_some(), "{status} of {}", route.path);
    }
    assert!(tried >= 12, "{tried}");
}
