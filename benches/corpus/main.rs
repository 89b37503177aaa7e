//! Times searches of an index and its mining and clustering, for `benches/corpus/compare.py`, which
//! times other libraries on the same vectors in the same run.
//!
//! Prints one JSON object. Times are in milliseconds.
#![expect(clippy::unwrap_used, reason = "a bench that cannot run ends")]
#![expect(clippy::print_stdout, reason = "the result is the output")]

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use semblance::corpus::{
    ClusterOptions, Filter, Hit, Index, MineOptions, SearchOptions, Test, Value,
};
use serde_json::{Value as Json, json};

/// Times an index.
#[derive(Parser)]
struct Arguments {
    /// Folder of the index
    #[arg(long)]
    index: PathBuf,
    /// Folder of an index whose rows are the queries
    #[arg(long)]
    queries: PathBuf,
    /// Threads of mining and clustering
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
    /// File for the pairs and clusters, as JSON
    #[arg(long)]
    pairs: Option<PathBuf>,
    /// Cargo passes it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let index = Index::open(&arguments.index).unwrap();
    let queries = Index::open(&arguments.queries).unwrap();
    let queries: Vec<Vec<f32>> = queries.rows().map(|row| row.unwrap().1).collect();
    let mut report = json!({"rows": index.len(), "queries": queries.len()});
    for (name, exact) in [("exact", true), ("approximate", false)] {
        let options = SearchOptions { exact, exact_rows: 0, ..SearchOptions::default() };
        let (median, ids) = searched(&index, &queries, &options);
        report[name] = json!({"median_ms": median, "ids": ids});
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                let started = Instant::now();
                let queries = &queries[..32.min(queries.len())];
                index.search(queries, &options).unwrap();
                started.elapsed().as_secs_f64() * 1e3 / queries.len() as f64
            })
            .collect();
        report[name]["of_32_ms"] = json!(middle(&mut times));
    }
    report["filters"] = filters(&index, &queries);
    if let Some(path) = arguments.pairs {
        let started = Instant::now();
        let options = MineOptions { threads: arguments.threads, ..MineOptions::default() };
        let pairs = index.mine(&options).unwrap();
        report["mine_s"] = json!(started.elapsed().as_secs_f64());
        let started = Instant::now();
        let options = ClusterOptions { threads: arguments.threads, ..ClusterOptions::default() };
        let clusters = index.cluster(&options).unwrap();
        report["cluster_s"] = json!(started.elapsed().as_secs_f64());
        let pairs: Vec<Json> = pairs.iter().map(|p| json!([p.score, p.a, p.b])).collect();
        let found = json!({"pairs": pairs, "clusters": clusters});
        std::fs::write(path, found.to_string()).unwrap();
    }
    report["peak_memory_mb"] = json!(peak_memory_mb());
    println!("{report}");
}

/// Recall and time of the approximate search under filters that fewer and fewer rows pass.
fn filters(index: &Index, queries: &[Vec<f32>]) -> Json {
    let mut report = Vec::new();
    for test in [
        Test::AtMost(Value::Text("noun.attribute".to_owned())),
        Test::In(vec![Value::Text("noun.artifact".to_owned())]),
        Test::In(vec![Value::Text("noun.shape".to_owned())]),
        Test::In(vec![Value::Text("verb.weather".to_owned())]),
    ] {
        let filter = Some(Filter::Column { name: "topic".to_owned(), test });
        let of = |exact| {
            let filter = filter.clone();
            let options =
                SearchOptions { exact, exact_rows: 0, filter, ..SearchOptions::default() };
            searched(index, queries, &options)
        };
        let ((exact_ms, exact), (median, ids)) = (of(true), of(false));
        let options = SearchOptions { filter: filter.clone(), ..SearchOptions::default() };
        let rows = index.search(&queries[..1], &options).unwrap().searched;
        let all: usize = exact.iter().map(Vec::len).sum();
        let pairs = exact.iter().zip(&ids);
        let found: usize = pairs.map(|(w, f)| w.iter().filter(|id| f.contains(id)).count()).sum();
        report.push(json!({
            "share": rows as f64 / index.len() as f64, "recall": found as f64 / all as f64,
            "median_ms": median, "exact_ms": exact_ms,
        }));
    }
    json!(report)
}

fn searched(
    index: &Index,
    queries: &[Vec<f32>],
    options: &SearchOptions,
) -> (f64, Vec<Vec<String>>) {
    let (mut times, mut ids) = (Vec::new(), Vec::new());
    for query in queries {
        let started = Instant::now();
        let output = index.search(&[query], options).unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e3);
        let id = |hit: &Hit| hit.row.id.clone();
        ids.push(output.hits[0].iter().map(id).collect());
    }
    (middle(&mut times), ids)
}

fn middle(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
