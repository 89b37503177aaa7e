//! Checks the API keys of an HTTP API: a Lambda authorizer for payload format 2.0.
//!
//! A client sends its key as `Authorization: Bearer KEY`, as the clients of OpenAI, Cohere and Hugging
//! Face do. The function knows only the SHA-256 of each key.

mod keys;
mod request;

pub use keys::{Keys, KeysError};
pub use request::{Decision, authorize};
