//! The dialect of OpenAI's embeddings.
//!
//! Source: <https://platform.openai.com/docs/api-reference/embeddings>.

use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use semblance::{EmbedOptions, EmbedOutput, Truncation};
use serde::Serialize;
use serde_json::{Error, Value, json};
use utoipa::ToSchema;

use super::{ErrorForm, Route, RouteSchema};
use crate::Limits;
use crate::body::{Body as _, Choice, Choices, Dimensions, Fields, Input, Unread, body};
use crate::operation::{Call, EmbedRequest, ModelRequest, ModelsRequest, Reply};
use crate::request::RequestError;
use crate::service::Service;

pub(super) const ROUTES: &[Route] = &[
    embeddings_route("/v1/embeddings"),
    embeddings_route("/embeddings"),
    Route {
        method: Method::GET,
        path: "/v1/models",
        summary: "List the models",
        decode: |_, _| Ok(Call::new(ModelsRequest, |_, names, _| models(&names))),
        errors: &ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<ModelList>()),
    },
    Route {
        method: Method::GET,
        path: "/v1/models/{model}",
        summary: "Describe a model",
        decode: model,
        errors: &ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<ModelItem>()).with_missing(),
    },
];

const fn embeddings_route(path: &'static str) -> Route {
    Route {
        method: Method::POST,
        path,
        summary: "Embed texts",
        decode: embed,
        errors: &ERRORS,
        schema: |schemas| {
            let reply = schemas.reply::<EmbeddingList>();
            RouteSchema::post(schemas.body::<EmbeddingsBody>(), reply)
        },
    }
}

/// `{"error": {"message", "type", "code", "param"}}`.
pub(super) static ERRORS: ErrorForm = ErrorForm {
    field_status: StatusCode::BAD_REQUEST,
    too_large_status: StatusCode::BAD_REQUEST,
    body: |error, message, status| {
        json!({"error": {
            "message": message,
            "type": error_type(status),
            "code": error.code().name,
            "param": error.field(),
        }})
    },
    schema: |schemas| schemas.reply::<OpenAiError>(),
};

fn error_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    }
}

/// An error in OpenAI's format.
#[derive(ToSchema)]
#[expect(dead_code, reason = "used only for its schema")]
struct OpenAiError {
    /// The error.
    error: OpenAiErrorObject,
}

/// The error.
#[derive(ToSchema)]
#[expect(dead_code, reason = "used only for its schema")]
struct OpenAiErrorObject {
    /// The message. It never contains a text of the request.
    message: String,
    /// `invalid_request_error`, `rate_limit_error` or `server_error`.
    r#type: String,
    /// Stable code, for programs.
    code: String,
    /// The invalid field, if the error is about a field.
    #[schema(required)]
    param: Option<String>,
}

body! {
    /// Texts to embed. A text beyond the model's limit is truncated.
    EmbeddingsBody = {"model": "any", "input": ["Around 9 million", "It has a river"]} {
        input: Input,
        /// Encoding of an embedding: an array of numbers (default), or base64 of its little-endian
        /// f32 values.
        encoding_format: Choice<EncodingFormat>,
        /// Number of leading dimensions to keep.
        dimensions: Dimensions,
        /// Ignored; the service has one model.
        model: Unread,
        /// Ignored.
        user: Unread,
    }
}

/// Encoding of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EncodingFormat {
    /// An array of numbers.
    Float,
    /// Base64 of the little-endian f32 values.
    Base64,
}

impl Choices for EncodingFormat {
    const VALUES: &'static [(&'static str, Self)] =
        &[("float", Self::Float), ("base64", Self::Base64)];
    const EXPECTED: &'static str = "\"float\" or \"base64\"";
}

pub(super) fn embed(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    let is_tokens = |value: &Value| match value {
        Value::Array(items) => matches!(items.first(), Some(Value::Number(_) | Value::Array(_))),
        _ => false,
    };
    if fields.has("input", is_tokens) {
        let expected = "a string or an array of strings; token ids are not supported (with \
                        langchain, set check_embedding_ctx_length=False)";
        let field = fields.field("input");
        return Err(RequestError::UnknownValue { field, expected: expected.into() });
    }
    let body = EmbeddingsBody::decode(fields, limits)?;
    let options = EmbedOptions {
        truncation: Truncation::Right,
        prompt_name: None,
        normalize: None,
        dimensions: body.dimensions.0,
    };
    let format = body.encoding_format.0.unwrap_or(EncodingFormat::Float);
    let request = EmbedRequest { texts: body.input.0, options };
    Ok(Call::new(request, move |_, embedded, service| embeddings(&embedded, format, service)))
}

/// A list of embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct EmbeddingList {
    /// `list`.
    object: &'static str,
    /// One embedding for each text, in input order.
    data: Vec<EmbeddingItem>,
    /// Name of the model that computed them. The requested name is ignored.
    model: String,
    /// Token counts.
    usage: TokenUsage,
}

/// One embedding.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct EmbeddingItem {
    /// `embedding`.
    object: &'static str,
    /// Index of the text in the request.
    index: usize,
    /// The embedding.
    embedding: EmbeddingValue,
}

/// An embedding, `[dim]`, f32.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
enum EmbeddingValue {
    /// The values.
    Float(Vec<f32>),
    /// The little-endian values, in base64.
    Base64(String),
}

/// Token counts of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct TokenUsage {
    /// Number of tokens of all texts after truncation, special tokens included.
    prompt_tokens: usize,
    /// Equal to `prompt_tokens`, because no tokens are generated.
    total_tokens: usize,
}

fn embeddings(
    embedded: &EmbedOutput,
    format: EncodingFormat,
    service: &Service,
) -> Result<Reply, Error> {
    let value = |row: Vec<f32>| match format {
        EncodingFormat::Float => EmbeddingValue::Float(row),
        EncodingFormat::Base64 => {
            let bytes: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
            EmbeddingValue::Base64(STANDARD.encode(bytes))
        }
    };
    let item = |(index, row): (usize, ndarray::ArrayView1<'_, f32>)| EmbeddingItem {
        object: "embedding",
        index,
        embedding: value(row.to_vec()),
    };
    let prompt_tokens = embedded.cost.prompt_tokens;
    let list = EmbeddingList {
        object: "list",
        data: embedded.vectors.outer_iter().enumerate().map(item).collect(),
        model: service.about().model_id.clone(),
        usage: TokenUsage { prompt_tokens, total_tokens: prompt_tokens },
    };
    Reply::new(&list, list.data.len())
}

/// The models of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct ModelList {
    /// `list`.
    object: &'static str,
    /// The models.
    data: Vec<ModelItem>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct ModelItem {
    /// Its name.
    id: String,
    /// `model`.
    object: &'static str,
    /// Always 0, because a bundle has no creation date.
    created: u64,
    /// `semblance`.
    owned_by: &'static str,
}

impl ModelItem {
    fn new(id: &str) -> Self {
        Self { id: id.to_owned(), object: "model", created: 0, owned_by: "semblance" }
    }
}

fn models(names: &[String]) -> Result<Reply, Error> {
    let data: Vec<ModelItem> = names.iter().map(|name| ModelItem::new(name)).collect();
    let items = data.len();
    Reply::new(&ModelList { object: "list", data }, items)
}

fn model(fields: &mut Fields, _: &Limits) -> Result<Call, RequestError> {
    let name = fields.name("model")?.unwrap_or_default();
    Ok(Call::new(ModelRequest { name }, |request, (), _| {
        Reply::new(&ModelItem::new(&request.name), 1)
    }))
}
