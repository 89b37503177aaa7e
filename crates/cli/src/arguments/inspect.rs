//! Arguments of the commands that show what a model, a folder or this program has.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::ModelArguments;

pub(super) const TOKENIZE_HELP: &str = "Examples:
  semblance tokenize 'Hello, world'
  semblance tokenize --json --no-special-tokens 'one text' 'another'

Each line has the id of a token, its first and its end character in the text, and its characters.

With --json: [[{\"id\": 7592, \"text\": \"Hello\", \"special\": false, \"start\": 0, \"stop\": 5}, …], …]";

pub(super) const MODELS_HELP: &str = "Examples:
  semblance models
  semblance models /mnt/models --json

Each line has the name, kind, dimensions, precision, size, digest and folder of a bundle. For a \
cross-encoder, dimensions are the labels. Bundles that cannot be opened are listed with the reason, \
and the exit status is 1. Links are not followed.";

pub(super) const COMPLETIONS_HELP: &str = "Examples:
  semblance completions bash > /etc/bash_completion.d/semblance
  semblance completions zsh > ~/.zfunc/_semblance";

pub(super) const MANUAL_HELP: &str = "Examples:
  semblance manual --output /usr/local/share/man/man1

Writes semblance.1 and semblance-COMMAND.1 for each command.";

/// Arguments of `tokenize`.
#[derive(Debug, Args)]
pub struct TokenizeArguments {
    /// The texts
    #[arg(required = true, value_name = "TEXT")]
    pub texts: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Omit the special tokens that the tokenizer adds
    #[arg(long)]
    pub no_special_tokens: bool,
    /// The model.
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Arguments of `models`.
#[derive(Debug, Args)]
pub struct ModelsArguments {
    /// Folder to search
    #[arg(default_value = "build/model", value_name = "DIR")]
    pub folder: PathBuf,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    pub shell: Shell,
}

/// Arguments of `manual`.
#[derive(Debug, Args)]
pub struct ManualArguments {
    /// Folder to write to; it is created if it does not exist
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
}
