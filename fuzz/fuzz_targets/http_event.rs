//! An HTTP event in each payload format with arbitrary parts: it is answered with an HTTP response.
#![no_main]

mod function;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Arbitrary, Debug)]
enum Form {
    Rest,
    Http,
    LoadBalancer,
}

#[derive(Arbitrary, Debug)]
struct Event<'a> {
    form: Form,
    /// Each part is JSON, or the content of a string.
    method: &'a str,
    path: &'a str,
    headers: &'a str,
    many_headers: &'a str,
    body: &'a str,
    is_base64: &'a str,
    resource: &'a str,
    parameters: &'a str,
    stage: &'a str,
    query: &'a str,
}

/// Returns a part as JSON.
fn json(part: &str) -> String {
    match serde_json::from_str::<&RawValue>(part) {
        Ok(json) => json.get().to_owned(),
        Err(_) => Value::from(part).to_string(),
    }
}

fuzz_target!(|event: Event<'_>| {
    let [method, path, headers, many, body, is_base64, resource, parameters, stage, query] = [
        event.method,
        event.path,
        event.headers,
        event.many_headers,
        event.body,
        event.is_base64,
        event.resource,
        event.parameters,
        event.stage,
        event.query,
    ]
    .map(json);
    let common = format!(
        r#""headers": {headers}, "multiValueHeaders": {many}, "body": {body},
           "isBase64Encoded": {is_base64}, "pathParameters": {parameters}"#
    );
    let event = match event.form {
        Form::Rest => format!(
            r#"{{{common}, "httpMethod": {method}, "path": {path}, "resource": {resource},
               "requestContext": {{"stage": {stage}}}, "queryStringParameters": {query}}}"#
        ),
        Form::Http => format!(
            r#"{{{common}, "version": "2.0", "rawPath": {path}, "routeKey": {resource},
               "rawQueryString": {query},
               "requestContext": {{"stage": {stage}, "http": {{"method": {method}}}}}}}"#
        ),
        Form::LoadBalancer => format!(
            r#"{{{common}, "httpMethod": {method}, "path": {path}, "queryStringParameters": {query},
               "requestContext": {{"elb": {stage}}}}}"#
        ),
    };
    function::assert_answered(event.as_bytes());
});
