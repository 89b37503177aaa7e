//! Arguments of the commands that can use a cross-encoder.

use std::path::PathBuf;

use clap::Args;

use super::ModelArguments;

pub(super) const RERANK_HELP: &str = "Examples:
  semblance rerank 'How many people live in London?' 'Around 9 million' 'It has a river'
  semblance rerank --cross-encoder build/model/cross --top-k 1 --json 'a query' 'one' 'two'

Without a cross-encoder, the embedding model ranks.

With --json: [{\"index\": 0, \"score\": 0.9, \"text\": \"…\"}, …], the most relevant text first";

pub(super) const PREDICT_HELP: &str = "Examples:
  semblance predict --cross-encoder build/model/cross 'How old is it?' 'It was built in 1890'
  semblance predict --cross-encoder build/model/cross-labels --json 'a text' 'one' 'two'
  semblance predict --cross-encoder build/model/cross-labels 'a text to classify'

Each TEXT makes a pair with QUERY. Without TEXT, QUERY is scored alone.

With --json: [[{\"score\": 0.9, \"label\": \"LABEL_0\"}, …], …], the pairs in input order, the labels of a \
pair by score";

/// Arguments of `rerank`.
#[derive(Debug, Args)]
pub struct RerankArguments {
    /// The query
    pub query: String,
    /// The texts to rank
    #[arg(required = true, value_name = "TEXT")]
    pub texts: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print only the best N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: Option<u32>,
    /// Options of the pairs.
    #[command(flatten)]
    pub pairs: PairArguments,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Arguments of `predict`.
#[derive(Debug, Args)]
pub struct PredictArguments {
    /// The first text of each pair, or the only text
    pub query: String,
    /// The second text of a pair
    #[arg(value_name = "TEXT")]
    pub texts: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Options of the pairs.
    #[command(flatten)]
    pub pairs: PairArguments,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Arguments of `rerank` and `predict`.
#[derive(Debug, Args)]
pub struct PairArguments {
    /// Folder of the cross-encoder's bundle [default: SEMBLANCE_CROSS_ENCODER_BUNDLE, else none]
    #[arg(long, value_name = "DIR")]
    pub cross_encoder: Option<PathBuf>,
    /// Print the logits of the cross-encoder instead of its scores
    #[arg(long)]
    pub raw_scores: bool,
    /// Refuse texts beyond the model's limit instead of truncating them
    #[arg(long)]
    pub no_truncate: bool,
}
