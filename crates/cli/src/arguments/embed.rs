//! Arguments of `embed`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use semblance::Prompts;

use super::ModelArguments;
use crate::error::CommandError;

pub(super) const EMBED_HELP: &str = "Examples:
  semblance embed questions.txt > embeddings.jsonl
  echo 'Hello, world' | semblance embed
  semblance embed corpus.jsonl --field body --output embeddings.parquet
  semblance embed products.csv --field title --output embeddings.npy --resume

Input: a line of a text file, an object of a JSON Lines file, or a row of a CSV file with a header. \
UTF-8, with or without a byte order mark; lines end with LF or CRLF.

Output, in input order. text_index is the number of the record in the input, from 0; tokens is the \
number of tokens before truncation, special tokens included.
  jsonl    {\"text_index\": 0, \"embedding\": [0.01, …], \"tokens\": 5, \"truncated\": false}
  csv      text_index,tokens,truncated,embedding_0,embedding_1,…
  parquet  text_index int64, tokens int32, truncated boolean, embedding list of float
  npy      float32 [records, dimensions]; the row of a skipped record is NaN

A record without a usable text is reported on standard error with its line. With --on-error skip, the \
other records are embedded and the exit status is 0. With --on-error fail, the records before it are \
written and the exit status is 1.

While a run is in progress, FILE.resume records its state. After an interruption, the same command \
with --resume continues it. The result is the same as without the interruption.";

/// Arguments of `embed`.
#[derive(Debug, Args)]
pub struct EmbedArguments {
    /// File to read, or - for standard input
    #[arg(default_value = "-", value_name = "FILE")]
    pub file: PathBuf,
    /// Format of the input [default: by extension: .jsonl, .ndjson, .csv, .tsv, else text]
    #[arg(long, value_name = "FORMAT")]
    pub input_format: Option<InputFormat>,
    /// The same as --input-format jsonl
    #[arg(long, conflicts_with = "input_format")]
    pub jsonl: bool,
    /// Field of a JSON line, or column of a CSV file, with the text [default: text]
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// Character between the fields of a CSV file [default: a comma; a tab for .tsv]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub delimiter: Option<u8>,
    /// File to write, or - for standard output [default: -]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Format of the output [default: by extension: .jsonl, .ndjson, .npy, .csv, .parquet]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<OutputFormat>,
    /// What to do with a record that has no usable text
    #[arg(long, value_name = "ACTION", default_value = "skip")]
    pub on_error: OnError,
    /// Continue an interrupted run
    #[arg(long, requires = "output")]
    pub resume: bool,
    /// Treat texts beyond the model's limit as errors instead of truncating them
    #[arg(long)]
    pub no_truncate: bool,
    /// Name of the model's prompt that is put before each text [default: the model's default prompt]
    #[arg(long, value_name = "NAME")]
    pub prompt_name: Option<String>,
    /// Put no prompt before the texts, even if the model has a default prompt
    #[arg(long, conflicts_with = "prompt_name")]
    pub no_prompt: bool,
    /// Number of threads [default: SEMBLANCE_THREADS, else the number of CPUs]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Format of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// One text per line
    Text,
    /// One JSON object per line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}

/// Format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// One JSON object per line
    Jsonl,
    /// A NumPy array
    Npy,
    /// Comma-separated values with a header
    Csv,
    /// Apache Parquet
    Parquet,
}

/// What to do with a record that has no usable text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// Report it and continue
    Skip,
    /// Report it and stop
    Fail,
}

impl EmbedArguments {
    /// The prompt that is put before each text.
    pub(crate) fn prompts(&self) -> Prompts {
        match &self.prompt_name {
            Some(name) => Prompts::Named(name.clone()),
            None if self.no_prompt => Prompts::Off,
            None => Prompts::ByRole,
        }
    }

    /// The format of the input.
    pub(crate) fn input_format(&self) -> InputFormat {
        match (self.input_format, self.jsonl, extension(&self.file).as_str()) {
            (Some(format), ..) => format,
            (None, true, _) | (None, _, "jsonl" | "ndjson") => InputFormat::Jsonl,
            (None, _, "csv" | "tsv") => InputFormat::Csv,
            (None, ..) => InputFormat::Text,
        }
    }

    /// The character between the fields of a CSV file.
    pub(crate) fn csv_delimiter(&self) -> u8 {
        match (self.delimiter, extension(&self.file).as_str()) {
            (Some(delimiter), _) => delimiter,
            (None, "tsv") => b'\t',
            (None, _) => b',',
        }
    }

    /// The file to write; `None` for standard output.
    pub(crate) fn output_file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|output| *output != Path::new("-"))
    }

    /// The format of the output.
    pub(crate) fn output_format(&self) -> Result<OutputFormat, CommandError> {
        let format = match (self.format, self.output_file()) {
            (Some(format), _) => format,
            (None, None) => OutputFormat::Jsonl,
            (None, Some(output)) => match extension(output).as_str() {
                "jsonl" | "ndjson" => OutputFormat::Jsonl,
                "npy" => OutputFormat::Npy,
                "csv" => OutputFormat::Csv,
                "parquet" => OutputFormat::Parquet,
                _ => {
                    let path = output.display().to_string();
                    return Err(CommandError::UnknownFormat { path });
                }
            },
        };
        match (format, self.output_file()) {
            (OutputFormat::Npy, None) => Err(CommandError::OutputRequired { format: "npy" }),
            (OutputFormat::Parquet, None) => {
                Err(CommandError::OutputRequired { format: "parquet" })
            }
            _ => Ok(format),
        }
    }
}

/// Returns the extension of a file in lower case; empty if it has none.
fn extension(file: &Path) -> String {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.unwrap_or_default().to_ascii_lowercase()
}

fn delimiter(value: &str) -> Result<u8, String> {
    match value.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err("expected one ASCII character other than a quote or a line break".to_owned()),
    }
}
