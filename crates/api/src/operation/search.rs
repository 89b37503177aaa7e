//! The operation `search`: returns the rows of an index nearest to queries.

use semblance::corpus::{Filter, Hit, SearchOptions};
use semblance::outcome::rank;
use semblance::{Cost, EmbedOptions, ModelError, PairOptions, Prompts, Truncation};

use super::kept::{ItemError, Kept};
use super::{Report, Request, encoding_bytes, in_fields};
use crate::body::PromptName;
use crate::error::ApiError;
use crate::request::{Field, RequestError, Texts};
use crate::service::Service;

/// Memory of a row of the response: id, text and metadata of a usual row, and their JSON.
const ROW_BYTES: usize = 2048;

/// A request to search an index.
pub(crate) struct SearchRequest {
    /// Name of the index.
    pub(crate) index: String,
    /// What to search for.
    pub(crate) queries: Queries,
    /// Number of rows for each query.
    pub(crate) top_k: usize,
    /// Which rows to search; all if absent.
    pub(crate) filter: Option<Filter>,
    /// Whether the search must be exact.
    pub(crate) exact: bool,
    /// Number of rows of each query that the cross-encoder orders.
    pub(crate) rerank: Option<usize>,
    /// How to handle a query beyond the model's limit.
    pub(crate) truncation: Truncation,
    /// The prompt that is put before each query. If absent, that of the model for a query.
    pub(crate) prompt_name: PromptName,
}

/// What to search for.
pub(crate) enum Queries {
    Texts(Texts),
    Vectors(Vec<Vec<f32>>),
}

impl Queries {
    fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.as_slice().len(),
            Self::Vectors(vectors) => vectors.len(),
        }
    }
}

/// The result of a search.
pub(crate) struct SearchResult {
    /// Digest of the version of the index.
    pub(crate) version: String,
    /// Whether no row can be missing.
    pub(crate) exact: bool,
    /// Number of rows that were searched.
    pub(crate) searched: usize,
    /// The rows of each query; none for an invalid query.
    pub(crate) queries: Vec<Option<QueryHits>>,
    /// The errors of the invalid queries; none if an invalid query refuses the request.
    pub(crate) errors: Option<Vec<ItemError>>,
}

/// The rows of a query, best first, with the scores of the cross-encoder if it ordered them.
pub(crate) type QueryHits = Vec<(Hit, Option<f32>)>;

impl Request for SearchRequest {
    type Outcome = SearchResult;

    const NAME: &'static str = "search";

    fn memory_bytes(&self, service: &Service) -> usize {
        let (queries, encodings) = match &self.queries {
            Queries::Vectors(vectors) => (vectors.len(), 0),
            Queries::Texts(texts) => {
                let texts = texts.as_slice();
                let max_tokens = service.model().info().max_tokens;
                (texts.len(), encoding_bytes(texts.iter().map(String::as_str), max_tokens))
            }
        };
        let rows = self.top_k.max(self.rerank.unwrap_or(0));
        encodings.saturating_add(queries.saturating_mul(rows).saturating_mul(ROW_BYTES))
    }

    fn run(&self, service: &Service) -> Result<(SearchResult, Report), ApiError> {
        let model = service.model();
        if self.rerank.is_some() && model.cross_encoder().is_none() {
            return Err(ApiError::Model(ModelError::NoCrossEncoder));
        }
        let indexes = service.indexes().ok_or(ApiError::NoIndexes)?;
        let index = indexes.get(&self.index)?;
        index.check_bundle(&model.info().digest)?;
        let options = SearchOptions {
            top_k: self.top_k.max(self.rerank.unwrap_or(0)),
            filter: self.filter.clone(),
            exact: self.exact,
            ..SearchOptions::default()
        };
        let Embedded { vectors, kept, cost } = self.embedded(service)?;
        let output = index.search(&vectors, &options)?;
        let mut queries: Vec<Option<QueryHits>> = vec![None; self.queries.len()];
        for (&number, hits) in kept.items.iter().zip(output.hits) {
            let mut hits: QueryHits = match (&self.queries, self.rerank) {
                (Queries::Texts(texts), Some(count)) => {
                    self.rerank(service, &texts.as_slice()[number], hits, count)?
                }
                _ => hits.into_iter().map(|hit| (hit, None)).collect(),
            };
            hits.truncate(self.top_k);
            queries[number] = Some(hits);
        }
        let version = index.digest().to_owned();
        let (exact, searched) = (output.exact, output.searched);
        let errors = kept.errors;
        Ok((SearchResult { version, exact, searched, queries, errors }, cost.into()))
    }
}

/// The vectors of the valid queries.
struct Embedded {
    vectors: Vec<Vec<f32>>,
    kept: Kept,
    cost: Cost,
}

impl SearchRequest {
    fn embedded(&self, service: &Service) -> Result<Embedded, ApiError> {
        let model = service.model();
        let texts = match &self.queries {
            Queries::Vectors(vectors) => {
                let kept = Kept { items: (0..vectors.len()).collect(), errors: None };
                return Ok(Embedded { vectors: vectors.clone(), kept, cost: Cost::default() });
            }
            Queries::Texts(texts) => texts,
        };
        let options = EmbedOptions {
            truncation: self.truncation,
            prompts: match &self.prompt_name {
                PromptName::Absent => Prompts::named(model.info().query_prompt()),
                given => given.clone().prompts(),
            },
            normalize: Some(true),
            ..EmbedOptions::default()
        };
        let field_of = |index| texts.field_of(index);
        let kept = Kept::new(texts.into(), field_of, |items| {
            let texts: Vec<_> = items.iter().map(|&item| &texts.as_slice()[item]).collect();
            let prompt = model.info().text_prompt(&options.prompts);
            model.text_faults(&texts, prompt, options.truncation)
        })?;
        let embedded = model
            .embed_with(&kept.texts(texts), &options)
            .map_err(|error| in_fields(error, |item| field_of(kept.items[item])))?;
        let vectors = embedded.vectors.outer_iter().map(|row| row.to_vec()).collect();
        let mut cost = embedded.cost;
        kept.restore(&mut cost, 0, texts.cut());
        Ok(Embedded { vectors, kept, cost })
    }

    /// Orders the first rows by the cross-encoder. The others follow in their order.
    fn rerank(
        &self,
        service: &Service,
        query: &str,
        hits: Vec<Hit>,
        count: usize,
    ) -> Result<QueryHits, ApiError> {
        let first = &hits[..count.min(hits.len())];
        let texts: Vec<&str> = first.iter().map(|hit| hit.row.text.as_str()).collect();
        // The texts are those of the index, which nobody can shorten now.
        let options = PairOptions::default();
        let scores = service
            .model()
            .rerank_with(query, &texts, &options)
            .map_err(|error| in_fields(error, |_| Field::new("query")))?
            .scores;
        let order = rank(&scores, scores.len());
        let reranked = order.iter().map(|&index| (hits[index].clone(), Some(scores[index])));
        let others = hits[first.len()..].iter().map(|hit| (hit.clone(), None));
        Ok(reranked.chain(others).collect())
    }

    /// Checks that the fields belong together.
    pub(crate) fn check(self) -> Result<Self, RequestError> {
        let is_vectors = matches!(self.queries, Queries::Vectors(_));
        if is_vectors && self.rerank.is_some() {
            let expected = "query texts with rerank, because the cross-encoder reads texts";
            return Err(RequestError::WrongFields { expected });
        }
        Ok(self)
    }
}
