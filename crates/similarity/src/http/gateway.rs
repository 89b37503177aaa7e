//! How long the senders of HTTP events wait for a response.

use std::time::Duration;

use crate::source::Payload;

/// Source: Amazon API Gateway developer guide, "Quotas for configuring and running an HTTP API":
/// integration timeout, which cannot be increased.
const HTTP_API: Duration = Duration::from_secs(30);

/// Source: Amazon API Gateway developer guide, "Quotas for configuring and running a REST API":
/// integration timeout, the default.
const REST_API: Duration = Duration::from_secs(29);

/// The end of the domain of a function URL.
const FUNCTION_URL: &str = ".on.aws";

/// Returns how long the sender of an event waits, by its format and the domain in its
/// `requestContext`; `None` if there is no such limit or it is not known.
///
/// A function URL waits as long as the function runs. A load balancer has a limit that its event does
/// not tell. The domain of an emulator is a name without a dot.
pub(super) fn timeout(payload: Payload, domain: &str) -> Option<Duration> {
    let is_gateway = domain.contains('.') && !domain.ends_with(FUNCTION_URL);
    match payload {
        Payload::V1 if is_gateway => Some(REST_API),
        Payload::V2 if is_gateway => Some(HTTP_API),
        Payload::V1 | Payload::V2 | Payload::LoadBalancer => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_gateway_has_a_limit_and_a_function_url_has_none() {
        let cases = [
            (Payload::V2, "a1b2c3.execute-api.eu-west-1.amazonaws.com", Some(30)),
            (Payload::V2, "api.example.com", Some(30)),
            (Payload::V1, "a1b2c3.execute-api.eu-west-1.amazonaws.com", Some(29)),
            (Payload::V2, "id.lambda-url.eu-west-1.on.aws", None),
            (Payload::V2, "localhost", None),
            (Payload::LoadBalancer, "api.example.com", None),
        ];
        for (payload, domain, seconds) in cases {
            assert_eq!(timeout(payload, domain), seconds.map(Duration::from_secs), "{domain}");
        }
    }
}
