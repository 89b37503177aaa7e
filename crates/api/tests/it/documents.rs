//! The documents that are generated from the routes: docs/openapi.json and docs/http.md.
//!
//! `UPDATE_DOCS=1 cargo test -p semblance-api documents` updates them.

use std::fmt::Write as _;

use semblance_api::routes;
use semblance_test_support::{assert_document, service};
use serde_json::{Value, json};

use crate::call;

/// The OpenAPI document of a service with the default bundle.
pub(crate) fn openapi() -> Value {
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
response is compressed if `Accept-Encoding` allows it and it has at least 1 KiB. A byte order mark before
the body is ignored. Slashes at the end of a path and doubled slashes count for nothing.
[errors.md](errors.md) lists the error codes.

";

const FORMS: &str = "Some paths accept the bodies of several APIs, which their fields identify:

| path | body with | is read as that of |
|---|---|---|
| `/`, `/invocations` | `operation` | an [event](events.md) |
| `/`, `/invocations` | `inputs` | `/similarity` if it is an object, otherwise `/embed`, or `/predict` if the service has only a cross-encoder |
| `/`, `/invocations` | `input` | `/v1/embeddings` |
| `/`, `/invocations` | `texts` with `input_type` or `embedding_types` | `/v1/embed` |
| `/`, `/invocations` | `texts` or `documents` otherwise | `/rerank` |
| `/rerank` | `documents` | `/v1/rerank` |
| `/v1/rerank`, `/v2/rerank` | `top_k`, or `truncation` without `top_n` | Voyage's API: the response has `data` instead of `results` |

A direct event of the function with `inputs` is read in the same way. On the routes of
text-embeddings-inference, options can also be in an object `parameters`.

## API keys

With `serve --api-key` or `SEMBLANCE_API_KEY` (several keys are separated by commas), a request must have
a key: `Authorization: Bearer KEY` or `x-api-key: KEY`. Otherwise the status is 401 and the code
`http.unauthorized`. `GET /health`, `/healthz`, `/ping` and `/metrics` need no key. The keys apply to the
HTTP events of the function too; direct events are authorized by IAM. Keys are compared in constant time
and are never logged.

";

const LIMITS: &str = "## Limits

`semblance serve` refuses what exceeds a limit before it spends memory or time on it. Values are the defaults;
[configuration.md](configuration.md) has the ranges.

| limit | value | set with | beyond it |
|---|---|---|---|
| connections | 4,096 | `--max-connections` | the connection that has been without a request for the longest time is closed; if all have one, status 503, `http.too_many_connections` |
| time for the headers | 10 s | `--head-timeout-seconds` | the connection is closed |
| headers of a request | 32 KiB, 100 headers | `--max-header-bytes` | status 431 |
| time for the body | 30 s | `--body-timeout-seconds` | status 408, `http.body_timed_out` |
| body, as sent and decompressed | 8 MiB | `--max-body-bytes` | status 413, `http.body_too_large` |
| requests in progress | 512 | `--max-concurrent-requests` | status 429, `http.overloaded` |
| bytes of all bodies and responses, without the first 64 KiB of each request | 256 MiB | `--max-buffered-bytes` | status 429, `http.overloaded` |
| time of an operation | 60 s | `--timeout-seconds` | status 503, `http.timed_out` |
| time in which a client reads nothing, for each 64 KiB | 30 s | `--write-timeout-seconds` | the connection is closed |
| time between two requests of a connection | 75 s | `--idle-timeout-seconds` | the connection is closed |
| streams of an HTTP/2 connection at the same time | 64 | | further streams are reset |
| texts of a request | 1,000; 2,048 on the routes of OpenAI, Cohere, Jina, Voyage and Ollama | `SEMBLANCE_MAX_TEXTS` | `request.too_many_texts` |
| a text that must not be truncated | 64 KiB | `SEMBLANCE_MAX_TEXT_BYTES` | `request.text_too_long` |
| tokens of a response of `/tokenize` | as many as the model reads of the longest list of texts | `SEMBLANCE_MAX_TEXTS` | status 413, `request.too_many_tokens_in_total` |
| JSON | 128 levels, 1,024 fields of the request, values of a field in 32 MiB of memory | | `request.invalid_json`, `request.too_many_values` |

Limits that the function shares: texts, tokens and JSON, and 6 MiB for a body. A response has at most 6,291,556
bytes, or 1,048,576 bytes for a load balancer; a larger one is the error `response.too_large`, status 413, with
the number of items that fit.

Requests take turns at the model by tokens, so a small request waits for a few passes and not for the end of a
large one. A request whose client has left ends after the pass in progress; it is logged and counted with status
499. `GET /health` and `GET /metrics` are answered while every request is taken. There is no limit for each client;
use a proxy for that. The server speaks HTTP/1.1 and, with prior knowledge, HTTP/2. After SIGTERM or SIGINT it
answers the requests in progress, and ends within `--shutdown-seconds` (10), even if clients stall; a second signal
ends it at once.

";

const TEXTS: &str = "## Texts

A text must have at least one token besides special ones; the tokenizer of the model decides that. White space,
control characters and zero-width characters usually have none. Such a text is the error
`request.empty_text`.

A lone surrogate, such as the escape `\\ud83d` without its second half, is read as U+FFFD. U+0000 is
passed to the tokenizer, which removes it together with other control characters if that is its rule. A
response repeats a text with the same replacement.

`/embed_all` returns the output of the transformer for each token, special tokens included: it is neither
pooled nor normalized. `/embed_sparse` is refused with `request.no_sparse_embeddings`, because models with
SPLADE pooling are not supported. `/predict` scores pairs of texts and single texts; a single text is
`[CLS] text [SEP]` for a model of BERT.

A text beyond the model's limit is truncated or refused, as `truncate` says. `/info` reports the default
of the routes of text-embeddings-inference, `auto_truncate`; `serve --auto-truncate false` or
`SEMBLANCE_AUTO_TRUNCATE=false` changes it. The other APIs truncate by default. The size limit of a text
applies only to a text that must not be truncated. A longer text is truncated, and the header
`x-semblance-truncated` lists it.

### Token ids

`/embed`, `/embed_all`, `/v1/embeddings` and `/embeddings` accept token ids instead of texts: a list of ids, or a
list of such lists. `/tokenize` accepts texts only, as in text-embeddings-inference. The ids must be of the
model's own vocabulary, as `/tokenize` returns them; another id is `request.out_of_range`. The ids are read as they
are, so they must include the special tokens. If there are more than the model reads, those at both ends are kept.
If the request or the model has a prompt, it is put before the text that the ids mean. An id of another vocabulary
that is small enough cannot be recognized. Therefore ids are refused with `request.unsupported_option` if `model`
is a model of OpenAI (`text-embedding-…`): its clients, such as LangChain with `check_embedding_ctx_length`, send
ids of its vocabulary.

### Invalid texts of a list

By default, an invalid text refuses the whole request. With `\"on_error\": \"null\"`, the valid texts are
processed: a text that is empty, too long or not a string has null in its place, and the response has
`errors`, a list of `{\"index\", \"code\", \"message\"}`. `on_error` is an extension of every API with a list
of texts:

| routes | response with `\"on_error\": \"null\"` |
|---|---|
| `/similarity`, `/embed`, `/embed_all`, `/rerank`, `/predict`, `/tokenize` | `{\"results\", \"errors\"}`; `results` is the usual list. A ranking has invalid texts last, with the score null. |
| `/search` | The usual object with null for the rows of an invalid query; `errors` is added. |
| `/mine`, `/cluster`, `/map` | The usual object without the invalid texts, which keep their numbers; a point of `/map` is null. `errors` is added. |
| event | `Scores` has invalid texts last, with the score null; `Errors` is added. |
| `/v1/embeddings`, `/v1/rerank`, `/v1/embed`, `/api/embed` and their variants | The usual object with null for the embedding or the score; `errors` is added. |

An invalid query refuses the request.

## Similarity and prompts

A bundle carries the similarity function of its model (`similarity_fn_name` of sentence-transformers):
`cosine`, `dot`, `euclidean` or `manhattan`. `/info` reports it. `/similarity`, the event, and rerank without a
cross-encoder use it. Distances are negative, so a higher score is always better.

If the model has a prompt `query`, it is put before the query of a comparison. The first of the prompts
`document`, `passage` and `corpus` that the model has is put before each text. `prompt_name: null` disables
both. An embedding gets the prompt of `prompt_name`, `input_type` or `task`, else the model's default prompt
(`default_prompt_name` of sentence-transformers), if it has one; `prompt_name: null` disables it.
sentence-transformers 6.2 adds an empty prompt `document` to every model, so its `encode_document` never uses
`passage` and `corpus`; this service does.

";

const ERRORS: &str = "## Errors

| routes | body |
|---|---|
| `/v1/…`, `/v2/…`, `/embeddings` and `/models` | `{\"error\": {\"message\", \"type\", \"code\", \"param\"}}`, as in OpenAI's API |
| all others | `{\"error\", \"error_type\"}`, as in text-embeddings-inference; `error_type` is the code |

A message contains the field with its index, the value and the limit. It never contains a text of the
request. Responses with status 429 or 503 have the header `Retry-After`.

";

const GUARANTEES: &str = "## Guarantees

They hold for every kind of bundle: fp32 and int8, with and without a cross-encoder, with and without a
Normalize module, dense layers and prompts, with every similarity function, and for a cross-encoder alone as
far as it has the operation.

| routes | guarantee |
|---|---|
| all with a list | Item *i* belongs to text *i*. Repeated texts are kept, and have equal results. A result does not depend on the other texts. |
| `/v1/embeddings`, `/embeddings`, `/v1/embed`, `/v2/embed`, `/api/embed`, `/api/embeddings` | Embeddings have unit length (L2), also with `dimensions`. |
| `/embed` | Embeddings have unit length unless `normalize` is false. |
| `/v1/embeddings`, `/embeddings` | `data[i].index` is *i*. `base64` has the same numbers as `float`. |
| `/v1/embeddings`, `/v1/embed`, `/v2/embed`, `/api/embed` | `usage.prompt_tokens`, `usage.total_tokens`, `meta.billed_units.input_tokens` and `prompt_eval_count` are the sum of the tokens of all texts after truncation, special tokens and repeated texts included. |
| `/v1/rerank`, `/v2/rerank` | `usage.prompt_tokens` and `usage.total_tokens` are the sum of the tokens of all pairs; without a cross-encoder, of the query and all texts, with their prompts. `meta.billed_units.search_units` is the number of documents divided by 100, rounded up. |
| `/v1/embed`, `/v2/embed`, `/v1/rerank`, `/v2/rerank` | `id` differs in each response. `texts` are those of the request. |
| `/rerank`, `/v1/rerank`, `/v2/rerank` | Each index occurs once. Scores do not increase; equal scores are in input order. `top_n` keeps the best. |
| `/similarity` | One score for each sentence, in input order. Cosine similarity is in [-1, 1]; distances are negative or 0. |
| `/`, `/invocations` with an event | `Scores` has every text, unchanged. Scores do not increase; equal scores are in input order. |
| `/embed_all` | One row for each token that the model reads, in order. |
| `/predict` | Every label occurs once for each pair or text; scores do not increase. |
| `/tokenize` | `start` and `stop` count characters; that part of the text is `text`. |

";

const FORMATS: &str = "## Number formats

Voyage's `output_dtype`, Jina's `embedding_type` and Cohere's `embedding_types` choose the numbers of an
embedding *x* of *n* dimensions:

| format | numbers | base64 |
|---|---|---|
| `float` | *x*, float32 | *n* little-endian float32 values |
| `uint8` | floor((*x* + 1) · 255 / 2), from 0 to 255 | *n* bytes |
| `int8` | those of `uint8` minus 128 | *n* bytes |
| `ubinary` | ceil(*n* / 8) bytes: 1 for *x* > 0, the first dimension in the highest bit | the bytes |
| `binary` | those of `ubinary` minus 128 | the bytes |

They equal `quantize_embeddings` of sentence-transformers with -1 and 1 as its `ranges`. The providers do not
publish the ranges of `int8` and `uint8`. Elements of a row of unit length are between -1 and 1, so these
ranges need no calibration, and a result does not depend on the other texts. With `normalized` false, `int8` and
`uint8` are refused, as are formats of 16 bits. With `encoding_format` `base64`, an embedding is the base64 text of
these bytes; `base64` as a format is that of `float`.

";

const OPTIONS: &str = "## Options

These tables list every option of the public reference of each API. An option is applied, or it has no
effect on the response because there is nothing to choose, or it is refused with
`request.unsupported_option` because the service cannot carry it out. A refused option can be null, false
or an empty list. `null` counts as absent, except for `prompt_name`.

All routes have one rule for other fields. An option of these tables on a route that does not have it is refused
with the same code, unless it is null, empty or the default: otherwise, it would be dropped. So is an option in
another spelling, such as `topN`, and a name of at least eight letters that differs from an option in one letter,
such as `normalise`. Two options of the same meaning with different values are `request.wrong_fields`. Other fields
that are not listed are ignored.

`late_chunking` of Jina is refused, because it embeds the texts of a request as one text: the result of a text
would depend on the others, and together they would have to fit the limit of the model. `return_multivector` is
refused, because models for it have another layer for the tokens; `/embed_all` returns the embeddings of
tokens without one.
";

/// Returns docs/http.md: routes, headers, errors and the fields of each body.
fn http_md(document: &Value) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("## Routes\n\n| method | path | purpose |\n|---|---|---|\n");
    for route in routes() {
        let _ = writeln!(page, "| {} | `{}` | {} |", route.method, route.path, route.summary);
    }
    page.push_str("\n`semblance serve` also has `GET /metrics`, for Prometheus.\n\n");
    page.push_str(FORMS);
    page.push_str("## Response headers\n\n| header | value |\n|---|---|\n");
    let headers = &document["paths"]["/rerank"]["post"]["responses"]["200"]["headers"];
    for (name, header) in headers.as_object().unwrap() {
        let _ = writeln!(page, "| `{name}` | {} |", header["description"].as_str().unwrap());
    }
    page.push('\n');
    page.push_str(ERRORS);
    page.push_str(LIMITS);
    page.push_str(TEXTS);
    page.push_str(GUARANTEES);
    page.push_str(FORMATS);
    page.push_str(OPTIONS);
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
        "\n### `/`, `/invocations`\n\nThe [event of the function](events.md), a body of another route \
         that its fields identify, or a body with the field `operation`.\n",
    );
    page
}

/// Writes the fields of a body. The name of a nested field is its path.
fn fields(page: &mut String, document: &Value, reference: &str, prefix: &str) {
    let body = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
    if prefix.is_empty() {
        let about = body["description"].as_str().unwrap();
        let _ = write!(
            page,
            "{about}\n\n| field | type | required | effect | meaning |\n|---|---|---|---|---|\n"
        );
    }
    for (name, field) in body["properties"].as_object().unwrap() {
        let required = body["required"].as_array();
        let required = required.is_some_and(|names| names.contains(&json!(name)));
        let about = field["description"].as_str().unwrap_or_default();
        let path = format!("{prefix}{name}");
        let required = if required { "yes" } else { "" };
        let effect = field["x-effect"].as_str().unwrap_or("applied");
        let _ = writeln!(page, "| `{path}` | {} | {required} | {effect} | {about} |", kind(field));
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
            "Input" | "ClientInput" => "text or texts".to_owned(),
            "InputOrIds" | "ClientInputOrIds" => "text or texts, or token ids".to_owned(),
            "TokenIds" => "token ids, or a list of them".to_owned(),
            "PairInput" => "text or pair of texts, or a list of them".to_owned(),
            "Documents" => "texts or objects".to_owned(),
            "ContentInputs" => "objects with texts".to_owned(),
            _ => "object".to_owned(),
        };
    }
    if field["x-effect"] == "refused" {
        return "absent".to_owned();
    }
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> = values
            .iter()
            .filter_map(Value::as_str)
            .filter(|value| !["Left", "Right"].contains(value))
            .map(|value| format!("`{value}`"))
            .collect();
        let or_boolean = if field["enum"][0].is_boolean() { "boolean or " } else { "" };
        return match values.is_empty() {
            true => "name".to_owned(),
            false => format!("{or_boolean}{}", values.join(" or ")),
        };
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
