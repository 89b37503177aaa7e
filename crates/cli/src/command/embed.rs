//! The command `embed`.

use std::io::Write;

use semblance::EmbedOptions;
use serde::Serialize;

use super::input::Input;
use super::progress;
use crate::arguments::EmbedArguments;
use crate::error::CommandError;
use crate::settings::Settings;

/// Number of texts per call: large enough to fill forward passes, small enough to show progress.
const CHUNK_TEXTS: usize = 512;

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    text_index: usize,
    embedding: &'a [f32],
    tokens: usize,
    truncated: bool,
}

pub(super) fn run(arguments: &EmbedArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let settings = Settings::new(&arguments.model)?;
    let mut input = Input::open(&arguments.file, arguments.jsonl)?;
    let model = settings.load()?;
    let bar = progress::bytes(input.total_bytes());
    let mut text_index = 0;
    loop {
        let texts = input.chunk(CHUNK_TEXTS, settings.limits())?;
        if texts.is_empty() {
            break;
        }
        let embedded = model.embed_with(&texts, &EmbedOptions::default());
        let embedded = embedded.map_err(|error| CommandError::from_lines(error, text_index))?;
        for (vector, &(tokens, truncated)) in embedded.vectors.outer_iter().zip(&embedded.tokens) {
            let embedding = &vector.to_vec();
            let line = Line { text_index, embedding, tokens, truncated };
            serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from)?;
            writeln!(out)?;
            text_index += 1;
        }
        bar.set_position(input.read_bytes());
        bar.set_message(format!("{text_index} texts"));
    }
    bar.finish_and_clear();
    out.flush()?;
    Ok(())
}
