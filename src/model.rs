//! A loaded model and its operations.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ndarray::{Array2, Axis, s};

use crate::cancel::Cancel;
use crate::cost::Cost;
use crate::cross_encoder::CrossEncoder;
use crate::encoder::{Encoder, PooledTexts};
use crate::error::{LoadError, ModelError};
use crate::info::{CrossEncoderInfo, ModelInfo};
use crate::load::{LoadTimings, load};
use crate::options::{
    EmbedOptions, Options, PairOptions, TextOptions, TokenizeOptions, Truncation,
};
use crate::outcome::{EmbedOutput, PredictOutput, RankedText, Scorer, Scores, TokenizeOutput};
use crate::tokenizer::{Side, Token};
use crate::unique::{TokenCounts, Unique};
use crate::vector::{Embeddings, cosine, rank};

/// An embedding model, and optionally a cross-encoder, ready to run.
///
/// A model can be shared between threads. Calls from several threads share forward passes. Clones share
/// the model.
#[derive(Clone)]
pub struct Model {
    parts: Arc<Parts>,
    timings: LoadTimings,
    cancel: Cancel,
}

/// What the clones of a model share.
struct Parts {
    encoder: Encoder,
    cross_encoder: Option<(CrossEncoder, CrossEncoderInfo)>,
    info: ModelInfo,
}

impl Model {
    /// Loads the bundle in a folder. `make model` builds such a folder.
    ///
    /// # Errors
    /// - [`LoadError`], one variant for each part that can fail to load.
    pub fn load(bundle: impl AsRef<Path>, options: Options) -> Result<Self, LoadError> {
        load(bundle.as_ref(), &options)
    }

    /// Returns a model of these parts.
    #[must_use]
    pub fn new(
        encoder: Encoder,
        cross_encoder: Option<(CrossEncoder, CrossEncoderInfo)>,
        info: ModelInfo,
    ) -> Self {
        let parts = Arc::new(Parts { encoder, cross_encoder, info });
        Self { parts, timings: LoadTimings::default(), cancel: Cancel::default() }
    }

    pub(crate) fn with_timings(self, timings: LoadTimings) -> Self {
        Self { timings, ..self }
    }

    /// Returns this model for calls that a flag can cancel.
    ///
    /// # Examples
    /// ```no_run
    /// use semblance::{Cancel, Model, ModelError, Options};
    ///
    /// let model = Model::load("build/model/default", Options::default())?;
    /// let cancel = Cancel::default();
    /// cancel.cancel();
    /// let result = model.with_cancel(cancel).embed(&["a text"]);
    /// assert!(matches!(result, Err(ModelError::Canceled(_))));
    /// # Ok::<(), semblance::LoadError>(())
    /// ```
    #[must_use]
    pub fn with_cancel(&self, cancel: Cancel) -> Self {
        Self { cancel, ..self.clone() }
    }

    /// How long each step of loading took.
    #[must_use]
    pub fn timings(&self) -> LoadTimings {
        self.timings
    }

    /// The embedding model.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.parts.info
    }

    /// The cross-encoder, if there is one.
    #[must_use]
    pub fn cross_encoder(&self) -> Option<&CrossEncoderInfo> {
        self.parts.cross_encoder.as_ref().map(|(_, info)| info)
    }

    /// Returns the cosine similarity of each text to a query, in input order.
    ///
    /// # Errors
    /// - As [`Model::similarity_with`].
    pub fn similarity<T: AsRef<str>>(
        &self,
        query: &str,
        texts: &[T],
    ) -> Result<Vec<f32>, ModelError> {
        Ok(self.similarity_with(query, texts, &TextOptions::default())?.scores)
    }

    /// Returns the cosine similarity of each text to a query. A repeated text is embedded once.
    ///
    /// # Errors
    /// - [`ModelError::TooManyTokens`] if a text exceeds the model's limit and must not be truncated.
    /// - [`ModelError::UnknownPrompt`] if the model has no such prompt.
    /// - [`ModelError`] if the model fails.
    pub fn similarity_with<T: AsRef<str>>(
        &self,
        query: &str,
        texts: &[T],
        options: &TextOptions,
    ) -> Result<Scores, ModelError> {
        if texts.is_empty() {
            let (scores, cost) = (Vec::new(), Cost::default());
            return Ok(Scores { scores, scored_by: Scorer::BiEncoder, cost });
        }
        let texts = std::iter::once(query).chain(texts.iter().map(AsRef::as_ref));
        let texts = self.prompted(texts, options.prompt_name.as_deref())?;
        let (encoded, unique, _) = self.encode(&texts, options.truncation)?;
        let rows = Embeddings::from_pooled(encoded.pooled)?;
        let query = rows.row(unique.members[0]);
        let others = unique.members[1..].iter();
        let scores = others.map(|&text| cosine(query, rows.row(text))).collect();
        Ok(Scores { scores, scored_by: Scorer::BiEncoder, cost: encoded.cost })
    }

    /// Returns embeddings `[texts, dim]`, f32. The bundle decides whether rows have unit length.
    ///
    /// # Errors
    /// - As [`Model::embed_with`].
    pub fn embed<T: AsRef<str>>(&self, texts: &[T]) -> Result<Array2<f32>, ModelError> {
        Ok(self.embed_with(texts, &EmbedOptions::default())?.vectors)
    }

    /// Embeds texts. A repeated text is embedded once.
    ///
    /// # Errors
    /// - [`ModelError::TooManyTokens`] if a text exceeds the model's limit and must not be truncated.
    /// - [`ModelError::UnknownPrompt`] if the model has no such prompt.
    /// - [`ModelError::NoDimensions`], [`ModelError::TooManyDimensions`] if the embedding does not
    ///   have the requested dimensions.
    /// - [`ModelError`] if the model fails.
    pub fn embed_with<T: AsRef<str>>(
        &self,
        texts: &[T],
        options: &EmbedOptions,
    ) -> Result<EmbedOutput, ModelError> {
        let available = self.parts.info.dimensions;
        let requested = options.dimensions.unwrap_or(available);
        if requested == 0 {
            return Err(ModelError::NoDimensions);
        }
        if requested > available {
            return Err(ModelError::TooManyDimensions { requested, available });
        }
        let texts = texts.iter().map(AsRef::as_ref);
        let texts = self.prompted(texts, options.prompt_name.as_deref())?;
        let (encoded, unique, tokens) = self.encode(&texts, options.truncation)?;
        // Without texts, `pooled` has no columns.
        let columns = requested.min(encoded.pooled.ncols());
        let vectors = encoded.pooled.slice_move(s![.., ..columns]);
        let vectors = match options.normalize.unwrap_or(self.parts.info.normalizes) {
            true => Embeddings::from_pooled(vectors)?.into_rows(),
            false => vectors,
        };
        let vectors = vectors.select(Axis(0), &unique.members);
        let tokens = unique.members.iter().map(|&text| tokens.counts[text]).collect();
        Ok(EmbedOutput { vectors, tokens, cost: encoded.cost })
    }

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
    /// per pair, otherwise the embedding model.
    ///
    /// # Errors
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
            let options = TextOptions { truncation: options.truncation, prompt_name: None };
            return self.similarity_with(query, texts, &options);
        };
        let pairs: Vec<_> = texts.iter().map(|text| (query, text.as_ref())).collect();
        let mut predicted = self.classify(cross_encoder, &pairs, options).map_err(after_query)?;
        // Index 0 is the query, as for the embedding model. A truncated pair is reported as its text.
        predicted.cost.truncated.iter_mut().for_each(|index| *index += 1);
        let scores = CrossEncoder::first_label(&predicted.scores);
        Ok(Scores { scores, scored_by: Scorer::CrossEncoder, cost: predicted.cost })
    }

    /// Returns the scores of the cross-encoder for pairs, `[pairs, labels]`, f32.
    ///
    /// # Errors
    /// - As [`Model::predict_with`].
    pub fn predict(&self, pairs: &[(&str, &str)]) -> Result<Array2<f32>, ModelError> {
        Ok(self.predict_with(pairs, &PairOptions::default())?.scores)
    }

    /// Scores each pair for each label of the cross-encoder. A repeated pair is scored once.
    ///
    /// # Errors
    /// - [`ModelError::NoCrossEncoder`] if no cross-encoder is loaded.
    /// - [`ModelError::TooManyTokens`] if a pair exceeds the model's limit and must not be truncated.
    /// - [`ModelError`] if the model fails.
    pub fn predict_with(
        &self,
        pairs: &[(&str, &str)],
        options: &PairOptions,
    ) -> Result<PredictOutput, ModelError> {
        let (cross_encoder, _) =
            self.parts.cross_encoder.as_ref().ok_or(ModelError::NoCrossEncoder)?;
        self.classify(cross_encoder, pairs, options)
    }

    /// Returns the tokens of each text, not truncated, with the special tokens of the model.
    ///
    /// # Errors
    /// - As [`Model::tokenize_with`].
    pub fn tokenize<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Vec<Token>>, ModelError> {
        Ok(self.tokenize_with(texts, &TokenizeOptions::default())?.tokens)
    }

    /// Returns the tokens of each text, not truncated.
    ///
    /// # Errors
    /// - [`ModelError::UnknownPrompt`] if the model has no such prompt.
    /// - [`ModelError::Tokenize`] if the tokenizer fails on a text.
    /// - [`ModelError::Canceled`] if the call is canceled.
    pub fn tokenize_with<T: AsRef<str>>(
        &self,
        texts: &[T],
        options: &TokenizeOptions,
    ) -> Result<TokenizeOutput, ModelError> {
        self.tokenize_within(texts, options, usize::MAX)
    }

    /// Returns the tokens of each text, not truncated, if they are at most `limit_tokens` in total.
    ///
    /// # Errors
    /// - As [`Model::tokenize_with`].
    /// - [`ModelError::TooManyTokensInTotal`] if there are more. The texts after the one that exceeds
    ///   the limit are not tokenized.
    pub fn tokenize_within<T: AsRef<str>>(
        &self,
        texts: &[T],
        options: &TokenizeOptions,
        limit_tokens: usize,
    ) -> Result<TokenizeOutput, ModelError> {
        let started = Instant::now();
        let texts = texts.iter().map(AsRef::as_ref);
        let texts = self.prompted(texts, options.prompt_name.as_deref())?;
        let mut tokens: Vec<Vec<Token>> = Vec::with_capacity(texts.len());
        let mut prompt_tokens = 0;
        for (index, text) in texts.iter().enumerate() {
            self.cancel.check()?;
            let limit = limit_tokens - prompt_tokens;
            let found = self.parts.encoder.tokens(text, options.special_tokens, limit);
            let found = found.map_err(|source| ModelError::Tokenize { index, source })?;
            let found = found.ok_or(ModelError::TooManyTokensInTotal { limit_tokens })?;
            prompt_tokens += found.len();
            tokens.push(found);
        }
        let cost = Cost {
            texts: texts.len(),
            characters: characters(texts.iter().map(AsRef::as_ref)),
            prompt_tokens,
            tokenize_time: started.elapsed(),
            ..Cost::default()
        };
        Ok(TokenizeOutput { tokens, cost })
    }

    /// Runs each model once, so that its pages are in memory before the next call.
    ///
    /// # Errors
    /// - [`ModelError`] if a model fails on an ordinary text.
    pub fn warm_up(&self) -> Result<(), ModelError> {
        let text = "one two three four five six seven";
        let prepared = self.parts.encoder.prepare([text], Side::Right, &self.cancel)?;
        Embeddings::from_pooled(self.parts.encoder.encode(prepared, &self.cancel)?.pooled)?;
        if let Some((cross_encoder, _)) = &self.parts.cross_encoder {
            let pairs = cross_encoder.prepare([(text, text)], Side::Right, &self.cancel)?;
            cross_encoder.classify(pairs, &self.cancel)?;
        }
        Ok(())
    }

    /// Returns each text with the prompt as a prefix.
    fn prompted<'a>(
        &self,
        texts: impl Iterator<Item = &'a str>,
        prompt_name: Option<&str>,
    ) -> Result<Vec<Cow<'a, str>>, ModelError> {
        let Some(name) = prompt_name else { return Ok(texts.map(Cow::from).collect()) };
        let prompts = &self.parts.info.prompts;
        let unknown = || ModelError::UnknownPrompt { known: prompts.keys().cloned().collect() };
        let prompt = prompts.get(name).ok_or_else(unknown)?;
        Ok(texts.map(|text| format!("{prompt}{text}").into()).collect())
    }

    /// Embeds the distinct texts. Their vectors are pooled and not normalized.
    fn encode<'a>(
        &self,
        texts: &'a [Cow<'a, str>],
        truncation: Truncation,
    ) -> Result<(PooledTexts, Unique<&'a str>, TokenCounts), ModelError> {
        let unique = Unique::new(texts.iter().map(AsRef::as_ref));
        let first_of = |index| first_member(&unique.members, index);
        let prepared = self.parts.encoder.prepare(
            unique.items.iter().copied(),
            truncation.side(),
            &self.cancel,
        );
        let prepared = prepared.map_err(|error| at_index(error, first_of))?;
        let tokens = TokenCounts {
            counts: prepared.token_counts(),
            limit_tokens: self.parts.encoder.max_tokens(),
        };
        let truncated = unique.truncated(&tokens, truncation)?;
        let mut encoded = self.parts.encoder.encode(prepared, &self.cancel)?;
        encoded.cost = Cost {
            texts: texts.len(),
            unique_texts: unique.items.len(),
            characters: characters(texts.iter().map(AsRef::as_ref)),
            prompt_tokens: unique.read_tokens(&tokens),
            truncated,
            ..encoded.cost
        };
        Ok((encoded, unique, tokens))
    }

    /// Scores pairs, `[pairs, labels]`. A repeated pair is scored once.
    fn classify(
        &self,
        cross_encoder: &CrossEncoder,
        pairs: &[(&str, &str)],
        options: &PairOptions,
    ) -> Result<PredictOutput, ModelError> {
        let started = Instant::now();
        let unique = Unique::new(pairs.iter().copied());
        let first_of = |index| first_member(&unique.members, index);
        let prepared = cross_encoder.prepare(
            unique.items.iter().copied(),
            options.truncation.side(),
            &self.cancel,
        );
        let prepared = prepared.map_err(|error| at_index(error, first_of))?;
        let tokens = TokenCounts {
            counts: prepared.iter().map(|pair| (pair.total_tokens, pair.is_truncated())).collect(),
            limit_tokens: cross_encoder.max_tokens(),
        };
        let truncated = unique.truncated(&tokens, options.truncation)?;
        let tokenize_time = started.elapsed();
        let classified = cross_encoder
            .classify(prepared, &self.cancel)
            .map_err(|error| at_index(error, first_of))?;
        let cost = Cost {
            texts: pairs.len(),
            unique_texts: unique.items.len(),
            characters: characters(pairs.iter().flat_map(|&(first, second)| [first, second])),
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
}

/// Returns the index of the first input text that equals distinct text `item`.
fn first_member(members: &[usize], item: usize) -> usize {
    members.iter().position(|&member| member == item).unwrap_or(item)
}

/// Returns the error with its index mapped by `of`.
fn at_index(error: ModelError, of: impl Fn(usize) -> usize) -> ModelError {
    match error {
        ModelError::TooManyTokens { index, tokens, limit_tokens } => {
            ModelError::TooManyTokens { index: of(index), tokens, limit_tokens }
        }
        ModelError::Tokenize { index, source } => ModelError::Tokenize { index: of(index), source },
        ModelError::NotFinite { index } => ModelError::NotFinite { index: of(index) },
        other => other,
    }
}

/// Returns the error of a pair as the error of its text. Index 0 is the query.
fn after_query(error: ModelError) -> ModelError {
    at_index(error, |index| index + 1)
}

fn characters<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).sum()
}
