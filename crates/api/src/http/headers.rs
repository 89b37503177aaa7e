//! The cost of a request as response headers: those of text-embeddings-inference, and two more.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::operation::{Report, scorer_name};

/// The id of a request: the id from the client, or a generated one.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Indices of the truncated texts.
pub(crate) const TRUNCATED: HeaderName = HeaderName::from_static("x-semblance-truncated");
/// The kind of model that scored the texts of a rerank.
pub(crate) const SCORED_BY: HeaderName = HeaderName::from_static("x-semblance-scored-by");

/// The headers of text-embeddings-inference.
///
/// Source: its `router/src/lib.rs`, `impl From<ResponseMetadata> for HeaderMap`; times are whole
/// milliseconds.
pub(crate) const COMPUTE_TYPE: HeaderName = HeaderName::from_static("x-compute-type");
const COMPUTE_TIME: HeaderName = HeaderName::from_static("x-compute-time");
const COMPUTE_CHARACTERS: HeaderName = HeaderName::from_static("x-compute-characters");
const COMPUTE_TOKENS: HeaderName = HeaderName::from_static("x-compute-tokens");
const TOTAL_TIME: HeaderName = HeaderName::from_static("x-total-time");
const TOKENIZATION_TIME: HeaderName = HeaderName::from_static("x-tokenization-time");
const QUEUE_TIME: HeaderName = HeaderName::from_static("x-queue-time");
const INFERENCE_TIME: HeaderName = HeaderName::from_static("x-inference-time");

/// The headers of a request that the router reads.
pub const USED_HEADERS: [HeaderName; 8] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCESS_CONTROL_REQUEST_HEADERS,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::ORIGIN,
    REQUEST_ID,
];

/// The headers that pages of other origins can read.
pub(crate) const EXPOSED: [HeaderName; 11] = [
    REQUEST_ID,
    COMPUTE_TYPE,
    COMPUTE_TIME,
    COMPUTE_CHARACTERS,
    COMPUTE_TOKENS,
    TOTAL_TIME,
    TOKENIZATION_TIME,
    QUEUE_TIME,
    INFERENCE_TIME,
    TRUNCATED,
    SCORED_BY,
];

/// The headers that are numbers, with their descriptions.
pub(crate) const NUMBERS: [(HeaderName, &str); 7] = [
    (COMPUTE_TIME, "Milliseconds in the tokenizer and the model."),
    (COMPUTE_CHARACTERS, "Number of characters of the texts."),
    (COMPUTE_TOKENS, "Number of tokens of the texts after truncation."),
    (TOTAL_TIME, "Milliseconds from the request to the response."),
    (TOKENIZATION_TIME, "Milliseconds in the tokenizer."),
    (QUEUE_TIME, "Milliseconds waiting for the model."),
    (INFERENCE_TIME, "Milliseconds in the model."),
];

/// Maximum number of indices in a header. The others are only counted, because proxies limit the
/// length of a header.
const MAX_INDICES: usize = 100;

/// Returns the headers of a response, from its report and the total time.
pub(super) fn report_headers(report: &Report, total: Duration) -> HeaderMap {
    let cost = &report.cost;
    let mut headers = HeaderMap::new();
    headers.insert(COMPUTE_TYPE, HeaderValue::from_static("cpu"));
    let compute = cost.tokenize_time + cost.infer_time;
    let numbers = [
        (COMPUTE_TIME, compute.as_millis()),
        (COMPUTE_CHARACTERS, cost.characters as u128),
        (COMPUTE_TOKENS, cost.prompt_tokens as u128),
        (TOTAL_TIME, total.as_millis()),
        (TOKENIZATION_TIME, cost.tokenize_time.as_millis()),
        (QUEUE_TIME, cost.queue_time.as_millis()),
        (INFERENCE_TIME, cost.infer_time.as_millis()),
    ];
    let insert = |headers: &mut HeaderMap, name, value: &str| {
        // Digits, commas and `+` are valid in a header, so this never fails.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    for (name, number) in numbers {
        insert(&mut headers, name, &number.to_string());
    }
    if !cost.truncated.is_empty() {
        insert(&mut headers, TRUNCATED, &indices(&cost.truncated));
    }
    if let Some(scorer) = report.scored_by {
        headers.insert(SCORED_BY, HeaderValue::from_static(scorer_name(scorer)));
    }
    headers
}

/// Returns the indices separated by commas, and the number of omitted ones as `+N`.
fn indices(indices: &[usize]) -> String {
    let (written, counted) = indices.split_at(indices.len().min(MAX_INDICES));
    let mut parts: Vec<String> = written.iter().map(ToString::to_string).collect();
    if !counted.is_empty() {
        parts.push(format!("+{}", counted.len()));
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_beyond_the_first_hundred_are_counted() {
        assert_eq!(indices(&[0, 3]), "0,3");
        let many: Vec<usize> = (0..112).collect();
        let written = indices(&many);
        assert!(written.starts_with("0,1,2,") && written.ends_with(",98,99,+12"), "{written}");
        assert!(!indices(&many[..100]).contains('+'));
    }
}
