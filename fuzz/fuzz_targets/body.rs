//! A body in base64, compressed or not, on every route: it is answered with an HTTP response.
#![no_main]

mod function;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use semblance_api::routes;
use serde_json::json;

const ENCODINGS: [&str; 4] = ["identity", "gzip", "zstd", "x-gzip"];

fuzz_target!(|body: &[u8]| {
    // The first byte selects the route and the encoding.
    let Some((&selector, body)) = body.split_first() else { return };
    let routes: Vec<_> = routes().filter(|route| route.method == "POST").collect();
    let encoding = ENCODINGS[usize::from(selector) % ENCODINGS.len()];
    let route = routes[usize::from(selector) / ENCODINGS.len() % routes.len()];
    let event = json!({
        "version": "2.0", "rawPath": route.path, "isBase64Encoded": true,
        "requestContext": {"http": {"method": "POST"}},
        "headers": {"content-encoding": encoding, "accept-encoding": encoding},
        "body": STANDARD.encode(body),
    });
    function::assert_answered(event.to_string().as_bytes());
    // The base64 itself.
    let mut event = event;
    event["body"] = String::from_utf8_lossy(body).into();
    function::assert_answered(event.to_string().as_bytes());
});
