//! Operations of a service, independent of the source and dialect of a request. An operation is one
//! file in this module.

mod cluster;
mod corpus;
mod decode;
mod embed;
mod embed_all;
mod embed_sparse;
mod indexes;
mod info;
mod kept;
mod limited_json;
mod map;
mod mine;
mod predict;
mod rerank;
mod search;
mod similarity;
mod token_limit;
mod tokenize;

use semblance::outcome::Scorer;
use semblance::{Cost, ModelError};
use serde_json::value::{RawValue, to_raw_value};

use crate::budget::Reservation;
use crate::error::ApiError;
use crate::request::{Field, RequestError, TextFault, Texts};
use crate::service::Service;

pub(crate) use cluster::{ClusterRequest, ClusterResult, FoundCluster};
pub(crate) use corpus::{Corpus, CorpusRequest};
pub(crate) use decode::DecodeRequest;
pub(crate) use embed::{EmbedRequest, Purpose};
pub(crate) use embed_all::EmbedAllRequest;
pub(crate) use embed_sparse::EmbedSparseRequest;
pub(crate) use indexes::IndexesRequest;
pub(crate) use info::{
    DocumentRequest, HealthRequest, InfoRequest, ModelRequest, ModelsRequest, Status, WarmUpRequest,
};
pub(crate) use kept::{ItemError, Listed};
use limited_json::limited_json;
pub(crate) use map::{MapRequest, MapResult};
pub(crate) use mine::{MineRequest, MineResult};
pub(crate) use predict::PredictRequest;
pub(crate) use rerank::{RerankRequest, scorer_name};
pub(crate) use search::{Queries, QueryHits, SearchRequest, SearchResult};
pub(crate) use similarity::SimilarityRequest;
pub(crate) use token_limit::TokenLimit;
pub(crate) use tokenize::TokenizeRequest;

/// A validated request for an operation.
pub(crate) trait Request: Send + 'static {
    /// The result of the operation, before a dialect serializes it.
    type Outcome;

    /// Name of the operation, in logs and direct events.
    const NAME: &'static str;

    /// Returns how many bytes the request needs while it runs, in addition to its body, at most. The
    /// admission control counts them.
    fn memory_bytes(&self, service: &Service) -> usize;

    /// Runs the operation.
    ///
    /// # Errors
    /// - [`ApiError::Request`] if the model does not support the request.
    /// - [`ApiError::Model`] if the model fails.
    fn run(&self, service: &Service) -> Result<(Self::Outcome, Report), ApiError>;
}

/// Runs an operation and serializes its response.
type RunCall = dyn FnOnce(&Service, &mut Reservation) -> Result<Answer, ApiError> + Send;

/// A decoded request, with the function that serializes its response.
pub struct Call {
    name: &'static str,
    run: Box<RunCall>,
}

impl Call {
    /// Returns the call for a request. `encode` serializes its outcome in a dialect.
    pub(crate) fn new<R: Request, E: Into<ApiError>>(
        request: R,
        encode: impl FnOnce(&R, R::Outcome, &Service) -> Result<Reply, E> + Send + 'static,
    ) -> Self {
        let run = move |service: &Service, reservation: &mut Reservation| {
            reservation.grow(request.memory_bytes(service))?;
            let (outcome, report) = request.run(service)?;
            let reply = encode(&request, outcome, service).map_err(Into::into)?;
            Ok(Answer { reply, report })
        };
        Self { name: R::NAME, run: Box::new(run) }
    }

    /// Name of the operation.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the operation on the calling thread.
    ///
    /// # Errors
    /// - [`ApiError::Request`] if the model does not support the request.
    /// - [`ApiError::Model`] if the model fails.
    pub fn run(self, service: &Service) -> Result<Answer, ApiError> {
        self.run_within(service, &mut Reservation::default())
    }

    /// As [`Call::run`], with a reservation for the memory of the operation.
    ///
    /// # Errors
    /// - As [`Call::run`].
    /// - [`ApiError::OutOfMemory`] if the budget has no room for it.
    pub(crate) fn run_within(
        self,
        service: &Service,
        reservation: &mut Reservation,
    ) -> Result<Answer, ApiError> {
        (self.run)(service, reservation)
    }
}

/// A response as JSON, in the dialect of its request.
#[derive(Debug)]
pub struct Reply {
    /// The JSON.
    pub body: Box<RawValue>,
    /// Number of vectors, scores or texts in it.
    pub items: usize,
}

impl Reply {
    /// Serializes a response with this number of items.
    pub(crate) fn new(
        body: &impl serde::Serialize,
        items: usize,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self { body: to_raw_value(body)?, items })
    }

    /// Serializes a response that is a list: the list, or with the option `on_error` an object of the
    /// list and the errors of its invalid items.
    pub(crate) fn list(
        list: &(impl serde::Serialize + ?Sized),
        errors: Option<&[ItemError]>,
        items: usize,
    ) -> Result<Self, serde_json::Error> {
        match errors {
            None => Self::new(&list, items),
            Some(errors) => Self::new(&ResultsWithErrors { results: list, errors }, items),
        }
    }

    /// As [`Reply::list`], for a list that can be large. It is refused before it is in memory if it
    /// exceeds the limit of the service.
    pub(crate) fn limited_list(
        list: &impl serde::Serialize,
        errors: Option<&[ItemError]>,
        items: usize,
        service: &Service,
    ) -> Result<Self, ApiError> {
        let limit_bytes = service.reply_bytes();
        let body = match errors {
            None => limited_json(list, items, limit_bytes),
            Some(errors) => {
                limited_json(&ResultsWithErrors { results: list, errors }, items, limit_bytes)
            }
        };
        Ok(Self { body: body?, items })
    }
}

/// A list, and the errors of its invalid items.
#[derive(serde::Serialize)]
struct ResultsWithErrors<'a, T: ?Sized> {
    results: &'a T,
    errors: &'a [ItemError],
}

/// The cost of an operation, for headers, logs and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Texts, tokens and time.
    pub cost: Cost,
    /// The kind of model that scored the texts of a rerank.
    pub scored_by: Option<Scorer>,
}

impl From<Cost> for Report {
    fn from(cost: Cost) -> Self {
        Self { cost, scored_by: None }
    }
}

/// The response and the cost of a call.
#[derive(Debug)]
pub struct Answer {
    /// The response.
    pub reply: Reply,
    /// The cost.
    pub report: Report,
}

/// Memory of a token that goes through a model: its id, and the segment that it belongs to.
const TOKEN_BYTES: usize = 2 * size_of::<i32>();

/// Returns the memory of the token ids of texts. A text has at most one token per byte, and at most as many
/// as the model reads.
fn encoding_bytes<'a>(texts: impl IntoIterator<Item = &'a str>, max_tokens: usize) -> usize {
    texts.into_iter().map(|text| (text.len() + 2).min(max_tokens) * TOKEN_BYTES).sum()
}

/// Returns the memory of the token ids of a query and texts.
fn query_bytes(query: &Texts, texts: &Texts, service: &Service) -> usize {
    let texts = query.as_slice().iter().chain(texts.as_slice()).map(String::as_str);
    encoding_bytes(texts, service.model().info().max_tokens)
}

/// Converts an error of a model into an error of a request: indices become fields.
pub(crate) fn in_fields(error: ModelError, field_of: impl Fn(usize) -> Field) -> ApiError {
    let error = match error {
        ModelError::TooManyTokens { index, tokens, limit_tokens } => {
            RequestError::TooManyTokens { field: field_of(index), tokens, limit_tokens }
        }
        ModelError::EmptyText { index, .. } => {
            RequestError::Text { field: field_of(index), fault: TextFault::Empty }
        }
        ModelError::UnknownToken { index, id, count } => RequestError::OutOfRange {
            field: field_of(index),
            minimum: 0,
            maximum: Some(count.saturating_sub(1) as u64),
            found: id.to_string(),
        },
        ModelError::UnknownPrompt { known } if known.is_empty() => {
            RequestError::NoPrompts { field: Field::new("prompt_name") }
        }
        ModelError::UnknownPrompt { known } => {
            let names: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
            let expected = format!("a prompt of the model: {}", names.join(", ")).into();
            RequestError::UnknownValue { field: Field::new("prompt_name"), expected }
        }
        other => return ApiError::Model(other),
    };
    error.into()
}
