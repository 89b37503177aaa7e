//! The function on a fake model, for the targets that send it events.

use std::sync::{Arc, OnceLock};

use lambda_runtime::Context;
use semblance_api::http::HttpOptions;
use semblance_api::{Admission, Limits};
use semblance_similarity::Handler;
use semblance_test_support::{OneHot, fake_service};
use serde_json::Value;

/// Handles an event. An error has its code.
pub fn handle(event: &[u8]) -> Result<Value, &'static str> {
    static HANDLER: OnceLock<Handler> = OnceLock::new();
    let handler = HANDLER.get_or_init(|| {
        let limits = Limits { texts: 5, text_bytes: 40, ..Limits::default() };
        let service = Arc::new(fake_service(OneHot::default(), 16, limits));
        let options = HttpOptions { max_body_bytes: 10_000, ..HttpOptions::default() };
        Handler::new(Admission::inline(service), options)
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let response = runtime.block_on(handler.handle(event, Context::default()));
    match response {
        Ok(response) => Ok(serde_json::from_str(response.get()).unwrap()),
        Err(error) => Err(error.0.code().name),
    }
}

/// Asserts that an event is answered with an HTTP response that is not a failure of the service.
pub fn assert_answered(event: &[u8]) {
    let response = handle(event).expect("an HTTP response");
    let status = response["statusCode"].as_u64().expect("a status");
    assert!((200..500).contains(&status), "{response}");
}
