//! Times an index, for `benches/corpus/`, which times other libraries on the same vectors in the same run.
//!
//! Prints one JSON object. Times are in milliseconds, unless a name says seconds.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot run ends")]
#![expect(clippy::print_stdout, reason = "the result is the output")]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use semblance::corpus::{
    ClusterOptions, Filter, Hit, Index, MineOptions, OnDuplicate, Row, SearchOptions, Test, Value,
    Writer, WriterOptions,
};
use semblance::internals::kernels::{InstructionSet, Kernels};
use serde_json::{Value as Json, json};

/// Times an index.
#[derive(Parser)]
struct Arguments {
    /// What to time.
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Searches, one query at a time and 32 at once
    Search {
        /// Folder of the index
        index: PathBuf,
        /// Folder of an index whose rows are the queries
        queries: PathBuf,
        /// Number of queries
        #[arg(long, default_value = "500")]
        limit: usize,
    },
    /// Mining
    Mine {
        /// Folder of the index
        index: PathBuf,
        /// File for the pairs, as JSON
        output: PathBuf,
        /// Threads
        #[arg(long, default_value = "2")]
        threads: NonZeroUsize,
        /// Instruction set of the kernels [default: the fastest of the processor]
        #[arg(long)]
        instruction_set: Option<InstructionSet>,
    },
    /// Clustering
    Cluster {
        /// Folder of the index
        index: PathBuf,
        /// File for the clusters, as JSON
        output: PathBuf,
        /// Threads
        #[arg(long, default_value = "2")]
        threads: NonZeroUsize,
        /// Instruction set of the kernels [default: the fastest of the processor]
        #[arg(long)]
        instruction_set: Option<InstructionSet>,
    },
    /// Opens an index and searches it, query by query, as a new process does
    Open {
        /// Folder of the index
        index: PathBuf,
        /// Folder of an index whose rows are the queries
        queries: PathBuf,
        /// Number of queries
        #[arg(long, default_value = "60")]
        limit: usize,
    },
    /// Writes an index of this many rows: those of another index, then mixes of two of them
    Write {
        /// Folder of the other index
        source: PathBuf,
        /// Folder of the new index
        index: PathBuf,
        /// Number of rows
        rows: usize,
    },
}

fn main() {
    // Cargo passes `--bench`.
    let arguments = std::env::args_os().filter(|argument| argument != "--bench");
    let mut report = match Arguments::parse_from(arguments).work {
        Work::Search { index, queries, limit } => search(&index, &queries, limit),
        Work::Mine { index, output, threads, instruction_set } => {
            mine(&opened(&index, instruction_set), &output, threads)
        }
        Work::Cluster { index, output, threads, instruction_set } => {
            cluster(&opened(&index, instruction_set), &output, threads)
        }
        Work::Open { index, queries, limit } => open(&index, &queries, limit),
        Work::Write { source, index, rows } => write(&source, &index, rows),
    };
    report["peak_memory_mb"] = json!(peak_memory_mb());
    println!("{report}");
}

fn vectors(index: &Path, limit: usize) -> Vec<Vec<f32>> {
    Index::open(index).unwrap().rows().take(limit).map(|row| row.unwrap().1).collect()
}

fn search(index: &Path, queries: &Path, limit: usize) -> Json {
    let index = Index::open(index).unwrap();
    let queries = vectors(queries, limit);
    let mut report = json!({"rows": index.len(), "queries": queries.len()});
    for (name, exact) in [("exact", true), ("approximate", false)] {
        let options = SearchOptions { exact, exact_rows: 0, ..one_thread() };
        let (median, ids) = searched(&index, &queries, &options);
        report[name] = json!({"median_ms": median, "ids": ids});
        let mut times: Vec<f64> = (0..9)
            .map(|_| {
                let started = Instant::now();
                let queries = &queries[..32.min(queries.len())];
                index.search(queries, &options).unwrap();
                ms(started.elapsed()) / queries.len() as f64
            })
            .collect();
        report[name]["of_32_ms"] = json!(middle(&mut times));
    }
    report["flat_ms"] = json!(flat(&index, &queries));
    // Mixes of rows have no metadata.
    if index.columns().contains(&TOPIC) {
        report["filters"] = filters(&index, &queries);
    }
    report
}

/// A scan of all vectors in f32, without an index.
fn flat(index: &Index, queries: &[Vec<f32>]) -> f64 {
    let rows: Vec<f32> = index.rows().flat_map(|row| row.unwrap().1).collect();
    let mut scores = vec![0.0; index.len()];
    let kernels = Kernels::detect();
    let mut times = Vec::new();
    for query in &queries[..100.min(queries.len())] {
        let started = Instant::now();
        kernels.dots(query, &rows, &mut scores).unwrap();
        let mut best = [f32::NEG_INFINITY; 10];
        for &score in &scores {
            if score > best[9] {
                best[9] = score;
                best.sort_by(|a, b| b.total_cmp(a));
            }
        }
        std::hint::black_box(best);
        times.push(ms(started.elapsed()));
    }
    middle(&mut times)
}

fn opened(index: &Path, set: Option<InstructionSet>) -> Index {
    let index = Index::open(index).unwrap();
    match set {
        Some(set) => index.with_kernels(Kernels::of(set).expect("the processor has it")),
        None => index,
    }
}

fn mine(index: &Index, output: &Path, threads: NonZeroUsize) -> Json {
    let started = Instant::now();
    let options = MineOptions { threads, ..MineOptions::default() };
    let pairs = index.mine(&options).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let peak = peak_memory_mb();
    let pairs: Vec<Json> = pairs.iter().map(|p| json!([p.score, p.a, p.b])).collect();
    std::fs::write(output, json!(pairs).to_string()).unwrap();
    json!({"seconds": seconds, "mining_peak_mb": peak})
}

fn cluster(index: &Index, output: &Path, threads: NonZeroUsize) -> Json {
    let started = Instant::now();
    let options = ClusterOptions { threads, ..ClusterOptions::default() };
    let clusters = index.cluster(&options).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    std::fs::write(output, json!(clusters).to_string()).unwrap();
    json!({"seconds": seconds})
}

fn open(index: &Path, queries: &Path, limit: usize) -> Json {
    let queries = vectors(queries, limit);
    let started = Instant::now();
    let index = Index::open_for_search(index).unwrap();
    let opened = ms(started.elapsed());
    let options = SearchOptions { exact_rows: 0, ..one_thread() };
    let times = queries.iter().map(|query| {
        let started = Instant::now();
        index.search(&[query], &options).unwrap();
        ms(started.elapsed())
    });
    let times: Vec<f64> = times.collect();
    json!({"open_ms": opened, "query_ms": times})
}

fn write(source: &Path, target: &Path, rows: usize) -> Json {
    let source = Index::open(source).unwrap();
    let vectors: Vec<Vec<f32>> = source.rows().map(|row| row.unwrap().1).collect();
    let manifest = source.manifest();
    let started = Instant::now();
    let options = WriterOptions { min_recall: 0.0, ..WriterOptions::default() };
    let mut writer = Writer::create(target, manifest.vectors.clone(), options).unwrap();
    let mut state = 7u64;
    let mut random = move || {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    for number in 0..rows {
        let vector = match vectors.get(number) {
            Some(vector) => vector.clone(),
            None => {
                let mut pick = || &vectors[random() as usize % vectors.len()];
                let (a, b) = (pick(), pick());
                a.iter()
                    .zip(b)
                    .map(|(a, b)| {
                        let noise = (random() >> 40) as f32 / (1u32 << 24) as f32 - 0.5;
                        0.8 * a + 0.2 * b + 0.02 * noise
                    })
                    .collect()
            }
        };
        let row =
            Row { id: format!("{number}"), text: format!("row {number}"), metadata: Vec::new() };
        writer.push(&row, 1, &vector, OnDuplicate::Refuse).unwrap().unwrap();
    }
    let published = writer.publish().unwrap();
    json!({"seconds": started.elapsed().as_secs_f64(), "recall": published.manifest.recall})
}

fn ms(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e3
}

/// The column of the filters.
const TOPIC: &str = "topic";

/// Recall and time of the approximate search under filters that fewer and fewer rows pass.
fn filters(index: &Index, queries: &[Vec<f32>]) -> Json {
    let mut report = Vec::new();
    let text = |value: &str| Value::Text(value.to_owned());
    for test in [
        Test::AtMost(text("noun.communication")),
        Test::In(vec![text("noun.artifact")]),
        Test::In(vec![text("noun.quantity")]),
        Test::In(vec![text("verb.weather")]),
    ] {
        let filter = Some(Filter::Column { name: TOPIC.to_owned(), test });
        let options = SearchOptions { filter, ..one_thread() };
        let first = index.search(&queries[..1], &options).unwrap();
        let (exact_ms, exact) =
            searched(index, queries, &SearchOptions { exact: true, ..options.clone() });
        let (approximate_ms, approximate) =
            searched(index, queries, &SearchOptions { exact_rows: 0, ..options.clone() });
        let (default_ms, default) = searched(index, queries, &options);
        let recall = |ids: &[Vec<String>]| {
            let all: usize = exact.iter().map(Vec::len).sum();
            let pairs = exact.iter().zip(ids);
            let found = pairs.map(|(w, f)| w.iter().filter(|id| f.contains(id)).count());
            found.sum::<usize>() as f64 / all as f64
        };
        report.push(json!({
            "share": first.searched as f64 / index.len() as f64, "is_exact": first.exact,
            "default_recall": recall(&default), "default_ms": default_ms,
            "recall": recall(&approximate), "median_ms": approximate_ms, "exact_ms": exact_ms,
        }));
    }
    json!(report)
}

/// Searches use one thread, as those of the other libraries.
fn one_thread() -> SearchOptions {
    SearchOptions { threads: NonZeroUsize::MIN, ..SearchOptions::default() }
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
        times.push(ms(started.elapsed()));
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
