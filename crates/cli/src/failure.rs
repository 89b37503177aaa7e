//! Why a command failed.

use std::io;

use crate::api::RequestError;
use crate::bundle::{BundleError, VerifyError};
use crate::config::ConfigError;
use crate::init::InitError;
use crate::server::ServerError;
use crate::service::ServiceError;

/// Why a command failed; printed with its causes, exit status 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The environment is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model could not start.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The bundle could not be opened.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle is not what its manifest says.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The texts or the model are at fault.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A line of the input is at fault.
    #[error("line {line}")]
    Line {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        source: RequestError,
    },
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The server could not listen, or failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Write(#[from] io::Error),
}

impl Failure {
    /// Whether whoever read the output has gone, which is no failure (`semblance embed | head`).
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Init(error) => error.code(),
            Self::Bundle(error) => error.code(),
            Self::Verify(error) => error.code(),
            Self::Service(error) => error.code(),
            Self::Line { source, .. } => source.code(),
            Self::Server(error) => error.code(),
            Self::Read { .. } => "input.unreadable",
            Self::Write(_) => "output.unwritable",
        }
    }
}
