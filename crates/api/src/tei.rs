//! The dialect of text-embeddings-inference.
//!
//! Source: its OpenAPI document, version 1.9
//! (<https://huggingface.github.io/text-embeddings-inference/openapi.json>).

use ndarray::Array2;
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::decode::{Fields, check_count, text, wrong_type};
use super::{
    Cut, EmbedRequest, Limits, PredictRequest, Predicted, RequestError, RerankRequest, Reranked,
    Scorer, SimilarityRequest, TokenizeRequest,
};
use crate::vector::rank;

/// Embeddings as rows of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows(
    /// `[texts, dim]`, f32.
    pub Array2<f32>,
);

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.outer_iter().map(|row| row.to_vec()))
    }
}

/// A text's rank.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Rank {
    /// Index of the text in the request.
    pub index: usize,
    /// Its score.
    pub score: f32,
    /// The text, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What scored it, where that is not the cross-encoder that this operation is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scored_by: Option<Scorer>,
}

/// The score of a label.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Prediction {
    /// The score.
    pub score: f32,
    /// `LABEL_` and its index, as `transformers` names a label without a name.
    pub label: String,
}

pub(super) fn similarity(
    fields: &mut Fields,
    limits: &Limits,
) -> Result<SimilarityRequest, RequestError> {
    let mut inputs = fields.object("inputs")?;
    let mut parameters = fields.optional_object("parameters")?;
    Ok(SimilarityRequest {
        query: inputs.text("source_sentence", limits)?,
        candidates: inputs.some_texts("sentences", limits)?,
        top_k: None,
        cut: parameters.cut(Cut::Refuse)?,
        prompt_name: parameters.name("prompt_name")?,
    })
}

pub(super) fn embed(fields: &mut Fields, limits: &Limits) -> Result<EmbedRequest, RequestError> {
    Ok(EmbedRequest {
        texts: fields.text_or_texts("inputs", limits)?,
        cut: fields.cut(Cut::Refuse)?,
        prompt_name: fields.name("prompt_name")?,
        normalize: Some(fields.flag("normalize")?.unwrap_or(true)),
        dimensions: fields.count("dimensions")?,
    })
}

pub(super) fn rerank(fields: &mut Fields, limits: &Limits) -> Result<RerankRequest, RequestError> {
    Ok(RerankRequest {
        query: fields.text("query", limits)?,
        texts: fields.some_texts("texts", limits)?,
        cut: fields.cut(Cut::Refuse)?,
        raw_scores: fields.flag("raw_scores")?.unwrap_or(false),
        top_n: None,
        return_texts: fields.flag("return_text")?.unwrap_or(false),
    })
}

pub(super) fn predict(
    fields: &mut Fields,
    limits: &Limits,
) -> Result<PredictRequest, RequestError> {
    let field = fields.field(PredictRequest::PAIRS);
    let items = match fields.required(PredictRequest::PAIRS)? {
        Value::Array(items) => items,
        other => return Err(wrong_type(field, "a pair of texts or an array of pairs", &other)),
    };
    let is_list = items.iter().all(Value::is_array);
    let pairs = if items.is_empty() {
        return Err(RequestError::NoTexts { field });
    } else if is_list {
        check_count(items.len(), field, limits)?;
        let item = |(index, item)| match item {
            Value::Array(pair) => {
                let count = pair.len();
                let pair = <[Value; 2]>::try_from(pair)
                    .map_err(|_| RequestError::NotAPair { field: field.at(index), count })?;
                let [first, second] = pair;
                let first = text(first, field.at(index).part("[0]"), limits)?;
                Ok([first, text(second, field.at(index).part("[1]"), limits)?])
            }
            other => Err(wrong_type(field.at(index), "a pair of texts", &other)),
        };
        items.into_iter().enumerate().map(item).collect::<Result<_, _>>()?
    } else {
        let count = items.len();
        let [first, second] =
            <[Value; 2]>::try_from(items).map_err(|_| RequestError::NotAPair { field, count })?;
        vec![[text(first, field.at(0), limits)?, text(second, field.at(1), limits)?]]
    };
    Ok(PredictRequest {
        pairs,
        is_list,
        cut: fields.cut(Cut::Refuse)?,
        raw_scores: fields.flag("raw_scores")?.unwrap_or(false),
    })
}

pub(super) fn tokenize(
    fields: &mut Fields,
    limits: &Limits,
) -> Result<TokenizeRequest, RequestError> {
    Ok(TokenizeRequest {
        texts: fields.text_or_texts("inputs", limits)?,
        add_special_tokens: fields.flag("add_special_tokens")?.unwrap_or(true),
        prompt_name: fields.name("prompt_name")?,
    })
}

/// Returns the ranks of a request's texts, best first, ties in input order.
pub(super) fn ranks(request: &RerankRequest, reranked: &Reranked) -> Vec<Rank> {
    let best = rank(&reranked.scores, request.top_n.unwrap_or(usize::MAX));
    let texts = request.texts.as_slice();
    let scored_by = (reranked.scored_by != Scorer::CrossEncoder).then_some(reranked.scored_by);
    let rank = |index| Rank {
        index,
        score: reranked.scores[index],
        text: request.return_texts.then(|| texts[index].clone()),
        scored_by,
    };
    best.into_iter().map(rank).collect()
}

/// Returns the predictions of each pair, best label first, ties in the order of the labels.
pub(super) fn predictions(predicted: &Predicted) -> Vec<Vec<Prediction>> {
    let of = |scores: Vec<f32>| {
        let labels = rank(&scores, usize::MAX).into_iter();
        labels.map(|i| Prediction { score: scores[i], label: format!("LABEL_{i}") }).collect()
    };
    predicted.scores.outer_iter().map(|scores| of(scores.to_vec())).collect()
}
