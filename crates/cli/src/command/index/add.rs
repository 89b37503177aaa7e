//! The commands `index build` and `index append`.

use std::io::Write;
use std::path::Path;

use semblance::corpus::{
    CorpusError, OnDuplicate, Published, Row, VectorPrecision, VectorSource, Writer,
};
use semblance::internals::bundle::is_name;
use semblance::{EmbedOptions, Model, ModelError, Prompts};
use semblance_api::TextFault;

use super::{report, writer_options};
use crate::arguments::{AppendArguments, BadRows, BuildArguments};
use crate::command::progress::Progress;
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
    let options = &arguments.rows.options;
    let rows = Rows::open(&arguments.rows.file, options, settings.limits())?;
    let model = settings.load()?;
    let precision = if arguments.f16 { VectorPrecision::F16 } else { VectorPrecision::F32 };
    let source = vector_source(&model, arguments.prompt_name.as_ref(), precision)?;
    let change = &arguments.change;
    let writer = Writer::create(&change.index.index, source, writer_options(change))?;
    let adding = Adding::new(writer, &model, options.bad_rows, on_duplicate(arguments.replace));
    adding.run(rows)?.print(out)
}

pub(super) fn append(arguments: &AppendArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let settings = Settings::new(&arguments.model)?;
    let options = &arguments.rows.options;
    let rows = Rows::open(&arguments.rows.file, options, settings.limits())?;
    let index = semblance::corpus::Index::open(&arguments.change.index.index)?;
    let model = settings.load()?;
    index.check_bundle(&model.info().digest)?;
    let writer = Writer::open(&arguments.change.index.index, writer_options(&arguments.change))?;
    let adding = Adding::new(writer, &model, options.bad_rows, on_duplicate(arguments.replace));
    adding.run(rows)?.print(out)
}

/// Returns what the vectors of a new index are.
pub(in crate::command) fn vector_source(
    model: &Model,
    prompt_name: Option<&String>,
    precision: VectorPrecision,
) -> Result<VectorSource, CommandError> {
    let info = model.info();
    if let Some(name) = prompt_name
        && !info.prompts.contains_key(name)
    {
        let known = info.prompts.keys().cloned().collect();
        return Err(ModelError::UnknownPrompt { known }.into());
    }
    Ok(VectorSource {
        bundle_digest: info.digest.clone(),
        model_name: info.name.clone(),
        dimensions: info.dimensions,
        prompt_name: prompt_name.cloned().or_else(|| info.document_prompt().map(str::to_owned)),
        precision,
    })
}

fn on_duplicate(replace: bool) -> OnDuplicate {
    if replace { OnDuplicate::Replace } else { OnDuplicate::Refuse }
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
pub(in crate::command) struct Adding<'a> {
    writer: Writer,
    model: &'a Model,
    bad_rows: BadRows,
    on_duplicate: OnDuplicate,
    waiting: Vec<(u64, Row)>,
    embed: EmbedOptions,
    counts: Counts,
}

/// What happened to the rows.
#[derive(Default)]
struct Counts {
    added: usize,
    kept: usize,
    /// Rows whose texts were given to the model.
    embedded: u64,
    /// Rows whose vectors an interrupted run had saved.
    resumed: usize,
    truncated: usize,
    skipped: usize,
}

/// The result of adding rows.
pub(in crate::command) struct Added {
    counts: Counts,
    published: Published,
}

impl Added {
    fn print(&self, out: &mut dyn Write) -> Result<(), CommandError> {
        let Counts { added, kept, resumed, truncated, skipped, .. } = self.counts;
        writeln!(out, "added   {added} rows")?;
        for (label, count) in [
            ("kept    ", kept),
            ("skipped ", skipped),
            ("resumed ", resumed),
            ("truncated to the model's limit: ", truncated),
        ] {
            if count > 0 {
                writeln!(out, "{label}{count} rows")?;
            }
        }
        report(&self.published, out)
    }
}

impl<'a> Adding<'a> {
    pub(in crate::command) fn new(
        writer: Writer,
        model: &'a Model,
        bad_rows: BadRows,
        on_duplicate: OnDuplicate,
    ) -> Self {
        let prompts = Prompts::named(writer.source().prompt_name.as_deref());
        let embed = EmbedOptions { prompts, normalize: Some(true), ..EmbedOptions::default() };
        let (waiting, counts) = (Vec::new(), Counts::default());
        Self { writer, model, bad_rows, on_duplicate, waiting, embed, counts }
    }

    /// Adds the rows of a file and publishes the index.
    pub(in crate::command) fn run(mut self, mut rows: Rows<'_>) -> Result<Added, CommandError> {
        let mut progress = Progress::new(rows.total_bytes(), 0);
        while let Some((line, row)) = rows.next()? {
            match row {
                Err(error) => self.bad_row(line, error, &progress)?,
                Ok(row) if self.writer.has(&row)? => self.counts.kept += 1,
                Ok(row) => self.waiting.push((line, row)),
            }
            if self.waiting.len() == SAVED_ROWS {
                self.add(&mut progress, rows.read_bytes())?;
            }
        }
        self.add(&mut progress, rows.read_bytes())?;
        progress.finish();
        Ok(Added { counts: self.counts, published: self.writer.publish()? })
    }

    /// Adds the waiting rows. The last of them ends at a position of the input.
    fn add(&mut self, progress: &mut Progress, read_bytes: u64) -> Result<(), CommandError> {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.skip_empty(&mut waiting, progress)?;
        let texts: Vec<&str> = waiting.iter().map(|(_, row)| row.text.as_str()).collect();
        if texts.is_empty() {
            return Ok(());
        }
        let vectors = match self.writer.saved(&texts)? {
            Some(vectors) => {
                self.counts.resumed += texts.len();
                progress.resume(read_bytes);
                vectors
            }
            None => self.embed(&texts, progress, read_bytes)?,
        };
        let dim = self.writer.source().dimensions;
        for ((line, row), vector) in waiting.iter().zip(vectors.chunks(dim)) {
            match self.writer.push(row, *line, vector, self.on_duplicate)? {
                Ok(()) => self.counts.added += 1,
                Err(fault) => self.bad_row(*line, fault.into(), progress)?,
            }
        }
        Ok(())
    }

    /// Reports the rows whose texts have no tokens, and removes them.
    fn skip_empty(
        &mut self,
        waiting: &mut Vec<(u64, Row)>,
        progress: &Progress,
    ) -> Result<(), CommandError> {
        let texts: Vec<&str> = waiting.iter().map(|(_, row)| row.text.as_str()).collect();
        let prompt = self.model.info().text_prompt(&self.embed.prompts);
        let faults = self.model.text_faults(&texts, prompt, self.embed.truncation)?;
        let empty: Vec<usize> = faults.iter().filter_map(ModelError::index).collect();
        for &index in &empty {
            self.bad_row(waiting[index].0, RowError::Text(TextFault::Empty), progress)?;
        }
        for index in empty.into_iter().rev() {
            waiting.remove(index);
        }
        Ok(())
    }

    fn embed(
        &mut self,
        texts: &[&str],
        progress: &mut Progress,
        read_bytes: u64,
    ) -> Result<Vec<f32>, CommandError> {
        let mut vectors = Vec::with_capacity(texts.len() * self.writer.source().dimensions);
        let before = progress.position();
        for chunk in texts.chunks(CHUNK_TEXTS) {
            let embedded = self.model.embed_with(chunk, &self.embed)?;
            vectors.extend(embedded.vectors.iter());
            let truncated = embedded.tokens.iter().filter(|(_, truncated)| *truncated);
            self.counts.truncated += truncated.count();
            self.counts.embedded += chunk.len() as u64;
            let share = vectors.len() as f64 / vectors.capacity().max(1) as f64;
            let read = before + (read_bytes.saturating_sub(before) as f64 * share) as u64;
            progress.update(self.counts.embedded, read);
        }
        self.writer.save(texts, &vectors)?;
        Ok(vectors)
    }

    fn bad_row(
        &mut self,
        line: u64,
        error: RowError,
        progress: &Progress,
    ) -> Result<(), CommandError> {
        if self.bad_rows == BadRows::Fail {
            return Err(CommandError::row(line, error));
        }
        self.counts.skipped += 1;
        progress.print(&format!("skipped line {line}: {}: {error}", error.code()));
        Ok(())
    }
}
