//! An event: any bytes are refused in few words, or hold texts within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use semblance::api::{Form, Limits, Operation, RequestError, SimilarityRequest, parse_json};

/// More than any refusal has to say; a message that quotes the event grows past it.
const MOST_MESSAGE_BYTES: usize = 300;

/// Small, so that short inputs pass them.
const LIMITS: Limits = Limits { texts: 5, text_bytes: 40 };

/// Every way to read a request.
const FORMS: [Form; 9] = [
    Form::Event,
    Form::Invocation,
    Form::Similarity,
    Form::Embed,
    Form::Rerank,
    Form::Predict,
    Form::Tokenize,
    Form::OpenAiEmbeddings,
    Form::CohereRerank,
];

fuzz_target!(|event: &[u8]| {
    for form in FORMS {
        match parse_json(event).and_then(|event| Operation::decode(event, form, &LIMITS)) {
            Ok(Operation::Similarity(request, _)) => check(&request),
            Ok(Operation::Embed(request, _)) => request.texts.as_slice().iter().for_each(check_text),
            Ok(Operation::Rerank(request, _)) => {
                request.texts.as_slice().iter().for_each(check_text);
            }
            Ok(Operation::Predict(request)) => request.pairs.iter().flatten().for_each(check_text),
            Ok(_) => {}
            Err(error) => {
                assert!(RequestError::CODES.contains(&error.code()));
                assert!(error.to_string().len() <= MOST_MESSAGE_BYTES);
            }
        }
    }
});

fn check_text(text: &String) {
    assert!(text.len() <= LIMITS.text_bytes);
    assert!(!text.trim().is_empty());
    assert!(!text.contains('\0'));
}

fn check(request: &SimilarityRequest) {
    assert!(request.candidates().len() <= LIMITS.texts);
    check_text(&request.query().to_owned());
    request.candidates().iter().for_each(check_text);
    // What did not come as JSON passes the same checks.
    let (query, candidates) = (request.query().to_owned(), request.candidates().to_vec());
    assert!(SimilarityRequest::new(query, candidates, &LIMITS).is_ok());
}
