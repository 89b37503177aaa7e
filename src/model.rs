//! A loaded model and its operations.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ndarray::{Array2, Axis, s};

use crate::cancel::Cancel;
use crate::cost::Cost;
use crate::cross_encoder::CrossEncoder;
use crate::encoder::{Encoder, PooledTexts, PreparedTexts};
use crate::error::{LoadError, ModelError};
use crate::info::{CrossEncoderInfo, ModelInfo};
use crate::load::{LoadTimings, check, load};
use crate::options::{
    EmbedOptions, Options, PairOptions, Prompts, TextOptions, TokenizeOptions, Truncation,
};
use crate::outcome::{EmbedOutput, PredictOutput, RankedText, Scorer, Scores, TokenizeOutput};
use crate::prompted::{Prompt, Prompted};
use crate::tokenizer::{Count, Encoding, Side, Token, Tokenizer, TokenizerError};
use crate::unique::{TokenCounts, Unique};
use crate::vector::{Embeddings, SimilarityFunction, rank};

/// An embedding model, a cross-encoder, or both, ready to run.
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
    encoder: Option<Encoder>,
    cross_encoder: Option<(CrossEncoder, CrossEncoderInfo)>,
    info: ModelInfo,
}

impl Model {
    /// Loads the bundle in a folder. `make model` builds such a folder.
    ///
    /// # Errors
    /// - [`LoadError`], one variant for each part that can fail to load.
    pub fn load(bundle: impl AsRef<Path>, options: Options) -> Result<Self, LoadError> {
        load(Some(bundle.as_ref()), &options)
    }

    /// Loads only the cross-encoder of the options, for [`Model::rerank`] and [`Model::predict`].
    /// Other calls fail with [`ModelError::NoEmbeddingModel`]; tokenization uses its tokenizer.
    ///
    /// # Errors
    /// - [`LoadError::NoBundle`] if the options have no cross-encoder.
    /// - [`LoadError`], one variant for each part that can fail to load.
    pub fn load_cross_encoder(options: Options) -> Result<Self, LoadError> {
        load(None, &options)
    }

    /// Loads a bundle, and runs its model on a text of the maximum length. The bundle can be an embedding
    /// model or a cross-encoder; `options.cross_encoder` is not used.
    ///
    /// # Errors
    /// - [`LoadError`], one variant for each part that can fail to load.
    pub fn check(bundle: impl AsRef<Path>, options: &Options) -> Result<(), LoadError> {
        check(bundle.as_ref(), options)
    }

    /// Returns a model of these parts.
    #[must_use]
    pub fn new(
        encoder: impl Into<Option<Encoder>>,
        cross_encoder: Option<(CrossEncoder, CrossEncoderInfo)>,
        info: ModelInfo,
    ) -> Self {
        let parts = Arc::new(Parts { encoder: encoder.into(), cross_encoder, info });
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

    /// Whether there is an embedding model.
    #[must_use]
    pub fn embeds(&self) -> bool {
        self.parts.encoder.is_some()
    }

    /// The embedding model. Without one, it describes the cross-encoder, and has no dimensions and no
    /// prompts.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.parts.info
    }

    /// The cross-encoder, if there is one.
    #[must_use]
    pub fn cross_encoder(&self) -> Option<&CrossEncoderInfo> {
        self.parts.cross_encoder.as_ref().map(|(_, info)| info)
    }

    /// Returns the similarity of each text to a query, in input order. [`ModelInfo::similarity`] is
    /// the function; usually it is cosine similarity.
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

    /// Returns the similarity of each text to a query. A repeated text is embedded once. Cosine
    /// similarity compares unit vectors; the other functions compare the vectors of
    /// [`Model::embed`].
    ///
    /// # Errors
    /// - [`ModelError::NoEmbeddingModel`] if there is only a cross-encoder.
    /// - [`ModelError::EmptyText`] if a text has no tokens besides special ones.
    /// - [`ModelError::TooManyTokens`] if a text exceeds the model's limit and must not be truncated.
    /// - [`ModelError::UnknownPrompt`] if the model has no such prompt.
    /// - [`ModelError`] if the model fails.
    pub fn similarity_with<T: AsRef<str>>(
        &self,
        query: &str,
        texts: &[T],
        options: &TextOptions,
    ) -> Result<Scores, ModelError> {
        let (query_prompt, prompt) = match &options.prompts {
            Prompts::ByRole => (self.parts.info.query_prompt(), self.parts.info.document_prompt()),
            Prompts::Named(name) => (Some(name.as_str()), Some(name.as_str())),
            Prompts::Off => (None, None),
        };
        let (query_prompt, prompt) = (self.prompt(query_prompt)?, self.prompt(prompt)?);
        let others = texts.iter().map(|text| prompt.before(text.as_ref()));
        let prompted: Vec<_> = std::iter::once(query_prompt.before(query)).chain(others).collect();
        if texts.is_empty() {
            // The query is checked like that of any other call.
            if let Some(error) = self.faults(&prompted, options.truncation)?.into_iter().next() {
                return Err(error);
            }
            let (scores, cost) = (Vec::new(), Cost::default());
            return Ok(Scores { scores, scored_by: Scorer::BiEncoder, cost });
        }
        let count = options.truncation.count();
        let (encoded, unique, _) = self.encode(&prompted, options.truncation, count)?;
        let function = self.parts.info.similarity;
        let is_unit = function == SimilarityFunction::Cosine || self.parts.info.normalizes;
        let rows = self.rows(encoded.pooled, is_unit)?;
        let query = rows.row(unique.members[0]);
        let others = unique.members[1..].iter();
        let scores = others.map(|&text| function.score(query, rows.row(text))).collect();
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
    /// - [`ModelError::EmptyText`] if a text has no tokens besides special ones.
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
        self.encoder()?;
        let available = self.parts.info.dimensions;
        let requested = options.dimensions.unwrap_or(available);
        if requested == 0 {
            return Err(ModelError::NoDimensions);
        }
        if requested > available {
            return Err(ModelError::TooManyDimensions { requested, available });
        }
        let prompt = self.prompt(options.prompt_name.as_deref())?;
        let texts: Vec<_> = texts.iter().map(|text| prompt.before(text.as_ref())).collect();
        let count = if options.count_tokens { Count::All } else { options.truncation.count() };
        let (encoded, unique, tokens) = self.encode(&texts, options.truncation, count)?;
        // Without texts, `pooled` has no columns.
        let columns = requested.min(encoded.pooled.ncols());
        let vectors = encoded.pooled.slice_move(s![.., ..columns]);
        let vectors =
            self.rows(vectors, options.normalize.unwrap_or(self.parts.info.normalizes))?;
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
            let options = TextOptions { truncation: options.truncation, prompts: Prompts::ByRole };
            return self.similarity_with(query, texts, &options);
        };
        let pairs: Vec<_> = texts.iter().map(|text| (query, text.as_ref())).collect();
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
    /// - [`ModelError::EmptyText`] if a text of a pair has no tokens besides special ones.
    /// - [`ModelError::TooManyTokens`] if a pair exceeds the model's limit and must not be truncated.
    /// - [`ModelError`] if the model fails.
    pub fn predict_with(
        &self,
        pairs: &[(&str, &str)],
        options: &PairOptions,
    ) -> Result<PredictOutput, ModelError> {
        let (cross_encoder, _) =
            self.parts.cross_encoder.as_ref().ok_or(ModelError::NoCrossEncoder)?;
        classify(cross_encoder, pairs, options, &self.cancel)
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
    /// - [`ModelError::EmptyText`] if a text has no tokens besides special ones.
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
        let prompt = self.prompt(options.prompt_name.as_deref())?;
        let texts: Vec<_> = texts.iter().map(|text| prompt.before(text.as_ref())).collect();
        let tokenizer = self.tokenizer()?;
        let mut tokens: Vec<Vec<Token>> = Vec::with_capacity(texts.len());
        let mut prompt_tokens = 0;
        for (index, text) in texts.iter().enumerate() {
            self.cancel.check()?;
            let failed = |source| ModelError::Tokenize { index, source };
            let limit = limit_tokens - prompt_tokens;
            let found = tokenizer.tokens(&text.whole, options.special_tokens, limit);
            let found = found.map_err(failed)?;
            let found = found.ok_or(ModelError::TooManyTokensInTotal { limit_tokens })?;
            let own = found.iter().filter(|token| token.characters.is_some()).count();
            if own == 0 || Self::is_empty(tokenizer, text, found.len()).map_err(failed)? {
                return Err(ModelError::EmptyText { index, text: 0 });
            }
            prompt_tokens += found.len();
            tokens.push(found);
        }
        let cost = Cost {
            texts: texts.len(),
            characters: characters(texts.iter().map(|text| text.whole.as_ref())),
            prompt_tokens,
            tokenize_time: started.elapsed(),
            ..Cost::default()
        };
        Ok(TokenizeOutput { tokens, cost })
    }

    /// Returns the start of a text that has the first `tokens` tokens, without special tokens, or `None`
    /// if the text has no more tokens.
    ///
    /// # Errors
    /// - [`ModelError::Tokenize`] if the tokenizer fails on the text.
    pub fn first_tokens<'t>(
        &self,
        text: &'t str,
        tokens: usize,
    ) -> Result<Option<&'t str>, ModelError> {
        let failed = |source| ModelError::Tokenize { index: 0, source };
        let characters = self.tokenizer()?.characters_of(text, tokens).map_err(failed)?;
        let end =
            |characters| text.char_indices().nth(characters).map_or(text.len(), |(end, _)| end);
        Ok(characters.map(|characters| &text[..end(characters)]))
    }

    /// Returns the text of token ids, for each text. Whether it equals the text that was tokenized
    /// depends on the tokenizer.
    ///
    /// # Errors
    /// - [`ModelError::UnknownToken`] if an id is not in the vocabulary.
    /// - [`ModelError::Tokenize`] if the tokenizer fails on the ids.
    pub fn decode(
        &self,
        texts: &[Vec<u32>],
        skip_special: bool,
    ) -> Result<Vec<String>, ModelError> {
        let tokenizer = self.tokenizer()?;
        let text = |(index, ids): (usize, &Vec<u32>)| {
            if let Some(id) = ids.iter().copied().find(|&id| !tokenizer.has_token(id)) {
                let count = tokenizer.vocabulary_size();
                return Err(ModelError::UnknownToken { index, id, count });
            }
            let failed = |source| ModelError::Tokenize { index, source };
            tokenizer.decode(ids, skip_special).map_err(failed)
        };
        texts.iter().enumerate().map(text).collect()
    }

    /// Runs each model once, so that its pages are in memory before the next call.
    ///
    /// # Errors
    /// - [`ModelError`] if a model fails on an ordinary text.
    pub fn warm_up(&self) -> Result<(), ModelError> {
        let text = "one two three four five six seven";
        if let Some(encoder) = &self.parts.encoder {
            let prepared = encoder.prepare([text], Side::Right, Count::UpToLimit, &self.cancel)?;
            Embeddings::from_pooled(encoder.encode(prepared, &self.cancel)?.pooled)?;
        }
        if let Some((cross_encoder, _)) = &self.parts.cross_encoder {
            let pairs = cross_encoder.prepare(
                [(text, text)],
                Side::Right,
                Count::UpToLimit,
                &self.cancel,
            )?;
            cross_encoder.classify(pairs, &self.cancel)?;
        }
        Ok(())
    }

    /// Returns every fault of these texts that a call would refuse, in input order. Without faults,
    /// a call with the texts succeeds unless the model fails. `index` of an error is the index of the
    /// text.
    ///
    /// # Errors
    /// - [`ModelError::UnknownPrompt`] if the model has no such prompt.
    /// - [`ModelError::Tokenize`] if the tokenizer fails on a text.
    pub fn text_faults<T: AsRef<str>>(
        &self,
        texts: &[T],
        prompt_name: Option<&str>,
        truncation: Truncation,
    ) -> Result<Vec<ModelError>, ModelError> {
        let prompt = self.prompt(prompt_name)?;
        let texts: Vec<_> = texts.iter().map(|text| prompt.before(text.as_ref())).collect();
        self.faults(&texts, truncation)
    }

    /// Returns every fault of these pairs that [`Model::predict_with`] would refuse, in input order.
    /// `index` of an error is the index of the pair.
    ///
    /// # Errors
    /// - [`ModelError::NoCrossEncoder`] if no cross-encoder is loaded.
    /// - [`ModelError::Tokenize`] if the tokenizer fails on a pair.
    pub fn pair_faults(
        &self,
        pairs: &[(&str, &str)],
        truncation: Truncation,
    ) -> Result<Vec<ModelError>, ModelError> {
        let (cross_encoder, _) =
            self.parts.cross_encoder.as_ref().ok_or(ModelError::NoCrossEncoder)?;
        let (unique, _, tokens) = prepare_pairs(cross_encoder, pairs, truncation, &self.cancel)?;
        Ok(unique.faults(&tokens, truncation).collect())
    }

    /// Returns the prompt of a name. Without a name, it is empty.
    fn prompt(&self, name: Option<&str>) -> Result<Prompt<'_>, ModelError> {
        let Some(name) = name else { return Ok(Prompt::default()) };
        let prompts = &self.parts.info.prompts;
        let unknown = || ModelError::UnknownPrompt { known: prompts.keys().cloned().collect() };
        let text = prompts.get(name).ok_or_else(unknown)?;
        let failed = |source| ModelError::Tokenize { index: 0, source };
        let encoding = self.tokenizer()?.encode(text, Side::Right, Count::All).map_err(failed)?;
        let tokens = encoding.total_tokens;
        Ok(Prompt { text, tokens })
    }

    /// Whether a text has no tokens besides special ones, given the number of tokens with its prompt.
    fn is_empty(
        tokenizer: &Tokenizer,
        text: &Prompted<'_>,
        tokens: usize,
    ) -> Result<bool, TokenizerError> {
        // A text that adds tokens to its prompt is not empty.
        if text.prompt_tokens == 0 || tokens > text.prompt_tokens {
            return Ok(false);
        }
        Ok(tokenizer.encode(text.own, Side::Right, Count::UpToLimit)?.empty_text.is_some())
    }

    /// The embedding model.
    fn encoder(&self) -> Result<&Encoder, ModelError> {
        self.parts.encoder.as_ref().ok_or(ModelError::NoEmbeddingModel)
    }

    /// The tokenizer of the embedding model, or else that of the cross-encoder.
    fn tokenizer(&self) -> Result<&Tokenizer, ModelError> {
        let pairs =
            self.parts.cross_encoder.as_ref().map(|(cross_encoder, _)| cross_encoder.tokenizer());
        let own = self.parts.encoder.as_ref().map(Encoder::tokenizer);
        own.or(pairs).ok_or(ModelError::NoEmbeddingModel)
    }

    /// Returns pooled vectors as rows of a response: of unit length, or unchanged. A vector without a
    /// direction is an error in both cases.
    fn rows(&self, pooled: Array2<f32>, is_unit: bool) -> Result<Array2<f32>, ModelError> {
        if is_unit {
            return Ok(Embeddings::from_pooled(pooled)?.into_rows());
        }
        Embeddings::check(&pooled)?;
        Ok(pooled)
    }

    /// Tokenizes the distinct texts.
    fn prepare<'a>(
        &self,
        texts: &'a [Prompted<'a>],
        truncation: Truncation,
        count: Count,
    ) -> Result<(Unique<&'a str>, PreparedTexts, TokenCounts), ModelError> {
        let unique = Unique::new(texts.iter().map(|text| text.whole.as_ref()));
        let first_of = |index| first_member(&unique.members, index);
        let encoder = self.encoder()?;
        let items = unique.items.iter().copied();
        let prepared = encoder.prepare(items, truncation.side(), count, &self.cancel);
        let prepared = prepared.map_err(|error| at_index(error, first_of))?;
        let counts = prepared.token_counts();
        let mut empty = prepared.empty_texts();
        for (&item, text) in unique.members.iter().zip(texts) {
            let failed = |source| ModelError::Tokenize { index: first_of(item), source };
            let count = counts[item].0;
            let is_empty = || Self::is_empty(encoder.tokenizer(), text, count).map_err(failed);
            if empty[item].is_none() && is_empty()? {
                empty[item] = Some(0);
            }
        }
        let tokens = TokenCounts { counts, empty, limit_tokens: encoder.max_tokens() };
        Ok((unique, prepared, tokens))
    }

    fn faults(
        &self,
        texts: &[Prompted<'_>],
        truncation: Truncation,
    ) -> Result<Vec<ModelError>, ModelError> {
        let (unique, _, tokens) = self.prepare(texts, truncation, truncation.count())?;
        Ok(unique.faults(&tokens, truncation).collect())
    }

    /// Embeds the distinct texts. Their vectors are pooled and not normalized.
    fn encode<'a>(
        &self,
        texts: &'a [Prompted<'a>],
        truncation: Truncation,
        count: Count,
    ) -> Result<(PooledTexts, Unique<&'a str>, TokenCounts), ModelError> {
        let (unique, prepared, tokens) = self.prepare(texts, truncation, count)?;
        if let Some(error) = unique.faults(&tokens, truncation).next() {
            return Err(error);
        }
        let truncated = unique.truncated(&tokens);
        let mut encoded = self.encoder()?.encode(prepared, &self.cancel)?;
        encoded.cost = Cost {
            texts: texts.len(),
            unique_texts: unique.items.len(),
            characters: characters(texts.iter().map(|text| text.whole.as_ref())),
            prompt_tokens: unique.read_tokens(&tokens),
            truncated,
            ..encoded.cost
        };
        Ok((encoded, unique, tokens))
    }
}

/// The distinct pairs of a call, their tokens, and their numbers of tokens.
type PreparedPairs<'a> = (Unique<(&'a str, &'a str)>, Vec<Encoding>, TokenCounts);

/// Tokenizes the distinct pairs.
fn prepare_pairs<'a>(
    cross_encoder: &CrossEncoder,
    pairs: &[(&'a str, &'a str)],
    truncation: Truncation,
    cancel: &Cancel,
) -> Result<PreparedPairs<'a>, ModelError> {
    let unique = Unique::new(pairs.iter().copied());
    let first_of = |index| first_member(&unique.members, index);
    let items = unique.items.iter().copied();
    let prepared = cross_encoder.prepare(items, truncation.side(), truncation.count(), cancel);
    let prepared = prepared.map_err(|error| at_index(error, first_of))?;
    let tokens = TokenCounts {
        counts: prepared.iter().map(|pair| (pair.total_tokens, pair.is_truncated())).collect(),
        empty: prepared.iter().map(|pair| pair.empty_text).collect(),
        limit_tokens: cross_encoder.max_tokens(),
    };
    Ok((unique, prepared, tokens))
}

/// Scores pairs, `[pairs, labels]`. A repeated pair is scored once.
fn classify(
    cross_encoder: &CrossEncoder,
    pairs: &[(&str, &str)],
    options: &PairOptions,
    cancel: &Cancel,
) -> Result<PredictOutput, ModelError> {
    let started = Instant::now();
    let (unique, prepared, tokens) =
        prepare_pairs(cross_encoder, pairs, options.truncation, cancel)?;
    if let Some(error) = unique.faults(&tokens, options.truncation).next() {
        return Err(error);
    }
    let first_of = |index| first_member(&unique.members, index);
    let truncated = unique.truncated(&tokens);
    let tokenize_time = started.elapsed();
    let classified =
        cross_encoder.classify(prepared, cancel).map_err(|error| at_index(error, first_of))?;
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
        ModelError::EmptyText { index, text } => ModelError::EmptyText { index: of(index), text },
        ModelError::Tokenize { index, source } => ModelError::Tokenize { index: of(index), source },
        ModelError::NotFinite { index } => ModelError::NotFinite { index: of(index) },
        other => other,
    }
}

/// Returns the error of a pair as the error of one of its texts. Index 0 is the query.
fn after_query(error: ModelError) -> ModelError {
    match error {
        ModelError::EmptyText { text: 0, .. } => ModelError::EmptyText { index: 0, text: 0 },
        ModelError::EmptyText { index, .. } => ModelError::EmptyText { index: index + 1, text: 0 },
        error => at_index(error, |index| index + 1),
    }
}

fn characters<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).sum()
}
