//! Indexes through a running server and the commands on whole corpora, with the real model.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use semblance::corpus::{
    Index, OnDuplicate, Row, Value as Metadata, VectorSource, Writer, WriterOptions,
};
use semblance_test_support::cross_encoder_bundle;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::program::{error, output, semblance, text};
use crate::serve;

/// Runs a command that succeeds; returns what it prints.
fn run(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

fn json_lines(printed: &str) -> Vec<Value> {
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A folder of indexes, with the index `docs` of some rows.
struct Indexes {
    root: TempDir,
}

impl Indexes {
    fn new(rows: &[Value]) -> Self {
        let indexes = Self { root: TempDir::new().unwrap() };
        let rows = indexes.rows("rows.jsonl", rows);
        run(&["index", "build", &indexes.docs(), &rows]);
        indexes
    }

    fn docs(&self) -> String {
        self.root.path().join("docs").display().to_string()
    }

    fn rows(&self, name: &str, rows: &[Value]) -> String {
        let path = self.root.path().join(name);
        fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        path.display().to_string()
    }

    fn folder(&self) -> &str {
        self.root.path().to_str().unwrap()
    }

    fn version(&self) -> String {
        fs::read_to_string(Path::new(&self.docs()).join("CURRENT")).unwrap().trim().to_owned()
    }
}

fn questions() -> Vec<Value> {
    let rows = [
        ("reset", "How do I reset my password?", "account", 2024),
        ("forgot", "I forgot my password, how can I reset it?", "account", 2025),
        ("change", "Can I change my password?", "account", 2020),
        ("range", "How far does the electric car drive?", "car", 2023),
        ("charge", "What is the range of the electric car with one charge?", "car", 2025),
        ("bread", "Bake the bread for forty minutes", "kitchen", 2001),
    ];
    let row =
        |(id, text, topic, year)| json!({"id": id, "text": text, "topic": topic, "year": year});
    rows.into_iter().map(row).collect()
}

#[test]
fn a_server_uses_a_new_version_without_dropping_a_request() {
    let indexes = Indexes::new(&questions());
    let server = serve(&["--index-dir", indexes.folder()]);
    let client = Client::new(&server);
    let request = json!({"index": "docs", "query": "a new password", "top_k": 3});
    let is_done = AtomicBool::new(false);
    let mut published = vec![indexes.version()];
    let replies: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let ask = || {
            let mut replies = Vec::new();
            while !is_done.load(Ordering::Relaxed) {
                replies.push(client.post("/search", &request));
            }
            replies
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        for round in 0..4 {
            let row = json!({"id": format!("new{round}"), "text": format!("Entry {round}")});
            let rows = indexes.rows("more.jsonl", &[row]);
            run(&["index", "append", &indexes.docs(), &rows]);
            published.push(indexes.version());
            run(&["index", "delete", &indexes.docs(), "--id", &format!("new{round}")]);
            published.push(indexes.version());
        }
        run(&["index", "compact", &indexes.docs()]);
        published.push(indexes.version());
        let started = Instant::now();
        while client.post("/search", &request).1["version"] != indexes.version() {
            assert!(started.elapsed() < Duration::from_secs(30), "the last version is not used");
        }
        is_done.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let failed: Vec<_> = replies.iter().filter(|(status, _)| *status != 200).collect();
    assert!(failed.is_empty(), "{} of {}: {:?}", failed.len(), replies.len(), failed[0]);
    let seen: BTreeSet<&str> =
        replies.iter().map(|(_, reply)| reply["version"].as_str().unwrap()).collect();
    assert!(seen.iter().all(|version| published.iter().any(|known| known == version)));
    assert!(seen.len() > 1, "versions changed while requests ran");
    for (_, reply) in &replies {
        assert_eq!(reply["results"][0][0]["metadata"]["topic"], "account");
        assert_eq!(reply["exact"], true);
    }
}

#[test]
fn a_roll_back_is_a_new_pointer_to_an_old_version() {
    let indexes = Indexes::new(&questions());
    let old = indexes.version();
    run(&["index", "delete", &indexes.docs(), "--id", "reset"]);
    let server = serve(&["--index-dir", indexes.folder()]);
    let client = Client::new(&server);
    let request = json!({"index": "docs", "query": "How do I reset my password?", "top_k": 1});
    let best = || client.post("/search", &request).1["results"][0][0]["id"].clone();
    assert_eq!(best(), "forgot");
    let pointer = Path::new(&indexes.docs()).join("CURRENT");
    let next = pointer.with_extension("next");
    fs::write(&next, format!("{old}\n")).unwrap();
    fs::rename(next, pointer).unwrap();
    let started = Instant::now();
    while best() != "reset" {
        assert!(started.elapsed() < Duration::from_secs(30), "the old version is not used");
    }
}

#[test]
fn a_second_writer_and_a_change_of_an_old_version_are_refused() {
    let indexes = Indexes::new(&questions());
    let (docs, old) = (indexes.docs(), indexes.version());
    run(&["index", "delete", &docs, "--id", "bread"]);
    let mut writer = semblance(&["index", "append", &docs, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    let row = |id: &str| format!("{}\n", json!({"id": id, "text": "Another text"}));
    // The writer waits for more rows and has the lock.
    input.write_all(row("first").as_bytes()).unwrap();
    let started = Instant::now();
    let refused = loop {
        let output = output(&["index", "delete", &docs, "--id", "unknown"]);
        if !output.status.success() {
            break text(&output.stderr).to_owned();
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the writer never had the lock");
    };
    assert!(refused.contains("index.locked"), "{refused}");
    // Somebody without the lock makes another version current.
    let pointer = Path::new(&docs).join("CURRENT");
    fs::write(pointer.with_extension("next"), format!("{old}\n")).unwrap();
    fs::rename(pointer.with_extension("next"), &pointer).unwrap();
    input.write_all(row("second").as_bytes()).unwrap();
    drop(input);
    let ended = writer.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("index.conflict"), "{}", text(&ended.stderr));
    assert_eq!(indexes.version(), old);
    let verified = run(&["index", "verify", &docs]);
    assert!(verified.contains("ok      6 rows"), "{verified}");
}

#[test]
fn several_queries_filters_and_reranking_on_the_command_line() {
    let indexes = Indexes::new(&questions());
    let docs = indexes.docs();
    let search = |arguments: &[&str]| -> Value {
        serde_json::from_str(&run(&[&["search", &docs, "--json"], arguments].concat())).unwrap()
    };
    let queries = ["a new password", "electric vehicle", "food"];
    let together = search(&queries);
    for (number, query) in queries.iter().enumerate() {
        let alone = search(&[query]);
        let ids = |rows: &Value| -> Vec<Value> {
            rows.as_array().unwrap().iter().map(|row| row["id"].clone()).collect()
        };
        assert_eq!(ids(&together["results"][number]), ids(&alone["results"][0]), "{query}");
    }
    assert_eq!((&together["searched"], &together["exact"]), (&json!(6), &json!(true)));

    // A filter that few rows pass still gives as many results as there are.
    let filter = r#"{"topic": "car", "year": {"$gte": 2025}}"#;
    let found = search(&["a new password", "--filter", filter, "--top-k", "5"]);
    assert_eq!(found["searched"], 1);
    assert_eq!(found["results"][0][0]["id"], "charge");

    let table = run(&["search", &docs, queries[0], queries[1], "--top-k", "1"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!((lines[0], lines[2], lines[4]), (queries[0], queries[1], "6 rows searched, exact"));

    let cross_encoder = cross_encoder_bundle("cross").display().to_string();
    let rerank = ["--rerank", "4", "--cross-encoder", &cross_encoder, "--top-k", "2"];
    let reranked = search(&[&[queries[0]], &rerank[..]].concat());
    let rows = reranked["results"][0].as_array().unwrap();
    let scores: Vec<f64> = rows.iter().map(|row| row["rerank_score"].as_f64().unwrap()).collect();
    assert!(scores.len() == 2 && scores[0] >= scores[1], "{scores:?}");
    let texts: Vec<&str> = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
    let pairs = ["rerank", "--json", "--cross-encoder", &cross_encoder, queries[0]];
    let ranks: Value = serde_json::from_str(&run(&[&pairs[..], &texts].concat())).unwrap();
    for (rank, score) in ranks.as_array().unwrap().iter().zip(scores) {
        assert!((rank["score"].as_f64().unwrap() - score).abs() < 1e-5, "{ranks}");
    }
}

/// Rows of the large index: more than are searched exactly by default.
const MANY: u64 = 51_000;

/// Whether a row is among one in `n`, independently of its direction.
fn is_one_in(number: u64, n: u64) -> bool {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).is_multiple_of(n)
}

/// A seeded vector of the model's dimensions near one of 50 directions.
fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut state = 0;
    let mut next = |seed: u64| {
        state = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed | 1).wrapping_add(state);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((z ^ (z >> 27)) >> 40) as f32 / 8_388_608.0 - 1.0
    };
    let direction: Vec<f32> = (0..dimensions).map(|_| next(2 * (seed % 50) + 1_000_000)).collect();
    direction.into_iter().map(|x| x * 0.7 + next(2 * seed + 1)).collect()
}

#[test]
fn the_answer_says_whether_it_is_exact_and_filters_do_not_cost_recall() {
    let indexes = Indexes::new(&questions());
    let info = run(&["index", "info", &indexes.docs(), "--json"]);
    let info: Value = serde_json::from_str(&info).unwrap();
    let source: VectorSource = serde_json::from_value(info["manifest"]["vectors"].clone()).unwrap();
    let dimensions = source.dimensions;
    let folder = indexes.root.path().join("many");
    let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
    let mut writer = Writer::create(&folder, source, options).unwrap();
    for number in 0..MANY {
        let metadata = [2, 10, 100, 1_000]
            .map(|n| (format!("one_in_{n}"), Metadata::Boolean(is_one_in(number, n))));
        let row = Row { id: number.to_string(), text: "x".to_owned(), metadata: metadata.to_vec() };
        let vector = vector(number, dimensions);
        writer.push(&row, number + 1, &vector, OnDuplicate::Refuse).unwrap().unwrap();
    }
    writer.publish().unwrap();

    let server = serve(&["--index-dir", indexes.folder(), "--max-body-bytes", "64000000"]);
    let client = Client::new(&server);
    let queries: Vec<Vec<f32>> = (0..40).map(|n| vector(n + 7_000_000, dimensions)).collect();
    let ask = |filter: Value, exact: bool| {
        let request =
            json!({"index": "many", "vectors": queries, "filter": filter, "exact": exact});
        let (status, reply) = client.post("/search", &request);
        assert_eq!(status, 200, "{reply}");
        reply
    };
    let recall = |found: &Value, wanted: &Value| {
        let (mut all, mut same) = (0, 0);
        for (found, wanted) in found.as_array().unwrap().iter().zip(wanted.as_array().unwrap()) {
            let ids: BTreeSet<&str> =
                found.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
            for row in wanted.as_array().unwrap() {
                all += 1;
                same += usize::from(ids.contains(row["id"].as_str().unwrap()));
            }
        }
        assert_eq!(all, 400);
        same as f64 / 400.0
    };
    let (approximate, exact) = (ask(Value::Null, false), ask(Value::Null, true));
    assert_eq!((&approximate["exact"], &exact["exact"]), (&json!(false), &json!(true)));
    assert_eq!((&approximate["searched"], &exact["searched"]), (&json!(MANY), &json!(MANY)));
    let unfiltered = recall(&approximate["results"], &exact["results"]);
    assert!(unfiltered > 0.9, "{unfiltered}");
    for n in [2u64, 10, 100, 1_000] {
        let filter = json!({format!("one_in_{n}"): true});
        let (found, wanted) = (ask(filter.clone(), false), ask(filter, true));
        assert_eq!(
            found["searched"],
            json!((0..MANY).filter(|&row| is_one_in(row, n)).count()),
            "1 in {n}"
        );
        // Few rows are searched exactly.
        assert_eq!(found["exact"], true, "1 in {n}");
        assert_eq!(recall(&found["results"], &wanted["results"]), 1.0, "1 in {n}");
    }
    for operation in ["/mine", "/cluster", "/map"] {
        let (status, refused) = client.post(operation, &json!({"index": "many"}));
        assert_eq!((status, &refused["error_type"]), (413, &json!("request.too_many_rows")));
    }
    // The same filters without the exact search of few rows, through the library.
    let index = Index::open(&folder).unwrap();
    for n in [2u64, 10, 100, 1_000] {
        let search = |exact| {
            let filter = semblance::corpus::Filter::Column {
                name: format!("one_in_{n}"),
                test: semblance::corpus::Test::In(vec![Metadata::Boolean(true)]),
            };
            let options = semblance::corpus::SearchOptions {
                filter: Some(filter),
                exact,
                exact_rows: 0,
                ..Default::default()
            };
            let found = index.search(&queries, &options).unwrap();
            let ids = |hits: Vec<semblance::corpus::Hit>| -> Value {
                hits.into_iter().map(|hit| json!({"id": hit.row.id})).collect()
            };
            found.hits.into_iter().map(ids).collect::<Value>()
        };
        let filtered = recall(&search(false), &search(true));
        // A few of 400 rows by chance.
        assert!(
            filtered >= unfiltered - 0.01,
            "1 in {n}: {filtered}, without a filter {unfiltered}"
        );
    }
}

#[test]
fn pairs_clusters_and_pictures_of_an_index() {
    let indexes = Indexes::new(&questions());
    let docs = indexes.docs();
    let pairs = json_lines(&run(&["mine", &docs, "--max-pairs", "3"]));
    assert_eq!(pairs.len(), 3);
    assert!(pairs.windows(2).all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64()));
    assert_eq!((&pairs[0]["a"], &pairs[0]["b"]), (&json!("reset"), &json!("forgot")));
    let score = run(&[
        "score",
        "--json",
        "How do I reset my password?",
        "I forgot my password, how can I reset it?",
    ]);
    let score: Value = serde_json::from_str(&score).unwrap();
    let expected = score["Scores"][0][1].as_f64().unwrap();
    assert!((pairs[0]["score"].as_f64().unwrap() - expected).abs() < 1e-5);
    assert_eq!(json_lines(&run(&["mine", &docs, "--min-score", "0.99"])).len(), 0);
    let csv = run(&["mine", &docs, "--max-pairs", "1", "--output", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "score,a,b,text_a,text_b");
    // The text with a comma is in quotes.
    assert!(
        lines[1].contains(",reset,forgot,") && lines[1].contains("\"I forgot my password, how")
    );

    let options = ["--threshold", "0.5", "--min-size", "2"];
    let clusters = json_lines(&run(&[&["cluster", &docs], &options[..]].concat()));
    let members: Vec<BTreeSet<&str>> = clusters
        .iter()
        .map(|one| {
            one["members"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
        })
        .collect();
    assert_eq!(members[0], BTreeSet::from(["reset", "forgot", "change"]));
    assert_eq!(members[1], BTreeSet::from(["range", "charge"]));
    assert!(clusters[0]["words"].as_array().unwrap().contains(&json!("password")));
    let csv = run(&[&["cluster", &docs, "--output", "csv"], &options[..]].concat());
    assert_eq!(csv.lines().count(), 6, "{csv}");
    assert_eq!(csv.lines().next(), Some("cluster,label,id,text"));

    let picture = |name: &str| indexes.root.path().join(name).display().to_string();
    let (svg, png) = (picture("map.svg"), picture("map.PNG"));
    let drawn = run(&[&["map", &docs, "--output", &svg, "--output", &png], &options[..]].concat());
    assert_eq!(drawn.matches("6 points, 2 clusters in ").count(), 2, "{drawn}");
    let svg = fs::read_to_string(svg).unwrap();
    assert_eq!(svg.matches("<circle").count(), 6);
    assert!(svg.contains(">password"), "{svg}");
    assert!(fs::read(png).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
    let unknown = error(&["map", &docs, "--output", &picture("map.gif")]);
    assert!(unknown.contains("output.unknown_format"), "{unknown}");
    let missing = error(&["mine", &picture("nothing")]);
    assert!(missing.contains("index.not_found"), "{missing}");
}

#[test]
fn mining_and_clustering_over_http_agree_with_the_command_line() {
    let indexes = Indexes::new(&questions());
    let server = serve(&["--index-dir", indexes.folder()]);
    let client = Client::new(&server);
    assert_eq!(client.post("/indexes", &json!({})).0, 405);
    let listed: Value = serde_json::from_str(&client.get("/indexes")).unwrap();
    assert_eq!(listed, json!({"indexes": ["docs"]}));

    let lines = json_lines(&run(&["mine", &indexes.docs(), "--max-pairs", "4"]));
    let (status, mined) = client.post("/mine", &json!({"index": "docs", "max_pairs": 4}));
    assert_eq!(status, 200, "{mined}");
    for (pair, line) in mined["pairs"].as_array().unwrap().iter().zip(&lines) {
        assert_eq!(pair["ids"], json!([line["a"], line["b"]]));
        assert_eq!(pair["score"], line["score"]);
    }
    let texts: Vec<Value> = questions().iter().map(|row| row["text"].clone()).collect();
    let (_, of_texts) = client.post("/mine", &json!({"texts": texts, "max_pairs": 4}));
    for (pair, other) in
        of_texts["pairs"].as_array().unwrap().iter().zip(mined["pairs"].as_array().unwrap())
    {
        assert_eq!((&pair["a"], &pair["b"]), (&other["a"], &other["b"]));
    }
    let options = json!({"index": "docs", "threshold": 0.5, "min_size": 2});
    let (status, clustered) = client.post("/cluster", &options);
    assert_eq!(status, 200, "{clustered}");
    let arguments = ["--threshold", "0.5", "--min-size", "2"];
    let lines = json_lines(&run(&[&["cluster", &indexes.docs()], &arguments[..]].concat()));
    for (cluster, line) in clustered["clusters"].as_array().unwrap().iter().zip(&lines) {
        assert_eq!((&cluster["ids"], &cluster["words"]), (&line["members"], &line["words"]));
        assert_eq!((&cluster["size"], &cluster["label"]), (&line["size"], &line["label"]));
    }
    let (status, map) = client.post("/map", &options);
    assert_eq!(status, 200, "{map}");
    assert_eq!(map["points"].as_array().unwrap().len(), 6);
    assert_eq!((&map["ids"][0], &map["clusters"]), (&json!("reset"), &clustered["clusters"]));
}
