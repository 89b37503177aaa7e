//! The operation `embed`: returns the embedding of each text.

use semblance::outcome::EmbedOutput;
use semblance::{EmbedOptions, ModelError, Prompts};

use super::kept::{Kept, ListFaults, Listed};
use super::{Report, Request, TOKEN_BYTES, TokenLimit, encoding_bytes, in_fields};
use crate::body::{TextsOrIds, TokenIds};
use crate::error::ApiError;
use crate::request::{Field, OneText, RequestError, Texts};
use crate::service::Service;

/// A request to embed texts.
pub(crate) struct EmbedRequest {
    /// The texts, at least one, or their token ids.
    pub(crate) input: TextsOrIds,
    /// The use of the embeddings, which selects a prompt if the request has no `prompt_name`.
    pub(crate) purpose: Option<Purpose>,
    /// Truncation, prompt, normalization and dimensions.
    pub(crate) options: EmbedOptions,
    /// The field with the dimensions, for errors.
    pub(crate) dimensions_field: &'static str,
    /// The limit on the tokens of each text, in an option of the request.
    pub(crate) token_limit: Option<TokenLimit>,
}

/// The use of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A query of a search.
    Query,
    /// A document of a search.
    Document,
    /// A task with its own prompt, if the model has one of this name.
    Task(&'static str),
}

impl EmbedRequest {
    /// Returns a request without a purpose, with the dimensions in the field `dimensions`.
    pub(crate) fn new(texts: Texts, options: EmbedOptions) -> Self {
        Self {
            input: TextsOrIds::Texts(texts),
            purpose: None,
            options,
            dimensions_field: "dimensions",
            token_limit: None,
        }
    }

    /// Returns the options, with the prompt of the purpose and the limit on the tokens.
    fn options(&self, service: &Service) -> Result<EmbedOptions, ApiError> {
        let info = service.model().info();
        let prompts = match (&self.options.prompts, self.purpose) {
            (Prompts::ByRole, Some(Purpose::Query)) => Prompts::named(info.query_prompt()),
            (Prompts::ByRole, Some(Purpose::Document)) => Prompts::named(info.document_prompt()),
            (Prompts::ByRole, Some(Purpose::Task(name))) if info.prompts.contains_key(name) => {
                Prompts::Named(name.to_owned())
            }
            (given, _) => given.clone(),
        };
        let text_tokens = match self.token_limit {
            None => self.options.text_tokens,
            Some(limit) => {
                let special = service.model().special_tokens().map_err(ApiError::Model)?;
                Some(limit.text_tokens(special, info.max_tokens)?)
            }
        };
        Ok(EmbedOptions { prompts, text_tokens, ..self.options.clone() })
    }

    /// Returns the error of a call as that of a field.
    fn in_fields(&self, error: ModelError, field_of: impl Fn(usize) -> Field) -> ApiError {
        match error {
            ModelError::TooManyDimensions { requested, available } => RequestError::OutOfRange {
                field: Field::new(self.dimensions_field),
                minimum: 1,
                maximum: Some(available as u64),
                found: requested.to_string(),
            }
            .into(),
            error => in_fields(error, field_of),
        }
    }

    fn embed_texts(
        &self,
        texts: &Texts,
        options: &EmbedOptions,
        service: &Service,
    ) -> Result<(Listed<EmbedOutput>, Report), ApiError> {
        let model = service.model();
        let field_of = |index| texts.field_of(index);
        let kept = Kept::new(texts.into(), field_of, |items| {
            let texts: Vec<_> = items.iter().map(|&item| &texts.as_slice()[item]).collect();
            let prompt = model.info().text_prompt(&options.prompts);
            model.text_faults_within(&texts, prompt, options.truncation, options.text_tokens)
        })?;
        let embedded = model.embed_with(&kept.texts(texts), options);
        let embedded =
            embedded.map_err(|error| self.in_fields(error, |item| field_of(kept.items[item])))?;
        let mut report: Report = embedded.cost.clone().into();
        kept.restore(&mut report.cost, 0, texts.cut());
        Ok((kept.listed(embedded, texts.as_slice().len()), report))
    }

    fn embed_ids(
        &self,
        ids: &TokenIds,
        options: &EmbedOptions,
        service: &Service,
    ) -> Result<(Listed<EmbedOutput>, Report), ApiError> {
        let model = service.model();
        let prompt = model.info().text_prompt(&options.prompts);
        if has_prompt(prompt, service) {
            // A prompt is put before the text that the ids mean, as in text-embeddings-inference.
            return self.embed_texts(&decoded(ids, service)?, options, service);
        }
        let field_of = |index| ids.field_of(index);
        let kept = Kept::new(ListFaults::from(ids), field_of, |items| {
            model.id_faults(&ids.of(items), options)
        })?;
        let embedded = model.embed_ids_with(&ids.of(&kept.items), options);
        let embedded =
            embedded.map_err(|error| self.in_fields(error, |item| field_of(kept.items[item])))?;
        let mut report: Report = embedded.cost.clone().into();
        kept.restore(&mut report.cost, 0, &[]);
        Ok((kept.listed(embedded, ids.texts.len()), report))
    }
}

impl Request for EmbedRequest {
    type Outcome = Listed<EmbedOutput>;

    const NAME: &'static str = "embed";

    fn memory_bytes(&self, service: &Service) -> usize {
        let max_tokens = service.model().info().max_tokens;
        match &self.input {
            TextsOrIds::Texts(texts) => {
                encoding_bytes(texts.as_slice().iter().map(String::as_str), max_tokens)
            }
            TextsOrIds::Ids(ids) => ids.tokens(max_tokens).saturating_mul(TOKEN_BYTES),
        }
    }

    fn run(&self, service: &Service) -> Result<(Listed<EmbedOutput>, Report), ApiError> {
        let options = self.options(service)?;
        match &self.input {
            TextsOrIds::Texts(texts) => self.embed_texts(texts, &options, service),
            TextsOrIds::Ids(ids) => self.embed_ids(ids, &options, service),
        }
    }
}

/// Whether a prompt is put before texts. An unknown one is an error later.
pub(super) fn has_prompt(name: Option<&str>, service: &Service) -> bool {
    let prompts = &service.model().info().prompts;
    name.is_some_and(|name| !prompts.get(name).is_some_and(String::is_empty))
}

/// Returns the texts of token ids, without special tokens.
pub(super) fn decoded(ids: &TokenIds, service: &Service) -> Result<Texts, ApiError> {
    let text = |(index, text): (usize, &Vec<u32>)| {
        if let Some((_, fault)) = ids.faults.iter().find(|(place, _)| *place == index) {
            return Err(fault.clone().into());
        }
        let texts = service.model().decode(std::slice::from_ref(text), true);
        let mut texts = texts.map_err(|error| in_fields(error, |_| ids.field_of(index)))?;
        Ok(OneText { text: texts.pop().unwrap_or_default(), is_cut: false })
    };
    let texts = ids.texts.iter().enumerate().map(text);
    let texts = texts.map(|text: Result<OneText, ApiError>| match text {
        Err(ApiError::Request(fault)) => Ok(Err(fault)),
        other => other.map(Ok),
    });
    let texts: Vec<Result<OneText, RequestError>> = texts.collect::<Result<_, ApiError>>()?;
    let mut texts = texts.into_iter();
    if ids.is_list {
        return Ok(Texts::list(ids.field, texts, ids.keeps_good)?);
    }
    let text = texts.next().unwrap_or(Err(RequestError::NoTexts { field: ids.field }))?;
    Ok(Texts::one(ids.field, text))
}
