//! HTTP events with odd parts: a part that the function does not use makes no difference, and a malformed
//! part that it uses is a response with a status and a code. No HTTP event is a failed invocation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::Context;
use semblance_similarity::Handler;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::http_event::{FORMS, Form, JSON};
use crate::http_events::{answer, body, handler, header};

const REQUEST: &[u8] = br#"{"inputs": "London"}"#;

fn event(form: Form) -> Value {
    form.event("POST", "/embed", &[JSON], REQUEST)
}

/// Handles an event that is given as text.
fn answer_text(handler: &Handler, event: &str) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let response = runtime.block_on(handler.handle(event.as_bytes(), Context::default()));
    serde_json::from_str(response.map(RawText::from).unwrap().0.get()).unwrap()
}

struct RawText(Box<RawValue>);

impl From<Box<RawValue>> for RawText {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw)
    }
}

/// Names of members that no route uses, of every payload format.
const UNUSED: [&str; 12] = [
    "rawQueryString",
    "queryStringParameters",
    "multiValueQueryStringParameters",
    "cookies",
    "stageVariables",
    "pathParameters",
    "resource",
    "routeKey",
    "isBase64",
    "requestContext.identity",
    "requestContext.authorizer",
    "requestContext.stage",
];

#[test]
fn an_unused_part_makes_no_difference() {
    let handler = handler();
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let values = [
        r#""a=<b>""#,
        r#""a=\"b\"""#,
        r#""a=b c""#,
        r#""a=b\tc\u007f>""#,
        r#""q=ñ%zz&&=+""#,
        r#""""#,
        r#""\ud800""#,
        r#"{"a": "b c", "b": 1, "<": ["x", null, {}]}"#,
        r#"{"\ud800": "\n"}"#,
        "[1, {}]",
        "null",
        "1e999",
        "true",
        deep.as_str(),
    ];
    for form in FORMS {
        for name in UNUSED {
            for value in values {
                let mut event = event(form);
                match name.split_once('.') {
                    Some((context, name)) => event[context][name] = json!("VALUE"),
                    None => event[name] = json!("VALUE"),
                }
                let text = event.to_string().replace("\"VALUE\"", value);
                let response = answer_text(&handler, &text);
                assert_eq!(response["statusCode"], 200, "{form:?} {name} {response}");
            }
        }
    }
}

#[test]
fn unused_headers_make_no_difference() {
    let handler = handler();
    for form in FORMS {
        for name in
            ["host", "x-forwarded-for", "cookie", "content-length", "", "a b", "ñ", "\r\n", "via"]
        {
            for value in [
                json!("a\r\nb: c"),
                json!("\u{0}"),
                json!(7),
                json!({}),
                json!([1]),
                json!("ñ"),
                json!("99999999999"),
                json!(null),
            ] {
                let mut event = event(form);
                event["headers"][name] = value.clone();
                let response = answer(&handler, &event);
                assert_eq!(response["statusCode"], 200, "{form:?} {name} {value} {response}");
            }
        }
    }
}

#[test]
fn any_number_of_headers_is_accepted() {
    let handler = handler();
    for form in FORMS {
        let mut event = event(form);
        for number in 0..40_000 {
            event["headers"][format!("x-header-{number}")] = json!("value");
        }
        assert_eq!(answer(&handler, &event)["statusCode"], 200, "{form:?}");
        let mut event = form.event("POST", "/embed", &[JSON], REQUEST);
        event["multiValueHeaders"] = json!({"x-many": vec!["value"; 40_000]});
        assert_eq!(answer(&handler, &event)["statusCode"], 200, "{form:?}");
    }
}

#[test]
fn headers_are_read_from_both_members() {
    let handler = handler();
    for form in [Form::V1, Form::LoadBalancer] {
        let mut event = form.event("POST", "/embed", &[], REQUEST);
        event["headers"] = json!(null);
        event["multiValueHeaders"] = json!({"Content-Type": ["text/plain"]});
        assert_eq!(answer(&handler, &event)["statusCode"], 415, "{form:?}");
        event["headers"] = json!({"content-type": "application/json"});
        assert_eq!(answer(&handler, &event)["statusCode"], 415, "the list counts");
        event["multiValueHeaders"] = json!({"Accept": ["*/*"]});
        event["headers"] = json!({"CONTENT-TYPE": "text/plain"});
        assert_eq!(answer(&handler, &event)["statusCode"], 415, "other names count too");
        event["headers"] = json!({"content-encoding": "gzip"});
        assert_eq!(answer(&handler, &event)["statusCode"], 400);
    }
}

#[test]
fn a_malformed_part_is_an_error_of_the_request() {
    let handler = handler();
    let set = |form: Form, pointer: &str, value: Value| {
        let mut event = event(form);
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    for form in FORMS {
        let (method, path) = match form {
            Form::V2 => ("/requestContext/http/method", "/rawPath"),
            Form::V1 | Form::LoadBalancer => ("/httpMethod", "/path"),
        };
        let mut events = Vec::new();
        for value in [json!(""), json!("P T"), json!("A\nB"), json!(1), json!(null), json!({})] {
            events.push(set(form, method, value));
        }
        for value in [json!(1), json!(null), json!([]), json!("/".to_owned() + &"a".repeat(70_000))]
        {
            events.push(set(form, path, value));
        }
        for value in [json!("x"), json!([]), json!(7)] {
            events.push(set(form, "/headers", value));
        }
        for value in [json!("a\r\nb"), json!(7), json!({}), json!("\u{0}")] {
            events.push(set(form, "/headers/content-type", value));
        }
        for value in [json!({"inputs": "London"}), json!([1]), json!(7), json!(true)] {
            events.push(set(form, "/body", value));
        }
        for value in [json!("yes"), json!(1), json!({})] {
            events.push(set(form, "/isBase64Encoded", value));
        }
        for event in events {
            let response = answer(&handler, &event);
            assert_eq!(response["statusCode"], 400, "{form:?} {response} {event:.300}");
            assert_eq!(body(&response)["error_type"], "http.invalid_event", "{response}");
            assert_eq!(header(form, &response, "x-request-id"), Some("request-1"), "{response}");
            let nosniff = header(form, &response, "x-content-type-options");
            assert_eq!(nosniff, Some("nosniff"), "{response}");
        }
        // A lone surrogate is U+FFFD, which has no tokens.
        let response = answer_text(&handler, &event(form).to_string().replace("London", "\\ud800"));
        assert_eq!(response["statusCode"], 422, "{response}");
        assert_eq!(body(&response)["error_type"], "request.empty_text", "{response}");
    }
}

#[test]
fn a_body_that_no_route_reads_makes_no_difference() {
    let handler = handler();
    for form in FORMS {
        for value in [json!({}), json!(7), json!("{"), json!(null)] {
            let mut event = form.event("GET", "/health", &[], b"");
            event["body"] = value.clone();
            event["isBase64Encoded"] = json!("yes");
            assert_eq!(answer(&handler, &event)["statusCode"], 200, "{form:?} {value}");
        }
        let mut event = form.event("POST", "/nothing", &[], b"");
        event["body"] = json!(7);
        assert_eq!(answer(&handler, &event)["statusCode"], 404, "{form:?}");
    }
}

#[test]
fn a_body_in_base64_is_checked() {
    let handler = handler();
    let whole = STANDARD.encode(REQUEST);
    for form in FORMS {
        let with = |text: &str| {
            let mut event = event(form);
            (event["body"], event["isBase64Encoded"]) = (json!(text), json!(true));
            answer(&handler, &event)
        };
        assert_eq!(with(&whole)["statusCode"], 200);
        for text in ["%", "a", "{\"inputs\": \"a\"}", &format!("{whole}=="), &whole[1..]] {
            let response = with(text);
            assert_eq!(response["statusCode"], 400, "{form:?} {text}");
        }
        assert_eq!(body(&with("%"))["error_type"], "http.invalid_encoding");
        assert_eq!(body(&with(""))["error_type"], "request.invalid_json", "an empty body");
    }
}

#[test]
fn a_load_balancer_gets_both_kinds_of_headers() {
    let response = answer(&handler(), &event(Form::LoadBalancer));
    assert_eq!(response["statusDescription"], "200 OK");
    assert_eq!(response["headers"]["content-type"], "application/json");
    assert_eq!(response["multiValueHeaders"]["content-type"], json!(["application/json"]));
}

#[test]
fn an_odd_request_id_is_replaced() {
    let handler = handler();
    for form in FORMS {
        for (sent, answered) in [
            (json!("mine-1"), "mine-1"),
            (json!("x".repeat(128)), &"x".repeat(128)),
            (json!("x".repeat(129)), "request-1"),
            (json!("x".repeat(300_000)), "request-1"),
            (json!("a b"), "request-1"),
            (json!("a\nb"), "request-1"),
            (json!("ñ"), "request-1"),
            (json!(""), "request-1"),
            (json!(7), "request-1"),
        ] {
            let mut event = event(form);
            event["headers"]["X-Request-Id"] = sent;
            let response = answer(&handler, &event);
            assert_eq!(response["statusCode"], 200);
            assert_eq!(header(form, &response, "x-request-id"), Some(answered));
        }
    }
}

#[test]
fn a_long_method_is_refused_and_not_logged() {
    let handler = handler();
    for form in FORMS {
        let event = form.event(&"M".repeat(300_000), "/embed", &[], b"");
        let (response, lines) = crate::captured::captured(|| answer(&handler, &event));
        assert_eq!(response["statusCode"], 405);
        assert_eq!(lines[0]["method"], "other");
    }
}
