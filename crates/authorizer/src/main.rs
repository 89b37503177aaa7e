//! The Lambda function that checks the API keys of an HTTP API.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use semblance_authorizer::{Keys, authorize};
use serde_json::Value;

/// The accepted keys: `NAME=DIGEST,NAME=DIGEST`, with the SHA-256 of each key in hexadecimal.
const KEYS: &str = "SEMBLANCE_API_KEY_DIGESTS";

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let list = env::var(KEYS).map_err(|error| format!("config.missing: {KEYS}: {error}"))?;
    let keys = Keys::parse(&list).map_err(|error| format!("config.invalid: {KEYS}: {error}"))?;
    let keys = Arc::new(keys);
    let answer = service_fn(move |event: LambdaEvent<Value>| {
        let decision = authorize(&keys, &event.payload);
        async move { Ok::<_, Infallible>(decision) }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(lambda_runtime::run(answer))
}
