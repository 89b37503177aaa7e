//! The command `score`.

use std::io::Write;

use semblance::outcome::rank;
use semblance::{TextOptions, Truncation};
use serde::Serialize;

use super::limited::ArgumentTexts;
use crate::arguments::ScoreArguments;
use crate::error::{CommandError, Location};
use crate::settings::Settings;

/// The response of the function to its event.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Reply<'a> {
    scores: Vec<(&'a str, f32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<Truncated>,
}

/// The texts that were truncated to the model's limit.
#[derive(Serialize)]
struct Truncated {
    query: bool,
    actual_queries: Vec<usize>,
}

pub(super) fn run(arguments: &ScoreArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let settings = Settings::new(&arguments.model)?;
    let (query, texts) = (arguments.query.as_str(), arguments.texts.as_slice());
    let limited = ArgumentTexts::new(query, texts, settings.limits(), arguments.no_truncate)?;
    let truncation = truncation(arguments.no_truncate);
    let options = TextOptions { truncation, ..TextOptions::default() };
    let scored = settings.load()?.similarity_with(limited.query, &limited.texts, &options);
    let scored = scored.map_err(|error| CommandError::from_texts(error, Location::from_index))?;
    let top_k = arguments.top_k.map_or(usize::MAX, |top_k| top_k as usize);
    let best = rank(&scored.scores, top_k).into_iter();
    let scores = best.map(|index| (texts[index].as_str(), scored.scores[index])).collect();
    let truncated = &limited.truncated(&scored.cost.truncated);
    if arguments.json {
        let truncated = (!truncated.is_empty()).then(|| Truncated {
            query: truncated.contains(&0),
            actual_queries: truncated.iter().filter_map(|index| index.checked_sub(1)).collect(),
        });
        serde_json::to_writer(&mut *out, &Reply { scores, truncated })
            .map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        table(&scores, truncated, out)?;
    }
    out.flush()?;
    Ok(())
}

/// How to handle a text beyond the model's limit.
pub(super) fn truncation(no_truncate: bool) -> Truncation {
    match no_truncate {
        true => Truncation::Refuse,
        false => Truncation::Right,
    }
}

/// Prints scores, and which texts were truncated.
pub(super) fn table(
    scores: &[(&str, f32)],
    truncated: &[usize],
    out: &mut dyn Write,
) -> std::io::Result<()> {
    for (text, score) in scores {
        writeln!(out, "{score:8.5}  {text}")?;
    }
    if !truncated.is_empty() {
        let locations = truncated.iter().map(|&index| Location::from_index(index).to_string());
        let locations: Vec<String> = locations.collect();
        writeln!(out, "truncated to the model's limit: {}", locations.join(", "))?;
    }
    Ok(())
}
