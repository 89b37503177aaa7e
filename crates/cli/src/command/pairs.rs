//! The commands `rerank` and `predict`.

use std::io::Write;

use semblance::PairOptions;
use semblance::options::Sequence;
use semblance::outcome::{Scorer, rank};
use serde::Serialize;

use super::limited::ArgumentTexts;
use super::score::{table, truncation};
use crate::arguments::{PairArguments, PredictArguments, RerankArguments};
use crate::error::{CommandError, Location};
use crate::settings::Settings;

/// A text of a ranking.
#[derive(Serialize)]
struct Ranked<'a> {
    index: usize,
    score: f32,
    text: &'a str,
}

/// The score of a label.
#[derive(Serialize)]
struct Prediction {
    score: f32,
    label: String,
}

fn options(arguments: &PairArguments) -> PairOptions {
    let (truncation, raw_scores) = (truncation(arguments.no_truncate), arguments.raw_scores);
    PairOptions { truncation, raw_scores, ..PairOptions::default() }
}

/// Runs `rerank`.
pub(super) fn rerank(arguments: &RerankArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let RerankArguments { query, texts, pairs, .. } = arguments;
    let settings = Settings::for_pairs(&arguments.model, pairs)?;
    let limited = ArgumentTexts::new(query, texts, settings.limits(), pairs.no_truncate)?;
    let scored = settings.load()?.rerank_with(limited.query, &limited.texts, &options(pairs));
    let scored = scored.map_err(|error| CommandError::from_texts(error, Location::from_index))?;
    let top_k = arguments.top_k.map_or(usize::MAX, |top_k| top_k as usize);
    let best = rank(&scored.scores, top_k);
    if arguments.json {
        let ranked = |&index: &usize| {
            let (score, text) = (scored.scores[index], texts[index].as_str());
            Ranked { index, score, text }
        };
        let ranking: Vec<Ranked<'_>> = best.iter().map(ranked).collect();
        serde_json::to_writer(&mut *out, &ranking).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        let scores: Vec<_> =
            best.iter().map(|&index| (texts[index].as_str(), scored.scores[index])).collect();
        table(&scores, &limited.truncated(&scored.cost.truncated), out)?;
        let scorer = match scored.scored_by {
            Scorer::CrossEncoder => "cross-encoder",
            Scorer::BiEncoder => "embedding model",
        };
        writeln!(out, "scored by the {scorer}")?;
    }
    Ok(out.flush()?)
}

/// Runs `predict`.
pub(super) fn predict(
    arguments: &PredictArguments,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let PredictArguments { query, texts, pairs, .. } = arguments;
    let settings = Settings::for_pairs(&arguments.model, pairs)?;
    let limited = ArgumentTexts::new(query, texts, settings.limits(), pairs.no_truncate)?;
    let model = settings.load()?;
    let all: Vec<Sequence<'_>> = match limited.texts.as_slice() {
        [] => vec![limited.query.into()],
        texts => texts.iter().map(|&text| (limited.query, text).into()).collect(),
    };
    let predicted = model.predict_with(&all, &options(pairs));
    let predicted = predicted.map_err(|error| match texts.is_empty() {
        true => CommandError::from_texts(error, |_| Location::Query),
        false => CommandError::from_pairs(error),
    })?;
    let names = model.cross_encoder().map_or(&[][..], |info| &info.labels);
    let predictions: Vec<Vec<Prediction>> =
        predicted.scores.outer_iter().map(|scores| labels(&scores.to_vec(), names)).collect();
    if arguments.json {
        serde_json::to_writer(&mut *out, &predictions).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        let names = if texts.is_empty() { std::slice::from_ref(query) } else { texts.as_slice() };
        for (text, labels) in names.iter().zip(&predictions) {
            for Prediction { score, label } in labels {
                writeln!(out, "{score:8.5}  {label}  {text}")?;
            }
        }
        let by_model = &predicted.cost.truncated;
        if texts.is_empty() && !limited.truncated(by_model).is_empty() {
            writeln!(out, "truncated to the model's limit: QUERY")?;
        } else if !texts.is_empty() {
            for text in limited.truncated_pairs(by_model) {
                writeln!(out, "truncated to the model's limit: QUERY with TEXT {text}")?;
            }
        }
    }
    Ok(out.flush()?)
}

/// Returns the labels of a pair by their names, highest score first.
fn labels(scores: &[f32], names: &[String]) -> Vec<Prediction> {
    let best = rank(scores, usize::MAX).into_iter();
    best.map(|i| Prediction { score: scores[i], label: names[i].clone() }).collect()
}
