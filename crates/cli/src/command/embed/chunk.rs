//! Some consecutive records of the input, which go through the model in one call.

use semblance::{EmbedOptions, Model, ModelError};

use crate::arguments::OnError;
use crate::command::input::{Input, InputText, Position};
use crate::error::{CommandError, Location};

/// Maximum number of texts of a chunk: large enough to fill forward passes, small enough to show
/// progress and to lose little in an interruption.
const CHUNK_TEXTS: usize = 512;

/// Maximum number of records of a chunk. A file can consist of blank lines.
const CHUNK_RECORDS: u64 = 100_000;

/// Size of the texts, in bytes, at which a chunk ends.
const CHUNK_BYTES: usize = 4 << 20;

/// Texts with their places in the input.
pub(super) struct Chunk {
    texts: Vec<Text>,
    skipped: Vec<(u64, CommandError)>,
    failed: Option<Failed>,
    /// The position after the chunk.
    position: Position,
    is_last: bool,
}

struct Text {
    /// Number of the record, from 0.
    record: u64,
    /// Its line, from 1.
    line: u64,
    text: InputText,
    /// The position before it, if the command stops at an error.
    before: Option<Position>,
}

/// The record at which the command stops.
pub(super) struct Failed {
    /// Number of records before it.
    pub(super) records: u64,
    pub(super) error: CommandError,
}

/// A chunk after the model.
pub(super) struct EmbeddedChunk {
    pub(super) rows: Vec<EmbeddedText>,
    /// The errors of the skipped records, in input order.
    pub(super) skipped: Vec<CommandError>,
    pub(super) failed: Option<Failed>,
    pub(super) position: Position,
}

/// The embedding of a text.
pub(super) struct EmbeddedText {
    pub(super) text_index: u64,
    pub(super) embedding: Vec<f32>,
    pub(super) tokens: usize,
    pub(super) truncated: bool,
}

impl Chunk {
    /// Reads the next records. Stops before a record without a text, if the command does.
    pub(super) fn read(input: &mut Input, on_error: OnError) -> Result<Self, CommandError> {
        let mut chunk = Self {
            texts: Vec::new(),
            skipped: Vec::new(),
            failed: None,
            position: input.position(),
            is_last: false,
        };
        let (first, mut bytes) = (input.records(), 0);
        while chunk.texts.len() < CHUNK_TEXTS
            && input.records() - first < CHUNK_RECORDS
            && bytes < CHUNK_BYTES
        {
            let record = input.records();
            let before = (on_error == OnError::Fail).then(|| input.position());
            let Some(next) = input.next()? else {
                chunk.is_last = true;
                break;
            };
            match next.text {
                Ok(text) => {
                    bytes += text.text.len();
                    chunk.texts.push(Text { record, line: next.line, text, before });
                }
                Err(error) => match before {
                    None => chunk.skipped.push((record, error)),
                    Some(position) => {
                        chunk.failed = Some(Failed { records: record, error });
                        chunk.position = position;
                        return Ok(chunk);
                    }
                },
            }
        }
        chunk.position = input.position();
        Ok(chunk)
    }

    /// Whether the input has no further records.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// Embeds the texts. If the model rejects some of them, the others are embedded.
    pub(super) fn embed(
        self,
        model: &Model,
        options: &EmbedOptions,
    ) -> Result<EmbeddedChunk, CommandError> {
        let Self { texts, mut skipped, mut failed, mut position, .. } = self;
        let mut rows = Vec::with_capacity(texts.len());
        let good = match embed(model, &texts, options) {
            Ok(embedded) => {
                rows = embedded;
                Vec::new()
            }
            Err(error) if !is_of_one_text(&error) => return Err(error.into()),
            Err(_) => {
                let faults = model.text_faults(
                    &contents(&texts),
                    model.info().text_prompt(&options.prompts),
                    options.truncation,
                )?;
                let mut faults = faults.into_iter().peekable();
                let mut good = Vec::with_capacity(texts.len());
                for (index, text) in texts.into_iter().enumerate() {
                    let Some(fault) = faults.next_if(|fault| fault.index() == Some(index)) else {
                        good.push(text);
                        continue;
                    };
                    let error = CommandError::from_texts(fault, |_| Location::Line(text.line));
                    let Some(before) = text.before else {
                        skipped.push((text.record, error));
                        continue;
                    };
                    failed = Some(Failed { records: text.record, error });
                    position = before;
                    break;
                }
                good
            }
        };
        if !good.is_empty() {
            rows = embed(model, &good, options)?;
        }
        skipped.sort_by_key(|&(record, _)| record);
        let skipped = skipped.into_iter().map(|(_, error)| error).collect();
        Ok(EmbeddedChunk { rows, skipped, failed, position })
    }
}

fn embed(
    model: &Model,
    texts: &[Text],
    options: &EmbedOptions,
) -> Result<Vec<EmbeddedText>, ModelError> {
    let contents = contents(texts);
    let embedded = model.embed_with(&contents, options)?;
    let vectors = embedded.vectors.outer_iter().zip(embedded.tokens);
    let rows = texts.iter().zip(vectors).map(|(text, (vector, (tokens, truncated)))| {
        let (embedding, truncated) = (vector.to_vec(), truncated || text.text.is_cut);
        EmbeddedText { text_index: text.record, embedding, tokens, truncated }
    });
    Ok(rows.collect())
}

fn contents(texts: &[Text]) -> Vec<&str> {
    texts.iter().map(|text| text.text.text.as_str()).collect()
}

/// Whether an error is about one text of a call. Without this text, the call can succeed.
fn is_of_one_text(error: &ModelError) -> bool {
    matches!(error, ModelError::TooManyTokens { .. } | ModelError::EmptyText { .. })
}
