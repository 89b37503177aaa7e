//! The command `embed`.

mod chunk;
mod state;

use std::io::{self, Write};
use std::path::Path;

use semblance::{EmbedOptions, Model};
use semblance_process::chain;

use super::input::Input;
use super::output::{Output, Row};
use super::progress::Progress;
use super::score::truncation;
use crate::arguments::EmbedArguments;
use crate::error::CommandError;
use crate::settings::Settings;

use chunk::Chunk;
use state::{RunOptions, RunState, StateFile};

pub(super) fn run(arguments: &EmbedArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let format = arguments.output_format()?;
    let settings = Settings::for_embed(arguments)?;
    if let Some(output) = arguments.output_file() {
        check_is_not_input(&arguments.file, output)?;
        if arguments.resume && output.exists() && !StateFile::new(output).exists() {
            let path = output.display();
            let message = format!("{path} is not from an interrupted run; nothing to resume");
            return Ok(writeln!(io::stderr(), "{message}")?);
        }
    }
    let mut input = Input::open(arguments, settings.limits())?;
    let model = settings.load()?;
    let dimensions = model.info().dimensions;
    let mut saved = None;
    let output = match arguments.output_file() {
        None => Output::to_stream(format, dimensions, out)?,
        Some(path) => {
            let file = StateFile::new(path);
            let options = RunOptions::new(arguments, format, &model);
            let state = file.start(arguments.resume, options)?;
            input.skip_to(&state.position)?;
            let resumed =
                (state.output_bytes > 0).then_some((state.output_bytes, state.position.records));
            let output = Output::to_file(format, dimensions, path, resumed)?;
            saved = Some((file, state));
            output
        }
    };
    let progress = Progress::new(input.total_bytes(), input.read_bytes());
    Run { arguments, model, input, output, saved, progress, report: Report::default() }.finish()
}

/// A run of the command.
struct Run<'a> {
    arguments: &'a EmbedArguments,
    model: Model,
    input: Input,
    output: Output<'a>,
    saved: Option<(StateFile, RunState)>,
    progress: Progress,
    report: Report,
}

/// What a run did.
#[derive(Default)]
struct Report {
    texts: u64,
    truncated: u64,
    skipped: u64,
}

impl Run<'_> {
    /// Embeds the rest of the input.
    fn finish(mut self) -> Result<(), CommandError> {
        let failed = loop {
            let chunk = Chunk::read(&mut self.input, self.arguments.on_error)?;
            let is_last = chunk.is_last();
            let failed = self.embed(chunk)?;
            if failed.is_some() || is_last {
                break failed;
            }
        };
        let records = match &failed {
            // The record that failed is not part of the output.
            Some(failed) => failed.records,
            None => self.input.records(),
        };
        self.output.finish(records)?;
        self.progress.finish();
        let has_file = self.saved.is_some();
        if let Some(failed) = failed {
            return Err(failed.error);
        }
        if let Some((file, _)) = self.saved {
            file.delete()?;
        }
        self.output.clean()?;
        if has_file || self.report.skipped > 0 {
            let rate = self.progress.rate();
            let Report { texts, truncated, skipped } = self.report;
            let summary =
                format!("embedded {texts} texts, {rate}; {truncated} truncated; {skipped} skipped");
            writeln!(io::stderr(), "{summary}")?;
        }
        Ok(())
    }

    /// Embeds a chunk, writes its rows and saves the state.
    fn embed(&mut self, chunk: Chunk) -> Result<Option<chunk::Failed>, CommandError> {
        let options = EmbedOptions {
            truncation: truncation(self.arguments.no_truncate),
            prompts: self.arguments.prompts(),
            // The output has the number of tokens of each text.
            count_tokens: true,
            ..EmbedOptions::default()
        };
        let embedded = chunk.embed(&self.model, &options)?;
        for error in &embedded.skipped {
            self.progress.print(&format!("skipped: {}: {}", error.code(), chain(error)));
        }
        for row in &embedded.rows {
            let embedding = row.embedding.as_slice();
            let (tokens, truncated) = (row.tokens, row.truncated);
            let row = Row { text_index: row.text_index, embedding, tokens, truncated };
            self.output.write(&row)?;
            self.report.truncated += u64::from(truncated);
        }
        self.report.texts += embedded.rows.len() as u64;
        self.report.skipped += embedded.skipped.len() as u64;
        let output_bytes = self.output.flush(embedded.position.records)?;
        if let Some((file, state)) = &mut self.saved {
            state.position = embedded.position;
            state.output_bytes = output_bytes;
            file.save(state)?;
        }
        self.progress.update(self.report.texts, self.input.read_bytes());
        Ok(embedded.failed)
    }
}

/// Refuses to overwrite the input.
fn check_is_not_input(input: &Path, output: &Path) -> Result<(), CommandError> {
    let same = match (input.canonicalize(), output.canonicalize()) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    };
    match same {
        true => Err(CommandError::SameFile { path: output.display().to_string() }),
        false => Ok(()),
    }
}
