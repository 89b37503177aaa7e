//! The embed dialect of Cohere, versions 1 and 2.
//!
//! Sources: <https://docs.cohere.com/v1/reference/embed> and
//! <https://docs.cohere.com/v2/reference/embed>.

use std::collections::BTreeMap;

use axum::http::Method;
use semblance::outcome::EmbedOutput;
use semblance::{EmbedOptions, Prompts, Truncation};
use serde::Serialize;
use serde_json::Error;
use utoipa::ToSchema;

use super::cohere::ApiVersion;
use super::embedding::{EmbeddingValue, NumberFormat};
use super::{Route, RouteSchema, openai, request_id};
use crate::Limits;
use crate::body::{
    Body as _, Choice, ChoiceList, ClientInput, ContentInputs, Count, Dimensions, Fields, OnError,
    Optional, TextsOrIds, Truncate, Unread, Unsupported, body,
};
use crate::openapi::any_of;
use crate::operation::{Call, EmbedRequest, ItemError, Listed, Purpose, Reply};
use crate::request::RequestError;
use crate::service::Service;

pub(super) const ROUTES: &[Route] = &[
    embed_route("/v1/embed", |fields, limits| embed(fields, limits, "1")),
    embed_route("/v2/embed", |fields, limits| embed(fields, limits, "2")),
];

const fn embed_route(
    path: &'static str,
    decode: fn(&mut Fields, &Limits) -> Result<Call, RequestError>,
) -> Route {
    Route {
        method: Method::POST,
        path,
        summary: "Embed texts",
        decode,
        errors: &openai::ERRORS,
        schema: |schemas| {
            let one = schemas.reply::<EmbeddingsFloats>();
            let reply = any_of([one, schemas.reply::<EmbeddingsByType>()]);
            RouteSchema::post(schemas.body::<CohereEmbedBody>(), reply)
        },
    }
}

body! {
    /// Texts to embed. A text beyond the model's limit is truncated.
    CohereEmbedBody = {
        "model": "any",
        "texts": ["Around 9 million", "It has a river"],
        "input_type": "search_document",
        "embedding_types": ["float"]
    } {
        /// Refused: the model embeds texts.
        images: Unsupported,
        /// The texts, or `inputs` instead.
        texts: Optional<ClientInput>,
        /// The texts as objects whose `content` has one part of the type `text`. Images are refused.
        inputs: Optional<ContentInputs>,
        /// The use of the embeddings. It selects the model's prompt for a query or a document, if the
        /// model has one.
        input_type: Choice<Purpose>,
        /// [Number formats](#number-formats) of the embeddings. With them, or in version 2,
        /// `embeddings` of the response is an object with a list for each format.
        embedding_types: ChoiceList<NumberFormat>,
        /// How to truncate a text beyond the model's limit: `END` (default), `START`, or `NONE`, which
        /// makes it an error.
        truncate: Truncate,
        /// Number of leading dimensions to keep.
        output_dimension: Dimensions,
        /// What to do with an invalid text: `error` refuses the request (default); `null` embeds the
        /// others.
        on_error: Choice<OnError>,
        /// Maximum number of tokens of each text, special tokens excluded. `truncate` says what happens to
        /// a longer one.
        max_tokens: Count,
        /// Ignored; the service has one model.
        model: Unread,
        /// Ignored; requests have no priorities.
        priority: Unread,
    }
}

pub(super) fn embed(
    fields: &mut Fields,
    limits: &Limits,
    version: &'static str,
) -> Result<Call, RequestError> {
    fields.read_texts(true);
    let missing = fields.field("texts");
    let body = CohereEmbedBody::decode(fields, limits)?;
    let texts = match (body.texts.0, body.inputs.0) {
        (Some(texts), None) => texts.0,
        (None, Some(inputs)) => inputs.0,
        (None, None) => return Err(RequestError::MissingField { field: missing }),
        (Some(_), Some(_)) => {
            return Err(RequestError::WrongFields { expected: "either texts or inputs" });
        }
    };
    let options = EmbedOptions {
        truncation: body.truncate.0.unwrap_or(Truncation::Right),
        prompts: Prompts::ByRole,
        normalize: Some(true),
        dimensions: body.output_dimension.0,
        text_tokens: body.max_tokens.0,
        ..EmbedOptions::default()
    };
    let formats = match body.embedding_types.0 {
        None if version == "2" => Some(vec![NumberFormat::Float]),
        formats => formats,
    };
    let request = EmbedRequest {
        input: TextsOrIds::Texts(texts),
        purpose: body.input_type.0,
        options,
        dimensions_field: "output_dimension",
        token_limit: None,
    };
    Ok(Call::new(request, move |request, listed, service| {
        let form = Form { version, formats };
        form.response(request, &listed, service)
    }))
}

/// The form of a response.
struct Form {
    version: &'static str,
    /// The number formats, if `embeddings` is an object.
    formats: Option<Vec<NumberFormat>>,
}

/// Embeddings as lists of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct EmbeddingsFloats {
    /// `embeddings_floats`.
    response_type: &'static str,
    /// The id of the response.
    id: String,
    /// One embedding of unit length for each text, in input order; null for an invalid text.
    embeddings: Vec<Option<EmbeddingValue>>,
    /// The texts of the request.
    texts: Vec<String>,
    /// The cost of the request.
    meta: EmbedMeta,
    /// The errors of the invalid texts, with `"on_error": "null"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

/// Embeddings by number format.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct EmbeddingsByType {
    /// `embeddings_by_type`.
    response_type: &'static str,
    /// The id of the response.
    id: String,
    /// For each requested format: one embedding for each text, in input order; null for an invalid
    /// text.
    embeddings: BTreeMap<&'static str, Vec<Option<EmbeddingValue>>>,
    /// The texts of the request.
    texts: Vec<String>,
    /// The cost of the request.
    meta: EmbedMeta,
    /// The errors of the invalid texts, with `"on_error": "null"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

/// The cost of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct EmbedMeta {
    /// The version of the dialect.
    api_version: ApiVersion,
    /// The units that Cohere would bill.
    billed_units: EmbedUnits,
}

/// Billed units of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct EmbedUnits {
    /// Number of tokens of all texts after truncation, special tokens included.
    input_tokens: usize,
}

impl Form {
    fn response(
        &self,
        request: &EmbedRequest,
        listed: &Listed<EmbedOutput>,
        _: &Service,
    ) -> Result<Reply, Error> {
        let (id, items) = (request_id(), listed.places.len());
        let texts = match &request.input {
            TextsOrIds::Texts(texts) => texts.as_slice().to_vec(),
            TextsOrIds::Ids(_) => Vec::new(),
        };
        let errors = listed.errors.clone();
        let meta = EmbedMeta {
            api_version: ApiVersion { version: self.version },
            billed_units: EmbedUnits { input_tokens: listed.outcome.cost.prompt_tokens },
        };
        let rows = |format: NumberFormat| listed.values(|row| format.value(row));
        match &self.formats {
            None => {
                let (response_type, embeddings) = ("embeddings_floats", rows(NumberFormat::Float));
                let response =
                    EmbeddingsFloats { response_type, id, embeddings, texts, meta, errors };
                Reply::new(&response, items)
            }
            Some(formats) => {
                let response_type = "embeddings_by_type";
                let embeddings =
                    formats.iter().map(|&format| (format.name(), rows(format))).collect();
                let response =
                    EmbeddingsByType { response_type, id, embeddings, texts, meta, errors };
                Reply::new(&response, items)
            }
        }
    }
}

impl Listed<EmbedOutput> {
    /// Returns the embedding of each text in a format; `None` for an invalid text.
    pub(super) fn values(
        &self,
        format: impl Fn(&[f32]) -> EmbeddingValue,
    ) -> Vec<Option<EmbeddingValue>> {
        let value = |place: &Option<usize>| {
            // Rows are contiguous, so `to_slice` never fails.
            let row = self.outcome.vectors.row((*place)?);
            Some(format(row.to_slice().unwrap_or_default()))
        };
        self.places.iter().map(value).collect()
    }
}
