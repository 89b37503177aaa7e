//! The operations: each reads as its pipeline.

use std::collections::HashMap;
use std::time::Duration;

use crate::api::{Limits, RequestError, SimilarityRequest, SimilarityResponse, Truncated};
use crate::encoder::{EncodeError, Encoder, Prepared};
use crate::vector::{Embeddings, cosine, rank};

/// The encoder with the limits of its requests.
pub struct Service {
    encoder: Encoder,
    limits: Limits,
}

/// What a request took, for logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Texts of the request.
    pub texts: usize,
    /// Different texts among them: each is embedded once.
    pub unique_texts: usize,
    /// Different texts whose embeddings were known from an earlier request.
    pub cache_hits: usize,
    /// Tokens the model read, special tokens counted.
    pub tokens: usize,
    /// The same with padding.
    pub padded_tokens: usize,
    /// Texts that were cut to the model's limit.
    pub truncated: usize,
    /// Time in the tokenizer.
    pub tokenise_time: Duration,
    /// Time in the model and in pooling.
    pub infer_time: Duration,
}

/// Embeddings of texts as the model is meant to give them.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// `[texts, dim]`, f32; unit length if the bundle says so.
    pub vectors: ndarray::Array2<f32>,
    /// Of each text: tokens before any cut, and whether it was cut.
    pub tokens: Vec<(usize, bool)>,
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
    pub const CODES: [&'static str; 3] =
        ["model.tokenisation_failed", "model.inference_failed", "model.degenerate_embedding"];

    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Request(error) => error.code(),
            Self::Encode(EncodeError::Tokenize { .. }) => "model.tokenisation_failed",
            Self::Encode(EncodeError::Infer(_)) => "model.inference_failed",
            Self::Encode(EncodeError::Degenerate(_)) => "model.degenerate_embedding",
        }
    }

    /// Whether the caller, not the model, is at fault.
    #[must_use]
    pub fn is_client_fault(&self) -> bool {
        matches!(self, Self::Request(_))
    }
}

impl Service {
    /// Returns a service over this encoder.
    #[must_use]
    pub fn new(encoder: Encoder, limits: Limits) -> Self {
        Self { encoder, limits }
    }

    /// What one request may ask for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Scores each candidate against the query by cosine similarity, best first.
    ///
    /// # Errors
    /// - [`RequestError::TooManyTokens`] if a text exceeds the model's limit and may not be cut.
    /// - [`EncodeError`] if the model fails.
    pub fn similarity(
        &mut self,
        request: &SimilarityRequest,
    ) -> Result<(SimilarityResponse, Usage), ServiceError> {
        let candidates = request.candidates();
        if candidates.is_empty() {
            return Ok((
                SimilarityResponse { scores: Vec::new(), truncated: None },
                Usage::default(),
            ));
        }
        let unique = Unique::of(
            std::iter::once(request.query()).chain(candidates.iter().map(String::as_str)),
        );
        let prepared = self.encoder.prepare(unique.texts.iter().copied())?;
        let cut = unique.cut(&prepared);
        if !request.truncate() {
            self.refuse_cut(&unique, &prepared, &cut)?;
        }
        let encoded = self.encoder.encode(prepared)?;
        let usage = Usage {
            texts: unique.members.len(),
            unique_texts: unique.texts.len(),
            cache_hits: encoded.cost.cache_hits,
            tokens: encoded.cost.tokens,
            padded_tokens: encoded.cost.padded_tokens,
            truncated: cut.len(),
            tokenise_time: encoded.cost.tokenise_time,
            infer_time: encoded.cost.infer_time,
        };
        let embeddings = Embeddings::from_pooled(encoded.pooled).map_err(EncodeError::from)?;
        let query = embeddings.row(unique.members[0]);
        let scores: Vec<f32> =
            unique.members[1..].iter().map(|&text| cosine(query, embeddings.row(text))).collect();
        let best = rank(&scores, request.top_k());
        let response = SimilarityResponse {
            scores: best.into_iter().map(|i| (candidates[i].clone(), scores[i])).collect(),
            truncated: truncated(&cut),
        };
        Ok((response, usage))
    }

    /// Embeds texts that stand for themselves; a text repeated is embedded once.
    ///
    /// # Errors
    /// - [`EncodeError`] if the model fails.
    pub fn embed(&mut self, texts: &[String]) -> Result<Embedded, ServiceError> {
        let unique = Unique::of(texts.iter().map(String::as_str));
        let prepared = self.encoder.prepare(unique.texts.iter().copied())?;
        let of = |&text: &usize| (prepared.total_tokens(text), prepared.is_truncated(text));
        let tokens = unique.members.iter().map(of).collect();
        let encoded = self.encoder.encode(prepared)?;
        let vectors = self.encoder.finish(encoded)?;
        Ok(Embedded { vectors: vectors.select(ndarray::Axis(0), &unique.members), tokens })
    }

    /// Runs the model once, so that the first request finds it touched.
    ///
    /// # Errors
    /// - [`EncodeError`] if the model cannot embed an ordinary text.
    pub fn warm_up(&mut self) -> Result<(), ServiceError> {
        self.embed(&["one two three four five six seven".to_owned()]).map(drop)
    }

    fn refuse_cut(
        &self,
        unique: &Unique<'_>,
        prepared: &Prepared,
        cut: &[usize],
    ) -> Result<(), RequestError> {
        let Some(&index) = cut.first() else { return Ok(()) };
        Err(RequestError::TooManyTokens {
            field: SimilarityRequest::field_of(index),
            tokens: prepared.total_tokens(unique.members[index]),
            limit_tokens: self.encoder.max_tokens(),
        })
    }
}

/// Texts without their repetitions.
struct Unique<'a> {
    /// Each different text, in order of first appearance.
    texts: Vec<&'a str>,
    /// For each text given, its index in `texts`.
    members: Vec<usize>,
}

impl<'a> Unique<'a> {
    fn of(given: impl Iterator<Item = &'a str>) -> Self {
        let mut texts = Vec::new();
        let mut known = HashMap::new();
        let members = given
            .map(|text| {
                *known.entry(text).or_insert_with(|| {
                    texts.push(text);
                    texts.len() - 1
                })
            })
            .collect();
        Self { texts, members }
    }

    /// Indices of the texts given that were cut.
    fn cut(&self, prepared: &Prepared) -> Vec<usize> {
        let is_cut = |&(_, &text): &(usize, &usize)| prepared.is_truncated(text);
        self.members.iter().enumerate().filter(is_cut).map(|(index, _)| index).collect()
    }
}

/// What to tell of the cut texts, of which 0 is the query.
fn truncated(cut: &[usize]) -> Option<Truncated> {
    let (query, candidates): (Vec<usize>, Vec<usize>) = cut.iter().partition(|&&index| index == 0);
    (!cut.is_empty()).then(|| Truncated {
        query: !query.is_empty(),
        actual_queries: candidates.into_iter().map(|index| index - 1).collect(),
    })
}
