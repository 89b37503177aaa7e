//! The request that API Gateway asks about, and the answer.

use serde::Serialize;
use serde_json::Value;

use crate::Keys;

/// Whether a request is allowed: a simple response of payload format 2.0.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Whether API Gateway passes the request on. Otherwise it answers 403.
    pub is_authorized: bool,
    /// What the access log and the function see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Client>,
}

/// The client that a key belongs to.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Client {
    /// The name in the list of keys.
    pub client: String,
}

/// Decides whether a request has an accepted key. An event of another form is refused.
#[must_use]
pub fn authorize(keys: &Keys, event: &Value) -> Decision {
    let client = bearer(event).and_then(|key| keys.client_of(key));
    Decision {
        is_authorized: client.is_some(),
        context: client.map(|client| Client { client: client.to_owned() }),
    }
}

/// Returns the token of `Authorization: Bearer TOKEN`.
fn bearer(event: &Value) -> Option<&str> {
    let headers = event.get("headers")?.as_object()?;
    let mut values = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        .map(|(_, value)| value);
    let value = values.next()?.as_str()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// SHA-256 of `abc`.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn decide(event: &Value) -> Decision {
        authorize(&Keys::parse(&format!("search={ABC}")).unwrap(), event)
    }

    #[test]
    fn a_bearer_token_is_the_key() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc", " Bearer abc "] {
            let decision = decide(&json!({"version": "2.0", "headers": {"authorization": value}}));
            assert!(decision.is_authorized, "{value}");
            assert_eq!(
                serde_json::to_value(&decision).unwrap(),
                json!({"isAuthorized": true, "context": {"client": "search"}})
            );
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for event in [
            json!(null),
            json!([]),
            json!({}),
            json!({"headers": null}),
            json!({"headers": {}}),
            json!({"headers": {"authorization": null}}),
            json!({"headers": {"authorization": ["Bearer abc"]}}),
            json!({"headers": {"authorization": ""}}),
            json!({"headers": {"authorization": "abc"}}),
            json!({"headers": {"authorization": "Bearer"}}),
            json!({"headers": {"authorization": "Bearer "}}),
            json!({"headers": {"authorization": "Bearer abcd"}}),
            json!({"headers": {"authorization": "Bearer abc,Bearer abc"}}),
            json!({"headers": {"authorization": "Bearer abc", "Authorization": "Bearer abc"}}),
            json!({"headers": {"authorization": "Basic abc"}}),
            json!({"headers": {"x-api-key": "abc"}}),
            json!({"authorizationToken": "Bearer abc"}),
        ] {
            let decision = decide(&event);
            assert_eq!(decision, Decision { is_authorized: false, context: None }, "{event}");
        }
    }
}
