//! The operations: each reads as its pipeline.

mod unique;
mod usage;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Instant;

use ndarray::{Array2, Axis, s};

use crate::api::{
    About, Answer, Cut, EmbedRequest, Embedded, Field, Limits, Operation, PredictRequest,
    Predicted, RequestError, RerankRequest, Reranked, Scorer, SimilarityRequest, TokenOfText,
    TokenizeRequest, openai::ModelList,
};
use crate::encoder::{EncodeError, Encoded, Encoder, Prepared};
use crate::reranker::Reranker;
use crate::text::Side;
use crate::vector::{Embeddings, cosine};

use unique::Unique;

pub use usage::Usage;

/// The models with the limits of their requests.
pub struct Service {
    encoder: Encoder,
    reranker: Option<Reranker>,
    options: ServiceOptions,
}

/// What a [`Service`] does with its models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Bounds of one request.
    pub limits: Limits,
    /// Whether the model's embeddings are of unit length.
    pub normalize: bool,
    /// Prefixes by name, as the model was trained with.
    pub prompts: BTreeMap<String, String>,
    /// What it tells of itself.
    pub about: About,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The request is at fault.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The model is at fault.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl ServiceError {
    /// Every code that is not a request's.
    pub const CODES: [&'static str; 4] = [
        "model.tokenisation_failed",
        "model.inference_failed",
        "model.degenerate_embedding",
        "model.invalid_logits",
    ];

    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Request(error) => error.code(),
            Self::Encode(EncodeError::Tokenize { .. }) => "model.tokenisation_failed",
            Self::Encode(EncodeError::Infer(_)) => "model.inference_failed",
            Self::Encode(EncodeError::Degenerate(_)) => "model.degenerate_embedding",
            Self::Encode(EncodeError::NotFinite { .. } | EncodeError::Labels { .. }) => {
                "model.invalid_logits"
            }
        }
    }

    /// Whether the caller, not the model, is at fault.
    #[must_use]
    pub fn is_client_fault(&self) -> bool {
        matches!(self, Self::Request(_))
    }
}

impl Service {
    /// Returns a service over these models; without a reranker, pairs are scored by the encoder.
    #[must_use]
    pub fn new(encoder: Encoder, reranker: Option<Reranker>, options: ServiceOptions) -> Self {
        Self { encoder, reranker, options }
    }

    /// What one request may ask for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.options.limits
    }

    /// Models, limits and version.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.options.about
    }

    /// Carries out an operation and puts its answer in the dialect that was spoken.
    ///
    /// # Errors
    /// - As the operation: [`Service::similarity`] and those that follow it.
    pub fn answer(&self, operation: &Operation) -> Result<(Answer, Usage), ServiceError> {
        let nothing = Usage::default;
        Ok(match operation {
            Operation::Similarity(request, form) => {
                let (scores, usage) = self.similarity(request)?;
                (Answer::similarity(request, *form, scores, &usage.cut), usage)
            }
            Operation::Embed(request, form) => {
                let (embedded, usage) = self.embed(request)?;
                let model = &self.options.about.model_id;
                (Answer::embedded(embedded, *form, model, usage.prompt_tokens), usage)
            }
            Operation::Rerank(request, form) => {
                let (reranked, usage) = self.rerank(request)?;
                (Answer::reranked(request, *form, &reranked), usage)
            }
            Operation::Predict(request) => {
                let (predicted, usage) = self.predict(request)?;
                (Answer::predicted(request, &predicted), usage)
            }
            Operation::Tokenize(request) => {
                let (tokens, usage) = self.tokenize(request)?;
                (Answer::Tokens(tokens), usage)
            }
            Operation::Info => (Answer::About(self.options.about.clone()), nothing()),
            Operation::Models => (Answer::Models(self.models()), nothing()),
            Operation::Health => (Answer::status("ok"), nothing()),
            Operation::WarmUp => (Answer::status("warm"), nothing()),
        })
    }

    /// Returns the cosine similarity of each candidate to the query, in input order.
    ///
    /// # Errors
    /// - [`RequestError::TooManyTokens`] if a text exceeds the model's limit and may not be cut.
    /// - [`RequestError::UnknownValue`] if the model has no such prompt.
    /// - [`EncodeError`] if the model fails.
    pub fn similarity(
        &self,
        request: &SimilarityRequest,
    ) -> Result<(Vec<f32>, Usage), ServiceError> {
        let candidates = request.candidates();
        if candidates.is_empty() {
            return Ok((Vec::new(), Usage::default()));
        }
        let texts = std::iter::once(request.query()).chain(candidates.iter().map(String::as_str));
        let texts = self.prompted(texts, request.prompt_name())?;
        let field_of = |index| request.field_of(index);
        let (encoded, unique, usage) = self.encode(&texts, request.cut(), field_of)?;
        let embeddings = Embeddings::from_pooled(encoded.pooled).map_err(EncodeError::from)?;
        let query = embeddings.row(unique.members[0]);
        let others = unique.members[1..].iter();
        Ok((others.map(|&text| cosine(query, embeddings.row(text))).collect(), usage))
    }

    /// Embeds texts; a text repeated is embedded once.
    ///
    /// # Errors
    /// - [`RequestError::TooManyTokens`] if a text exceeds the model's limit and may not be cut.
    /// - [`RequestError::UnknownValue`] if the model has no such prompt.
    /// - [`RequestError::OutOfRange`] if there are not as many dimensions.
    /// - [`EncodeError`] if the model fails.
    pub fn embed(&self, request: &EmbedRequest) -> Result<(Embedded, Usage), ServiceError> {
        let dimensions = self.options.about.dimensions;
        let wanted = request.dimensions.unwrap_or(dimensions);
        if wanted > dimensions {
            return Err(RequestError::OutOfRange {
                field: Field::named("dimensions"),
                minimum: 1,
                maximum: Some(dimensions as u64),
                found: wanted.to_string(),
            }
            .into());
        }
        let prompt_name = request.prompt_name.as_deref();
        let texts = request.texts.as_slice().iter().map(String::as_str);
        let texts = self.prompted(texts, prompt_name)?;
        let field_of = |index| request.texts.field_of(index);
        let (encoded, unique, usage) = self.encode(&texts, request.cut, field_of)?;
        let vectors = encoded.pooled.slice_move(s![.., ..wanted]);
        let vectors = match request.normalize.unwrap_or(self.options.normalize) {
            true => Embeddings::from_pooled(vectors).map_err(EncodeError::from)?.into_rows(),
            false => vectors,
        };
        let vectors = vectors.select(Axis(0), &unique.members);
        let tokens = unique.members.iter().map(|&text| unique.tokens[text]).collect();
        Ok((Embedded { vectors, tokens }, usage))
    }

    /// Scores each text by its worth to the query: with the cross-encoder if there is one that
    /// gives one score a pair, else with the encoder.
    ///
    /// # Errors
    /// - [`RequestError::TooManyTokens`] if a text, or a pair, exceeds the model's limit and may not
    ///   be cut.
    /// - [`EncodeError`] if the model fails.
    pub fn rerank(&self, request: &RerankRequest) -> Result<(Reranked, Usage), ServiceError> {
        let query = request.query.as_slice().first().map_or("", String::as_str);
        let texts = request.texts.as_slice().iter().map(String::as_str);
        let (scores, scored_by, usage) = match self.reranker.as_ref().filter(|one| one.ranks()) {
            Some(reranker) => {
                let pairs: Vec<_> = texts.map(|text| (query, text)).collect();
                let field_of = |pair| request.field_of(pair + 1);
                let (scores, mut usage) =
                    classify(reranker, &pairs, request.cut, request.raw_scores, field_of)?;
                // The query is 0 here as it is for the encoder; a cut pair is told by its text.
                usage.cut.iter_mut().for_each(|index| *index += 1);
                (Reranker::only(&scores), Scorer::CrossEncoder, usage)
            }
            None => {
                let texts: Vec<_> = std::iter::once(query).chain(texts).map(Cow::from).collect();
                let field_of = |index| request.field_of(index);
                let (encoded, unique, usage) = self.encode(&texts, request.cut, field_of)?;
                let rows = Embeddings::from_pooled(encoded.pooled).map_err(EncodeError::from)?;
                let query = rows.row(unique.members[0]);
                let others = unique.members[1..].iter();
                let scores = others.map(|&text| cosine(query, rows.row(text))).collect();
                (scores, Scorer::BiEncoder, usage)
            }
        };
        Ok((Reranked { scores, scored_by }, Usage { scored_by: Some(scored_by), ..usage }))
    }

    /// Scores each pair for each label of the cross-encoder.
    ///
    /// # Errors
    /// - [`RequestError::NoCrossEncoder`] if there is none.
    /// - [`RequestError::TooManyTokens`] if a pair exceeds the model's limit and may not be cut.
    /// - [`EncodeError`] if the model fails.
    pub fn predict(&self, request: &PredictRequest) -> Result<(Predicted, Usage), ServiceError> {
        let reranker = self.reranker.as_ref().ok_or(RequestError::NoCrossEncoder)?;
        let pairs = request.pairs.iter().map(|[first, second]| (first.as_str(), second.as_str()));
        let pairs: Vec<_> = pairs.collect();
        let field_of = |pair| request.field_of(pair);
        let (scores, usage) =
            classify(reranker, &pairs, request.cut, request.raw_scores, field_of)?;
        Ok((Predicted { scores }, usage))
    }

    /// Returns the tokens of each text, not cut.
    ///
    /// # Errors
    /// - [`RequestError::UnknownValue`] if the model has no such prompt.
    /// - [`EncodeError::Tokenize`] if the tokenizer fails on a text.
    pub fn tokenize(
        &self,
        request: &TokenizeRequest,
    ) -> Result<(Vec<Vec<TokenOfText>>, Usage), ServiceError> {
        let started = Instant::now();
        let texts = request.texts.as_slice().iter().map(String::as_str);
        let texts = self.prompted(texts, request.prompt_name.as_deref())?;
        let special = request.add_special_tokens;
        let tokens = texts
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let tokens = self.encoder.tokens(text, special);
                let tokens = tokens.map_err(|source| EncodeError::Tokenize { index, source })?;
                Ok(tokens.into_iter().map(TokenOfText::from).collect())
            })
            .collect::<Result<Vec<Vec<TokenOfText>>, EncodeError>>()?;
        let usage = Usage {
            texts: texts.len(),
            characters: characters(texts.iter().map(AsRef::as_ref)),
            prompt_tokens: tokens.iter().map(Vec::len).sum(),
            tokenise_time: started.elapsed(),
            ..Usage::default()
        };
        Ok((tokens, usage))
    }

    /// The models, by name.
    #[must_use]
    pub fn models(&self) -> ModelList {
        let About { model_id, cross_encoder, .. } = &self.options.about;
        let cross_encoder = cross_encoder.iter().map(|model| model.model_id.as_str());
        ModelList::of(std::iter::once(model_id.as_str()).chain(cross_encoder))
    }

    /// Runs each model once, so that the first request finds it touched.
    ///
    /// # Errors
    /// - [`EncodeError`] if a model cannot read an ordinary text.
    pub fn warm_up(&self) -> Result<(), ServiceError> {
        let text = "one two three four five six seven";
        let prepared = self.encoder.prepare([text], Side::Right)?;
        let encoded = self.encoder.encode(prepared)?;
        Embeddings::from_pooled(encoded.pooled).map_err(EncodeError::from)?;
        if let Some(reranker) = &self.reranker {
            reranker.classify(reranker.prepare([(text, text)], Side::Right)?)?;
        }
        Ok(())
    }

    /// Returns the texts with a prompt before each.
    fn prompted<'a>(
        &self,
        texts: impl Iterator<Item = &'a str>,
        prompt_name: Option<&str>,
    ) -> Result<Vec<Cow<'a, str>>, RequestError> {
        let Some(name) = prompt_name else { return Ok(texts.map(Cow::from).collect()) };
        let prompts = &self.options.prompts;
        let prompt = prompts.get(name).ok_or_else(|| {
            let names: Vec<String> = prompts.keys().map(|name| format!("{name:?}")).collect();
            let expected = match names.is_empty() {
                true => "absent, for the model has no prompts".into(),
                false => format!("a prompt of the model: {}", names.join(", ")).into(),
            };
            RequestError::UnknownValue { field: Field::named("prompt_name"), expected }
        })?;
        Ok(texts.map(|text| format!("{prompt}{text}").into()).collect())
    }

    /// Embeds the different ones among the texts; their vectors are as pooled.
    fn encode<'a>(
        &self,
        texts: &'a [Cow<'a, str>],
        cut: Cut,
        field_of: impl Fn(usize) -> Field,
    ) -> Result<(Encoded, Unique<&'a str>, Usage), ServiceError> {
        let mut unique = Unique::of(texts.iter().map(AsRef::as_ref));
        let prepared = self.encoder.prepare(unique.items.iter().copied(), cut.side())?;
        let limit_tokens = self.encoder.max_tokens();
        unique.tokens = counts(&prepared, unique.items.len());
        let is_cut = unique.cut(cut, limit_tokens, field_of)?;
        let encoded = self.encoder.encode(prepared)?;
        let usage = Usage {
            texts: texts.len(),
            unique_texts: unique.items.len(),
            cache_hits: encoded.cost.cache_hits,
            characters: characters(texts.iter().map(AsRef::as_ref)),
            prompt_tokens: unique.read_tokens(limit_tokens),
            tokens: encoded.cost.tokens,
            padded_tokens: encoded.cost.padded_tokens,
            cut: is_cut,
            tokenise_time: encoded.cost.tokenise_time,
            queue_time: encoded.cost.queue_time,
            infer_time: encoded.cost.infer_time,
            scored_by: None,
        };
        Ok((encoded, unique, usage))
    }
}

/// Scores pairs, `[pairs, labels]`; a pair repeated is scored once.
fn classify(
    reranker: &Reranker,
    pairs: &[(&str, &str)],
    cut: Cut,
    raw_scores: bool,
    field_of: impl Fn(usize) -> Field,
) -> Result<(Array2<f32>, Usage), ServiceError> {
    let started = Instant::now();
    let mut unique = Unique::of(pairs.iter().copied());
    let prepared = reranker.prepare(unique.items.iter().copied(), cut.side())?;
    let limit_tokens = reranker.max_tokens();
    unique.tokens = prepared.iter().map(|pair| (pair.total_tokens, pair.is_truncated())).collect();
    let is_cut = unique.cut(cut, limit_tokens, field_of)?;
    let tokenise_time = started.elapsed();
    let classified = reranker.classify(prepared)?;
    let usage = Usage {
        texts: pairs.len(),
        unique_texts: unique.items.len(),
        cache_hits: 0,
        characters: characters(pairs.iter().flat_map(|&(first, second)| [first, second])),
        prompt_tokens: unique.read_tokens(limit_tokens),
        tokens: classified.tokens,
        padded_tokens: classified.padded_tokens,
        cut: is_cut,
        tokenise_time,
        queue_time: classified.queue_time,
        infer_time: classified.infer_time,
        scored_by: None,
    };
    let scores = match raw_scores {
        true => classified.logits,
        false => reranker.scores(classified.logits),
    };
    Ok((scores.select(Axis(0), &unique.members), usage))
}

/// Of each text, its tokens before any cut and whether it was cut.
fn counts(prepared: &Prepared, texts: usize) -> Vec<(usize, bool)> {
    (0..texts).map(|text| (prepared.total_tokens(text), prepared.is_truncated(text))).collect()
}

fn characters<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).sum()
}
