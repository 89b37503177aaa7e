//! Start and memory of a tokenizer: that of a bundle and the one of the tokenizers library, each in new
//! processes. `cargo bench --bench tokenizers`.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the bench")]
#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use semblance::internals::tokenizer::{Count, Side, Tokenizer, TokenizerLimits};
use semblance_test_support::tokenizer_folder;

/// New processes of each kind.
const RUNS: usize = 11;

/// Tokenized after the start, once to have read what it needs, then a hundred times.
const TEXTS: [&str; 3] = [
    "query: How many people live in London?",
    "passage: In London leben rund neun Millionen Menschen, die über dreihundert Sprachen sprechen.",
    "ロンドンには約九百万人が住んでいます。ロンドンは金融街で知られています。",
];

/// The names of the numbers that a process prints.
const COLUMNS: [&str; 4] = ["start ms", "anonymous MB", "resident MB", "text us"];

fn main() {
    if let Ok(case) = env::var("TOKENIZER_CASE") {
        let (kind, name) = case.split_once(' ').unwrap();
        run(kind, &tokenizer_folder(name));
        return;
    }
    println!("median of {RUNS} processes; {}", COLUMNS.join(", "));
    for name in ["e5", "deberta", "qwen", "llama", "gemma"] {
        let mut rows = [Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            for (kind, rows) in ["bundle", "library"].into_iter().zip(&mut rows) {
                let mut command = Command::new(env::current_exe().unwrap());
                let output = command.env("TOKENIZER_CASE", format!("{kind} {name}")).output();
                let text = String::from_utf8(output.unwrap().stdout).unwrap();
                let numbers = text.split_whitespace().map(|number| number.parse().unwrap());
                rows.push(numbers.collect::<Vec<f64>>());
            }
        }
        for (kind, rows) in ["bundle", "library"].into_iter().zip(rows) {
            let medians = (0..COLUMNS.len()).map(|column| {
                let mut values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
                values.sort_by(f64::total_cmp);
                format!("{:>9.2}", values[RUNS / 2])
            });
            println!("{name:8} {kind:8} {}", medians.collect::<String>());
        }
    }
}

/// Loads a tokenizer, tokenizes, and prints the numbers of [`COLUMNS`].
fn run(kind: &str, folder: &Path) {
    let before = memory();
    let started = Instant::now();
    let tokenize: Box<dyn Fn(&str) -> usize> = if kind == "bundle" {
        let limits = TokenizerLimits { max_tokens: 512, vocabulary_size: usize::MAX };
        let (rules, pieces) = (folder.join("tokenizer.json"), folder.join("vocabulary.bin"));
        let tokenizer = Tokenizer::from_files(&rules, &pieces, limits).unwrap();
        Box::new(move |text| tokenizer.encode(text, Side::Right, Count::All).unwrap().tokens())
    } else {
        let tokenizer = tokenizers::Tokenizer::from_file(folder.join("source.json")).unwrap();
        Box::new(move |text| tokenizer.encode_fast(text, true).unwrap().len())
    };
    let start_ms = started.elapsed().as_secs_f64() * 1e3;
    for text in TEXTS {
        tokenize(text);
    }
    let after = memory();
    let started = Instant::now();
    for _ in 0..100 {
        for text in TEXTS {
            tokenize(text);
        }
    }
    let text_us = started.elapsed().as_secs_f64() * 1e6 / (100 * TEXTS.len()) as f64;
    println!("{start_ms} {} {} {text_us}", after.0 - before.0, after.1 - before.1);
}

/// Anonymous and resident memory of this process, in MB.
fn memory() -> (f64, f64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib * 1024.0 / 1e6
    };
    (of("RssAnon:"), of("VmRSS:"))
}
