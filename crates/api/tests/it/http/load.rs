//! More requests than there is room or time for.

use super::*;

/// A model that waits for leave before each batch.
struct Held(Receiver<()>);

impl Infer for Held {
    type Output = Array3<f32>;

    fn infer(&mut self, inputs: &Inputs) -> Result<Array3<f32>, InferError> {
        // Without anyone to give leave it goes on.
        let _ = self.0.recv();
        OneHot::default().infer(inputs)
    }
}

fn held(limits: AdmissionLimits) -> (Admission, Router, Sender<()>) {
    let (leave, wait) = channel();
    let service = Arc::new(fake_service(Held(wait), 16, Limits::default()));
    let admission = Admission::queued(service, limits);
    (admission.clone(), router(admission, options()), leave)
}

#[test]
fn one_request_too_many_is_told_to_come_again_and_the_others_are_answered() {
    let (admission, router, leave) = held(limits(2, Duration::from_secs(60)));
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
            assert_eq!(send(router.clone(), get(path)).await.status, 200, "{path} is always told");
        }
        drop(leave);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap().status, 200);
        }
        assert_eq!(ask("c").await.status, 200, "there is room again");
    });
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let (admission, router, leave) = held(limits(2, Duration::from_secs(1)));
    runtime().block_on(async {
        let body = json!({"inputs": "a"}).to_string();
        let tei = tokio::spawn(send(router.clone(), post("/embed", body)));
        let body = json!({"input": "b"}).to_string();
        let open_ai = tokio::spawn(send(router.clone(), post("/v1/embeddings", body)));
        for (reply, dialect) in [(tei, Dialect::Tei), (open_ai, Dialect::OpenAi)] {
            let reply = reply.await.unwrap();
            let (code, message) = reply.error(dialect);
            assert_eq!((reply.status, code.as_str()), (503, "http.timed_out"));
            assert_eq!(message, "the reply took longer than 1 seconds");
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
        drop(leave);
        while admission.admitted() > 0 {
            tokio::task::yield_now().await;
        }
        let body = json!({"inputs": "c"}).to_string();
        assert_eq!(send(router.clone(), post("/embed", body)).await.status, 200);
    });
}
