//! Scoring pairs of texts.

use std::time::Instant;

use ndarray::{Array2, Axis};

use super::{Model, characters};
use crate::cancel::Cancel;
use crate::cost::Cost;
use crate::cross_encoder::CrossEncoder;
use crate::error::ModelError;
use crate::options::{PairOptions, Prompts, Sequence, TextOptions};
use crate::outcome::{PredictOutput, RankedText, Scorer, Scores};
use crate::tokenizer::{Encoding, Reading};
use crate::unique::{TokenCounts, Unique};
use crate::vector::rank;

impl Model {
    /// Returns the texts in order of their relevance to a query, the most relevant first. Equal
    /// scores keep the input order.
    ///
    /// # Errors
    /// - As [`Model::rerank_with`].
    pub fn rerank<T: AsRef<str>>(
        &self,
        query: &str,
        texts: &[T],
    ) -> Result<Vec<RankedText>, ModelError> {
        let scores = self.rerank_with(query, texts, &PairOptions::default())?.scores;
        let ranked = |index| RankedText { index, score: scores[index] };
        Ok(rank(&scores, usize::MAX).into_iter().map(ranked).collect())
    }

    /// Scores the relevance of each text to a query. Uses the cross-encoder if it returns one score
    /// per pair, otherwise the embedding model with the prompts of a query and of a document.
    ///
    /// # Errors
    /// - [`ModelError::EmptyText`] if a text has no tokens besides special ones.
    /// - [`ModelError::TooManyTokens`] if a text or a pair exceeds the model's limit and must not be
    ///   truncated.
    /// - [`ModelError`] if the model fails.
    pub fn rerank_with<T: AsRef<str>>(
        &self,
        query: &str,
        texts: &[T],
        options: &PairOptions,
    ) -> Result<Scores, ModelError> {
        let Some((cross_encoder, _)) =
            self.parts.cross_encoder.as_ref().filter(|(one, _)| one.ranks())
        else {
            let PairOptions { truncation, text_tokens, .. } = *options;
            let options = TextOptions { truncation, prompts: Prompts::ByRole, text_tokens };
            return self.similarity_with(query, texts, &options);
        };
        let pairs: Vec<Sequence> = texts.iter().map(|text| (query, text.as_ref()).into()).collect();
        let mut predicted =
            classify(cross_encoder, &pairs, options, &self.cancel).map_err(after_query)?;
        // Index 0 is the query, as for the embedding model. A truncated pair is reported as its text.
        predicted.cost.truncated.iter_mut().for_each(|index| *index += 1);
        let scores = CrossEncoder::first_label(&predicted.scores);
        Ok(Scores { scores, scored_by: Scorer::CrossEncoder, cost: predicted.cost })
    }

    /// The kind of model that [`Model::rerank`] uses.
    #[must_use]
    pub fn reranks_with(&self) -> Scorer {
        match &self.parts.cross_encoder {
            Some((cross_encoder, _)) if cross_encoder.ranks() => Scorer::CrossEncoder,
            _ => Scorer::BiEncoder,
        }
    }

    /// Returns the scores of the cross-encoder for pairs of texts or single texts, `[items, labels]`, f32.
    ///
    /// # Errors
    /// - As [`Model::predict_with`].
    pub fn predict<'a, T>(&self, items: &[T]) -> Result<Array2<f32>, ModelError>
    where
        T: Copy + Into<Sequence<'a>>,
    {
        Ok(self.predict_with(items, &PairOptions::default())?.scores)
    }

    /// Scores each pair, or single text, for each label of the cross-encoder. A repeated item is scored
    /// once.
    ///
    /// # Errors
    /// - [`ModelError::NoCrossEncoder`] if no cross-encoder is loaded.
    /// - [`ModelError::EmptyText`] if a text of a pair has no tokens besides special ones.
    /// - [`ModelError::TooManyTokens`] if a pair exceeds the model's limit and must not be truncated.
    /// - [`ModelError`] if the model fails.
    pub fn predict_with<'a, T>(
        &self,
        items: &[T],
        options: &PairOptions,
    ) -> Result<PredictOutput, ModelError>
    where
        T: Copy + Into<Sequence<'a>>,
    {
        let (cross_encoder, _) =
            self.parts.cross_encoder.as_ref().ok_or(ModelError::NoCrossEncoder)?;
        classify(cross_encoder, &sequences(items), options, &self.cancel)
    }

    /// Number of special tokens around a pair.
    ///
    /// # Errors
    /// - [`ModelError::NoCrossEncoder`] if no cross-encoder is loaded.
    pub fn pair_special_tokens(&self) -> Result<usize, ModelError> {
        let (cross_encoder, _) =
            self.parts.cross_encoder.as_ref().ok_or(ModelError::NoCrossEncoder)?;
        Ok(cross_encoder.tokenizer().pair_special_tokens())
    }

    /// Returns every fault of these pairs or single texts that [`Model::predict_with`] would refuse, in input order.
    /// `index` of an error is the index of the pair.
    ///
    /// # Errors
    /// - [`ModelError::NoCrossEncoder`] if no cross-encoder is loaded.
    /// - [`ModelError::Tokenize`] if the tokenizer fails on a pair.
    pub fn pair_faults<'a, T>(
        &self,
        items: &[T],
        options: &PairOptions,
    ) -> Result<Vec<ModelError>, ModelError>
    where
        T: Copy + Into<Sequence<'a>>,
    {
        let (cross_encoder, _) =
            self.parts.cross_encoder.as_ref().ok_or(ModelError::NoCrossEncoder)?;
        let items = sequences(items);
        let (unique, _, tokens) = prepare_pairs(cross_encoder, &items, options, &self.cancel)?;
        Ok(unique.faults(&tokens, options.truncation).collect())
    }
}

/// Returns pairs or single texts in their common form.
fn sequences<'a, T: Copy + Into<Sequence<'a>>>(items: &[T]) -> Vec<Sequence<'a>> {
    items.iter().map(|&item| item.into()).collect()
}

/// The distinct pairs of a call, their tokens, and their numbers of tokens.
type PreparedPairs<'a> = (Unique<Sequence<'a>>, Vec<Encoding>, TokenCounts);

/// Tokenizes the distinct pairs.
fn prepare_pairs<'a>(
    cross_encoder: &CrossEncoder,
    pairs: &[Sequence<'a>],
    options: &PairOptions,
    cancel: &Cancel,
) -> Result<PreparedPairs<'a>, ModelError> {
    let unique = Unique::new(pairs.iter().copied());
    let items = unique.items.iter().copied();
    let PairOptions { truncation, text_tokens, .. } = *options;
    let reading = Reading { side: truncation.side(), count: truncation.count(), text_tokens };
    let prepared = cross_encoder.prepare(items, reading, cancel);
    let prepared = prepared.map_err(|error| error.at_index(|item| unique.first(item)))?;
    let special = cross_encoder.tokenizer().pair_special_tokens();
    let own = text_tokens.map_or(usize::MAX, |tokens| tokens.saturating_add(special));
    let tokens = TokenCounts {
        counts: prepared.iter().map(|pair| (pair.total_tokens, pair.is_truncated())).collect(),
        empty: prepared.iter().map(|pair| pair.empty_text).collect(),
        limit_tokens: cross_encoder.max_tokens().min(own),
    };
    Ok((unique, prepared, tokens))
}

/// Scores pairs, `[pairs, labels]`. A repeated pair is scored once.
fn classify(
    cross_encoder: &CrossEncoder,
    pairs: &[Sequence<'_>],
    options: &PairOptions,
    cancel: &Cancel,
) -> Result<PredictOutput, ModelError> {
    let started = Instant::now();
    let (unique, prepared, tokens) = prepare_pairs(cross_encoder, pairs, options, cancel)?;
    if let Some(error) = unique.faults(&tokens, options.truncation).next() {
        return Err(error);
    }
    let truncated = unique.truncated(&tokens);
    let tokenize_time = started.elapsed();
    let classified = cross_encoder
        .classify(prepared, cancel)
        .map_err(|error| error.at_index(|item| unique.first(item)))?;
    let cost = Cost {
        texts: pairs.len(),
        unique_texts: unique.items.len(),
        characters: characters(
            pairs.iter().flat_map(|pair| std::iter::once(pair.first).chain(pair.second)),
        ),
        prompt_tokens: unique.read_tokens(&tokens),
        truncated,
        tokenize_time,
        ..classified.cost
    };
    let scores = match options.raw_scores {
        true => classified.logits,
        false => cross_encoder.scores(classified.logits),
    };
    Ok(PredictOutput { scores: scores.select(Axis(0), &unique.members), cost })
}

/// Returns the error of a pair as the error of one of its texts. Index 0 is the query.
fn after_query(error: ModelError) -> ModelError {
    match error {
        ModelError::EmptyText { text: 0, .. } => ModelError::EmptyText { index: 0, text: 0 },
        ModelError::EmptyText { index, .. } => ModelError::EmptyText { index: index + 1, text: 0 },
        error => error.at_index(|index| index + 1),
    }
}
