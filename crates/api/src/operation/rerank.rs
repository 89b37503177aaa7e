//! The operation `rerank`: returns the relevance of each text to a query.

use semblance::outcome::{Scorer, Scores};
use semblance::{ModelError, PairOptions, TextOptions, Truncation};

use super::kept::{Kept, Listed};
use super::similarity::{self, field_after_query};
use super::{Report, Request, TokenLimit, encoding_bytes, in_fields, query_bytes};
use crate::body::PromptName;
use crate::error::ApiError;
use crate::request::{Field, RequestError, Texts};
use crate::service::Service;

/// A request to score the relevance of texts to a query.
pub(crate) struct RerankRequest {
    /// The query, one text.
    pub(crate) query: Texts,
    /// The texts, at least one.
    pub(crate) texts: Texts,
    /// Truncation, and whether to return logits.
    pub(crate) options: PairOptions,
    /// The prompt of the query and the texts, for the embedding model.
    pub(crate) prompt_name: PromptName,
    /// Maximum number of tokens of each text, special tokens excluded. The rest of a text is ignored.
    pub(crate) max_text_tokens: Option<usize>,
    /// Maximum number of parts of a text that are scored with the query, 1 if absent. The score of the text
    /// is the highest one.
    pub(crate) max_parts: Option<usize>,
    /// The limit on the tokens of each pair, in an option of the request. Without a cross-encoder, it
    /// applies to the query and each text.
    pub(crate) token_limit: Option<TokenLimit>,
    /// Number of texts to return, best first; all if absent.
    pub(crate) top_n: Option<usize>,
    /// Whether the response contains the texts.
    pub(crate) return_texts: bool,
}

impl Request for RerankRequest {
    /// Scores in input order.
    type Outcome = Listed<Scores>;

    const NAME: &'static str = "rerank";

    fn memory_bytes(&self, service: &Service) -> usize {
        // The cross-encoder reads the query with each text.
        let pairs = query_bytes(&self.query, &self.texts, service);
        let query = encoding_bytes([self.query.first()], service.model().info().max_tokens);
        let pairs = pairs.saturating_add(query.saturating_mul(self.texts.as_slice().len()));
        // A part has at least half of the tokens that the model reads, and a token at least a byte.
        let half = (service.about().max_rerank_tokens() / 2).max(1);
        let longest = self.texts.as_slice().iter().map(String::len).max().unwrap_or_default();
        let parts = self.max_parts.unwrap_or(1).min(longest / half + 1);
        pairs.saturating_mul(parts)
    }

    fn run(&self, service: &Service) -> Result<(Listed<Scores>, Report), ApiError> {
        let (mut texts, shortened) = self.shortened(service)?;
        let options = self.options(service)?;
        let others = self.split(&mut texts, service, &options)?;
        let mut scored = match service.model().reranks_with() {
            Scorer::CrossEncoder => self.cross_encoder_scores(service, &texts, &options)?,
            Scorer::BiEncoder => {
                similarity::scores(service, &self.query, &texts, &self.text_options(&options))?
            }
        };
        self.score_parts(&others, &mut scored, service, &options)?;
        let truncated = &mut scored.outcome.cost.truncated;
        truncated.extend(shortened.iter().map(|index| index + 1));
        truncated.sort_unstable();
        truncated.dedup();
        let (cost, scored_by) = (scored.outcome.cost.clone(), Some(scored.outcome.scored_by));
        Ok((scored, Report { cost, scored_by }))
    }
}

impl RerankRequest {
    /// Returns the options, with the limit on the tokens.
    fn options(&self, service: &Service) -> Result<PairOptions, ApiError> {
        let model = service.model();
        let limits = match (model.reranks_with(), model.cross_encoder()) {
            (Scorer::CrossEncoder, Some(info)) => (model.pair_special_tokens(), info.max_tokens),
            _ => (model.special_tokens(), model.info().max_tokens),
        };
        let text_tokens = match (self.token_limit, limits) {
            (None, _) => self.options.text_tokens,
            (Some(limit), (special, max_tokens)) => {
                Some(limit.text_tokens(special.map_err(ApiError::Model)?, max_tokens)?)
            }
        };
        Ok(PairOptions { text_tokens, ..self.options })
    }

    /// Returns the options of the embedding model.
    fn text_options(&self, options: &PairOptions) -> TextOptions {
        let PairOptions { truncation, text_tokens, .. } = *options;
        TextOptions { truncation, prompts: self.prompt_name.clone().prompts(), text_tokens }
    }

    /// Reduces each text to its first part, and returns the others with the indices of their texts.
    fn split(
        &self,
        texts: &mut Texts,
        service: &Service,
        options: &PairOptions,
    ) -> Result<Vec<(usize, String)>, ApiError> {
        let count = self.max_parts.unwrap_or(1);
        if count == 1 || options.truncation == Truncation::Refuse {
            return Ok(Vec::new());
        }
        let query = self.query.first();
        let whole: Vec<&str> = texts.as_slice().iter().map(String::as_str).collect();
        let options = self.text_options(options);
        let parts = service.model().rerank_parts(query, &whole, count, &options);
        let parts = parts.map_err(|error| in_fields(error, |index| texts.field_of(index)))?;
        let (mut firsts, mut others) = (Vec::new(), Vec::new());
        for (index, parts) in parts.into_iter().enumerate() {
            let mut parts = parts.into_iter().map(str::to_owned);
            firsts.push(parts.next().unwrap_or_default());
            others.extend(parts.map(|part| (index, part)));
        }
        texts.as_mut_slice().clone_from_slice(&firsts);
        Ok(others)
    }

    /// Scores the other parts of valid texts. A part without tokens is ignored.
    fn score_parts(
        &self,
        others: &[(usize, String)],
        scored: &mut Listed<Scores>,
        service: &Service,
        options: &PairOptions,
    ) -> Result<(), ApiError> {
        let (model, query) = (service.model(), self.query.first());
        let mut others: Vec<(usize, &str)> =
            others.iter().map(|(index, part)| (*index, part.as_str())).collect();
        others.retain(|(index, _)| scored.places[*index].is_some());
        let is_pair = scored.outcome.scored_by == Scorer::CrossEncoder;
        let text_options = self.text_options(options);
        let faults = match is_pair {
            true => {
                let pairs: Vec<_> = others.iter().map(|&(_, part)| (query, part)).collect();
                model.pair_faults(&pairs, options)
            }
            false => {
                let texts: Vec<&str> = others.iter().map(|&(_, part)| part).collect();
                model.text_faults(&texts, None, options.truncation)
            }
        };
        let faults =
            faults.map_err(|error| in_fields(error, |part| self.texts.field_of(others[part].0)))?;
        let is_empty = |part| faults.iter().any(|fault| fault.index() == Some(part));
        let kept = others.iter().enumerate().filter(|(part, _)| !is_empty(*part));
        let others: Vec<(usize, &str)> = kept.map(|(_, other)| *other).collect();
        if others.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = others.iter().map(|&(_, part)| part).collect();
        let found = match is_pair {
            true => model.rerank_with(query, &texts, options),
            false => model.similarity_with(query, &texts, &text_options),
        };
        let found = found.map_err(|error| {
            in_fields(error, |index| match index.checked_sub(1) {
                None => self.query.field_of(0),
                Some(part) => self.texts.field_of(others[part].0),
            })
        })?;
        for (&(index, _), score) in others.iter().zip(&found.scores) {
            let best = &mut scored.outcome.scores[index];
            *best = best.max(*score);
        }
        let cost = &mut scored.outcome.cost;
        let of_text = |part: &usize| part.checked_sub(1).map_or(0, |part| others[part].0 + 1);
        cost.truncated.extend(found.cost.truncated.iter().map(of_text));
        cost.add(&found.cost);
        Ok(())
    }

    fn cross_encoder_scores(
        &self,
        service: &Service,
        texts: &Texts,
        options: &PairOptions,
    ) -> Result<Listed<Scores>, ApiError> {
        if let PromptName::Name(_) = self.prompt_name {
            let field = Field::new("prompt_name");
            let expected = "absent or null: the cross-encoder has no prompts";
            return Err(RequestError::UnsupportedOption { field, expected }.into());
        }
        let (model, query) = (service.model(), self.query.first());
        let is_empty = |fault: &ModelError| matches!(fault, ModelError::EmptyText { .. });
        // A fault of the query is not a fault of each text.
        let faults = model.pair_faults(&[(query, query)], &PairOptions::default());
        let faults = faults.map_err(|error| in_fields(error, |_| self.query.field_of(0)))?;
        if let Some(fault) = faults.into_iter().find(is_empty) {
            return Err(in_fields(fault, |_| self.query.field_of(0)));
        }
        let kept = Kept::new(
            texts.into(),
            |index| texts.field_of(index),
            |items| {
                let pairs = items.iter().map(|&item| (query, texts.as_slice()[item].as_str()));
                model.pair_faults(&pairs.collect::<Vec<_>>(), options)
            },
        )?;
        let scores = model.rerank_with(query, &kept.texts(texts), options);
        let scores = scores.map_err(|error| {
            in_fields(error, |index| field_after_query(&self.query, texts, &kept, index))
        })?;
        Ok(similarity::listed(scores, kept, &self.query, texts))
    }

    /// Returns the texts, each with its first tokens only, and the indices of the shortened ones.
    fn shortened(&self, service: &Service) -> Result<(Texts, Vec<usize>), ApiError> {
        let (mut texts, mut shortened) = (self.texts.clone(), Vec::new());
        let Some(limit) = self.max_text_tokens else { return Ok((texts, shortened)) };
        if limit >= service.about().max_rerank_tokens() {
            return Ok((texts, shortened));
        }
        for (index, text) in texts.as_mut_slice().iter_mut().enumerate() {
            // A text on which the tokenizer fails has its own error later.
            if let Ok(Some(start)) = service.model().first_tokens(text, limit) {
                *text = start.to_owned();
                shortened.push(index);
            }
        }
        Ok((texts, shortened))
    }
}

/// Returns the name of a scorer in responses and headers.
pub(crate) fn scorer_name(scorer: Scorer) -> &'static str {
    match scorer {
        Scorer::CrossEncoder => "cross-encoder",
        Scorer::BiEncoder => "bi-encoder",
    }
}
