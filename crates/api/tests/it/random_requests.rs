//! Requests with damage, on every route: each is decoded, or refused with a code and a short message that
//! does not quote it. The fuzz target `event` looks for the same.

use std::fs;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use semblance_api::{
    Limits, RequestError, TextFault, check_text, decode_document, parse_json, routes,
};
use semblance_test_support::repository;

/// More than any refusal has to say.
const MAX_MESSAGE_BYTES: usize = 300;

/// Small, so that short requests exceed them.
const LIMITS: Limits =
    Limits { texts: 5, client_texts: 5, text_bytes: 40, auto_truncate: true, predicts: false };

fn requests() -> Vec<Vec<u8>> {
    let mut requests: Vec<Vec<u8>> = [
        r#"{"query_from_app": "a", "actual_queries": ["b"], "top_k": 1, "on_error": "null"}"#,
        r#"{"operation": "embed", "inputs": ["a"], "truncate": true, "dimensions": 3}"#,
        r#"{"operation": "tokenize", "inputs": [["a"]], "add_special_tokens": false}"#,
        r#"{"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": {}}"#,
        r#"{"inputs": [["a", "b"]], "raw_scores": true}"#,
        r#"{"input": ["a"], "model": "m", "encoding_format": "base64"}"#,
        r#"{"query": "a", "documents": [{"text": "b", "title": "c"}], "rank_fields": ["text"], "top_n": 1}"#,
        r#"{"query": "a", "texts": ["b"], "return_text": true, "truncation_direction": "Left"}"#,
        r#"{"texts": ["a"], "input_type": "search_query", "embedding_types": ["float", "int8"]}"#,
        r#"{"index": "i", "query": "a", "filter": {"and": [{"x": {"gt": 1}}]}, "top_k": 3}"#,
        r#"{"ids": [1, 2, 3], "skip_special_tokens": false}"#,
        r#"{"prompt": "a", "model": "m"}"#,
    ]
    .map(|request| request.as_bytes().to_vec())
    .to_vec();
    for file in fs::read_dir(repository("fuzz/seeds/event")).unwrap() {
        requests.push(fs::read(file.unwrap().path()).unwrap());
    }
    requests
}

/// What a parser may not expect in the place of some bytes.
const ODD: [&str; 16] = [
    "null",
    "\"",
    "\\ud83d",
    "\\u0000",
    "[",
    "]",
    "{}",
    ",",
    "-1",
    "1e999",
    "true",
    "\u{feff}",
    "[[]]",
    "\"a\":1,",
    "18446744073709551616",
    " ",
];

fn check(result: Result<&'static str, RequestError>, request: &[u8]) -> Result<(), TestCaseError> {
    if let Err(error) = result {
        let mut codes = RequestError::CODES.iter().chain(TextFault::CODES);
        prop_assert!(codes.any(|code| *code == error.code()), "{error}");
        let message = error.to_string();
        prop_assert!(message.len() <= MAX_MESSAGE_BYTES, "{message} {request:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_damaged_request_is_decoded_or_refused_with_a_code(
        request in select(requests()),
        damages in prop::collection::vec(
            (any::<Index>(), 0_usize..6, prop_oneof![
                select(&ODD[..]).prop_map(|odd| odd.as_bytes().to_vec()),
                prop::collection::vec(any::<u8>(), 0..4),
            ]),
            1..4,
        ),
    ) {
        let mut request = request;
        for (at, length, bytes) in damages {
            let start = at.index(request.len().max(1)).min(request.len());
            let end = (start + length).min(request.len());
            request.splice(start..end, bytes);
        }
        check(decode_document(&request, &LIMITS).map(|call| call.name()), &request)?;
        for route in routes().filter(|route| route.method == "POST") {
            let call = parse_json(&request).and_then(|request| route.call(request, &LIMITS));
            check(call.map(|call| call.name()), &request)?;
        }
        if let Ok(text) = str::from_utf8(&request) && check_text(text, &LIMITS).is_ok() {
            prop_assert!(text.len() <= LIMITS.text_bytes);
        }
    }
}
