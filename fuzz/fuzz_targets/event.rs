//! A request in any dialect: any bytes are refused in few words, or name an operation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use semblance_api::{
    Limits, RequestError, TextFault, check_text, decode_document, parse_json, routes,
};

/// More than any refusal has to say. A message that quotes the request is longer.
const MOST_MESSAGE_BYTES: usize = 300;

/// Small, so that short inputs exceed them.
const LIMITS: Limits =
    Limits { texts: 5, client_texts: 5, text_bytes: 40, auto_truncate: true, predicts: false };

fuzz_target!(|request: &[u8]| {
    let direct = decode_document(request, &LIMITS);
    check(direct.map(|call| call.name()));
    for route in routes().filter(|route| route.method == "POST") {
        let call = parse_json(request).and_then(|request| route.call(request, &LIMITS));
        check(call.map(|call| call.name()));
    }
    if let Ok(text) = str::from_utf8(request)
        && check_text(text, &LIMITS).is_ok()
    {
        assert!(text.len() <= LIMITS.text_bytes);
    }
});

fn check(operation: Result<&'static str, RequestError>) {
    match operation {
        Ok(operation) => assert!(!operation.is_empty()),
        Err(error) => {
            let mut codes = RequestError::CODES.iter().chain(TextFault::CODES);
            assert!(codes.any(|code| *code == error.code()));
            assert!(error.to_string().len() <= MOST_MESSAGE_BYTES);
        }
    }
}
