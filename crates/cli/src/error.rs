//! Errors of a command, in the terms of the command line.

use std::fmt;
use std::io;

use semblance::corpus::CorpusError;
use semblance::internals::bundle::{BundleError, VerifyError};
use semblance::{Code, Fault, LoadError, ModelError};
use semblance_api::{RequestError, TextFault};
use semblance_process::ConfigError;

use crate::command::RowError;
use crate::server::ServerError;

/// Why a command failed. `main` prints it with its causes and exits with status 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// An environment variable or an argument is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The bundle cannot be opened.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle differs from its manifest.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A text is invalid.
    #[error("{location} {fault}")]
    Text {
        /// Location of the text.
        location: Location,
        /// The reason.
        fault: TextFault,
    },
    /// A text has more tokens than the model's limit, and truncation is disabled.
    #[error("{location} has {tokens} tokens; the limit is {limit_tokens} and --no-truncate is set")]
    TooManyTokens {
        /// Location of the text.
        location: Location,
        /// Its number of tokens, special tokens included.
        tokens: usize,
        /// The model's limit.
        limit_tokens: usize,
    },
    /// A line is not a JSON object with a text.
    #[error("line {line}")]
    Line {
        /// Line, from 1.
        line: u64,
        /// The reason.
        source: RequestError,
    },
    /// A line is too long.
    #[error("line {line} has {bytes} bytes; the limit is {limit_bytes}")]
    LineTooLong {
        /// Line, from 1.
        line: u64,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit_bytes: usize,
    },
    /// A quoted field of a CSV file does not end.
    #[error("line {line} has a quoted field without a closing quote")]
    UnclosedQuote {
        /// Line on which the record starts, from 1.
        line: u64,
    },
    /// A record of a CSV file has too few fields.
    #[error("line {line} has {fields} fields; {field} is field {column}")]
    MissingCsvField {
        /// Line on which the record starts, from 1.
        line: u64,
        /// Name of the column with the texts.
        field: &'static str,
        /// Number of that column, from 1.
        column: usize,
        /// Number of fields of the record.
        fields: usize,
    },
    /// A CSV file has no column of this name.
    #[error(
        "{path} has no column {field:?}; its columns are {columns:?}; set --field or --delimiter"
    )]
    MissingColumn {
        /// The file.
        path: String,
        /// Name of the column.
        field: &'static str,
        /// Names of the columns of the file.
        columns: Vec<String>,
    },
    /// A file is UTF-16.
    #[error("{path} is UTF-16; convert it to UTF-8")]
    Utf16 {
        /// The file.
        path: String,
    },
    /// The name of the output has no known extension.
    #[error(
        "the format of the output {path} is unknown; expected a name that ends in .jsonl, .ndjson, \
         .npy, .csv or .parquet, or --format"
    )]
    UnknownFormat {
        /// The output.
        path: String,
    },
    /// The name of a picture has no known extension.
    #[error(
        "the format of the picture {path} is unknown; expected a name that ends in .svg or .png"
    )]
    UnknownPicture {
        /// The picture.
        path: String,
    },
    /// A format needs a file.
    #[error("the format {format} requires --output")]
    OutputRequired {
        /// Name of the format.
        format: &'static str,
    },
    /// The output is the input.
    #[error("{path} is both the input and the output")]
    SameFile {
        /// The file.
        path: String,
    },
    /// An interrupted run left the output incomplete.
    #[error(
        "{path} is from an interrupted run; pass --resume to continue it, or delete {state} to \
         start again"
    )]
    Interrupted {
        /// The output.
        path: String,
        /// The file with the state of the run.
        state: String,
    },
    /// The interrupted run had other options.
    #[error(
        "{path} cannot be resumed: the interrupted run had {option} {before}; this one has {now}"
    )]
    OptionsChanged {
        /// The output.
        path: String,
        /// The option.
        option: &'static str,
        /// Its value in the interrupted run.
        before: String,
        /// Its value in this run.
        now: String,
    },
    /// The input changed since the interrupted run.
    #[error("{path} cannot be resumed: its first {lines} lines changed")]
    InputChanged {
        /// The input.
        path: String,
        /// Number of lines that the interrupted run read.
        lines: u64,
    },
    /// The state of an interrupted run, or its output, is damaged.
    #[error("{path} cannot be resumed: {reason}; delete it to start again")]
    InvalidState {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
    /// The folder of `models` has bundles that cannot be opened.
    #[error("{invalid} of {total} bundles are invalid")]
    InvalidBundles {
        /// Number of invalid bundles.
        invalid: usize,
        /// Number of bundles.
        total: usize,
    },
    /// A row of a file is invalid.
    #[error("line {line}")]
    Row {
        /// Line, from 1.
        line: u64,
        /// The reason.
        source: Box<RowError>,
    },
    /// A column of the input cannot be a column of rows.
    #[error(
        "{path}: the column {column:?} {found}; name the columns of metadata with --column to read \
         others only"
    )]
    UnsupportedColumn {
        /// The file.
        path: String,
        /// The column.
        column: String,
        /// What it is.
        found: String,
    },
    /// An index cannot be read or written.
    #[error(transparent)]
    Index(#[from] CorpusError),
    /// An argument has invalid JSON.
    #[error("the argument {argument}")]
    Argument {
        /// The argument.
        argument: &'static str,
        /// The reason.
        source: Box<RequestError>,
    },
    /// A request is invalid or failed.
    #[error(transparent)]
    Api(#[from] semblance_api::ApiError),
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{path} cannot be written")]
    Unwritable {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The server cannot listen, or failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Write(#[from] io::Error),
    /// A file cannot be written.
    #[error("{path} cannot be written")]
    WriteFile {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// The location of a text on the command line or in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// The argument QUERY.
    Query,
    /// An argument TEXT, from 1.
    Text(usize),
    /// A pair of QUERY and an argument TEXT, from 1.
    Pair(usize),
    /// A line, from 1.
    Line(u64),
}

impl Location {
    /// Returns the location of text `index` of a comparison. Index 0 is the query.
    #[must_use]
    pub fn from_index(index: usize) -> Self {
        if index == 0 { Self::Query } else { Self::Text(index) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query => f.write_str("QUERY"),
            Self::Text(number) => write!(f, "TEXT {number}"),
            Self::Pair(number) => write!(f, "QUERY with TEXT {number}"),
            Self::Line(number) => write!(f, "line {number}"),
        }
    }
}

semblance::codes!(CommandError {
    Self::Read { .. } => Code::new(
        "input.unreadable",
        Fault::Command,
        "The input file cannot be opened or read.",
    ),
    Self::Write(_) | Self::WriteFile { .. } | Self::Unwritable { .. } => Code::new(
        "output.unwritable",
        Fault::Command,
        "The output cannot be written.",
    ),
    Self::LineTooLong { .. } => Code::new(
        "input.line_too_long",
        Fault::Command,
        "A line of the input exceeds the limit.",
    ),
    Self::UnclosedQuote { .. } => Code::new(
        "input.unclosed_quote",
        Fault::Command,
        "A quoted field of a CSV file has no closing quote.",
    ),
    Self::MissingCsvField { .. } | Self::MissingColumn { .. } => Code::new(
        "input.missing_column",
        Fault::Command,
        "A CSV file, or one of its records, does not have the column with the texts.",
    ),
    Self::UnsupportedColumn { .. } => Code::new(
        "input.unsupported_column",
        Fault::Command,
        "A column of the input occurs twice, or a column of a Parquet file is nested or has a type that \
         is not supported. Name the columns to read with --column.",
    ),
    Self::Utf16 { .. } => Code::new(
        "input.not_utf8",
        Fault::Command,
        "The input file is UTF-16. Convert it to UTF-8.",
    ),
    Self::UnknownFormat { .. } | Self::OutputRequired { .. } | Self::UnknownPicture { .. } => {
        Code::new(
            "output.unknown_format",
            Fault::Command,
            "The format of the output is unknown, or it requires a file. Set --format or --output.",
        )
    },
    Self::SameFile { .. } => Code::new(
        "output.is_input",
        Fault::Command,
        "The output would overwrite the input.",
    ),
    Self::Interrupted { .. } => Code::new(
        "output.interrupted",
        Fault::Command,
        "The output is from an interrupted run. Pass --resume, or delete the file with the state of \
         the run.",
    ),
    Self::OptionsChanged { .. } | Self::InputChanged { .. } | Self::InvalidState { .. } => {
        Code::new(
            "output.cannot_resume",
            Fault::Command,
            "The input, the model or an option differs from the interrupted run, or its files are \
             damaged. Start again.",
        )
    },
    Self::InvalidBundles { .. } => Code::new(
        "bundle.invalid",
        Fault::Command,
        "Some of the listed bundles cannot be opened. Their reasons are listed.",
    ),
    Self::TooManyTokens { .. } => Code::TOO_MANY_TOKENS,
} else {
    Self::Config(error) => error.code(),
    Self::Load(error) => error.code(),
    Self::Bundle(error) => error.code(),
    Self::Verify(error) => error.code(),
    Self::Model(error) => error.code(),
    Self::Text { fault, .. } => fault.code(),
    Self::Line { source, .. } => source.code(),
    Self::Argument { source, .. } => source.code(),
    Self::Row { source, .. } => source.code(),
    Self::Index(error) => error.code(),
    Self::Api(error) => error.code(),
    Self::Server(error) => error.code(),
});

impl CommandError {
    /// Returns the error of a row.
    pub(crate) fn row(line: u64, source: RowError) -> Self {
        Self::Row { line, source: Box::new(source) }
    }

    /// Returns the error of a call with texts. `location` returns the location of a text by its index.
    #[must_use]
    pub fn from_texts(error: ModelError, location: impl Fn(usize) -> Location) -> Self {
        match error {
            ModelError::TooManyTokens { index, tokens, limit_tokens } => {
                Self::TooManyTokens { location: location(index), tokens, limit_tokens }
            }
            ModelError::EmptyText { index, .. } => {
                Self::Text { location: location(index), fault: TextFault::Empty }
            }
            other => Self::Model(other),
        }
    }

    /// Returns the error of a call with the pairs of QUERY and each TEXT.
    #[must_use]
    pub fn from_pairs(error: ModelError) -> Self {
        match error {
            ModelError::EmptyText { text: 0, .. } => {
                Self::Text { location: Location::Query, fault: TextFault::Empty }
            }
            ModelError::EmptyText { .. } => {
                Self::from_texts(error, |index| Location::Text(index + 1))
            }
            other => Self::from_texts(other, |index| Location::Pair(index + 1)),
        }
    }

    /// Whether the reader of the output closed it. This is not an error (`semblance embed | head`).
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
