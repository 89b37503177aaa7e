//! Arguments and their help.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::api::Limits;
use crate::config::{Config, ConfigError, origins};
use crate::init::InitOptions;

/// Sentence similarity on the command line.
#[derive(Debug, Parser)]
#[command(name = "semblance", version, about, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `semblance` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Score texts against a query, best first
    #[command(after_help = "Examples:
  semblance score 'How many people live in London?' 'Around 9 million' 'It has a river'
  semblance score --json --top-k 1 'reset my password' 'I forgot my password' 'Change my plan'")]
    Score(ScoreArguments),
    /// Embed texts, one a line, to JSON lines
    #[command(after_help = "Examples:
  semblance embed questions.txt > embeddings.jsonl
  echo 'Hello, world' | semblance embed
  semblance embed --jsonl corpus.jsonl      each line an object with a field \"text\"

Each line out: {\"text_index\": 0, \"embedding\": [0.01, …], \"tokens\": 5, \"truncated\": false}
  tokens counts the whole text with special tokens; truncated says whether the model read less.")]
    Embed(EmbedArguments),
    /// Check every byte of a bundle against its manifest
    #[command(after_help = "Examples:
  semblance verify
  semblance verify --bundle /mnt/models/all-minilm-l6-v2/0123…")]
    Verify(VerifyArguments),
    /// Answer over HTTP: the operations in the dialects of text-embeddings-inference, OpenAI and Cohere
    #[command(after_help = "Examples:
  semblance serve
  semblance serve --host 0.0.0.0 --port 3000 --threads 4
  semblance serve --cross-encoder build/model/cross --cors-origin https://example.com
  curl localhost:8080/embed -H 'content-type: application/json' -d '{\"inputs\": \"Hello, world\"}'

Paths: / (a page to try it on), /similarity, /embed, /rerank, /predict, /tokenize, /v1/embeddings,
  /v1/rerank, /v1/models, /invocations, /info, /health, /ping, /metrics, /openapi.json
Log lines are JSON on standard output. SIGTERM and SIGINT end what is under way, then the server.")]
    Serve(ServeArguments),
}

/// Which model, and how it is run.
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
    /// The text to compare with
    pub query: String,
    /// The texts to score
    #[arg(required = true, value_name = "TEXT")]
    pub texts: Vec<String>,
    /// Answer as the function does: {"Scores": [[text, score], …]}
    #[arg(long)]
    pub json: bool,
    /// Only the best N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: Option<u32>,
    /// Refuse texts that the model would cut, instead of saying so
    #[arg(long)]
    pub no_truncate: bool,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Arguments of `embed`.
#[derive(Debug, Args)]
pub struct EmbedArguments {
    /// File to read, - for standard input
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

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one, which the log tells
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Folder of the cross-encoder's bundle [default: SEMBLANCE_CROSS_ENCODER_BUNDLE, else none]
    #[arg(long, value_name = "DIR")]
    pub cross_encoder: Option<PathBuf>,
    /// Forward passes at a time [default: SEMBLANCE_THREADS, else the machine's CPUs]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Requests that are answered or wait; one more is refused with 429
    #[arg(long, value_name = "N", default_value = "512")]
    pub max_concurrent_requests: NonZeroUsize,
    /// Most bytes of a request's body, also once it is unpacked
    #[arg(long, value_name = "N", default_value_t = 8 << 20)]
    pub max_body_bytes: usize,
    /// How long a request may take, in seconds
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout_seconds: u64,
    /// Origin of pages that may call, or *; may be repeated [default: SEMBLANCE_CORS_ORIGINS]
    #[arg(long, value_name = "ORIGIN")]
    pub cors_origin: Vec<String>,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// The settings of a command: its arguments, else the environment, else where `make` puts things.
#[derive(Debug)]
pub(super) struct Settings {
    config: Config,
    bundle: PathBuf,
    cross_encoder: Option<PathBuf>,
    library: PathBuf,
    concurrency: NonZeroUsize,
    /// Whether the process answers more than once.
    stays: bool,
}

impl Settings {
    pub(super) fn of(model: &ModelArguments) -> Result<Self, ConfigError> {
        let config = Config::from_env()?;
        let bundle = bundle_folder(model.bundle.as_ref(), &config);
        let library = match (&model.library, config.ort_library.exists()) {
            (Some(library), _) => library.clone(),
            (None, true) => config.ort_library.clone(),
            (None, false) => PathBuf::from("build/lib/libonnxruntime.so"),
        };
        let (cross_encoder, concurrency) = (None, NonZeroUsize::MIN);
        Ok(Self { config, bundle, cross_encoder, library, concurrency, stays: false })
    }

    /// The same settings, for a process that stays.
    pub(super) fn for_serving(mut self, arguments: &ServeArguments) -> Self {
        let cross_encoder = arguments.cross_encoder.as_ref();
        self.cross_encoder = cross_encoder.or(self.config.cross_encoder.as_ref()).cloned();
        self.config.threads = arguments.threads.unwrap_or(self.config.threads);
        self.concurrency = arguments.max_concurrent_requests;
        self.stays = true;
        self
    }

    /// Origins of pages that may call.
    pub(super) fn cors_origins(
        &self,
        arguments: &ServeArguments,
    ) -> Result<Vec<String>, ConfigError> {
        match arguments.cors_origin.as_slice() {
            [] => Ok(self.config.cors.clone()),
            given => origins("--cors-origin", given.join(",")),
        }
    }

    pub(super) fn log_level(&self) -> LevelFilter {
        self.config.log_level
    }

    pub(super) fn init_options(&self) -> InitOptions<'_> {
        InitOptions {
            bundle: &self.bundle,
            cross_encoder: self.cross_encoder.as_deref(),
            ort_library: &self.library,
            limits: self.config.limits,
            budget: self.config.budget,
            cache: self.config.cache,
            threads: self.config.threads,
            warm_up: self.stays,
            concurrency: self.concurrency,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.config.limits
    }
}

/// Where a bundle is looked for: the argument, the environment, the default of `make model`.
pub(super) fn bundle_folder(argument: Option<&PathBuf>, config: &Config) -> PathBuf {
    argument
        .or(config.bundle.as_ref())
        .map_or_else(|| Path::new("build/model/default").to_path_buf(), Clone::clone)
}
