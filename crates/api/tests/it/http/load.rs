//! Admission control over HTTP: overload and timeouts.

use super::*;

/// A model that waits for a message before each batch.
struct BlockedModel(Receiver<()>);

impl Infer for BlockedModel {
    fn infer<R>(
        &mut self,
        inputs: &Inputs,
        read: impl FnOnce(ArrayView2<'_, f32>) -> R,
    ) -> Result<R, InferError> {
        // If the sender is dropped, it continues.
        let _ = self.0.recv();
        OneHot::default().infer(inputs, read)
    }
}

fn blocked(limits: AdmissionLimits) -> (Admission, Router, Sender<()>) {
    let (unblock, wait) = channel();
    let service = Arc::new(fake_service(BlockedModel(wait), 16, Limits::default()));
    let admission = Admission::queued(service, limits);
    (admission.clone(), router(admission, options()), unblock)
}

#[test]
fn a_request_beyond_the_limit_gets_429() {
    let (admission, router, unblock) = blocked(limits(2, Duration::from_secs(60)));
    runtime().block_on(async {
        let ask =
            |text: &str| send(router.clone(), post("/embed", json!({"inputs": text}).to_string()));
        let waiting = [tokio::spawn(ask("a")), tokio::spawn(ask("b"))];
        while admission.admitted() < 2 {
            tokio::task::yield_now().await;
        }
        let reply = ask("c").await;
        let (code, message) = reply.error(Dialect::Tei);
        assert_eq!((reply.status, code.as_str()), (429, "http.overloaded"));
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert!(message.contains("the limit is 2"), "{message}");
        let body = json!({"input": "c"}).to_string();
        let reply = send(router.clone(), post("/v1/embeddings", body)).await;
        assert_eq!(
            (reply.status, reply.error(Dialect::OpenAi).0.as_str()),
            (429, "http.overloaded")
        );
        for path in ["/health", "/ping", "/info", "/v1/models", "/openapi.json", "/"] {
            assert_eq!(
                send(router.clone(), get(path)).await.status,
                200,
                "{path} does not use the model"
            );
        }
        drop(unblock);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap().status, 200);
        }
        assert_eq!(ask("c").await.status, 200, "the limit applies to requests in progress");
    });
}

#[test]
fn a_request_that_takes_too_long_gets_503() {
    let (admission, router, unblock) = blocked(limits(2, Duration::from_secs(1)));
    runtime().block_on(async {
        let body = json!({"inputs": "a"}).to_string();
        let tei = tokio::spawn(send(router.clone(), post("/embed", body)));
        let body = json!({"input": "b"}).to_string();
        let open_ai = tokio::spawn(send(router.clone(), post("/v1/embeddings", body)));
        for (reply, dialect) in [(tei, Dialect::Tei), (open_ai, Dialect::OpenAi)] {
            let reply = reply.await.unwrap();
            let (code, message) = reply.error(dialect);
            assert_eq!((reply.status, code.as_str()), (503, "http.timed_out"));
            assert_eq!(message, "the request took longer than 1 seconds");
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
        drop(unblock);
        while admission.admitted() > 0 {
            tokio::task::yield_now().await;
        }
        let body = json!({"inputs": "c"}).to_string();
        assert_eq!(send(router.clone(), post("/embed", body)).await.status, 200);
    });
}
