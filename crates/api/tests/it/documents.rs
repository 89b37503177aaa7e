//! The documents that are generated from the routes: docs/openapi.json and docs/http.md.
//!
//! `UPDATE_DOCS=1 cargo test -p semblance-api documents` updates them.

use std::fmt::Write as _;

use semblance_api::routes;
use semblance_test_support::{assert_document, service};
use serde_json::{Value, json};

use crate::call;

/// The OpenAPI document of a service with the default bundle.
fn openapi() -> Value {
    let route = routes().find(|route| route.path == "/openapi.json").unwrap();
    let answer = route.call(json!({}), service().limits()).unwrap().run(service()).unwrap();
    serde_json::from_str(answer.reply.body.get()).unwrap()
}

#[test]
fn openapi_json_is_current() {
    let document = serde_json::to_string_pretty(&openapi()).unwrap() + "\n";
    assert_document("docs/openapi.json", &document);
}

#[test]
fn http_md_is_current() {
    assert_document("docs/http.md", &http_md(&openapi()));
}

const INTRODUCTION: &str = "# HTTP

`semblance serve` and the HTTP events of the Lambda function offer the same routes. This page is
generated from their declarations. `GET /openapi.json` describes a running service, with its limits;
[openapi.json](openapi.json) is that document for the default model.

A request body is JSON in UTF-8. It can be compressed with gzip or zstd (`Content-Encoding`). A
response is compressed if `Accept-Encoding` allows it and it has at least 1 KiB. Unknown fields are ignored;
`null` counts as absent. [errors.md](errors.md) lists the error codes.

";

const ERRORS: &str = "## Errors

| routes | body |
|---|---|
| `/v1/…`, `/v2/…` and `/embeddings` | `{\"error\": {\"message\", \"type\", \"code\", \"param\"}}`, as in OpenAI's API |
| all others | `{\"error\", \"error_type\"}`, as in text-embeddings-inference; `error_type` is the code |

A message contains the field with its index, the value and the limit. It never contains a text of the
request. Responses with status 429 or 503 have the header `Retry-After`.

";

/// Returns docs/http.md: routes, headers, errors and the fields of each body.
fn http_md(document: &Value) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("## Routes\n\n| method | path | purpose |\n|---|---|---|\n");
    for route in routes() {
        let _ = writeln!(page, "| {} | `{}` | {} |", route.method, route.path, route.summary);
    }
    page.push_str("\n`semblance serve` also has `GET /metrics`, for Prometheus.\n\n");
    page.push_str("## Response headers\n\n| header | value |\n|---|---|\n");
    let headers = &document["paths"]["/rerank"]["post"]["responses"]["200"]["headers"];
    for (name, header) in headers.as_object().unwrap() {
        let _ = writeln!(page, "| `{name}` | {} |", header["description"].as_str().unwrap());
    }
    page.push('\n');
    page.push_str(ERRORS);
    page.push_str("## Fields\n");
    let mut described = Vec::new();
    for route in routes().filter(|route| route.method == "POST") {
        let schema = &document["paths"][route.path]["post"]["requestBody"]["content"];
        let Some(reference) = schema["application/json"]["schema"]["$ref"].as_str() else {
            continue;
        };
        let paths: Vec<&str> = routes()
            .filter(|other| {
                let body = &document["paths"][other.path]["post"]["requestBody"]["content"];
                body["application/json"]["schema"]["$ref"] == reference
            })
            .map(|other| other.path)
            .collect();
        if !described.contains(&reference) {
            described.push(reference);
            let _ = write!(page, "\n### `{}`\n\n", paths.join("`, `"));
            fields(&mut page, document, reference, "");
        }
    }
    page.push_str(
        "\n### `/`, `/invocations`\n\nThe [event of the function](events.md), or a body of \
         `/similarity` or `/embed`, or another body with the field `operation`.\n",
    );
    page
}

/// Writes the fields of a body. The name of a nested field is its path.
fn fields(page: &mut String, document: &Value, reference: &str, prefix: &str) {
    let body = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
    if prefix.is_empty() {
        let about = body["description"].as_str().unwrap();
        let _ =
            write!(page, "{about}\n\n| field | type | required | meaning |\n|---|---|---|---|\n");
    }
    for (name, field) in body["properties"].as_object().unwrap() {
        let required = body["required"].as_array();
        let required = required.is_some_and(|names| names.contains(&json!(name)));
        let about = field["description"].as_str().unwrap_or_default();
        let path = format!("{prefix}{name}");
        let required = if required { "yes" } else { "" };
        let _ = writeln!(page, "| `{path}` | {} | {required} | {about} |", kind(field));
        let nested = field["$ref"].as_str().or(field["anyOf"][1]["$ref"].as_str());
        if let Some(nested) = nested {
            let body = document.pointer(nested.strip_prefix('#').unwrap()).unwrap();
            if body["properties"].is_object() {
                fields(page, document, nested, &format!("{path}."));
            }
        }
    }
}

/// Describes the type of a field.
fn kind(field: &Value) -> String {
    let name = |field: &Value| field["$ref"].as_str()?.rsplit('/').next().map(str::to_owned);
    if let Some(name) = name(field).or_else(|| name(&field["anyOf"][1])) {
        return match name.as_str() {
            "Text" => "text".to_owned(),
            "Texts" | "Candidates" => "texts".to_owned(),
            "Input" => "text or texts".to_owned(),
            "PairInput" => "pair of texts, or pairs".to_owned(),
            "Documents" => "texts, or objects with `text`".to_owned(),
            _ => "object".to_owned(),
        };
    }
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> = values
            .iter()
            .filter_map(Value::as_str)
            .filter(|value| value.chars().next().is_some_and(char::is_lowercase))
            .map(|value| format!("`{value}`"))
            .collect();
        return if values.is_empty() { "name".to_owned() } else { values.join(" or ") };
    }
    match field["type"][0].as_str() {
        Some(kind) => kind.to_owned(),
        None => "any".to_owned(),
    }
}

#[test]
fn every_route_decodes_its_example() {
    let document = openapi();
    let mut failures = Vec::new();
    for route in routes().filter(|route| route.method == "POST") {
        let body = &document["paths"][route.path]["post"]["requestBody"]["content"];
        let schema = &body["application/json"]["schema"];
        let Some(reference) = schema["$ref"].as_str() else { continue };
        let body = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        if let Err(error) = call(route.path, body["examples"][0].clone(), service().limits()) {
            failures.push(format!("{}: {error}", route.path));
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}
