//! Embedding and comparing texts.

use ndarray::{Array2, Axis, s};

use super::{Model, characters};
use crate::cost::Cost;
use crate::encoder::{PooledTexts, PreparedTexts};
use crate::error::ModelError;
use crate::options::{EmbedOptions, Prompts, TextOptions, Truncation};
use crate::outcome::{EmbedOutput, Scorer, Scores};
use crate::prompted::{Prompt, Prompted};
use crate::tokenizer::{Count, Side, Tokenizer, TokenizerError};
use crate::unique::{TokenCounts, Unique};
use crate::vector::{Embeddings, SimilarityFunction};

impl Model {
    /// Returns the similarity of each text to a query, in input order.
    /// [`ModelInfo::similarity`](crate::info::ModelInfo::similarity) is the function; usually it is
    /// cosine similarity.
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
        let rows = Self::rows(encoded.pooled, is_unit, &unique)?;
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
        let prompt = self.prompt(self.parts.info.text_prompt(&options.prompts))?;
        let texts: Vec<_> = texts.iter().map(|text| prompt.before(text.as_ref())).collect();
        let count = if options.count_tokens { Count::All } else { options.truncation.count() };
        let (encoded, unique, tokens) = self.encode(&texts, options.truncation, count)?;
        // Without texts, `pooled` has no columns.
        let columns = requested.min(encoded.pooled.ncols());
        let vectors = encoded.pooled.slice_move(s![.., ..columns]);
        let is_unit = options.normalize.unwrap_or(self.parts.info.normalizes);
        let vectors = Self::rows(vectors, is_unit, &unique)?;
        let vectors = vectors.select(Axis(0), &unique.members);
        let tokens = unique.members.iter().map(|&text| tokens.counts[text]).collect();
        Ok(EmbedOutput { vectors, tokens, cost: encoded.cost })
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

    /// Returns the prompt of a name. Without a name, it is empty.
    pub(super) fn prompt(&self, name: Option<&str>) -> Result<Prompt<'_>, ModelError> {
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
    pub(super) fn is_empty(
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

    /// Returns the pooled vectors of distinct texts as rows of a response: of unit length, or
    /// unchanged. A vector without a direction is an error in both cases.
    fn rows(
        pooled: Array2<f32>,
        is_unit: bool,
        unique: &Unique<&str>,
    ) -> Result<Array2<f32>, ModelError> {
        let rows = match is_unit {
            true => Embeddings::from_pooled(pooled).map(Embeddings::into_rows),
            false => Embeddings::check(&pooled).map(|()| pooled),
        };
        rows.map_err(|error| ModelError::from(error).at_index(|row| unique.first(row)))
    }

    /// Tokenizes the distinct texts.
    fn prepare<'a>(
        &self,
        texts: &'a [Prompted<'a>],
        truncation: Truncation,
        count: Count,
    ) -> Result<(Unique<&'a str>, PreparedTexts, TokenCounts), ModelError> {
        let unique = Unique::new(texts.iter().map(|text| text.whole.as_ref()));
        let encoder = self.encoder()?;
        let items = unique.items.iter().copied();
        let prepared = encoder.prepare(items, truncation.side(), count, &self.cancel);
        let prepared = prepared.map_err(|error| error.at_index(|item| unique.first(item)))?;
        let counts = prepared.token_counts();
        let mut empty = prepared.empty_texts();
        for (&item, text) in unique.members.iter().zip(texts) {
            let failed = |source| ModelError::Tokenize { index: unique.first(item), source };
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
