//! Arguments and their help.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::api::Limits;
use crate::config::{Config, ConfigError};
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

/// The settings of a command: its arguments, else the environment, else where `make` puts things.
#[derive(Debug)]
pub(super) struct Settings {
    config: Config,
    bundle: PathBuf,
    library: PathBuf,
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
        Ok(Self { config, bundle, library })
    }

    pub(super) fn init_options(&self) -> InitOptions<'_> {
        InitOptions {
            bundle: &self.bundle,
            cross_encoder: None,
            ort_library: &self.library,
            limits: self.config.limits,
            budget: self.config.budget,
            cache: self.config.cache,
            threads: self.config.threads,
            // The process answers, and is gone.
            warm_up: false,
            concurrency: NonZeroUsize::MIN,
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
