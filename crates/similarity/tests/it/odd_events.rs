//! Odd combinations in the events of platforms, sent to the real function: each is answered in the form
//! of its sender.

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use semblance_test_support::{Function, Kind, RuntimeApi, bundle, library};
use serde_json::{Value, json};

use crate::http_event::{FORMS, JSON};

fn function() -> Function {
    let mut command = Function::command("similarity", env!("CARGO_BIN_EXE_similarity"));
    command
        .env("SEMBLANCE_BUNDLE", bundle())
        .env("SEMBLANCE_ORT_LIBRARY", library())
        .stdout(Stdio::null());
    Function::start(RuntimeApi::start().unwrap(), command).unwrap()
}

const BODY: &str = r#"{"inputs": "London"}"#;

/// HTTP events, and the statuses of their responses.
fn http_events() -> Vec<(&'static str, Value, u64)> {
    let v2 = |changes: Value| {
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/embed", "rawQueryString": "",
            "headers": {"content-type": "application/json"},
            "requestContext": {"stage": "$default", "http": {"method": "POST", "path": "/embed"}},
            "body": BODY, "isBase64Encoded": false});
        merge(&mut event, changes);
        event
    };
    let v1 = |changes: Value| {
        let mut event = json!({
            "resource": "/{proxy+}", "path": "/embed", "httpMethod": "POST",
            "headers": {"Content-Type": "application/json"}, "multiValueHeaders": null,
            "queryStringParameters": null, "pathParameters": {"proxy": "embed"},
            "requestContext": {"stage": "prod", "path": "/prod/embed"},
            "body": BODY, "isBase64Encoded": false});
        merge(&mut event, changes);
        event
    };
    let alb = |changes: Value| {
        let mut event = json!({
            "requestContext": {"elb": {"targetGroupArn": "arn"}}, "httpMethod": "POST",
            "path": "/embed", "queryStringParameters": {},
            "headers": {"content-type": "application/json"},
            "body": BODY, "isBase64Encoded": false});
        merge(&mut event, changes);
        event
    };
    let in_base64 = STANDARD.encode(BODY);
    let long = "a=b&".repeat(300_000);
    vec![
        ("v2", v2(json!({})), 200),
        ("v2, no version", v2(json!({"version": null})), 200),
        ("v2, a version that is a number", v2(json!({"version": 2.0})), 200),
        (
            "v2, no context, a route with a method",
            v2(json!({"requestContext": null, "routeKey": "POST /embed"})),
            200,
        ),
        ("v2, no context, a route without a method", v2(json!({"requestContext": null})), 400),
        ("v2, an empty context", v2(json!({"requestContext": {}})), 400),
        ("v2, a context that is a text", v2(json!({"requestContext": "x"})), 400),
        ("v2, a path in the key of another route", v2(json!({"routeKey": "POST /other/{x}"})), 200),
        (
            "v2, a stage in the path",
            v2(json!({"rawPath": "/prod/embed",
            "requestContext": {"stage": "prod", "http": {"method": "POST"}}})),
            200,
        ),
        (
            "v2, a stage that is a route",
            v2(json!({"rawPath": "/embed/embed",
            "requestContext": {"stage": "embed", "http": {"method": "POST"}}})),
            200,
        ),
        (
            "v2, a stage without the rest",
            v2(json!({"rawPath": "/prod", "body": "{}",
            "requestContext": {"stage": "prod", "http": {"method": "GET"}}})),
            200,
        ),
        ("v2, slashes", v2(json!({"rawPath": "//embed//"})), 200),
        (
            "v2, an encoded slash in the name of a model",
            v2(json!({"rawPath": "/v1/models/a%2Fb",
            "requestContext": {"http": {"method": "GET"}}})),
            404,
        ),
        ("v2, an encoded path", v2(json!({"rawPath": "/embed%20"})), 404),
        ("v2, a wrong escape in the path", v2(json!({"rawPath": "/%zz"})), 404),
        ("v2, characters in the path", v2(json!({"rawPath": "/ñ \"<>{}|\\^`\u{7f}"})), 404),
        ("v2, a fragment in the path", v2(json!({"rawPath": "/embed#x"})), 404),
        ("v2, a query in the path", v2(json!({"rawPath": "/embed?x=1"})), 404),
        (
            "v2, an empty path",
            v2(json!({"rawPath": "", "body": r#"{"query_from_app": "a", "actual_queries": []}"#})),
            200,
        ),
        ("v2, a large query", v2(json!({"rawQueryString": long})), 200),
        ("v2, an odd query", v2(json!({"rawQueryString": "a=<b>\" \t\u{7f}ñ%&&=;+#?"})), 200),
        ("v2, cookies", v2(json!({"cookies": ["a=b", "c=d; e", "\u{0}", 7, null]})), 200),
        ("v2, cookies that are a text", v2(json!({"cookies": "a=b"})), 200),
        ("v2, no headers", v2(json!({"headers": null})), 200),
        (
            "v2, headers in a list",
            v2(json!({"headers": {"content-type": ["application/json"]}})),
            200,
        ),
        (
            "v2, a host that is not a name",
            v2(
                json!({"headers": {"host": "a b:c:d", "x-forwarded-for": ",,;", "forwarded": "\u{1}", "x-forwarded-proto": 7}}),
            ),
            200,
        ),
        (
            "v2, a media type that is not ASCII",
            v2(json!({"headers": {"content-type": "application/jsoñ"}})),
            415,
        ),
        (
            "v2, a charset that is not ASCII",
            v2(json!({"headers": {"content-type": "application/json; charset=ñ"}})),
            415,
        ),
        (
            "v2, an odd Accept",
            v2(json!({"headers": {"accept": "ñ;;q=2,*", "accept-encoding": "ñ, gzip;q=x"}})),
            200,
        ),
        // A request of a page must declare that its body is JSON.
        ("v2, an odd Origin", v2(json!({"headers": {"origin": "ñ", "sec-fetch-site": "ñ"}})), 415),
        ("v2, lower-case method", v2(json!({"requestContext": {"http": {"method": "post"}}})), 405),
        ("v2, TRACE", v2(json!({"requestContext": {"http": {"method": "TRACE"}}})), 405),
        ("v2, CONNECT", v2(json!({"requestContext": {"http": {"method": "CONNECT"}}})), 405),
        ("v2, PROPFIND", v2(json!({"requestContext": {"http": {"method": "PROPFIND"}}})), 405),
        (
            "v2, HEAD",
            v2(json!({"rawPath": "/health", "requestContext": {"http": {"method": "HEAD"}}})),
            200,
        ),
        (
            "v2, a GET with a body in base64",
            v2(json!({"rawPath": "/health", "body": "%%%", "isBase64Encoded": true,
            "requestContext": {"http": {"method": "GET"}}})),
            200,
        ),
        ("v2, base64", v2(json!({"body": in_base64, "isBase64Encoded": true})), 200),
        ("v2, base64 without its flag", v2(json!({"body": in_base64})), 400),
        ("v2, the flag without base64", v2(json!({"isBase64Encoded": true})), 400),
        ("v2, no flag", v2(json!({"isBase64Encoded": null})), 200),
        ("v2, an empty body", v2(json!({"body": ""})), 400),
        ("v2, no body", v2(json!({"body": null})), 400),
        ("v2, an empty body in base64", v2(json!({"body": "", "isBase64Encoded": true})), 400),
        ("v2, a body with a byte order mark", v2(json!({"body": format!("\u{feff}{BODY}")})), 200),
        ("v2, a body of white space", v2(json!({"body": " \n"})), 400),
        ("v1", v1(json!({})), 200),
        ("v1, no context", v1(json!({"requestContext": null})), 200),
        ("v1, a context that is a list", v1(json!({"requestContext": [1]})), 200),
        ("v1, no resource", v1(json!({"resource": null, "pathParameters": null})), 200),
        (
            "v1, only multiValueHeaders",
            v1(
                json!({"headers": null, "multiValueHeaders": {"Content-Type": ["application/json"]}}),
            ),
            200,
        ),
        ("v1, no headers at all", v1(json!({"headers": null, "multiValueHeaders": null})), 200),
        (
            "v1, two values of a header",
            v1(json!({"multiValueHeaders": {"Content-Type": ["application/json", "text/plain"]}})),
            200,
        ),
        ("v1, no values of a header", v1(json!({"multiValueHeaders": {"Content-Type": []}})), 200),
        ("v1, base path of a domain", v1(json!({"path": "/nlp/embed"})), 200),
        (
            "v1, a prefix of the resource",
            v1(json!({"resource": "/nlp/{proxy+}", "path": "/nlp/embed"})),
            200,
        ),
        (
            "v1, the test of the console",
            v1(json!({"requestContext": {"stage": "test-invoke-stage"}, "headers": null})),
            200,
        ),
        (
            "v1, payload 1.0 of an HTTP API",
            v1(
                json!({"version": "1.0", "path": "/prod/embed", "resource": "$default", "pathParameters": null}),
            ),
            200,
        ),
        ("v1, only the method and the body", json!({"httpMethod": "POST", "body": BODY}), 400),
        (
            "v1, odd queries",
            v1(
                json!({"queryStringParameters": {"a": null, "": 7}, "multiValueQueryStringParameters": {"a": null, "b": {}}}),
            ),
            200,
        ),
        (
            "v1, odd members",
            v1(json!({"stageVariables": 7, "pathParameters": [], "resource": {}})),
            200,
        ),
        ("load balancer", alb(json!({})), 200),
        (
            "load balancer, only multiValueHeaders",
            alb(
                json!({"headers": null, "multiValueHeaders": {"content-type": ["application/json"]},
            "queryStringParameters": null, "multiValueQueryStringParameters": {"a": ["b", "c"]}}),
            ),
            200,
        ),
        (
            "load balancer, an empty object as target",
            alb(json!({"requestContext": {"elb": {}}})),
            200,
        ),
        ("load balancer, null as target", alb(json!({"requestContext": {"elb": null}})), 200),
        (
            "load balancer, health check",
            alb(
                json!({"httpMethod": "GET", "path": "/health", "body": "", "headers": {"user-agent": "ELB-HealthChecker/2.0"}}),
            ),
            200,
        ),
        (
            "load balancer, encoded query",
            alb(json!({"queryStringParameters": {"a%20b": "%ff", "c": "<>\"'"}})),
            200,
        ),
        ("load balancer, an asterisk", alb(json!({"httpMethod": "OPTIONS", "path": "*"})), 404),
        ("load balancer, no path", alb(json!({"path": null})), 400),
    ]
}

/// Replaces members of an object.
fn merge(event: &mut Value, changes: Value) {
    for (name, value) in changes.as_object().unwrap() {
        event[name] = value.clone();
    }
}

#[test]
fn an_odd_http_event_is_answered_with_an_http_response() {
    let function = function();
    let mut wrong = Vec::new();
    for (name, event, expected) in http_events() {
        let (kind, answer) = function.invoke(event.to_string().as_bytes());
        let status = answer["statusCode"].as_u64();
        if kind != Kind::Response || status != Some(expected) {
            wrong
                .push(format!("{name}: {kind:?} {:.300}; expected {expected}", answer.to_string()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn requests_in_other_envelopes_are_answered() {
    let function = function();
    let request = json!({"query_from_app": "London", "actual_queries": ["London"]});
    let text = request.to_string();
    let bus = |source: &str, detail: Value| json!({"version": "0", "detail-type": "t", "source": source, "detail": detail});
    let sns = |message: &str| json!({"EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": message}});
    let sqs = |body: Value| json!({"messageId": "1", "eventSource": "aws:sqs", "body": body});
    let notification = json!({"Type": "Notification", "Message": text}).to_string();
    let events = [
        ("direct", request.clone()),
        ("EventBridge", bus("my.app", request.clone())),
        ("EventBridge, text", bus("my.app", json!(text))),
        ("EventBridge Scheduler", bus("aws.scheduler", json!(text))),
        ("SNS", json!({"Records": [sns(&text)]})),
        (
            "SNS of EventBridge",
            json!({"Records": [sns(&bus("my.app", request.clone()).to_string())]}),
        ),
        ("Pipes", json!([request])),
        ("Pipes, text", json!([text])),
        ("Pipes of SQS", json!([sqs(json!(text))])),
        ("Pipes of SQS, parsed", json!([sqs(request.clone())])),
        ("Pipes of SQS of SNS", json!([sqs(json!(notification))])),
        ("Pipes of EventBridge", json!([bus("my.app", request)])),
    ];
    for (name, event) in events {
        let (kind, answer) = function.invoke(event.to_string().as_bytes());
        let answer = if answer.is_array() { &answer[0] } else { &answer };
        assert_eq!(kind, Kind::Response, "{name}: {answer}");
        assert!(
            answer["Scores"][0][1].as_f64().is_some_and(|score| score > 0.99),
            "{name}: {answer}"
        );
    }
    let from_bus = bus("x", json!(text)).to_string();
    let records = [sqs(json!(text)), sqs(json!(notification)), sqs(json!(from_bus))];
    let answered = function.invoke(json!({ "Records": records }).to_string().as_bytes());
    assert_eq!(answered, (Kind::Response, json!({"batchItemFailures": []})));
    for event in [
        json!({"source": "serverless-plugin-warmup"}),
        json!({"source": "serverless-plugin-lambda-warmup"}),
        json!({"warmer": true, "concurrency": 3}),
        json!({"warmup": true}),
        json!({"#warmup": true}),
        bus("aws.events", json!({})),
        bus("aws.scheduler", json!("{}")),
    ] {
        let (kind, answer) = function.invoke(event.to_string().as_bytes());
        assert_eq!((kind, &answer["status"]), (Kind::Response, &json!("warm")), "{event}");
    }
}

#[test]
fn a_body_of_a_route_is_a_direct_event() {
    let function = function();
    for event in [
        json!({"inputs": "a"}),
        json!({"inputs": ["a", "b"], "truncate": true}),
        json!({"inputs": {"source_sentence": "a", "sentences": ["b"]}}),
        json!({"input": "a", "model": "m"}),
        json!({"query": "a", "texts": ["b"]}),
        json!({"query": "a", "documents": ["b"]}),
        json!({"operation": "tokenize", "inputs": "a"}),
        json!({"operation": "info"}),
    ] {
        let (kind, answer) = function.invoke(event.to_string().as_bytes());
        assert_eq!(kind, Kind::Response, "{event}: {answer:.300}");
    }
    for event in
        ["", "{", "null", "7", "\"x\"", "{}", "{\"inputs\": null}", "{\"operation\": \"x\"}"]
    {
        let (kind, answer) = function.invoke(event.as_bytes());
        assert_eq!(kind, Kind::Error, "{event}: {answer:.300}");
        let code = answer["errorType"].as_str().unwrap();
        assert!(code.starts_with("request."), "{event}: {code}");
    }
}

/// JSON that no HTTP library needs to accept: numbers out of range, nesting, repeated members, lone
/// surrogates, and a name that is not one.
fn odd_members() -> Vec<String> {
    let nested = format!("\"x\": {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut members: Vec<String> = [
        "\"x\": 1e999",
        "\"x\": -1e-999",
        "\"x\": 1, \"x\": 2",
        "\"x\": \"\\ud800\"",
        "\"\\ud800\": 1",
        "\"x\": \"\\u0000\"",
        "\"x\": [null, 7, {}, \"\\udc00\"]",
        "\"\": \"\"",
    ]
    .map(str::to_owned)
    .into();
    members.extend([nested, format!("\"x\": {}", "9".repeat(5_000))]);
    members
}

#[test]
fn json_that_is_not_used_makes_no_difference() {
    let function = function();
    let http = [
        r#"{"version": "2.0", "rawPath": "/embed", "headers": {"content-type": "application/json", "$": 0},
            "requestContext": {"http": {"method": "POST", "$": 0}, "$": 0},
            "body": "{\"inputs\": \"a\"}", "$": 0}"#,
        r#"{"resource": "/{proxy+}", "path": "/embed", "httpMethod": "POST",
            "headers": {"content-type": "application/json", "$": 0}, "multiValueHeaders": {"$": 0},
            "requestContext": {"stage": "prod", "$": 0}, "body": "{\"inputs\": \"a\"}", "$": 0}"#,
        r#"{"requestContext": {"elb": {"targetGroupArn": "arn", "$": 0}, "$": 0}, "path": "/embed",
            "httpMethod": "POST", "multiValueHeaders": {"content-type": ["application/json"], "$": 0},
            "multiValueQueryStringParameters": {"$": 0}, "body": "{\"inputs\": \"a\"}", "$": 0}"#,
    ];
    let batch = r#"{"Records": [{"messageId": "1", "eventSource": "aws:sqs", "attributes": {"$": 0},
        "body": "{\"inputs\": \"a\"}", "$": 0}, {"messageId": "2", "eventSource": "aws:sqs", "body": "{", "$": 0}]}"#;
    for member in odd_members() {
        for event in http {
            let places = event.matches("\"$\": 0").count();
            for place in 0..places {
                let mut parts = event.split("\"$\": 0");
                let mut odd = parts.next().unwrap().to_owned();
                for (number, part) in parts.enumerate() {
                    odd += if number == place { member.as_str() } else { "\"unused\": null" };
                    odd += part;
                }
                let (kind, answer) = function.invoke(odd.as_bytes());
                assert_eq!(
                    (kind, &answer["statusCode"]),
                    (Kind::Response, &json!(200)),
                    "{odd:.600}: {answer:.300}"
                );
            }
        }
        let (kind, answer) = function.invoke(batch.replace("\"$\": 0", &member).as_bytes());
        let failed = json!({"batchItemFailures": [{"itemIdentifier": "2"}]});
        assert_eq!((kind, answer), (Kind::Response, failed), "{member:.60}");
    }
}

#[test]
fn the_last_of_repeated_members_of_an_http_event_counts() {
    let function = function();
    for form in FORMS {
        let event = form.event("POST", "/embed", &[JSON], BODY.as_bytes()).to_string();
        for member in ["body", "headers", "path", "rawPath", "httpMethod", "requestContext"] {
            let name = format!("\"{member}\":");
            if !event.contains(&name) {
                continue;
            }
            let repeated = event.replacen(&name, &format!("{name}7,{name}"), 1);
            let (kind, answer) = function.invoke(repeated.as_bytes());
            assert_eq!(
                (kind, &answer["statusCode"]),
                (Kind::Response, &json!(200)),
                "{form:?} {member}: {answer:.300}"
            );
        }
    }
}
