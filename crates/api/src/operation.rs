//! One operation, whichever door and dialect it came in, and its answer in that dialect.

use serde::Serialize;
use serde_json::Value;

use super::cohere::{self, RerankResponse};
use super::decode::Fields;
use super::openai::{self, EmbeddingList, EncodingFormat, ModelList};
use super::tei::{self, Prediction, Rank, Rows};
use super::{
    About, EmbedRequest, Embedded, Limits, PredictRequest, Predicted, RequestError, RerankRequest,
    Reranked, SimilarityRequest, SimilarityResponse, TokenOfText, TokenizeRequest,
};

/// What a service is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Score candidates against a query.
    Similarity(SimilarityRequest, SimilarityForm),
    /// Embed texts.
    Embed(EmbedRequest, EmbedForm),
    /// Order texts by their worth to a query.
    Rerank(RerankRequest, RerankForm),
    /// Score pairs.
    Predict(PredictRequest),
    /// Tokenise texts.
    Tokenize(TokenizeRequest),
    /// Tell models and limits.
    Info,
    /// List the models.
    Models,
    /// Tell that the service answers.
    Health,
    /// Answer at once: the environment is there.
    WarmUp,
}

/// How scores are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimilarityForm {
    /// `{"Scores": [[text, score], …]}`, best first.
    Event,
    /// `[score, …]` in input order, as text-embeddings-inference.
    Tei,
}

/// How embeddings are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbedForm {
    /// `[[number, …], …]`, as text-embeddings-inference.
    Tei,
    /// As OpenAI.
    OpenAi(EncodingFormat),
}

/// How ranks are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RerankForm {
    /// `[{"index", "score"}, …]`, as text-embeddings-inference.
    Tei,
    /// As Cohere.
    Cohere,
}

/// A way to read a request's body; each HTTP route has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// What a direct event may be: the event of `query_from_app` and `actual_queries`, or an object
    /// with `operation`.
    Event,
    /// As [`Form::Event`], or a body of text-embeddings-inference that holds `inputs`.
    Invocation,
    /// text-embeddings-inference's `/similarity`.
    Similarity,
    /// text-embeddings-inference's `/embed`.
    Embed,
    /// text-embeddings-inference's `/rerank`.
    Rerank,
    /// text-embeddings-inference's `/predict`.
    Predict,
    /// text-embeddings-inference's `/tokenize`.
    Tokenize,
    /// OpenAI's `/v1/embeddings`.
    OpenAiEmbeddings,
    /// Cohere's `/v1/rerank`.
    CohereRerank,
}

/// What `operation` may be.
const OPERATIONS: &str = "one of \"similarity\", \"embed\", \"rerank\", \"predict\", \"tokenize\", \
                          \"info\", \"health\", \"warmup\"";

impl Operation {
    /// Decodes and checks a request.
    ///
    /// # Errors
    /// - [`RequestError`], which names the field that is at fault.
    pub fn decode(request: Value, form: Form, limits: &Limits) -> Result<Self, RequestError> {
        let mut fields = Fields::of(request)?;
        let fields = &mut fields;
        Ok(match form {
            Form::Event => return Self::event(fields, limits),
            Form::Invocation => return Self::invocation(fields, limits),
            Form::Similarity => {
                Self::Similarity(tei::similarity(fields, limits)?, SimilarityForm::Tei)
            }
            Form::Embed => Self::Embed(tei::embed(fields, limits)?, EmbedForm::Tei),
            Form::Rerank => Self::Rerank(tei::rerank(fields, limits)?, RerankForm::Tei),
            Form::Predict => Self::Predict(tei::predict(fields, limits)?),
            Form::Tokenize => Self::Tokenize(tei::tokenize(fields, limits)?),
            Form::OpenAiEmbeddings => {
                let (request, format) = openai::embed(fields, limits)?;
                Self::Embed(request, EmbedForm::OpenAi(format))
            }
            Form::CohereRerank => Self::Rerank(cohere::rerank(fields, limits)?, RerankForm::Cohere),
        })
    }

    fn event(fields: &mut Fields, limits: &Limits) -> Result<Self, RequestError> {
        let field = fields.field("operation");
        let is_known = ["operation", "query_from_app", "actual_queries"]
            .iter()
            .any(|name| fields.holds(name, |_| true));
        if !is_known {
            return Err(RequestError::UnknownEvent);
        }
        let Some(name) = fields.name("operation")? else {
            let request = SimilarityRequest::from_fields(fields, limits)?;
            return Ok(Self::Similarity(request, SimilarityForm::Event));
        };
        Ok(match name.as_str() {
            "similarity" if fields.holds("inputs", |value| !value.is_null()) => {
                Self::Similarity(tei::similarity(fields, limits)?, SimilarityForm::Tei)
            }
            "similarity" => {
                let request = SimilarityRequest::from_fields(fields, limits)?;
                Self::Similarity(request, SimilarityForm::Event)
            }
            "embed" => Self::Embed(tei::embed(fields, limits)?, EmbedForm::Tei),
            "rerank" => Self::Rerank(tei::rerank(fields, limits)?, RerankForm::Tei),
            "predict" => Self::Predict(tei::predict(fields, limits)?),
            "tokenize" => Self::Tokenize(tei::tokenize(fields, limits)?),
            "info" => Self::Info,
            "health" => Self::Health,
            "warmup" => Self::WarmUp,
            _ => {
                return Err(RequestError::UnknownValue { field, expected: OPERATIONS.into() });
            }
        })
    }

    fn invocation(fields: &mut Fields, limits: &Limits) -> Result<Self, RequestError> {
        if fields.holds("operation", |value| !value.is_null()) {
            Self::event(fields, limits)
        } else if fields.holds("inputs", Value::is_object) {
            Ok(Self::Similarity(tei::similarity(fields, limits)?, SimilarityForm::Tei))
        } else if fields.holds("inputs", |value| !value.is_null()) {
            Ok(Self::Embed(tei::embed(fields, limits)?, EmbedForm::Tei))
        } else {
            Self::event(fields, limits)
        }
    }
}

/// The answer to an operation, as it stands on the wire.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Candidates with their scores, best first.
    Similarity(SimilarityResponse),
    /// Scores in input order.
    Scores(Vec<f32>),
    /// Embeddings.
    Rows(Rows),
    /// Embeddings, as OpenAI.
    Embeddings(EmbeddingList),
    /// Texts, best first.
    Ranks(Vec<Rank>),
    /// Texts, best first, as Cohere.
    Reranked(RerankResponse),
    /// Labels of a pair, best first.
    Prediction(Vec<Prediction>),
    /// Labels of each pair, best first.
    Predictions(Vec<Vec<Prediction>>),
    /// Tokens of each text.
    Tokens(Vec<Vec<TokenOfText>>),
    /// Models and limits.
    About(About),
    /// The models, as OpenAI.
    Models(ModelList),
    /// One word.
    Status(Status),
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Status {
    /// `ok`, or `warm` for a warm-up.
    pub status: &'static str,
}

impl Answer {
    /// Returns scores, given in input order; `cut` are indices of the texts that were cut, the
    /// query's 0.
    #[must_use]
    pub fn similarity(
        request: &SimilarityRequest,
        form: SimilarityForm,
        scores: Vec<f32>,
        cut: &[usize],
    ) -> Self {
        match form {
            SimilarityForm::Event => {
                Self::Similarity(SimilarityResponse::new(request, &scores, cut))
            }
            SimilarityForm::Tei => Self::Scores(scores),
        }
    }

    /// Returns embeddings of a model, of texts with so many tokens in all.
    #[must_use]
    pub fn embedded(
        embedded: Embedded,
        form: EmbedForm,
        model: &str,
        prompt_tokens: usize,
    ) -> Self {
        match form {
            EmbedForm::Tei => Self::Rows(Rows(embedded.vectors)),
            EmbedForm::OpenAi(format) => {
                Self::Embeddings(openai::embeddings(&embedded, format, model, prompt_tokens))
            }
        }
    }

    /// Returns the texts of a request in their order of worth.
    #[must_use]
    pub fn reranked(request: &RerankRequest, form: RerankForm, reranked: &Reranked) -> Self {
        match form {
            RerankForm::Tei => Self::Ranks(tei::ranks(request, reranked)),
            RerankForm::Cohere => Self::Reranked(cohere::response(request, reranked)),
        }
    }

    /// Returns the labels of pairs.
    #[must_use]
    pub fn predicted(request: &PredictRequest, predicted: &Predicted) -> Self {
        let mut predictions = tei::predictions(predicted);
        match predictions.pop() {
            Some(only) if !request.is_list => Self::Prediction(only),
            last => {
                predictions.extend(last);
                Self::Predictions(predictions)
            }
        }
    }

    /// How many vectors, scores or texts it holds: what a shorter request would have fewer of.
    #[must_use]
    pub fn items(&self) -> usize {
        match self {
            Self::Similarity(response) => response.scores.len(),
            Self::Scores(scores) => scores.len(),
            Self::Rows(rows) => rows.0.nrows(),
            Self::Embeddings(list) => list.data.len(),
            Self::Ranks(ranks) => ranks.len(),
            Self::Reranked(response) => response.results.len(),
            Self::Predictions(predictions) => predictions.len(),
            Self::Tokens(texts) => texts.len(),
            Self::Prediction(_) | Self::About(_) | Self::Models(_) | Self::Status(_) => 1,
        }
    }

    /// Returns an answer of one word.
    #[must_use]
    pub fn status(status: &'static str) -> Self {
        Self::Status(Status { status })
    }
}
