//! Arguments and their help.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use semblance_api::routes;

/// Scores and embeds texts with a sentence-transformer on the CPU, and serves it over HTTP.
#[derive(Debug, Parser)]
#[command(name = "semblance", version, max_term_width = 100)]
pub struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The help of `serve`. It lists the declared routes.
static SERVE_HELP: LazyLock<String> = LazyLock::new(|| {
    let mut lines: Vec<String> = routes()
        .map(|route| format!("  {:4} {:20} {}", route.method.as_str(), route.path, route.summary))
        .collect();
    lines.push("  GET  /metrics             Report counters for Prometheus".to_owned());
    format!(
        "Examples:
  semblance serve
  semblance serve --host 0.0.0.0 --port 3000 --threads 4
  semblance serve --cross-encoder build/model/cross --cors-origin https://example.com
  curl localhost:8080/embed -H 'content-type: application/json' -d '{{\"inputs\": \"Hello, world\"}}'

Routes:
{}

Log lines are JSON on standard output. On SIGTERM or SIGINT, the server completes the requests in \
progress, then exits; a second signal ends it at once.",
        lines.join("\n")
    )
});

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Score texts against a query, best first
    #[command(after_help = "Examples:
  semblance score 'How many people live in London?' 'Around 9 million' 'It has a river'
  semblance score --json --top-k 1 'reset my password' 'I forgot my password' 'Change my plan'")]
    Score(ScoreArguments),
    /// Embed texts, one per line, and print JSON lines
    #[command(after_help = "Examples:
  semblance embed questions.txt > embeddings.jsonl
  echo 'Hello, world' | semblance embed
  semblance embed --jsonl corpus.jsonl      each line is an object with the field \"text\"

Each line of output: {\"text_index\": 0, \"embedding\": [0.01, …], \"tokens\": 5, \"truncated\": false}
  tokens is the number of tokens before truncation, special tokens included.")]
    Embed(EmbedArguments),
    /// Verify the files of a bundle against its manifest
    #[command(after_help = "Examples:
  semblance verify
  semblance verify --bundle /mnt/models/all-minilm-l6-v2/0123…")]
    Verify(VerifyArguments),
    /// Serve over HTTP, for clients of text-embeddings-inference, OpenAI and Cohere
    #[command(after_help = SERVE_HELP.as_str())]
    Serve(ServeArguments),
}

/// The model and the library that runs it.
#[derive(Debug, Args)]
pub struct ModelArguments {
    /// Folder of the model bundle [default: SEMBLANCE_BUNDLE, else build/model/default]
    #[arg(long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// ONNX Runtime library [default: SEMBLANCE_ORT_LIBRARY, else build/lib/libonnxruntime.so]
    #[arg(long, value_name = "FILE")]
    pub library: Option<PathBuf>,
}

/// Arguments of `score`.
#[derive(Debug, Args)]
pub struct ScoreArguments {
    /// The text to compare the others with
    pub query: String,
    /// The texts to score
    #[arg(required = true, value_name = "TEXT")]
    pub texts: Vec<String>,
    /// Print the response of the function: {"Scores": [[text, score], …]}
    #[arg(long)]
    pub json: bool,
    /// Print only the best N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: Option<u32>,
    /// Refuse texts beyond the model's limit instead of truncating them
    #[arg(long)]
    pub no_truncate: bool,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Arguments of `embed`.
#[derive(Debug, Args)]
pub struct EmbedArguments {
    /// File to read, or - for standard input
    #[arg(default_value = "-", value_name = "FILE")]
    pub file: PathBuf,
    /// Lines are JSON objects with a field "text" [default: if the file is named .jsonl or .ndjson]
    #[arg(long)]
    pub jsonl: bool,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// Folder of the model bundle [default: SEMBLANCE_BUNDLE, else build/model/default]
    #[arg(long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
}

/// Parses a time in seconds, at most an hour.
fn seconds(minimum: u64) -> RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(minimum..=3600)
}

/// Parses a size in bytes.
fn size(minimum: u64, maximum: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(minimum..=maximum)
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: IpAddr,
    /// Port to listen on; 0 selects a free port, which is in the log
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Folder of the cross-encoder's bundle [default: SEMBLANCE_CROSS_ENCODER_BUNDLE, else none]
    #[arg(long, value_name = "DIR")]
    pub cross_encoder: Option<PathBuf>,
    /// Threads of a forward pass, 1 to 64 [default: SEMBLANCE_THREADS, else the number of CPUs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: Option<u8>,
    /// Maximum number of requests in progress or waiting; further ones get status 429
    #[arg(long, value_name = "N", default_value = "512")]
    pub max_concurrent_requests: NonZeroUsize,
    /// Maximum number of connections, at most the limit on file descriptors less 48; when it is
    /// reached, the one that has had no request for the longest time is closed
    #[arg(long, value_name = "N", default_value = "4096")]
    pub max_connections: NonZeroUsize,
    /// Maximum size of the headers of a request in bytes
    #[arg(long, value_name = "N", default_value_t = 32 << 10, value_parser = size(8 << 10, 1 << 20))]
    pub max_header_bytes: usize,
    /// Maximum size of a request body in bytes, as sent and after decompression
    #[arg(long, value_name = "N", default_value_t = 8 << 20)]
    pub max_body_bytes: usize,
    /// Maximum number of bytes of bodies and responses in memory; requests beyond it get status 429.
    /// The first 64 KiB of each request do not count
    #[arg(long, value_name = "N", default_value_t = 256 << 20)]
    pub max_buffered_bytes: usize,
    /// Time limit of the headers of a request, in seconds
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = seconds(1))]
    pub head_timeout_seconds: u64,
    /// Time limit of the body of a request, in seconds; afterwards the status is 408
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = seconds(1))]
    pub body_timeout_seconds: u64,
    /// How long a client can leave a response unread, in seconds; it has this time for each 64 KiB
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = seconds(1))]
    pub write_timeout_seconds: u64,
    /// How long a connection can stay open without a request, in seconds
    #[arg(long, value_name = "S", default_value_t = 75, value_parser = seconds(1))]
    pub idle_timeout_seconds: u64,
    /// Within this time of SIGTERM or SIGINT, in seconds, the server exits, even if requests are in
    /// progress [default: SEMBLANCE_SHUTDOWN_SECONDS, else 10]
    #[arg(long, value_name = "S", value_parser = seconds(0))]
    pub shutdown_seconds: Option<u64>,
    /// Time limit of an operation, in seconds; afterwards the status is 503
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = seconds(1))]
    pub timeout_seconds: u64,
    /// Origin that CORS allows, or *; can be repeated [default: SEMBLANCE_CORS_ORIGINS]
    #[arg(long, value_name = "ORIGIN")]
    pub cors_origin: Vec<String>,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}
