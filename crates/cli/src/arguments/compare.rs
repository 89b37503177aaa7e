//! Arguments of the commands that compare all rows of a corpus.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CorpusArguments, finite};

/// Arguments of `mine`.
#[derive(Debug, Args)]
pub struct MineArguments {
    /// The corpus.
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// Number of nearest rows of each row that are considered
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: u32,
    /// Maximum number of pairs
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_pairs: u32,
    /// The least score of a pair
    #[arg(long, value_name = "SCORE", default_value_t = -1.0, allow_negative_numbers = true)]
    pub min_score: f32,
    /// Format of the output
    #[arg(long, value_enum, default_value_t)]
    pub output: PairFormat,
    /// Number of threads [default: the number of CPUs]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// Arguments of `cluster`.
#[derive(Debug, Args)]
pub struct ClusterArguments {
    /// The corpus.
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// The least score of a row with the center of its cluster
    #[arg(long, value_name = "SCORE", default_value_t = 0.75, allow_negative_numbers = true, value_parser = finite::<f32>)]
    pub threshold: f32,
    /// Minimum number of rows of a cluster
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub min_size: u32,
    /// Format of the output
    #[arg(long, value_enum, default_value_t)]
    pub output: PairFormat,
    /// Number of threads [default: the number of CPUs]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// Arguments of `map`.
#[derive(Debug, Args)]
pub struct MapArguments {
    /// The corpus.
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// Picture to write, SVG or PNG by its name; can be repeated
    #[arg(long, value_name = "FILE", default_value = "map.svg")]
    pub output: Vec<PathBuf>,
    /// The least score of a row with the center of its cluster
    #[arg(long, value_name = "SCORE", default_value_t = 0.6, allow_negative_numbers = true, value_parser = finite::<f32>)]
    pub threshold: f32,
    /// Minimum number of rows of a cluster
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub min_size: u32,
}

/// A format of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PairFormat {
    /// A JSON object in each line
    #[default]
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}
