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
    let about = schemas["Text"]["description"].as_str().unwrap();
    assert!(about.contains("must not exceed 2000 bytes"), "{about}");
    assert_eq!(schemas["ClientInput"]["anyOf"][1]["maxItems"], 60);
    assert_eq!(schemas["Texts"]["maxItems"], 40);
    let embed = &schemas["EmbedBody"]["properties"];
    assert_eq!(embed["dimensions"]["maximum"], 16);
    assert_eq!(embed["prompt_name"]["enum"], json!(["color", null]));
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
            // No model has sparse embeddings.
            let expected = if route.path == "/embed_sparse" { 404 } else { 200 };
            assert_eq!(reply.status, expected, "{} {example}", route.path);
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
    assert!(tried >= 20, "{tried}");
}
