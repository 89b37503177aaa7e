//! Embedding and comparing texts.

use std::hash::Hash;

use ndarray::{Array2, Axis, s};

use super::{Model, characters};
use crate::cost::Cost;
use crate::encoder::{Encoder, PooledTexts, PreparedTexts};
use crate::error::ModelError;
use crate::options::{EmbedOptions, Prompts, TextOptions, Truncation};
use crate::outcome::{EmbedOutput, Scorer, Scores};
use crate::prompted::{Prompt, Prompted};
use crate::tokenizer::{Count, Reading, Side, Tokenizer, TokenizerError};
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
            let faults = self.faults(&prompted, options.truncation, options.text_tokens)?;
            if let Some(error) = faults.into_iter().next() {
                return Err(error);
            }
            let (scores, cost) = (Vec::new(), Cost::default());
            return Ok(Scores { scores, scored_by: Scorer::BiEncoder, cost });
        }
        let reading = Reading { text_tokens: options.text_tokens, ..reading(options.truncation) };
        let (encoded, unique, _) = self.encode(&prompted, options.truncation, reading)?;
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
        let requested = self.dimensions(options)?;
        let prompt = self.prompt(self.parts.info.text_prompt(&options.prompts))?;
        let texts: Vec<_> = texts.iter().map(|text| prompt.before(text.as_ref())).collect();
        let reading = reading(options.truncation);
        let count = if options.count_tokens { Count::All } else { reading.count };
        let reading = Reading { count, text_tokens: options.text_tokens, ..reading };
        let encoded = self.encode(&texts, options.truncation, reading)?;
        self.output(encoded, requested, options)
    }

    /// Embeds texts that are given as token ids. The ids are read as they are: special tokens and prompts
    /// are not added, and `options.prompts` is not used.
    ///
    /// # Errors
    /// - [`ModelError::UnknownToken`] if an id is not in the vocabulary.
    /// - As [`Model::embed_with`].
    pub fn embed_ids_with(
        &self,
        texts: &[&[u32]],
        options: &EmbedOptions,
    ) -> Result<EmbedOutput, ModelError> {
        let requested = self.dimensions(options)?;
        if let Some(fault) = self.id_faults(texts, options)?.into_iter().next() {
            return Err(fault);
        }
        let (unique, prepared, tokens) = self.prepare_ids(texts, options)?;
        let truncated = unique.truncated(&tokens);
        let mut encoded = self.encoder()?.encode(prepared, &self.cancel)?;
        encoded.cost = Cost {
            texts: texts.len(),
            unique_texts: unique.items.len(),
            prompt_tokens: unique.read_tokens(&tokens),
            truncated,
            ..encoded.cost
        };
        self.output((encoded, unique, tokens), requested, options)
    }

    /// Returns every fault of these token ids that [`Model::embed_ids_with`] would refuse, in input order.
    ///
    /// # Errors
    /// - [`ModelError::NoEmbeddingModel`] if there is only a cross-encoder.
    pub fn id_faults(
        &self,
        texts: &[&[u32]],
        options: &EmbedOptions,
    ) -> Result<Vec<ModelError>, ModelError> {
        let tokenizer = self.encoder()?.tokenizer();
        let count = tokenizer.vocabulary_size();
        let unknown = |(index, ids): (usize, &&[u32])| {
            let id = ids.iter().copied().find(|&id| !tokenizer.has_token(id))?;
            Some(ModelError::UnknownToken { index, id, count })
        };
        let mut faults: Vec<ModelError> = texts.iter().enumerate().filter_map(unknown).collect();
        let (unique, _, tokens) = self.prepare_ids(texts, options)?;
        let is_known = |index| faults.iter().all(|fault: &ModelError| fault.index() != Some(index));
        let others = unique.faults(&tokens, options.truncation);
        let others: Vec<ModelError> =
            others.filter(|fault| fault.index().is_none_or(is_known)).collect();
        faults.extend(others);
        faults.sort_by_key(ModelError::index);
        Ok(faults)
    }

    /// Number of special tokens around a text.
    ///
    /// # Errors
    /// - [`ModelError::NoEmbeddingModel`] if there is only a cross-encoder.
    pub fn special_tokens(&self) -> Result<usize, ModelError> {
        Ok(self.encoder()?.tokenizer().special_tokens())
    }

    /// Returns the number of dimensions of the embeddings of a call.
    fn dimensions(&self, options: &EmbedOptions) -> Result<usize, ModelError> {
        self.encoder()?;
        let available = self.parts.info.dimensions;
        match options.dimensions.unwrap_or(available) {
            0 => Err(ModelError::NoDimensions),
            requested if requested > available => {
                Err(ModelError::TooManyDimensions { requested, available })
            }
            requested => Ok(requested),
        }
    }

    /// Returns the output of a call from the pooled vectors of its distinct texts.
    fn output<T: Copy + Eq + Hash>(
        &self,
        (encoded, unique, tokens): (PooledTexts, Unique<T>, TokenCounts),
        dimensions: usize,
        options: &EmbedOptions,
    ) -> Result<EmbedOutput, ModelError> {
        // Without texts, `pooled` has no columns.
        let columns = dimensions.min(encoded.pooled.ncols());
        let vectors = encoded.pooled.slice_move(s![.., ..columns]);
        let is_unit = options.normalize.unwrap_or(self.parts.info.normalizes);
        let vectors = Self::rows(vectors, is_unit, &unique)?;
        let vectors = vectors.select(Axis(0), &unique.members);
        let tokens = unique.members.iter().map(|&text| tokens.counts[text]).collect();
        Ok(EmbedOutput { vectors, tokens, cost: encoded.cost })
    }

    /// Reads the distinct lists of token ids.
    fn prepare_ids<'a>(
        &self,
        texts: &[&'a [u32]],
        options: &EmbedOptions,
    ) -> Result<(Unique<&'a [u32]>, PreparedTexts, TokenCounts), ModelError> {
        let encoder = self.encoder()?;
        let unique = Unique::new(texts.iter().copied());
        let reading = Reading { text_tokens: options.text_tokens, ..reading(options.truncation) };
        let prepared = encoder.prepare_ids(unique.items.iter().copied(), reading);
        let (counts, empty) = (prepared.token_counts(), prepared.empty_texts());
        let limit_tokens = limit_tokens(encoder, reading);
        Ok((unique, prepared, TokenCounts { counts, empty, limit_tokens }))
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
        self.text_faults_within(texts, prompt_name, truncation, None)
    }

    /// As [`Model::text_faults`], with the limit [`EmbedOptions::text_tokens`].
    ///
    /// # Errors
    /// - As [`Model::text_faults`].
    pub fn text_faults_within<T: AsRef<str>>(
        &self,
        texts: &[T],
        prompt_name: Option<&str>,
        truncation: Truncation,
        text_tokens: Option<usize>,
    ) -> Result<Vec<ModelError>, ModelError> {
        let prompt = self.prompt(prompt_name)?;
        let texts: Vec<_> = texts.iter().map(|text| prompt.before(text.as_ref())).collect();
        self.faults(&texts, truncation, text_tokens)
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
    fn rows<T: Copy + Eq + Hash>(
        pooled: Array2<f32>,
        is_unit: bool,
        unique: &Unique<T>,
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
        reading: Reading,
    ) -> Result<(Unique<&'a str>, PreparedTexts, TokenCounts), ModelError> {
        let unique = Unique::new(texts.iter().map(|text| text.whole.as_ref()));
        let encoder = self.encoder()?;
        let items = unique.items.iter().copied();
        let prepared = encoder.prepare(items, reading, &self.cancel);
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
        let limit_tokens = limit_tokens(encoder, reading);
        Ok((unique, prepared, TokenCounts { counts, empty, limit_tokens }))
    }

    /// Returns every fault of texts with their prompts.
    pub(super) fn faults(
        &self,
        texts: &[Prompted<'_>],
        truncation: Truncation,
        text_tokens: Option<usize>,
    ) -> Result<Vec<ModelError>, ModelError> {
        let reading = Reading { text_tokens, ..reading(truncation) };
        let (unique, _, tokens) = self.prepare(texts, reading)?;
        Ok(unique.faults(&tokens, truncation).collect())
    }

    /// Embeds the distinct texts. Their vectors are pooled and not normalized.
    fn encode<'a>(
        &self,
        texts: &'a [Prompted<'a>],
        truncation: Truncation,
        reading: Reading,
    ) -> Result<(PooledTexts, Unique<&'a str>, TokenCounts), ModelError> {
        let (unique, prepared, tokens) = self.prepare(texts, reading)?;
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

/// How texts are read.
pub(super) fn reading(truncation: Truncation) -> Reading {
    Reading { side: truncation.side(), count: truncation.count(), text_tokens: None }
}

/// Maximum number of tokens of a text, special tokens included.
pub(super) fn limit_tokens(encoder: &Encoder, reading: Reading) -> usize {
    let own = reading.text_tokens;
    let own = own.map(|tokens| tokens.saturating_add(encoder.tokenizer().special_tokens()));
    encoder.max_tokens().min(own.unwrap_or(usize::MAX))
}
