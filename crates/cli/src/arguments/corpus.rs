//! Arguments of the commands on corpora.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ModelArguments, finite};

/// The commands on an index.
#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// Embed the rows of a file and write a new index
    #[command(after_help = "Examples:
  semblance index build indexes/docs docs.jsonl
  semblance index build indexes/docs docs.csv --id-column url --text-column title --f16
  semblance index build indexes/docs docs.parquet --column product --column year
  semblance index build indexes/docs docs.jsonl --bad-rows skip

A row has an id (\"id\"), a text (\"text\") and metadata: the other columns, which must be strings,
numbers, booleans or null. A run that was interrupted continues where it was: start it again.")]
    Build(BuildArguments),
    /// Add rows to an index
    #[command(after_help = "Examples:
  semblance index append indexes/docs more.jsonl
  semblance index append indexes/docs changed.jsonl --replace

Rows that the index has already, with the same text and metadata, are kept and not embedded again.")]
    Append(AppendArguments),
    /// Delete rows of an index
    #[command(after_help = "Examples:
  semblance index delete indexes/docs --id a --id b
  semblance index delete indexes/docs --ids old.txt
  semblance index delete indexes/docs --filter '{\"year\": {\"$lt\": 2000}}'")]
    Delete(DeleteArguments),
    /// Write the live rows of an index to new segments, without embedding them again
    Compact(ChangeArguments),
    /// Make another version of an index current, such as the one before
    #[command(after_help = "Examples:
  semblance index use indexes/docs 9f3c...

`index info` prints the current version and its parent.")]
    Use(UseArguments),
    /// Describe an index
    Info(InfoArguments),
    /// Verify every byte of an index
    Verify(IndexArguments),
    /// Print the rows of an index as JSON lines
    Export(ExportArguments),
}

/// An index.
#[derive(Debug, Args)]
pub struct IndexArguments {
    /// Folder of the index
    #[arg(value_name = "INDEX")]
    pub index: PathBuf,
}

/// A change of an index.
#[derive(Debug, Args)]
pub struct ChangeArguments {
    /// The index.
    #[command(flatten)]
    pub index: IndexArguments,
    /// Hours to keep the files of earlier versions, which other hosts may use
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub grace_hours: u64,
    /// Maximum number of rows of a segment. It bounds the memory of the command
    #[arg(long, value_name = "N", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub segment_rows: u32,
    /// The least recall of the approximate search that is published
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = finite::<f64>)]
    pub min_recall: f64,
}

/// The rows to read.
#[derive(Debug, Args)]
pub struct RowArguments {
    /// File of rows, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How to read them.
    #[command(flatten)]
    pub options: RowOptions,
}

/// How to read rows.
#[derive(Debug, Args)]
pub struct RowOptions {
    /// Format of the file [default: by its name, else jsonl]
    #[arg(long, value_enum)]
    pub format: Option<RowFormat>,
    /// Column with the id
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub id_column: String,
    /// Use line numbers as ids; in a Parquet file, row numbers
    #[arg(long)]
    pub line_ids: bool,
    /// Column with the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub text_column: String,
    /// Column of metadata; can be repeated [default: all other columns]
    #[arg(long, value_name = "NAME")]
    pub column: Vec<String>,
    /// What to do with a row that is invalid
    #[arg(long, visible_alias = "on-error", value_enum, default_value_t)]
    pub bad_rows: BadRows,
}

/// A format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// A text in each line; its id is the number of the line
    Text,
    /// A JSON object in each line
    Jsonl,
    /// Comma-separated values with a header. Numbers and booleans are recognized
    Csv,
    /// Apache Parquet. Dates and times become strings
    Parquet,
}

/// What to do with a row that is invalid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BadRows {
    /// Stop; nothing is published
    #[default]
    Fail,
    /// Report the line and go on
    Skip,
}

/// Arguments of `index build`.
#[derive(Debug, Args)]
pub struct BuildArguments {
    /// The change.
    #[command(flatten)]
    pub change: ChangeArguments,
    /// The rows.
    #[command(flatten)]
    pub rows: RowArguments,
    /// Name of the model's prompt to put before each text [default: the model's prompt for a document]
    #[arg(long, value_name = "NAME")]
    pub prompt_name: Option<String>,
    /// Store vectors in 16 bits instead of 32
    #[arg(long)]
    pub f16: bool,
    /// Keep the last row of an id instead of refusing the second
    #[arg(long)]
    pub replace: bool,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Arguments of `index append`.
#[derive(Debug, Args)]
pub struct AppendArguments {
    /// The change.
    #[command(flatten)]
    pub change: ChangeArguments,
    /// The rows.
    #[command(flatten)]
    pub rows: RowArguments,
    /// Replace a row whose id the index has already
    #[arg(long)]
    pub replace: bool,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Arguments of `index delete`.
#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = true, args = ["id", "ids", "filter"])]
pub struct DeleteArguments {
    /// The change.
    #[command(flatten)]
    pub change: ChangeArguments,
    /// Id of a row; can be repeated
    #[arg(long, value_name = "ID")]
    pub id: Vec<String>,
    /// File with an id in each line
    #[arg(long, value_name = "FILE")]
    pub ids: Option<PathBuf>,
    /// Filter on metadata, as JSON
    #[arg(long, value_name = "JSON")]
    pub filter: Option<String>,
}

/// Arguments of `index use`.
#[derive(Debug, Args)]
pub struct UseArguments {
    /// The index.
    #[command(flatten)]
    pub index: IndexArguments,
    /// Digest of the version
    #[arg(value_name = "VERSION")]
    pub version: String,
}

/// Arguments of `index info`.
#[derive(Debug, Args)]
pub struct InfoArguments {
    /// The index.
    #[command(flatten)]
    pub index: IndexArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `index export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The index.
    #[command(flatten)]
    pub index: IndexArguments,
    /// Add the vector of each row
    #[arg(long)]
    pub vectors: bool,
}

/// A corpus to compare with itself.
#[derive(Debug, Args)]
pub struct CorpusArguments {
    /// Folder of an index; or a file of rows, or -, which are embedded first
    #[arg(value_name = "INDEX|FILE")]
    pub corpus: PathBuf,
    /// How to read rows.
    #[command(flatten)]
    pub rows: RowOptions,
    /// The model, for rows.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Arguments of `search`.
#[derive(Debug, Args)]
pub struct SearchArguments {
    /// The index.
    #[command(flatten)]
    pub index: IndexArguments,
    /// What to search for; several queries share one scan
    #[arg(required = true, value_name = "QUERY")]
    pub queries: Vec<String>,
    /// Number of rows for each query
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub top_k: u32,
    /// Filter on metadata, as JSON: {"color": "red", "year": {"$gte": 2000}}
    #[arg(long, value_name = "JSON")]
    pub filter: Option<String>,
    /// Search exactly, for any number of rows
    #[arg(long)]
    pub exact: bool,
    /// Order the first N rows by the cross-encoder
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rerank: Option<u32>,
    /// Folder of the cross-encoder's bundle [default: SEMBLANCE_CROSS_ENCODER_BUNDLE]
    #[arg(long, value_name = "DIR")]
    pub cross_encoder: Option<PathBuf>,
    /// Name of the model's prompt to put before each query [default: the model's prompt for a query]
    #[arg(long, value_name = "NAME")]
    pub prompt_name: Option<String>,
    /// Print the response of POST /search
    #[arg(long)]
    pub json: bool,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}
