//! Bodies: media type, compression and size.

use super::*;

#[test]
fn rejects_other_media_types_and_encodings() {
    let router = fake();
    let body = r#"{"inputs": "a"}"#;
    let status = |headers: &[(&str, &str)]| {
        let reply = call(&router, with_headers("/embed", headers, body));
        if reply.status != 200 {
            assert_eq!(reply.error(Dialect::Tei).0, "http.unsupported_media_type");
        }
        reply.status
    };
    let accepted = [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json; charset=us-ascii; profile=x",
        "application/vnd.api+json",
    ];
    for media_type in accepted {
        assert_eq!(status(&[("content-type", media_type)]), 200, "{media_type}");
    }
    assert_eq!(status(&[]), 200, "JSON is the default");
    let refused = [
        "application/x-www-form-urlencoded",
        "text/plain",
        "text/json",
        "application/octet-stream",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "",
    ];
    for media_type in refused {
        assert_eq!(status(&[("content-type", media_type)]), 415, "{media_type}");
    }
    for encoding in ["br", "deflate", "compress", "gzip, gzip", "what"] {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        assert_eq!(status(&headers), 415, "{encoding}");
    }
    assert_eq!(status(&[("content-encoding", "gzip"), ("content-encoding", "gzip")]), 415);
    assert_eq!(status(&[("content-encoding", "identity")]), 200);
    let reply = call(&router, with_headers("/v1/embeddings", &[("content-type", "text/a")], body));
    assert_eq!(reply.status, 415);
    assert_eq!(reply.error(Dialect::OpenAi).0, "http.unsupported_media_type");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// A compression function, with its name in a header.
type Compression = (&'static str, fn(&[u8]) -> Vec<u8>);

const COMPRESSIONS: [Compression; 2] = [("gzip", gzip), ("zstd", zstd)];

#[test]
fn decompresses_a_body() {
    let router = fake();
    let body = r#"{"inputs": ["a", "b"]}"#;
    let plain = call(&router, post("/embed", body));
    let spellings =
        [("gzip", COMPRESSIONS[0]), ("GZIP", COMPRESSIONS[0]), ("x-gzip", COMPRESSIONS[0])];
    for (spelling, (_, compress)) in spellings.into_iter().chain([("zstd", COMPRESSIONS[1])]) {
        let request =
            with_headers("/embed", &[("content-encoding", spelling)], compress(body.as_bytes()));
        let reply = call(&router, request);
        assert_eq!((reply.status, &reply.body), (200, &plain.body), "{spelling}");
    }
}

#[test]
fn rejects_a_body_that_does_not_match_its_encoding() {
    let router = fake();
    for (encoding, compress) in COMPRESSIONS {
        let mut flipped = compress(br#"{"inputs": ["a", "b"]}"#);
        let complete = flipped.clone();
        flipped[0] ^= 0xff;
        let truncated = &complete[..complete.len() - 4];
        for (what, bytes) in
            [("flipped", &flipped[..]), ("truncated", truncated), ("plain", b"{\"inputs\": 1}")]
        {
            let request = with_headers("/embed", &[("content-encoding", encoding)], bytes.to_vec());
            let reply = call(&router, request);
            let (code, message) = reply.error(Dialect::Tei);
            assert_eq!((reply.status, code.as_str()), (400, "http.invalid_encoding"), "{what}");
            assert_eq!(message, format!("the body is not valid {encoding}"));
        }
    }
}

#[test]
fn every_member_of_a_body_is_read_and_nothing_else() {
    let router = fake();
    let plain = call(&router, post("/embed", r#"{"inputs": ["a", "b"]}"#));
    for (encoding, compress) in COMPRESSIONS {
        let send = |bytes: Vec<u8>| {
            call(&router, with_headers("/embed", &[("content-encoding", encoding)], bytes))
        };
        let members = [compress(br#"{"inputs": ["a","#), compress(br#" "b"]}"#)];
        let reply = send(members.concat());
        assert_eq!((reply.status, &reply.body), (200, &plain.body), "{encoding}");
        let mut with_garbage = compress(br#"{"inputs": ["a", "b"]}"#);
        with_garbage.extend(b"garbage");
        let reply = send(with_garbage);
        let (code, _) = reply.error(Dialect::Tei);
        assert_eq!((reply.status, code.as_str()), (400, "http.invalid_encoding"), "{encoding}");
    }
}

#[test]
fn a_window_of_zstd_beyond_the_limit_is_refused() {
    // A frame without content size: magic number, descriptor, window descriptor, an empty last block.
    let frame = |window_log: u8| vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3, 1, 0, 0];
    let send =
        |bytes| call(&fake(), with_headers("/embed", &[("content-encoding", "zstd")], bytes));
    assert_eq!(send(frame(23)).error(Dialect::Tei).0, "request.invalid_json", "it is empty");
    for window_log in [24, 27, 31] {
        let reply = send(frame(window_log));
        let (code, message) = reply.error(Dialect::Tei);
        assert_eq!((reply.status, code.as_str()), (400, "http.invalid_encoding"));
        assert_eq!(message, "the body is not valid zstd with a window of at most 8 MiB");
    }
}

#[test]
fn a_repeated_field_is_refused_on_every_route() {
    for path in ["/embed", "/", "/v1/embeddings", "/v2/rerank"] {
        let reply = call(&fake(), post(path, r#"{"inputs": "a", "input": "a", "inputs": "b"}"#));
        let (code, _) = reply.error(Dialect::from_path(path));
        assert_eq!((reply.status, code.as_str()), (400, "request.duplicate_field"), "{path}");
    }
}

#[test]
fn the_tokens_of_a_request_are_bounded_in_total() {
    // The limit of the fake service is 40 texts of 256 tokens.
    let send = |texts: usize| {
        let texts = vec!["! ".repeat(256); texts];
        call(&fake(), post("/tokenize", json!({"inputs": texts}).to_string()))
    };
    assert_eq!(send(39).status, 200);
    let reply = send(40);
    let (code, message) = reply.error(Dialect::Tei);
    assert_eq!((reply.status, code.as_str()), (413, "request.too_many_tokens_in_total"));
    assert_eq!(message, "the texts have more than 10240 tokens in total, which is the limit");
}

#[test]
fn the_body_limit_is_inclusive() {
    let router = fake();
    // White space after the JSON value pads the body.
    let value = r#"{"inputs": "a"}"#;
    let body = |bytes: usize| value.to_owned() + &" ".repeat(bytes - value.len());
    for (bytes, expected) in [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)] {
        let body = body(bytes);
        assert_eq!(body.len(), bytes);
        assert_eq!(call(&router, post("/embed", body.clone())).status, expected, "{bytes}");
        for (encoding, compress) in COMPRESSIONS {
            let compressed = compress(body.as_bytes());
            assert!(compressed.len() < 1_000);
            let reply = call(
                &router,
                with_headers("/embed", &[("content-encoding", encoding)], compressed),
            );
            assert_eq!(reply.status, expected, "{bytes} in {encoding}");
            if expected != 200 {
                let (code, message) = reply.error(Dialect::Tei);
                let limit = "the body has too many bytes after decompression; the limit is 100000";
                assert_eq!((code.as_str(), message.as_str()), ("http.body_too_large", limit));
            }
        }
    }
    let declared = Request::post("/v1/embeddings").header("content-length", "100001");
    let reply = call(&router, declared.body(Body::empty()).unwrap());
    let (code, message) = reply.error(Dialect::OpenAi);
    assert_eq!((reply.status, code.as_str()), (413, "http.body_too_large"));
    assert_eq!(
        message, "the body has 100001 bytes; the limit is 100000",
        "refused by the declared length"
    );
}

#[test]
fn rejects_decompression_bombs() {
    let router = fake();
    let spaces = vec![b' '; 256 << 20];
    // Empty gzip members: the compressed body exceeds the limit, the decompressed body is empty.
    let empty_members = gzip(b"").repeat(MAX_BODY_BYTES / 20 + 1);
    let bombs = COMPRESSIONS.map(|(encoding, compress)| (encoding, compress(&spaces)));
    for (encoding, bomb) in bombs.into_iter().chain([("gzip", empty_members)]) {
        let reply = call(&router, with_headers("/embed", &[("content-encoding", encoding)], bomb));
        assert_eq!(
            (reply.status, reply.error(Dialect::Tei).0.as_str()),
            (413, "http.body_too_large")
        );
    }
}

#[test]
fn an_incomplete_body_is_an_error() {
    let reset = axum::Error::new(std::io::Error::other("the connection was reset"));
    let body = Body::from(r#"{"inputs""#).with_trailers(std::future::ready(Some(Err(reset))));
    let reply = call(&fake(), post("/embed", Body::new(body)));
    assert_eq!((reply.status, reply.error(Dialect::Tei).0.as_str()), (400, "http.incomplete_body"));
}

#[test]
fn responses_honor_accept_encoding() {
    let router = fake();
    let body = json!({"inputs": (0..40).map(|i| format!("text {i}")).collect::<Vec<_>>()});
    let plain = call(&router, post("/embed", body.to_string()));
    assert!(plain.body.len() > 1_024, "{}", plain.body.len());
    assert_eq!(plain.header("content-encoding"), None);
    let compressed = |accept: &str| {
        let headers = [("content-type", "application/json"), ("accept-encoding", accept)];
        call(&router, with_headers("/embed", &headers, body.to_string()))
    };
    let gzipped = compressed("gzip, deflate");
    assert_eq!(gzipped.header("content-encoding"), Some("gzip"));
    assert_eq!(gzipped.header("vary"), Some("accept-encoding"));
    let mut decompressed = Vec::new();
    flate2::read::GzDecoder::new(&gzipped.body[..]).read_to_end(&mut decompressed).unwrap();
    assert_eq!(decompressed, plain.body);
    assert_eq!(gzipped.info.unwrap().items, 40, "compression keeps the extensions");
    let zstandard = compressed("zstd");
    assert_eq!(zstandard.header("content-encoding"), Some("zstd"));
    assert_eq!(zstd::decode_all(&zstandard.body[..]).unwrap(), plain.body);
    for accept in ["identity", "br", "gzip;q=0", ""] {
        let reply = compressed(accept);
        assert_eq!((reply.status, &reply.body), (200, &plain.body), "{accept}");
        assert_eq!(reply.header("content-encoding"), None, "{accept}");
    }
    let headers = [("accept-encoding", "gzip"), ("content-type", "application/json")];
    let small = call(&router, with_headers("/embed", &headers, r#"{"inputs": "a"}"#));
    assert_eq!(small.header("content-encoding"), None, "small bodies are not compressed");
}
