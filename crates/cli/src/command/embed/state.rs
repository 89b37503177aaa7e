//! The state of a run, in a file next to the output, so that an interrupted run can continue.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use semblance::Model;
use serde::{Deserialize, Serialize};

use crate::arguments::{EmbedArguments, InputFormat, OutputFormat};
use crate::command::input::Position;
use crate::command::output::with_suffix;
use crate::error::CommandError;

/// Everything that decides what is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunOptions {
    bundle: String,
    format: String,
    input_format: String,
    field: Option<String>,
    delimiter: Option<u8>,
    no_truncate: bool,
    prompt_name: Option<String>,
    #[serde(default)]
    no_prompt: bool,
}

/// The state after a chunk. The output is valid up to `output_bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunState {
    options: RunOptions,
    pub(super) position: Position,
    pub(super) output_bytes: u64,
}

/// The file with the state of a run.
pub(super) struct StateFile {
    output: PathBuf,
    path: PathBuf,
}

impl RunOptions {
    pub(super) fn new(arguments: &EmbedArguments, format: OutputFormat, model: &Model) -> Self {
        let input_format = arguments.input_format();
        Self {
            bundle: model.info().digest.clone(),
            format: name(&format),
            input_format: name(&input_format),
            field: arguments.field.clone().filter(|_| input_format != InputFormat::Text),
            delimiter: (input_format == InputFormat::Csv).then(|| arguments.csv_delimiter()),
            no_truncate: arguments.no_truncate,
            prompt_name: arguments.prompt_name.clone(),
            no_prompt: arguments.no_prompt,
        }
    }

    /// Returns the first option that differs: its name and both values.
    fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let differs =
            |option, before: String, now: String| (before != now).then_some((option, before, now));
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "unset".to_owned());
        let delimiter = |value: Option<u8>| {
            value.map_or_else(|| "unset".to_owned(), |value| char::from(value).to_string())
        };
        differs("the bundle", self.bundle.clone(), other.bundle.clone())
            .or_else(|| differs("--format", self.format.clone(), other.format.clone()))
            .or_else(|| {
                differs("--input-format", self.input_format.clone(), other.input_format.clone())
            })
            .or_else(|| differs("--field", text(&self.field), text(&other.field)))
            .or_else(|| {
                differs("--delimiter", delimiter(self.delimiter), delimiter(other.delimiter))
            })
            .or_else(|| {
                differs(
                    "--no-truncate",
                    self.no_truncate.to_string(),
                    other.no_truncate.to_string(),
                )
            })
            .or_else(|| differs("--prompt-name", text(&self.prompt_name), text(&other.prompt_name)))
            .or_else(|| {
                differs("--no-prompt", self.no_prompt.to_string(), other.no_prompt.to_string())
            })
    }
}

impl StateFile {
    /// Returns the file for an output.
    pub(super) fn new(output: &Path) -> Self {
        Self { output: output.to_path_buf(), path: with_suffix(output, ".resume") }
    }

    /// Whether there is an interrupted run.
    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Returns the state of the interrupted run, or of a new one.
    pub(super) fn start(
        &self,
        resume: bool,
        options: RunOptions,
    ) -> Result<RunState, CommandError> {
        let path = self.output.display().to_string();
        let saved = self.read()?;
        // A run that stopped before its first chunk has no output to lose.
        let Some(state) = saved.filter(|state| resume || state.position.records > 0) else {
            let state = RunState { options, position: Position::default(), output_bytes: 0 };
            self.save(&state)?;
            return Ok(state);
        };
        if !resume {
            let state = self.path.display().to_string();
            return Err(CommandError::Interrupted { path, state });
        }
        match state.options.difference(&options) {
            None => Ok(state),
            Some((option, before, now)) => {
                Err(CommandError::OptionsChanged { path, option, before, now })
            }
        }
    }

    fn read(&self) -> Result<Option<RunState>, CommandError> {
        let path = || self.path.display().to_string();
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CommandError::Read { path: path(), source }),
        };
        let state = serde_json::from_slice(&bytes).map_err(|error| CommandError::InvalidState {
            path: path(),
            reason: error.to_string(),
        })?;
        Ok(Some(state))
    }

    /// Replaces the state. An interruption leaves the state before or after.
    pub(super) fn save(&self, state: &RunState) -> Result<(), CommandError> {
        let partial = with_suffix(&self.path, ".partial");
        let write = || -> io::Result<()> {
            let mut file = File::create(&partial)?;
            file.write_all(&serde_json::to_vec(state)?)?;
            file.sync_data()?;
            fs::rename(&partial, &self.path)
        };
        write().map_err(|source| self.unwritable(source))
    }

    /// Deletes the state after the end of the run.
    pub(super) fn delete(&self) -> Result<(), CommandError> {
        fs::remove_file(&self.path).map_err(|source| self.unwritable(source))
    }

    fn unwritable(&self, source: io::Error) -> CommandError {
        CommandError::WriteFile { path: self.path.display().to_string(), source }
    }
}

/// Returns the name of a value on the command line.
fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
