//! For each applied option of the HTTP API: a request without it, one with it, and what differs.

use semblance_test_support::assert_close;
use serde_json::{Value, json};

use crate::client::Client;

/// The prompt of the model for a query.
pub(crate) const QUERY_PROMPT: &str = "question about money: ";
/// The prompt of the model for a document.
pub(crate) const DOCUMENT_PROMPT: &str = "answer from a travel guide: ";

const QUERY: &str = "How many people live in London?";
const CORPUS: [&str; 3] =
    ["How do I reset my password?", "I forgot my password", "What does it cost?"];
const TEXTS: [&str; 3] = ["a river", "9 million people", "bread"];

/// A test of the responses without and with an option.
type Comparison = Box<dyn Fn(&Value, &Value)>;

/// What an option changes.
pub(crate) enum Check {
    /// The request with it has the error of this code.
    Refused(&'static str),
    /// The response is that of this request, except for the texts that it repeats.
    As(Value),
    /// The response passes a test. The arguments are the responses without and with the option.
    Valid(Comparison),
}

/// An option.
pub(crate) struct Case {
    pub(crate) field: &'static str,
    pub(crate) without: Value,
    pub(crate) with: Value,
    pub(crate) check: Check,
}

/// Returns the status and the response, without what differs between requests with equal results: ids,
/// times, token counts and repeated texts.
pub(crate) fn answer(client: &Client, path: &str, request: &Value) -> (u16, Value) {
    let (status, mut reply) = client.post(path, request);
    for name in ["id", "total_duration", "texts", "usage", "meta", "prompt_eval_count"] {
        reply.as_object_mut().map(|reply| reply.remove(name));
    }
    // An event repeats each text with its score.
    let scores = reply.get_mut("Scores").and_then(Value::as_array_mut);
    for pair in scores.into_iter().flatten() {
        *pair = pair[1].take();
    }
    (status, reply)
}

/// More tokens than the model reads: the first ones differ from the others.
fn long() -> String {
    format!("{}{}", "river ".repeat(10), tail())
}

/// The last tokens of `long`, as many as the model reads or more.
fn tail() -> String {
    "bread ".repeat(300)
}

/// Returns a request with a field set. The field is a path.
fn set(request: &Value, field: &str, value: Value) -> Value {
    let mut request = request.clone();
    let place = field.split('.').fold(&mut request, |place, name| &mut place[name]);
    *place = value;
    request
}

fn valid(check: impl Fn(&Value, &Value) + 'static) -> Check {
    Check::Valid(Box::new(check))
}

fn numbers(row: &Value) -> Vec<f64> {
    row.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn norm(row: &[f64]) -> f64 {
    row.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// The base request of a route, and the cases of its options.
struct Cases {
    base: Value,
    cases: Vec<Case>,
}

impl Cases {
    fn new(base: Value) -> Self {
        Self { base, cases: Vec::new() }
    }

    /// Adds an option of the base request.
    fn add(self, field: &'static str, value: Value, check: Check) -> Self {
        let base = self.base.clone();
        self.of(base, field, value, check)
    }

    /// Adds an option of a request.
    fn of(mut self, without: Value, field: &'static str, value: Value, check: Check) -> Self {
        let with = set(&without, field, value);
        self.cases.push(Case { field, without, with, check });
        self
    }

    /// Adds a field with the content: other content has another response.
    fn content(self, field: &'static str, value: Value) -> Self {
        self.add(field, value, valid(|_, _| {}))
    }

    /// Adds an option that refuses a text beyond the model's limit. `texts` is the field of the texts,
    /// and `shape` makes its value of a long text.
    fn refusing(
        self,
        texts: &'static str,
        shape: fn(String) -> Value,
        field: &'static str,
        value: Value,
    ) -> Self {
        let without = set(&self.base, texts, shape(long()));
        self.of(without, field, value, Check::Refused("request.too_many_tokens"))
    }

    /// Adds an option that truncates on the left.
    fn left(
        self,
        texts: &'static str,
        shape: fn(String) -> Value,
        field: &'static str,
        value: Value,
    ) -> Self {
        let without = set(&self.base, texts, shape(long()));
        let end = Check::As(set(&self.base, texts, shape(tail())));
        self.of(without, field, value, end)
    }

    fn with_case(mut self, case: Case) -> Self {
        self.cases.push(case);
        self
    }

    /// Adds the option for invalid texts. Without it, the request is refused.
    fn on_error(self, texts: &'static str, value: Value, field: &'static str) -> Self {
        let without = set(&self.base, texts, value);
        let check = valid(|plain, found| {
            let code = plain.get("error_type").unwrap_or(&plain["error"]["code"]);
            assert_eq!(code, "request.empty_text", "{plain}");
            let errors = found.get("errors").unwrap_or(&found["Errors"]);
            assert_eq!(
                (&errors[0]["index"], &errors[0]["code"]),
                (&json!(0), &json!("request.empty_text"))
            );
            assert_eq!(errors.as_array().unwrap().len(), 1, "{found}");
        });
        self.of(without, field, json!("null"), check)
    }
}

fn one(text: String) -> Value {
    json!([text])
}

fn text(text: String) -> Value {
    json!(text)
}

fn document(text: &str) -> String {
    format!("{DOCUMENT_PROMPT}{text}")
}

fn two(text: String) -> Value {
    json!([text, "a city"])
}

/// Two texts, of which the first is empty.
fn first_empty() -> Value {
    json!(["", "a river"])
}

/// A list of embeddings, `[texts, dim]`, in the response of any route.
fn rows(reply: &Value) -> Vec<Vec<f64>> {
    let places = ["/data", "/embeddings/float", "/embeddings", ""];
    let list = places.iter().find_map(|place| reply.pointer(place).filter(|list| list.is_array()));
    let list = list.unwrap().as_array().unwrap().iter();
    list.map(|item| numbers(item.get("embedding").unwrap_or(item))).collect()
}

/// The embeddings have the first dimensions of those without the option, at unit length.
fn shortened() -> Check {
    valid(|plain, found| {
        for (whole, row) in rows(plain).iter().zip(rows(found)) {
            assert_eq!((whole.len(), row.len()), (384, 8));
            let length = norm(&whole[..8]);
            for (value, short) in whole.iter().zip(&row) {
                assert!((value / length - short).abs() < 1e-5);
            }
        }
    })
}

/// The embeddings have the direction of those without the option, and not their length.
fn unnormalized() -> Check {
    valid(|plain, found| {
        for (unit, row) in rows(plain).iter().zip(rows(found)) {
            let length = norm(&row);
            assert!((norm(unit) - 1.0).abs() < 1e-5 && (length - 1.0).abs() > 0.01, "{length}");
            assert!(unit.iter().zip(&row).all(|(a, b)| (a - b / length).abs() < 1e-5));
        }
    })
}

/// The scores are the logits of those without the option.
fn logits(list: &'static str, score: &'static str) -> Check {
    valid(move |plain, found| {
        let scores = |reply: &Value| -> Vec<f64> {
            let list = reply.pointer(list).unwrap().as_array().unwrap().iter();
            list.map(|item| item[score].as_f64().unwrap()).collect()
        };
        for (score, logit) in scores(plain).iter().zip(scores(found)) {
            assert!((1.0 / (1.0 + (-logit).exp()) - score).abs() < 1e-5, "{score} {logit}");
        }
    })
}

/// Returns the cases of a route.
pub(crate) fn of(path: &str, client: &Client) -> Vec<Case> {
    match path {
        "/" | "/invocations" => event(),
        "/search" => search(client),
        "/mine" => mine(),
        "/cluster" | "/map" => clusters(),
        "/similarity" => similarity(),
        "/embed" => embed(),
        "/embed_all" => embed_all(),
        "/rerank" => rerank(),
        "/predict" => predict(),
        "/tokenize" => tokenize(),
        "/decode" => decode(),
        "/v1/embeddings" | "/embeddings" => openai(),
        "/v1/rerank" | "/v2/rerank" => cohere_rerank(),
        "/v1/embed" => cohere_embed(1),
        "/v2/embed" => cohere_embed(2),
        "/api/embed" => ollama(),
        "/api/embeddings" => {
            Cases::new(json!({"prompt": TEXTS[0], "options": {}}))
                .content("prompt", json!(TEXTS[1]))
                .add("options", json!({"num_ctx": 3}), valid(|_, _| {}))
                .add("options.num_ctx", json!(3), Check::As(json!({"prompt": "a"})))
                .cases
        }
        other => panic!("no cases of {other}"),
    }
}

fn event() -> Vec<Case> {
    let base = json!({"query_from_app": QUERY, "actual_queries": TEXTS});
    // The response repeats the texts, so only the scores are compared with those of `/similarity`.
    let written = json!({
        "query_from_app": format!("{QUERY_PROMPT}{QUERY}"),
        "actual_queries": TEXTS.map(document), "prompt_name": null,
    });
    // Without prompts: the left of a text is that of its prompt.
    let off = set(&base, "prompt_name", json!(null));
    let too_long = set(&off, "query_from_app", json!(long()));
    Cases::new(base.clone())
        .content("query_from_app", json!("Where is the bread?"))
        .content("actual_queries", json!(["a city"]))
        .add(
            "top_k",
            json!(1),
            valid(|plain, found| {
                assert_eq!(found["Scores"], json!([plain["Scores"][0]]));
            }),
        )
        .refusing("query_from_app", text, "truncate", json!(false))
        .with_case(Case {
            field: "truncation_direction",
            with: set(&too_long, "truncation_direction", json!("Left")),
            without: too_long,
            check: Check::As(set(&off, "query_from_app", json!(tail()))),
        })
        .on_error("actual_queries", first_empty(), "on_error")
        .with_case(Case {
            field: "prompt_name",
            without: set(&base, "prompt_name", json!(null)),
            with: base,
            check: Check::As(written),
        })
        .cases
}

fn search(client: &Client) -> Vec<Case> {
    let query = "I forgot my password";
    let base = json!({"index": "docs", "query": query, "top_k": 3});
    let off = json!({"index": "docs", "query": long(), "top_k": 3, "prompt_name": null});
    let vector = |prompt: Value| {
        let request = json!({"inputs": query, "prompt_name": prompt});
        client.post("/embed", &request).1[0].clone()
    };
    let by_vector = |vector: Value| json!({"index": "docs", "vectors": [vector], "top_k": 3});
    let other = by_vector(json!(vec![1.0; 384]));
    let many = json!({"index": "many", "query": query, "top_k": 3});
    Cases::new(base.clone())
        .add("index", json!("none"), Check::Refused("index.not_found"))
        .content("query", json!("How far does the car drive?"))
        .of(other, "vectors", json!([vector(json!("query"))]), Check::As(base.clone()))
        .add(
            "top_k",
            json!(1),
            valid(|plain, found| {
                assert_eq!(found["results"], json!([[plain["results"][0][0]]]));
            }),
        )
        .add(
            "filter",
            json!({"product": "car"}),
            valid(|_, found| {
                let rows = found["results"][0].as_array().unwrap();
                assert!(
                    rows.len() == 2 && rows.iter().all(|row| row["metadata"]["product"] == "car")
                );
            }),
        )
        .of(
            many,
            "exact",
            json!(true),
            valid(|plain, found| {
                assert_eq!((&plain["exact"], &found["exact"]), (&json!(false), &json!(true)));
            }),
        )
        .add(
            "rerank",
            json!(2),
            valid(|plain, found| {
                let rows = found["results"][0].as_array().unwrap();
                let scored = rows.iter().map(|row| row["rerank_score"].is_number());
                assert_eq!(scored.collect::<Vec<_>>(), [true, true, false], "{plain} {found}");
            }),
        )
        .add("prompt_name", json!(null), Check::As(by_vector(vector(json!(null)))))
        .refusing("query", text, "truncate", json!(false))
        .with_case(Case {
            field: "truncation_direction",
            with: set(&off, "truncation_direction", json!("Left")),
            check: Check::As(set(&off, "query", json!(tail()))),
            without: off,
        })
        .on_error("query", first_empty(), "on_error")
        .cases
}

/// The operations on a whole corpus, without the options of a path. `vectors` is a request with vectors.
fn corpus(base: Value, vectors: Value) -> Cases {
    Cases::new(base)
        .content("texts", json!(["a city", "a city", "a river", "a river"]))
        .of(vectors, "vectors", json!([[1, 0], [1, 0]]), valid(|_, _| {}))
        .of(json!({"index": "docs"}), "index", json!("none"), Check::Refused("index.not_found"))
        .add("prompt_name", json!("none"), Check::Refused("request.unknown_value"))
        .refusing("texts", two, "truncate", json!(false))
        .on_error("texts", first_empty(), "on_error")
}

fn mine() -> Vec<Case> {
    let off = json!({"texts": two(long()), "prompt_name": null});
    corpus(json!({"texts": CORPUS}), json!({"vectors": [[1, 0], [0, 1]]}))
        .add(
            "top_k",
            json!(1),
            valid(|plain, found| {
                let count = |reply: &Value| reply["pairs"].as_array().unwrap().len();
                assert_eq!((count(plain), count(found)), (3, 2));
            }),
        )
        .add(
            "max_pairs",
            json!(1),
            valid(|plain, found| assert_eq!(found["pairs"], json!([plain["pairs"][0]]))),
        )
        .add("min_score", json!(0.99), valid(|_, found| assert_eq!(found["pairs"], json!([]))))
        .with_case(Case {
            field: "truncation_direction",
            with: set(&off, "truncation_direction", json!("Left")),
            check: Check::As(set(&off, "texts", two(tail()))),
            without: off,
        })
        .cases
}

fn clusters() -> Vec<Case> {
    let none = || valid(|_, found| assert_eq!(found["clusters"], json!([])));
    let vectors = json!({"vectors": [[1, 0], [0, 1]], "min_size": 2});
    corpus(json!({"texts": CORPUS, "threshold": 0.1, "min_size": 2}), vectors)
        .add("threshold", json!(0.999), none())
        .add("min_size", json!(4), none())
        .cases
}

fn similarity() -> Vec<Case> {
    let inputs = json!({"source_sentence": QUERY, "sentences": TEXTS});
    let by_role = json!({"inputs": inputs});
    let plain = json!({"inputs": inputs, "parameters": {"prompt_name": null}});
    // The prompts of a query and of a document, put before the texts by the client.
    let written = json!({
        "inputs": {
            "source_sentence": format!("{QUERY_PROMPT}{QUERY}"),
            "sentences": TEXTS.map(document),
        },
        "parameters": {"prompt_name": null},
    });
    let same = json!({
        "inputs": {
            "source_sentence": format!("{QUERY_PROMPT}{QUERY}"),
            "sentences": TEXTS.map(|text| format!("{QUERY_PROMPT}{text}")),
        },
        "parameters": {"prompt_name": null},
    });
    let field = "parameters.prompt_name";
    let of_role =
        Case { field, without: plain.clone(), with: by_role.clone(), check: Check::As(written) };
    Cases::new(plain)
        .content("inputs", json!({"source_sentence": "bread", "sentences": ["a loaf"]}))
        .content("inputs.sentences", json!(["a city"]))
        .content("inputs.source_sentence", json!("Where is the bread?"))
        .add(field, json!("query"), Check::As(same))
        .of(by_role, "parameters", json!({"prompt_name": null}), valid(|_, _| {}))
        .refusing("inputs.sentences", one, "parameters.truncate", json!(false))
        .left("inputs.sentences", one, "parameters.truncation_direction", json!("Left"))
        .on_error("inputs.sentences", first_empty(), "parameters.on_error")
        .with_case(of_role)
        .cases
}

fn embed() -> Vec<Case> {
    let prompted = json!({"inputs": TEXTS.map(|text| format!("{QUERY_PROMPT}{text}"))});
    Cases::new(json!({"inputs": TEXTS}))
        .content("inputs", json!("a city"))
        .add("dimensions", json!(8), shortened())
        .add("normalize", json!(false), unnormalized())
        .add(
            "encoding_format",
            json!("base64"),
            valid(|plain, found| {
                // 384 values of 4 bytes.
                assert_eq!(found[0].as_str().unwrap().len(), 384 * 4 / 3 * 4);
                assert_eq!(found.as_array().unwrap().len(), plain.as_array().unwrap().len());
            }),
        )
        .add("prompt_name", json!("query"), Check::As(prompted))
        .refusing("inputs", one, "truncate", json!(false))
        .left("inputs", one, "truncation_direction", json!("Left"))
        .on_error("inputs", first_empty(), "on_error")
        .cases
}

fn embed_all() -> Vec<Case> {
    let prompted = json!({"inputs": [format!("{QUERY_PROMPT}{}", TEXTS[0])]});
    Cases::new(json!({"inputs": [TEXTS[0]]}))
        .content("inputs", json!("a city"))
        .add("prompt_name", json!("query"), Check::As(prompted))
        .refusing("inputs", one, "truncate", json!(false))
        .left("inputs", one, "truncation_direction", json!("Left"))
        .on_error("inputs", first_empty(), "on_error")
        .cases
}

fn rerank() -> Vec<Case> {
    let base = json!({"query": QUERY, "texts": TEXTS});
    let prompted = json!({
        "query": format!("{QUERY_PROMPT}{QUERY}"), "texts": TEXTS.map(document), "prompt_name": null,
    });
    Cases::new(base.clone())
        .content("query", json!("Where is the bread?"))
        .content("texts", json!(["a city"]))
        .add("raw_scores", json!(true), logits("", "score"))
        .add("return_text", json!(true), texts_of_ranks())
        .add("return_documents", json!(true), texts_of_ranks())
        .add("top_n", json!(1), valid(|plain, found| assert_eq!(*found, json!([plain[0]]))))
        .refusing("texts", one, "truncate", json!(false))
        .left("texts", one, "truncation_direction", json!("Left"))
        .on_error("texts", first_empty(), "on_error")
        .with_case(Case {
            field: "prompt_name",
            without: set(&base, "prompt_name", json!(null)),
            with: base,
            check: Check::As(prompted),
        })
        .cases
}

/// The ranks have their texts.
fn texts_of_ranks() -> Check {
    valid(|plain, found| {
        assert!(plain[0].get("text").is_none());
        for rank in found.as_array().unwrap() {
            assert_eq!(rank["text"], TEXTS[rank["index"].as_u64().unwrap() as usize]);
        }
    })
}

fn predict() -> Vec<Case> {
    fn pairs(text: String) -> Value {
        json!([[QUERY, text]])
    }
    Cases::new(json!({"inputs": [QUERY, TEXTS[1]]}))
        .content("inputs", json!([QUERY, "bread"]))
        .add("raw_scores", json!(true), logits("", "score"))
        .refusing("inputs", pairs, "truncate", json!(false))
        .left("inputs", pairs, "truncation_direction", json!("Left"))
        .on_error("inputs", json!([["", "a"], ["a", "b"]]), "on_error")
        .cases
}

fn tokenize() -> Vec<Case> {
    let base = json!({"inputs": [TEXTS[0]]});
    let count = |reply: &Value| reply[0].as_array().unwrap().len();
    Cases::new(base)
        .content("inputs", json!("a city"))
        .add(
            "add_special_tokens",
            json!(false),
            valid(move |plain, found| {
                assert_eq!((count(plain), count(found)), (4, 2));
                assert!(found[0].as_array().unwrap().iter().all(|token| token["special"] == false));
            }),
        )
        .add(
            "prompt_name",
            json!("query"),
            valid(move |plain, found| {
                // "question about money :"
                assert_eq!(count(found), count(plain) + 4, "{found}");
            }),
        )
        .on_error("inputs", first_empty(), "on_error")
        .cases
}

fn decode() -> Vec<Case> {
    Cases::new(json!({"ids": [101, 2414, 102]}))
        .content("ids", json!([[2414], [101, 2414]]))
        .add(
            "skip_special_tokens",
            json!(false),
            valid(|plain, found| {
                assert_eq!((plain, found), (&json!(["london"]), &json!(["[CLS] london [SEP]"])));
            }),
        )
        .cases
}

fn openai() -> Vec<Case> {
    let base = json!({"input": TEXTS});
    let prompted =
        |prompt: &str| set(&base, "input", json!(TEXTS.map(|text| format!("{prompt}{text}"))));
    let integers = |expected: fn(f64) -> i64| {
        valid(move |plain, found| {
            let found: Vec<Vec<f64>> = rows(found);
            for (row, levels) in rows(plain).iter().zip(found) {
                let expected: Vec<f64> = row.iter().map(|value| expected(*value) as f64).collect();
                // A value of the JSON text can be at the other side of a step.
                assert!(expected.iter().zip(&levels).all(|(a, b)| (a - b).abs() <= 1.0));
                assert!(expected.iter().zip(&levels).filter(|(a, b)| a != b).count() <= 2);
            }
        })
    };
    let bits = |offset: f64| {
        valid(move |plain: &Value, found: &Value| {
            for (row, bytes) in rows(plain).iter().zip(rows(found)) {
                let bit = |index: usize| (bytes[index / 8] + offset) as u8 >> (7 - index % 8) & 1;
                assert!(
                    row.iter()
                        .enumerate()
                        .all(|(index, value)| (bit(index) == 1) == (*value > 0.0))
                );
            }
        })
    };
    let base64 = valid(|plain, found| {
        for (float, base64) in
            plain["data"].as_array().unwrap().iter().zip(found["data"].as_array().unwrap())
        {
            // 384 values of 4 bytes.
            assert_eq!(base64["embedding"].as_str().unwrap().len(), 384 * 4 / 3 * 4);
            assert_eq!(float["index"], base64["index"]);
        }
    });
    Cases::new(base.clone())
        .content("input", json!(["a city"]))
        .add("dimensions", json!(8), shortened())
        .add("output_dimension", json!(8), shortened())
        .add("encoding_format", json!("base64"), base64)
        .add(
            "output_dtype",
            json!("uint8"),
            integers(|value| ((value + 1.0) * 127.5).floor() as i64),
        )
        .add(
            "output_dtype",
            json!("int8"),
            integers(|value| ((value + 1.0) * 127.5).floor() as i64 - 128),
        )
        .add("output_dtype", json!("binary"), bits(128.0))
        .add("embedding_type", json!("ubinary"), bits(0.0))
        .add("encoding_type", json!("ubinary"), bits(0.0))
        .add("embedding_type", json!(["ubinary"]), bits(0.0))
        .add("input_type", json!("query"), Check::As(prompted(QUERY_PROMPT)))
        .add("input_type", json!("document"), Check::As(prompted(DOCUMENT_PROMPT)))
        .add("task", json!("retrieval.passage"), Check::As(prompted(DOCUMENT_PROMPT)))
        .add("task", json!("classification"), Check::As(prompted("classify: ")))
        .add("prompt_name", json!("query"), Check::As(prompted(QUERY_PROMPT)))
        .add("modality", json!("image"), Check::Refused("request.unsupported_option"))
        .add("normalized", json!(false), unnormalized())
        .add("normalize", json!(false), unnormalized())
        .add("use_activation", json!(false), unnormalized())
        .add("embed_dtype", json!("float16"), Check::Refused("request.unsupported_option"))
        .add("endianness", json!("big"), Check::Refused("request.unsupported_option"))
        .add(
            "truncate_prompt_tokens",
            json!(3),
            Check::As(set(&base, "input", json!(["a", "9", "bread"]))),
        )
        .refusing("input", one, "truncate", json!(false))
        .refusing("input", one, "truncation", json!(false))
        .refusing("input", one, "truncate", json!("NONE"))
        .left("input", one, "truncate", json!("START"))
        .left("input", one, "truncation_direction", json!("left"))
        .on_error("input", first_empty(), "on_error")
        .cases
}

fn cohere_rerank() -> Vec<Case> {
    let base = json!({"query": QUERY, "documents": TEXTS});
    let prompted = json!({
        "query": format!("{QUERY_PROMPT}{QUERY}"), "documents": TEXTS.map(document),
        "prompt_name": null,
    });
    let objects = json!({"query": QUERY, "documents": [{"title": "bread", "text": "9 million people"},
                                                       {"title": "9 million people", "text": "bread"}]});
    let voyage = |plain: &Value, found: &Value, count: usize| {
        let results = &plain["results"].as_array().unwrap()[..count];
        assert_eq!((&found["object"], &found["data"]), (&json!("list"), &json!(results)));
        assert!(found.get("results").is_none());
    };
    Cases::new(base.clone())
        .content("query", json!("Where is the bread?"))
        .content("documents", json!(["a city"]))
        .add(
            "max_tokens_per_doc",
            json!(1),
            Check::As(set(&base, "documents", json!(["a", "9", "bread"]))),
        )
        .of(
            objects,
            "rank_fields",
            json!(["title"]),
            valid(|plain, found| {
                let score = |reply: &Value, index| {
                    let list = reply["results"].as_array().unwrap().iter();
                    list.clone().find(|one| one["index"] == index).unwrap()["relevance_score"]
                        .clone()
                };
                // The fields of the documents are exchanged.
                assert_close(&score(found, 0), &score(plain, 1));
                assert_close(&score(found, 1), &score(plain, 0));
            }),
        )
        .add("raw_scores", json!(true), logits("/results", "relevance_score"))
        .add("use_activation", json!(false), logits("/results", "relevance_score"))
        .add("activation", json!(false), logits("/results", "relevance_score"))
        .of(
            json!({"query": "a", "documents": ["9 million people", "bread"]}),
            "truncate_prompt_tokens",
            json!(5),
            Check::As(json!({"query": "a", "documents": ["9", "bread"]})),
        )
        .of(
            json!({"query": QUERY, "documents": [chunks(), "bread"]}),
            "max_chunks_per_doc",
            json!(1000),
            valid(|plain, found| {
                let score = |reply: &Value| {
                    let list = reply["results"].as_array().unwrap().iter();
                    let first = list.clone().find(|one| one["index"] == 0).unwrap();
                    first["relevance_score"].as_f64().unwrap()
                };
                assert!(score(found) > score(plain), "{plain} {found}");
            }),
        )
        .add("return_documents", json!(true), documents_of_results())
        .add("return_text", json!(true), documents_of_results())
        .add(
            "top_n",
            json!(1),
            valid(|plain, found| {
                assert_eq!(found["results"], json!([plain["results"][0]]));
            }),
        )
        .add("top_k", json!(2), valid(move |plain, found| voyage(plain, found, 2)))
        .add("truncation", json!(true), valid(move |plain, found| voyage(plain, found, 3)))
        .refusing("documents", one, "truncation", json!(false))
        .refusing("documents", one, "truncate", json!("NONE"))
        .left("documents", one, "truncate", json!("START"))
        .left("documents", one, "truncation_direction", json!("left"))
        .on_error("documents", first_empty(), "on_error")
        .with_case(Case {
            field: "prompt_name",
            without: set(&base, "prompt_name", json!(null)),
            with: base,
            check: Check::As(prompted),
        })
        .cases
}

/// A text with more tokens than the model reads of a document. A later part differs from the first one.
fn chunks() -> String {
    format!("{}{}", "bread ".repeat(60), "9 million people live in London. ".repeat(20))
}

/// The results have their documents.
fn documents_of_results() -> Check {
    valid(|plain, found| {
        assert!(plain["results"][0].get("document").is_none());
        for result in found["results"].as_array().unwrap() {
            let text = TEXTS[result["index"].as_u64().unwrap() as usize];
            assert_eq!(result["document"], json!({"text": text}));
        }
    })
}

fn cohere_embed(version: u32) -> Vec<Case> {
    let base = json!({"texts": TEXTS});
    let prompted =
        |prompt: &str| set(&base, "texts", json!(TEXTS.map(|text| format!("{prompt}{text}"))));
    let formats = valid(move |plain, found| {
        let float = if version == 1 { &plain["embeddings"] } else { &plain["embeddings"]["float"] };
        assert_eq!(&found["embeddings"]["float"], float);
        let lengths = ["int8", "uint8", "binary", "ubinary"]
            .map(|format| found["embeddings"][format][0].as_array().unwrap().len());
        assert_eq!(lengths, [384, 384, 48, 48]);
        assert_eq!(found["response_type"], "embeddings_by_type");
        let signed = numbers(&found["embeddings"]["int8"][0]);
        let unsigned = numbers(&found["embeddings"]["uint8"][0]);
        assert!(signed.iter().zip(&unsigned).all(|(signed, unsigned)| signed + 128.0 == *unsigned));
    });
    let every = json!(["float", "int8", "uint8", "binary", "ubinary", "base64"]);
    let inputs = TEXTS.map(|text| json!({"content": [{"type": "text", "text": text}]}));
    Cases::new(base.clone())
        .content("texts", json!(["a city"]))
        .with_case(Case {
            field: "inputs",
            without: json!({"texts": ["a city"]}),
            with: json!({"inputs": inputs}),
            check: Check::As(base.clone()),
        })
        .add("embedding_types", every, formats)
        .add("input_type", json!("search_query"), Check::As(prompted(QUERY_PROMPT)))
        .add("input_type", json!("search_document"), Check::As(prompted(DOCUMENT_PROMPT)))
        .add("input_type", json!("classification"), Check::As(prompted("classify: ")))
        .add("output_dimension", json!(8), shortened())
        .add("max_tokens", json!(1), Check::As(set(&base, "texts", json!(["a", "9", "bread"]))))
        .refusing("texts", one, "truncate", json!("NONE"))
        .of(
            set(&base, "texts", one(long())),
            "truncate",
            json!("START"),
            Check::As(set(&base, "texts", one(tail()))),
        )
        .on_error("texts", first_empty(), "on_error")
        .cases
}

fn ollama() -> Vec<Case> {
    Cases::new(json!({"input": TEXTS, "options": {}}))
        .content("input", json!("a city"))
        .add("options", json!({"num_ctx": 3}), valid(|_, _| {}))
        .add("options.num_ctx", json!(3), Check::As(json!({"input": ["a", "9", "bread"]})))
        .add("dimensions", json!(8), shortened())
        .refusing("input", one, "truncate", json!(false))
        .on_error("input", first_empty(), "on_error")
        .cases
}
