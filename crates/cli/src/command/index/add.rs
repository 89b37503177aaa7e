//! The commands `index build` and `index append`.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use indicatif::ProgressBar;
use semblance::corpus::{
    CorpusError, OnDuplicate, Row, VectorPrecision, VectorSource, Writer, WriterOptions,
};
use semblance::internals::bundle::is_name;
use semblance::{EmbedOptions, Model, ModelError, Prompts};
use semblance_api::TextFault;

use super::{report, writer_options};
use crate::arguments::{AppendArguments, BadRows, BuildArguments, RowArguments};
use crate::command::progress;
use crate::command::rows::{RowError, Rows};
use crate::error::CommandError;
use crate::settings::Settings;

/// Rows whose vectors are saved together. After an interruption, at most these are embedded again.
const SAVED_ROWS: usize = 4_096;

/// Texts per call: large enough to fill forward passes, small enough to show progress.
const CHUNK_TEXTS: usize = 512;

pub(super) fn build(arguments: &BuildArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let settings = Settings::new(&arguments.model)?;
    check_name(&arguments.change.index.index)?;
    let rows = Rows::open(&arguments.rows, settings.limits())?;
    let model = settings.load()?;
    let info = model.info();
    if let Some(name) = &arguments.prompt_name
        && !info.prompts.contains_key(name)
    {
        let known = info.prompts.keys().cloned().collect();
        return Err(ModelError::UnknownPrompt { known }.into());
    }
    let source = VectorSource {
        bundle_digest: info.digest.clone(),
        model_name: info.name.clone(),
        dimensions: info.dimensions,
        prompt_name: arguments
            .prompt_name
            .clone()
            .or_else(|| info.document_prompt().map(str::to_owned)),
        precision: if arguments.f16 { VectorPrecision::F16 } else { VectorPrecision::F32 },
    };
    let options =
        WriterOptions { min_recall: arguments.min_recall, ..writer_options(&arguments.change) };
    let writer = Writer::create(&arguments.change.index.index, source, options)?;
    Adding::new(writer, &model, &arguments.rows, arguments.replace).run(rows, out)
}

pub(super) fn append(arguments: &AppendArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let settings = Settings::new(&arguments.model)?;
    let rows = Rows::open(&arguments.rows, settings.limits())?;
    let options = writer_options(&arguments.change);
    let index = semblance::corpus::Index::open(&arguments.change.index.index)?;
    let model = settings.load()?;
    index.check_bundle(&model.info().digest)?;
    let writer = Writer::open(&arguments.change.index.index, options)?;
    Adding::new(writer, &model, &arguments.rows, arguments.replace).run(rows, out)
}

/// Checks that the index can be found by its name.
fn check_name(folder: &Path) -> Result<(), CommandError> {
    let path = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if is_name(&name) {
        return Ok(());
    }
    Err(CorpusError::InvalidName { bytes: name.len() }.into())
}

/// Rows on their way from a file into an index.
struct Adding<'a> {
    writer: Writer,
    model: &'a Model,
    bad_rows: BadRows,
    on_duplicate: OnDuplicate,
    waiting: Vec<(u64, Row)>,
    embed: EmbedOptions,
    started: Instant,
    added: usize,
    kept: usize,
    embedded: usize,
    /// Rows whose vectors an interrupted run had saved.
    resumed: usize,
    truncated: usize,
    skipped: usize,
}

impl<'a> Adding<'a> {
    fn new(writer: Writer, model: &'a Model, rows: &RowArguments, replace: bool) -> Self {
        let prompts = Prompts::named(writer.source().prompt_name.as_deref());
        Self {
            writer,
            model,
            bad_rows: rows.bad_rows,
            on_duplicate: if replace { OnDuplicate::Replace } else { OnDuplicate::Refuse },
            waiting: Vec::new(),
            embed: EmbedOptions { prompts, normalize: Some(true), ..EmbedOptions::default() },
            started: Instant::now(),
            added: 0,
            kept: 0,
            embedded: 0,
            resumed: 0,
            truncated: 0,
            skipped: 0,
        }
    }

    fn run(mut self, mut rows: Rows<'_>, out: &mut dyn Write) -> Result<(), CommandError> {
        let bar = progress::bytes(rows.total_bytes());
        while let Some((line, row)) = rows.next()? {
            match row {
                Err(error) => self.bad_row(line, error, &bar)?,
                Ok(row) if self.writer.has(&row)? => self.kept += 1,
                Ok(row) => self.waiting.push((line, row)),
            }
            if self.waiting.len() == SAVED_ROWS {
                self.add(&bar)?;
                bar.set_position(rows.read_bytes());
            }
        }
        self.add(&bar)?;
        bar.finish_and_clear();
        let published = self.writer.publish()?;
        writeln!(out, "added   {} rows", self.added)?;
        for (label, count) in [
            ("kept    ", self.kept),
            ("skipped ", self.skipped),
            ("resumed ", self.resumed),
            ("truncated to the model's limit: ", self.truncated),
        ] {
            if count > 0 {
                writeln!(out, "{label}{count} rows")?;
            }
        }
        report(&published, out)
    }

    fn add(&mut self, bar: &ProgressBar) -> Result<(), CommandError> {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.skip_empty(&mut waiting, bar)?;
        let texts: Vec<&str> = waiting.iter().map(|(_, row)| row.text.as_str()).collect();
        if texts.is_empty() {
            return Ok(());
        }
        let vectors = match self.writer.saved(&texts)? {
            Some(vectors) => {
                self.resumed += texts.len();
                vectors
            }
            None => self.embed(&texts, bar)?,
        };
        let dim = self.writer.source().dimensions;
        for ((line, row), vector) in waiting.iter().zip(vectors.chunks(dim)) {
            match self.writer.push(row, *line, vector, self.on_duplicate)? {
                Ok(()) => self.added += 1,
                Err(fault) => self.bad_row(*line, fault.into(), bar)?,
            }
        }
        Ok(())
    }

    /// Reports the rows whose texts have no tokens, and removes them.
    fn skip_empty(
        &mut self,
        waiting: &mut Vec<(u64, Row)>,
        bar: &ProgressBar,
    ) -> Result<(), CommandError> {
        let texts: Vec<&str> = waiting.iter().map(|(_, row)| row.text.as_str()).collect();
        let prompt = self.model.info().text_prompt(&self.embed.prompts);
        let faults = self.model.text_faults(&texts, prompt, self.embed.truncation)?;
        let empty: Vec<usize> = faults.iter().filter_map(ModelError::index).collect();
        for &index in &empty {
            self.bad_row(waiting[index].0, RowError::Text(TextFault::Empty), bar)?;
        }
        for index in empty.into_iter().rev() {
            waiting.remove(index);
        }
        Ok(())
    }

    fn embed(&mut self, texts: &[&str], bar: &ProgressBar) -> Result<Vec<f32>, CommandError> {
        let mut vectors = Vec::with_capacity(texts.len() * self.writer.source().dimensions);
        for chunk in texts.chunks(CHUNK_TEXTS) {
            let embedded = self.model.embed_with(chunk, &self.embed)?;
            vectors.extend(embedded.vectors.iter());
            self.truncated += embedded.tokens.iter().filter(|(_, truncated)| *truncated).count();
            self.embedded += chunk.len();
            let rate = self.embedded as f64 / self.started.elapsed().as_secs_f64();
            bar.set_message(format!("{} rows, {rate:.0} texts/s", self.added + self.embedded));
        }
        self.writer.save(texts, &vectors)?;
        Ok(vectors)
    }

    fn bad_row(
        &mut self,
        line: u64,
        error: RowError,
        bar: &ProgressBar,
    ) -> Result<(), CommandError> {
        if self.bad_rows == BadRows::Fail {
            return Err(CommandError::Row { line, source: Box::new(error) });
        }
        self.skipped += 1;
        let code = error.code();
        bar.suspend(|| writeln!(std::io::stderr(), "skipped line {line}: {code}: {error}"))?;
        Ok(())
    }
}
