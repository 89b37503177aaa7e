//! HTTP requests as events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The header of a JSON body.
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// Every form.
pub(crate) const FORMS: [Form; 3] = [Form::V1, Form::V2, Form::LoadBalancer];

/// The form of an event, by its sender.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    /// Payload 1.0, of a REST API.
    V1,
    /// Payload 2.0, of a function URL or an HTTP API.
    V2,
    /// Of an application load balancer.
    LoadBalancer,
}

impl Form {
    /// Returns a request in this form; a body that is not UTF-8 is in base64.
    ///
    /// Fields as in the AWS Lambda developer guide: "Using AWS Lambda with Amazon API Gateway",
    /// "Lambda function URLs", and the ELB user guide, "Lambda functions as targets".
    pub(crate) fn event(
        self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Value {
        let headers: serde_json::Map<String, Value> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let (body, is_base64) = match str::from_utf8(body) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (STANDARD.encode(body), true),
        };
        match self {
            Self::V1 => json!({
                "resource": "/{proxy+}", "path": path, "httpMethod": method,
                "headers": headers, "multiValueHeaders": {},
                "queryStringParameters": null, "multiValueQueryStringParameters": null,
                "pathParameters": {"proxy": path}, "stageVariables": null,
                "requestContext": {"accountId": "123456789012", "resourceId": "us4z18",
                    "stage": "test", "requestId": "41b45ea3-70b5-11e6-b7bd-69b5aaebc7d9",
                    "identity": {"sourceIp": "192.168.100.1"}, "resourcePath": "/{proxy+}",
                    "httpMethod": method, "apiId": "wt6mne2s9k", "path": path,
                    "protocol": "HTTP/1.1"},
                "body": body, "isBase64Encoded": is_base64}),
            Self::V2 => json!({
                "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
                "headers": headers,
                "requestContext": {"accountId": "123456789012", "apiId": "api-id",
                    "domainName": "id.lambda-url.eu-west-1.on.aws", "domainPrefix": "id",
                    "http": {"method": method, "path": path, "protocol": "HTTP/1.1",
                             "sourceIp": "192.168.0.1", "userAgent": "agent"},
                    "requestId": "id", "routeKey": "$default", "stage": "$default",
                    "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1_583_348_638_390_u64},
                "body": body, "isBase64Encoded": is_base64}),
            Self::LoadBalancer => json!({
                "requestContext": {"elb": {"targetGroupArn":
                    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/t/1"}},
                "httpMethod": method, "path": path, "queryStringParameters": {},
                "headers": headers, "body": body, "isBase64Encoded": is_base64}),
        }
    }
}
