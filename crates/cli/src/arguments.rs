//! Arguments and their help.

mod compare;
mod corpus;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use semblance_api::routes;

mod embed;
mod inspect;
mod pairs;

use embed::EMBED_HELP;
pub(crate) use embed::{EmbedArguments, InputFormat, OnError, OutputFormat};
use inspect::{COMPLETIONS_HELP, MANUAL_HELP, MODELS_HELP, TOKENIZE_HELP};
pub(crate) use inspect::{
    CompletionsArguments, ManualArguments, ModelsArguments, TokenizeArguments,
};
use pairs::{PREDICT_HELP, RERANK_HELP};
pub(crate) use pairs::{PairArguments, PredictArguments, RerankArguments};

pub(crate) use compare::{ClusterArguments, MapArguments, MineArguments, PairFormat};
pub(crate) use corpus::{
    AppendArguments, BadRows, BuildArguments, ChangeArguments, CorpusArguments, DeleteArguments,
    ExportArguments, IndexArguments, IndexCommand, InfoArguments, RowFormat, RowOptions,
    SearchArguments, UseArguments,
};

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
    /// Rank texts by their relevance to a query, best first
    #[command(after_help = RERANK_HELP)]
    Rerank(RerankArguments),
    /// Score pairs of texts with a cross-encoder, for each of its labels
    #[command(after_help = PREDICT_HELP)]
    Predict(PredictArguments),
    /// Embed the texts of a file, as JSON Lines, CSV, NumPy or Parquet
    #[command(after_help = EMBED_HELP)]
    Embed(EmbedArguments),
    /// Print the tokens of texts
    #[command(after_help = TOKENIZE_HELP)]
    Tokenize(TokenizeArguments),
    /// List the model bundles below a folder
    #[command(after_help = MODELS_HELP)]
    Models(ModelsArguments),
    /// Build and change an index of texts
    #[command(subcommand)]
    Index(IndexCommand),
    /// Search an index
    #[command(after_help = "Examples:
  semblance search indexes/docs 'How do I reset my password?'
  semblance search indexes/docs 'reset password' --filter '{\"product\": \"app\"}' --top-k 3
  semblance search indexes/docs 'reset password' --rerank 50 --cross-encoder build/model/cross")]
    Search(SearchArguments),
    /// Find the pairs of rows of an index or a file with the highest scores
    #[command(after_help = "Examples:
  semblance mine indexes/docs --min-score 0.9
  semblance mine indexes/docs --top-k 5 --max-pairs 1000 --output csv > pairs.csv
  semblance mine questions.parquet --text-column question --line-ids

The pairs are those of paraphrase_mining of sentence-transformers.")]
    Mine(MineArguments),
    /// Find groups of near rows of an index or a file
    #[command(after_help = "Examples:
  semblance cluster indexes/docs
  semblance cluster indexes/docs --threshold 0.6 --min-size 5 --output csv > clusters.csv

The clusters are those of community_detection of sentence-transformers.")]
    Cluster(ClusterArguments),
    /// Draw the rows of an index or a file as points, near ones near each other
    #[command(after_help = "Examples:
  semblance map indexes/docs --output docs.svg --output docs.png
  semblance map indexes/docs --threshold 0.5 --min-size 20

Clusters are colored and labeled with the words that distinguish them.")]
    Map(MapArguments),
    /// Verify the files of a bundle against its manifest
    #[command(after_help = "Examples:
  semblance verify
  semblance verify --load
  semblance verify --bundle /mnt/models/all-minilm-l6-v2/0123…")]
    Verify(VerifyArguments),
    /// Serve over HTTP, for clients of text-embeddings-inference, OpenAI and Cohere
    #[command(after_help = SERVE_HELP.as_str())]
    Serve(ServeArguments),
    /// Print a script that completes the command line in a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(CompletionsArguments),
    /// Write the manual pages of all commands
    #[command(after_help = MANUAL_HELP)]
    Manual(ManualArguments),
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

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// Load the bundle too, and run its model on a text of the maximum length
    #[arg(long)]
    pub load: bool,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Parses a number that is neither infinite nor NaN, with which nothing compares.
fn finite<T: FromStr + Into<f64> + Copy>(value: &str) -> Result<T, String> {
    let number = value.parse::<T>().ok().filter(|&number| number.into().is_finite());
    number.ok_or_else(|| "expected a finite number".to_owned())
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
    /// Address to listen on, or a host name that resolves to it
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: String,
    /// Port to listen on; 0 selects a free port, which is in the log
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Folder of the cross-encoder's bundle [default: SEMBLANCE_CROSS_ENCODER_BUNDLE, else none].
    /// Without --bundle and SEMBLANCE_BUNDLE, it is the only model
    #[arg(long, value_name = "DIR")]
    pub cross_encoder: Option<PathBuf>,
    /// Folder of the indexes that can be searched [default: SEMBLANCE_INDEX_DIR, else none]
    #[arg(long, value_name = "DIR")]
    pub index_dir: Option<PathBuf>,
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
    /// API key that HTTP clients must send, as Authorization: Bearer or x-api-key; can be repeated, or
    /// several separated by commas [default: SEMBLANCE_API_KEY, else none]
    #[arg(long, value_name = "KEY")]
    pub api_key: Vec<String>,
    /// Whether the routes of text-embeddings-inference truncate by default [default:
    /// SEMBLANCE_AUTO_TRUNCATE, else true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub auto_truncate: Option<bool>,
    /// Origin that CORS allows, or *; can be repeated [default: SEMBLANCE_CORS_ORIGINS]
    #[arg(long, value_name = "ORIGIN")]
    pub cors_origin: Vec<String>,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}
