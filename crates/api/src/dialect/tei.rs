//! The dialect of text-embeddings-inference.
//!
//! Source: its OpenAPI document, version 1.9
//! (<https://huggingface.github.io/text-embeddings-inference/openapi.json>).

use std::borrow::Cow;

use axum::http::{Method, StatusCode};
use semblance::options::TokenizeOptions;
use semblance::outcome::{PredictOutput, Scorer, Scores, Token, TokenizeOutput, rank};
use semblance::{PairOptions, TextOptions};
use serde::{Serialize, Serializer};
use serde_json::{Error, json};
use utoipa::ToSchema;

use super::{ErrorForm, Route, RouteSchema, cohere};
use crate::body::{
    Body, Choice, Count, Direction, Fields, Flag, Input, Object, OnError, OptionalObject, Pairs,
    PromptName, Text, TextList, TokenIds, Unread, body, one_of, truncation,
};
use crate::error::ApiError;
use crate::openapi::any_of;
use crate::operation::{
    Call, DecodeRequest, HealthRequest, InfoRequest, Listed, PredictRequest, Reply, RerankRequest,
    SimilarityRequest, Status, TokenizeRequest, scorer_name,
};
use crate::request::RequestError;
use crate::service::Service;
use crate::{About, Limits};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/similarity",
        summary: "Score texts against a query",
        decode: similarity,
        errors: &ERRORS,
        schema: |schemas| {
            let list = schemas.inline::<Vec<f32>>();
            let reply = schemas.list_or_errors(list);
            RouteSchema::post(schemas.body::<SimilarityBody>(), reply)
        },
    },
    Route {
        method: Method::POST,
        path: "/rerank",
        summary: "Rank texts by their relevance to a query",
        decode: rerank,
        errors: &ERRORS,
        schema: |schemas| {
            let own = schemas.inline::<Vec<Rank>>();
            let own = schemas.list_or_errors(own);
            let reply = any_of([own, schemas.reply::<cohere::RerankResponse>()]);
            RouteSchema::post(schemas.body::<RerankBody>(), reply).with_scorer()
        },
    },
    Route {
        method: Method::POST,
        path: "/predict",
        summary: "Score pairs or single texts with the cross-encoder",
        decode: predict,
        errors: &ERRORS,
        schema: |schemas| {
            let one = schemas.inline::<Vec<Prediction>>();
            let many = schemas.inline::<Vec<Vec<Prediction>>>();
            let reply = any_of([one, schemas.list_or_errors(many)]);
            RouteSchema::post(schemas.body::<PredictBody>(), reply).with_missing()
        },
    },
    Route {
        method: Method::POST,
        path: "/tokenize",
        summary: "Tokenize texts",
        decode: tokenize,
        errors: &ERRORS,
        schema: |schemas| {
            let list = schemas.inline::<Vec<Vec<TokenOfText<'static>>>>();
            let reply = schemas.list_or_errors(list);
            RouteSchema::post(schemas.body::<TokenizeBody>(), reply)
        },
    },
    Route {
        method: Method::POST,
        path: "/decode",
        summary: "Return the text of token ids",
        decode: detokenize,
        errors: &ERRORS,
        schema: |schemas| {
            RouteSchema::post(schemas.body::<DecodeBody>(), schemas.inline::<Vec<String>>())
        },
    },
    Route {
        method: Method::GET,
        path: "/info",
        summary: "Describe models and limits",
        decode: info,
        errors: &ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<About>()),
    },
    Route {
        method: Method::GET,
        path: "/health",
        summary: "Check that the service responds",
        decode: health,
        errors: &ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<Status>()),
    },
    Route {
        method: Method::GET,
        path: "/healthz",
        summary: "Check that the service responds",
        decode: health,
        errors: &ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<Status>()),
    },
];

/// `{"error", "error_type"}`.
pub(super) static ERRORS: ErrorForm = ErrorForm {
    field_status: StatusCode::UNPROCESSABLE_ENTITY,
    too_large_status: StatusCode::PAYLOAD_TOO_LARGE,
    body: |error, message, _| json!({"error": message, "error_type": error.code().name}),
    schema: |schemas| schemas.reply::<TeiError>(),
};

/// An error in the format of text-embeddings-inference.
#[derive(ToSchema)]
#[expect(dead_code, reason = "used only for its schema")]
struct TeiError {
    /// The message. It never contains a text of the request.
    error: String,
    /// Stable code, for programs.
    error_type: String,
}

body! {
    /// Texts to compare with a query.
    pub(super) SimilarityBody = {"inputs": {
        "source_sentence": "How many people live in London?",
        "sentences": ["Around 9 million", "It has a river"]
    }} {
        inputs: Object<SimilarityInputs>,
        parameters: OptionalObject<SimilarityParameters>,
        /// Ignored; options of Hugging Face's hosted API, such as `wait_for_model`.
        options: Unread,
    }
}

body! {
    /// The query and the texts.
    SimilarityInputs = null {
        /// The query.
        source_sentence: Text,
        /// The texts. Repetitions are kept.
        sentences: TextList,
    }
}

body! {
    /// Options of the comparison.
    SimilarityParameters = null {
        /// Whether to truncate a text beyond the model's limit. Otherwise it is an error. The default is
        /// `auto_truncate` of `/info`.
        truncate: Flag,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// Name of the model's prompt to put before the query and the texts. Absent: the model's prompt
        /// for a query, and that for a document. Null: no prompt.
        prompt_name: PromptName,
        /// What to do with an invalid text of a list: `error` refuses the request (default); `null`
        /// processes the others.
        on_error: Choice<OnError>,
    }
}

body! {
    /// Texts to rank by their relevance to a query.
    pub(super) RerankBody = {
        "query": "How many people live in London?", "texts": ["Around 9 million", "It has a river"]
    } {
        query: Text,
        texts: TextList,
        /// Whether to truncate a pair beyond the model's limit. Otherwise it is an error. The default is
        /// `auto_truncate` of `/info`.
        truncate: Flag,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// Whether to return logits instead of scores.
        raw_scores: Flag,
        /// Whether the response contains the texts.
        return_text: Flag,
        /// The same as `return_text`, in Cohere's API.
        return_documents: Flag,
        /// Number of texts to return, best first; all if absent. In Cohere's API.
        top_n: Count,
        /// As for `/similarity`. A cross-encoder has no prompts.
        prompt_name: PromptName,
        /// What to do with an invalid text of a list: `error` refuses the request (default); `null`
        /// processes the others.
        on_error: Choice<OnError>,
    }
}

body! {
    /// Pairs of texts, or single texts, to score.
    pub(super) PredictBody = {"inputs": [["How many people live in London?", "Around 9 million"]]} {
        inputs: Pairs,
        /// Whether to truncate a pair beyond the model's limit. Otherwise it is an error. The default is
        /// `auto_truncate` of `/info`.
        truncate: Flag,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// Whether to return logits instead of scores.
        raw_scores: Flag,
        /// What to do with an invalid pair of a list: `error` refuses the request (default); `null`
        /// processes the others.
        on_error: Choice<OnError>,
    }
}

body! {
    /// Texts to tokenize.
    pub(super) TokenizeBody = {"inputs": "How many people live in London?"} {
        inputs: Input,
        /// Whether to include the special tokens that the tokenizer adds around a text (default).
        add_special_tokens: Flag,
        /// Name of the model's prompt to put before each text. Absent: the model's default prompt. Null:
        /// no prompt.
        prompt_name: PromptName,
        /// What to do with an invalid text of a list: `error` refuses the request (default); `null`
        /// processes the others.
        on_error: Choice<OnError>,
    }
}

body! {
    /// Token ids to decode.
    pub(super) DecodeBody = {"ids": [101, 2414, 102]} {
        ids: TokenIds,
        /// Whether to omit special tokens (default).
        skip_special_tokens: Flag,
    }
}

/// The options of a comparison, which can also be fields of the request itself.
const SIMILARITY_OPTIONS: &[&str] =
    &["truncate", "truncation_direction", "prompt_name", "on_error"];

pub(super) fn similarity(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    fields.sink("parameters", SIMILARITY_OPTIONS)?;
    fields.read_texts(limits.auto_truncate);
    let body = SimilarityBody::decode(fields, limits)?;
    let (Object(inputs), OptionalObject(parameters)) = (body.inputs, body.parameters);
    let options = TextOptions {
        truncation: truncation(
            &parameters.truncate,
            &parameters.truncation_direction,
            limits.auto_truncate,
        ),
        prompts: parameters.prompt_name.prompts(),
        text_tokens: None,
    };
    let (query, texts) = (inputs.source_sentence.0, inputs.sentences.0);
    Ok(Call::new(SimilarityRequest { query, texts, top_k: None, options }, scores))
}

fn scores(_: &SimilarityRequest, listed: Listed<Scores>, _: &Service) -> Result<Reply, Error> {
    let scores = &listed.outcome.scores;
    Reply::list(scores, listed.errors.as_deref(), scores.len())
}

/// Decodes a body whose options can also be in an object `parameters`.
pub(super) fn decoded<T: Body>(fields: &mut Fields, limits: &Limits) -> Result<T, RequestError> {
    fields.lift("parameters")?;
    fields.read_texts(limits.auto_truncate);
    T::decode(fields, limits)
}

pub(super) fn rerank(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    // Clients of Cohere, Jina, vLLM and Infinity use this path too.
    if fields.has("documents", |value| !value.is_null())
        && !fields.has("texts", |value| !value.is_null())
    {
        return cohere::rerank(fields, limits);
    }
    let body = decoded::<RerankBody>(fields, limits)?;
    let (own, documents) = (body.return_text.0, body.return_documents.0);
    let return_text = one_of(own, documents, "return_documents", "return_text")?;
    let options = PairOptions {
        truncation: truncation(&body.truncate, &body.truncation_direction, limits.auto_truncate),
        raw_scores: body.raw_scores.0.unwrap_or(false),
        text_tokens: None,
    };
    let request = RerankRequest {
        query: body.query.0,
        texts: body.texts.0,
        options,
        prompt_name: body.prompt_name,
        max_text_tokens: None,
        max_parts: None,
        token_limit: None,
        top_n: body.top_n.0,
        return_texts: return_text.unwrap_or(false),
    };
    Ok(Call::new(request, ranks))
}

/// A text in a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Rank {
    /// Index of the text in the request.
    index: usize,
    /// Its score; null if the text is invalid.
    score: f32,
    /// The text, if it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// `bi-encoder` if the embedding model scored the text; absent if the cross-encoder did.
    #[serde(skip_serializing_if = "Option::is_none")]
    scored_by: Option<&'static str>,
}

fn ranks(request: &RerankRequest, listed: Listed<Scores>, _: &Service) -> Result<Reply, Error> {
    let scores = &listed.outcome;
    let (texts, by) = (request.texts.as_slice(), scores.scored_by);
    let scored_by = (by != Scorer::CrossEncoder).then(|| scorer_name(by));
    let rank_of = |index: usize| Rank {
        index,
        score: scores.scores[index],
        text: request.return_texts.then(|| texts[index].clone()),
        scored_by,
    };
    let best = rank(&scores.scores, request.top_n.unwrap_or(usize::MAX));
    let ranks: Vec<Rank> = best.into_iter().map(rank_of).collect();
    Reply::list(&ranks, listed.errors.as_deref(), ranks.len())
}

pub(super) fn predict(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    let body = decoded::<PredictBody>(fields, limits)?;
    let options = PairOptions {
        truncation: truncation(&body.truncate, &body.truncation_direction, limits.auto_truncate),
        raw_scores: body.raw_scores.0.unwrap_or(false),
        text_tokens: None,
    };
    Ok(Call::new(PredictRequest { pairs: body.inputs, options }, predictions))
}

/// The score of a label.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Prediction {
    /// The score.
    score: f32,
    /// Name of the label: that of the model's `id2label`, or `LABEL_` and the index, the default of
    /// `transformers`.
    label: String,
}

/// Returns the labels of each pair, highest score first, ties in label order; null for an invalid pair.
fn predictions(
    request: &PredictRequest,
    listed: Listed<PredictOutput>,
    service: &Service,
) -> Result<Reply, Error> {
    let names = service.model().cross_encoder().map_or(&[][..], |info| &info.labels);
    let labels = |place: usize| -> Vec<Prediction> {
        let scores = listed.outcome.scores.row(place).to_vec();
        let best = rank(&scores, usize::MAX).into_iter();
        best.map(|i| Prediction { score: scores[i], label: names[i].clone() }).collect()
    };
    let pairs: Vec<Option<Vec<Prediction>>> =
        listed.places.iter().map(|place| place.map(labels)).collect();
    match pairs.as_slice() {
        [Some(only)] if !request.pairs.is_list => Reply::list(only, listed.errors.as_deref(), 1),
        pairs => Reply::list(pairs, listed.errors.as_deref(), pairs.len()),
    }
}

pub(super) fn tokenize(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    let body = decoded::<TokenizeBody>(fields, limits)?;
    let options = TokenizeOptions {
        special_tokens: body.add_special_tokens.0.unwrap_or(true),
        prompts: body.prompt_name.prompts(),
    };
    Ok(Call::new(TokenizeRequest { texts: body.inputs.0, options }, tokens))
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct TokenOfText<'a> {
    /// Its id in the vocabulary.
    id: u32,
    /// The characters of the text that the token covers, or the name of a special token.
    text: Cow<'a, str>,
    /// Whether it is a special token.
    special: bool,
    /// Index of its first character; null for a special token.
    start: Option<usize>,
    /// Index after its last character; null for a special token.
    stop: Option<usize>,
}

impl<'a> From<&'a Token> for TokenOfText<'a> {
    fn from(token: &'a Token) -> Self {
        let range = token.characters.as_ref();
        let (start, stop) = range.map(|range| (range.start, range.end)).unzip();
        Self { id: token.id, text: (&token.text).into(), special: start.is_none(), start, stop }
    }
}

/// The tokens of each text; null for an invalid text. It converts one token at a time.
struct TokenLists<'a>(&'a Listed<TokenizeOutput>);

/// The tokens of one text.
struct TokenList<'a>(&'a [Token]);

impl Serialize for TokenLists<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Listed { outcome, places, .. }) = self;
        let list = |place: usize| TokenList(&outcome.tokens[place]);
        serializer.collect_seq(places.iter().map(|place| place.map(list)))
    }
}

impl Serialize for TokenList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(TokenOfText::from))
    }
}

fn tokens(
    _: &TokenizeRequest,
    listed: Listed<TokenizeOutput>,
    service: &Service,
) -> Result<Reply, ApiError> {
    let (errors, items) = (listed.errors.as_deref(), listed.places.len());
    Reply::limited_list(&TokenLists(&listed), errors, items, service)
}

pub(super) fn detokenize(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    let body = decoded::<DecodeBody>(fields, limits)?;
    let skip_special_tokens = body.skip_special_tokens.0.unwrap_or(true);
    let request = DecodeRequest { ids: body.ids, skip_special_tokens };
    Ok(Call::new(request, |_, texts, _| Reply::new(&texts, texts.len())))
}

pub(super) fn info(_: &mut Fields, _: &Limits) -> Result<Call, RequestError> {
    Ok(Call::new(InfoRequest, |_, about, _| Reply::new(&about, 1)))
}

pub(super) fn health(_: &mut Fields, _: &Limits) -> Result<Call, RequestError> {
    Ok(Call::new(HealthRequest, |_, status, _| Reply::new(&status, 1)))
}
