//! An event: any bytes are refused in few words, or hold texts within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use semblance::api::{Limits, RequestError, SimilarityRequest, parse_json};

/// More than any refusal has to say; a message that quotes the event grows past it.
const MOST_MESSAGE_BYTES: usize = 200;

/// Small, so that short inputs pass them.
const LIMITS: Limits = Limits { texts: 5, text_bytes: 40 };

fuzz_target!(|event: &[u8]| {
    match parse_json(event).and_then(|event| SimilarityRequest::decode(event, &LIMITS)) {
        Ok(request) => check(&request),
        Err(error) => {
            assert!(RequestError::CODES.contains(&error.code()));
            assert!(error.to_string().len() <= MOST_MESSAGE_BYTES);
        }
    }
});

fn check(request: &SimilarityRequest) {
    assert!(request.candidates().len() <= LIMITS.texts);
    assert!(request.top_k() >= 1);
    for text in std::iter::once(request.query()).chain(request.candidates().iter().map(|t| &**t)) {
        assert!(text.len() <= LIMITS.text_bytes);
        assert!(!text.trim().is_empty());
        assert!(!text.contains('\0'));
    }
    // What did not come as JSON passes the same checks.
    let (query, candidates) = (request.query().to_owned(), request.candidates().to_vec());
    assert!(SimilarityRequest::new(query, candidates, &LIMITS).is_ok());
}
