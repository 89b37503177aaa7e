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
        line: usize,
        /// The reason.
        source: RequestError,
    },
    /// A row of a file is invalid.
    #[error("line {line}")]
    Row {
        /// Line, from 1.
        line: u64,
        /// The reason.
        source: Box<RowError>,
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
}

/// The location of a text on the command line or in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// The argument QUERY.
    Query,
    /// An argument TEXT, from 1.
    Text(usize),
    /// A line, from 1.
    Line(usize),
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
    Self::Write(_) | Self::Unwritable { .. } => Code::new(
        "output.unwritable",
        Fault::Command,
        "The output cannot be written.",
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
    /// Returns the error of a comparison of texts that are arguments.
    #[must_use]
    pub fn from_arguments(error: ModelError) -> Self {
        match error {
            ModelError::TooManyTokens { index, tokens, limit_tokens } => {
                Self::TooManyTokens { location: Location::from_index(index), tokens, limit_tokens }
            }
            other => Self::Model(other),
        }
    }

    /// Whether the reader of the output closed it. This is not an error (`semblance embed | head`).
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
