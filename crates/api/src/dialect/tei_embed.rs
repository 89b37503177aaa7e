//! The embeddings of text-embeddings-inference: of texts, of tokens, and sparse ones, which are refused.

use axum::http::Method;
use semblance::outcome::{EmbedOutput, TokenEmbeddings};
use semblance::{EmbedOptions, TextOptions};
use serde::{Serialize, Serializer};
use serde_json::Error;

use super::embedding::{EncodingFormat, NumberFormat};
use super::tei::{ERRORS, decoded};
use super::{Route, RouteSchema};
use crate::Limits;
use crate::body::{
    Body, Choice, Dimensions, Direction, Fields, Flag, Input, OnError, PromptName, Unread, WithIds,
    body, truncation,
};
use crate::error::ApiError;
use crate::openapi::any_of;
use crate::operation::{Call, EmbedAllRequest, EmbedRequest, EmbedSparseRequest, Listed, Reply};
use crate::request::RequestError;
use crate::service::Service;

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/embed",
        summary: "Embed texts",
        decode: embed,
        errors: &ERRORS,
        schema: |schemas| {
            let (rows, encoded) =
                (schemas.inline::<Vec<Vec<f32>>>(), schemas.inline::<Vec<String>>());
            let reply = schemas.list_or_errors(any_of([rows, encoded]));
            RouteSchema::post(schemas.body::<EmbedBody>(), reply)
        },
    },
    Route {
        method: Method::POST,
        path: "/embed_all",
        summary: "Embed the tokens of texts",
        decode: embed_all,
        errors: &ERRORS,
        schema: |schemas| {
            let list = schemas.inline::<Vec<Vec<Vec<f32>>>>();
            let reply = schemas.list_or_errors(list);
            RouteSchema::post(schemas.body::<EmbedAllBody>(), reply)
        },
    },
    Route {
        method: Method::POST,
        path: "/embed_sparse",
        summary: "Refuse sparse embeddings, which no supported model has",
        decode: embed_sparse,
        errors: &ERRORS,
        schema: |schemas| {
            let list = schemas.inline::<Vec<Vec<f32>>>();
            RouteSchema::post(schemas.body::<EmbedSparseBody>(), list).with_missing()
        },
    },
];

body! {
    /// Texts to embed.
    pub(super) EmbedBody = {"inputs": ["Around 9 million", "It has a river"]} {
        /// The texts, or their [token ids](#token-ids).
        inputs: WithIds<Input>,
        /// Whether to truncate a text beyond the model's limit. Otherwise it is an error. The default is
        /// `auto_truncate` of `/info`.
        truncate: Flag,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// Name of the model's prompt to put before each text. Absent: the model's default prompt. Null:
        /// no prompt.
        prompt_name: PromptName,
        /// Whether embeddings have unit length (default).
        normalize: Flag,
        /// Number of leading dimensions to keep.
        dimensions: Dimensions,
        /// Encoding of an embedding: an array of numbers (default), or base64 of its float32 values, as
        /// `huggingface_hub` can request.
        encoding_format: Choice<EncodingFormat>,
        /// What to do with an invalid text of a list: `error` refuses the request (default); `null`
        /// processes the others.
        on_error: Choice<OnError>,
        /// Ignored; options of Hugging Face's hosted API, such as `wait_for_model`.
        options: Unread,
    }
}

body! {
    /// Texts whose tokens are embedded.
    pub(super) EmbedAllBody = {"inputs": ["Around 9 million", "It has a river"]} {
        /// The texts, or their [token ids](#token-ids).
        inputs: WithIds<Input>,
        /// Whether to truncate a text beyond the model's limit. Otherwise it is an error. The default is
        /// `auto_truncate` of `/info`.
        truncate: Flag,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// Name of the model's prompt to put before each text. Absent: the model's default prompt. Null:
        /// no prompt.
        prompt_name: PromptName,
        /// What to do with an invalid text of a list: `error` refuses the request (default); `null`
        /// processes the others.
        on_error: Choice<OnError>,
    }
}

body! {
    /// A request for sparse embeddings. It is refused with `request.no_sparse_embeddings`.
    EmbedSparseBody = {"inputs": "Around 9 million"} {
        /// Not read.
        inputs: Unread,
        /// Not read.
        truncate: Unread,
        /// Not read.
        truncation_direction: Unread,
        /// Not read.
        prompt_name: Unread,
    }
}

pub(super) fn embed(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    let body = decoded::<EmbedBody>(fields, limits)?;
    let options = EmbedOptions {
        truncation: truncation(&body.truncate, &body.truncation_direction, limits.auto_truncate),
        prompts: body.prompt_name.prompts(),
        normalize: Some(body.normalize.0.unwrap_or(true)),
        dimensions: body.dimensions.0,
        ..EmbedOptions::default()
    };
    let request = EmbedRequest {
        input: body.inputs.input,
        purpose: None,
        options,
        dimensions_field: "dimensions",
        token_limit: None,
    };
    match body.encoding_format.0 {
        Some(EncodingFormat::Base64) => Ok(Call::new(request, encoded_rows)),
        Some(EncodingFormat::Float) | None => Ok(Call::new(request, rows)),
    }
}

fn rows(_: &EmbedRequest, listed: Listed<EmbedOutput>, _: &Service) -> Result<Reply, Error> {
    Reply::list(&Rows(&listed), listed.errors.as_deref(), listed.places.len())
}

/// Embeddings as base64, or null for an invalid text.
fn encoded_rows(
    _: &EmbedRequest,
    listed: Listed<EmbedOutput>,
    _: &Service,
) -> Result<Reply, Error> {
    let rows = listed.values(|row| NumberFormat::Float.base64(row));
    Reply::list(&rows, listed.errors.as_deref(), rows.len())
}

pub(super) fn embed_all(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    let body = decoded::<EmbedAllBody>(fields, limits)?;
    let options = TextOptions {
        truncation: truncation(&body.truncate, &body.truncation_direction, limits.auto_truncate),
        prompts: body.prompt_name.prompts(),
        text_tokens: None,
    };
    Ok(Call::new(EmbedAllRequest { input: body.inputs.input, options }, token_rows))
}

fn token_rows(
    _: &EmbedAllRequest,
    listed: Listed<TokenEmbeddings>,
    service: &Service,
) -> Result<Reply, ApiError> {
    let (errors, items) = (listed.errors.as_deref(), listed.places.len());
    Reply::limited_list(&TokenRows(&listed), errors, items, service)
}

/// The token embeddings of each text as rows of numbers, or null for an invalid text.
struct TokenRows<'a>(&'a Listed<TokenEmbeddings>);

impl Serialize for TokenRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = |place: usize| -> Vec<&[f32]> {
            let rows = self.0.outcome.texts[place].outer_iter();
            // Rows are contiguous, so `to_slice` never fails.
            rows.map(|row| row.to_slice().unwrap_or_default()).collect()
        };
        serializer.collect_seq(self.0.places.iter().map(|place| place.map(rows)))
    }
}

pub(super) fn embed_sparse(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    EmbedSparseBody::decode(fields, limits)?;
    Ok(Call::new(EmbedSparseRequest, |_, never, _| -> Result<Reply, Error> { match never {} }))
}

/// Embeddings as rows of numbers, or null for an invalid text.
pub(super) struct Rows<'a>(pub(super) &'a Listed<EmbedOutput>);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let vectors = &self.0.outcome.vectors;
        // Rows are contiguous, so `to_slice` never fails.
        let row = |place: &Option<usize>| {
            place.map(|place| vectors.row(place).to_slice().unwrap_or_default().to_vec())
        };
        serializer.collect_seq(self.0.places.iter().map(row))
    }
}
