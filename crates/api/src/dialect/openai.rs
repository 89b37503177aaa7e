//! The dialect of OpenAI's embeddings.
//!
//! Source: <https://platform.openai.com/docs/api-reference/embeddings>.

use axum::http::{Method, StatusCode};
use semblance::outcome::EmbedOutput;
use semblance::{EmbedOptions, Truncation};
use serde::Serialize;
use serde_json::{Error, Value, json};
use utoipa::ToSchema;

use super::embedding::{EmbeddingValue, EncodingFormat, NumberFormat};
use super::{ErrorForm, Route, RouteSchema};
use crate::Limits;
use crate::body::{
    Body as _, Choice, ChoiceList, Choices, ClientInput, Dimensions, Direction, Fields, Flag,
    OnError, PromptName, PromptTokens, TextsOrIds, Truncate, Unread, Unsupported, WithIds, body,
    one_of,
};
use crate::operation::{
    Call, EmbedRequest, ItemError, Listed, ModelRequest, ModelsRequest, Purpose, Reply,
};
use crate::request::RequestError;
use crate::service::Service;

pub(super) const ROUTES: &[Route] = &[
    embeddings_route("/v1/embeddings"),
    embeddings_route("/embeddings"),
    models_route("/v1/models"),
    models_route("/models"),
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

const fn models_route(path: &'static str) -> Route {
    Route {
        method: Method::GET,
        path,
        summary: "List the models",
        decode: |_, _| Ok(Call::new(ModelsRequest, |_, names, _| models(&names))),
        errors: &ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<ModelList>()),
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
    /// Texts to embed. A text beyond the model's limit is truncated. The options of Jina's and Voyage's
    /// embeddings are accepted too.
    EmbeddingsBody = {"model": "any", "input": ["Around 9 million", "It has a river"]} {
        /// The texts, or their [token ids](#token-ids).
        input: WithIds<ClientInput>,
        /// Encoding of an embedding: an array of numbers (default), or base64 of its bytes.
        encoding_format: Choice<EncodingFormat>,
        /// Number of leading dimensions to keep.
        dimensions: Dimensions,
        /// The same as `dimensions`, in Voyage's API.
        output_dimension: Dimensions,
        /// Number format of an embedding, in Voyage's API; see [Number formats](#number-formats).
        output_dtype: Choice<NumberFormat>,
        /// Number format of an embedding, in Jina's API; one name, or a list of one.
        embedding_type: ChoiceList<NumberFormat>,
        /// The same as `embedding_type`, in LlamaIndex's client of Jina.
        encoding_type: ChoiceList<NumberFormat>,
        /// The use of the embeddings. It selects the model's prompt for a query or a document, if the
        /// model has one.
        input_type: Choice<Purpose>,
        /// The same as `input_type`, in Jina's API.
        task: Choice<Purpose>,
        /// Name of the model's prompt to put before each text. Absent: that of `input_type` or `task`,
        /// else the model's default prompt. Null: no prompt.
        prompt_name: PromptName,
        /// Whether embeddings have unit length (default), in Jina's API.
        normalized: Flag,
        /// The same as `normalized`, in the API of text-embeddings-inference.
        normalize: Flag,
        /// The same as `normalized`, in vLLM's API.
        use_activation: Flag,
        /// Number format of the bytes of base64, in vLLM's API: `float32`.
        embed_dtype: Choice<BytesFormat>,
        /// Order of the bytes of base64, in vLLM's API: little-endian.
        endianness: Choice<ByteOrder>,
        /// Whether to truncate a text beyond the model's limit (default), in Voyage's API. Otherwise it
        /// is an error.
        truncation: Truncate,
        /// The same as `truncation`, in Jina's API.
        truncate: Truncate,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// What to do with an invalid text: `error` refuses the request (default); `null` embeds the
        /// others.
        on_error: Choice<OnError>,
        /// Refused: each text is embedded alone, so that its embedding does not depend on the others.
        late_chunking: Unsupported,
        /// Refused: a text has one embedding.
        return_multivector: Unsupported,
        /// Maximum number of tokens of each text, special tokens included, in vLLM's API; -1 is the
        /// model's limit.
        truncate_prompt_tokens: PromptTokens,
        /// `text`, in Infinity's API.
        modality: Choice<Modality>,
        /// Ignored, because the service has one model; but token ids for a model of OpenAI are refused.
        model: Unread,
        /// Ignored.
        user: Unread,
        /// Ignored; requests have no priorities.
        priority: Unread,
    }
}

/// The kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modality {
    /// Texts.
    Text,
}

impl Choices for Modality {
    const VALUES: &'static [(&'static str, Self)] = &[("text", Self::Text)];
    const EXPECTED: &'static str = "\"text\"";
    const UNSUPPORTED: &'static [&'static str] = &["image", "audio"];
}

/// The number format of the bytes of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BytesFormat {
    /// IEEE 754 binary32.
    Float32,
}

impl Choices for BytesFormat {
    const VALUES: &'static [(&'static str, Self)] = &[("float32", Self::Float32)];
    const EXPECTED: &'static str = "\"float32\"";
    const UNSUPPORTED: &'static [&'static str] = &["float16", "bfloat16", "fp8_e4m3", "fp8_e5m2"];
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteOrder {
    /// The lowest byte is first.
    Little,
}

impl Choices for ByteOrder {
    const VALUES: &'static [(&'static str, Self)] =
        &[("native", Self::Little), ("little", Self::Little)];
    const EXPECTED: &'static str = "\"native\" or \"little\"";
    const UNSUPPORTED: &'static [&'static str] = &["big"];
}

pub(super) fn embed(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    // infinity_client sends 0 for all dimensions, and always a modality.
    if fields.has("modality", |value| !value.is_null())
        && fields.has("dimensions", |value| *value == 0)
    {
        fields.optional("dimensions")?;
    }
    fields.read_texts(true);
    let is_left = fields.reading().truncation == Some(Direction::Left);
    let body = EmbeddingsBody::decode(fields, limits)?;
    if matches!(body.input.input, TextsOrIds::Ids(_)) && fields.has("model", is_of_openai) {
        let field = fields.field("input");
        let expected = "texts: token ids of a model of OpenAI are not those of this model (with \
                        langchain, set check_embedding_ctx_length=False)";
        return Err(RequestError::UnsupportedOption { field, expected });
    }
    let normalized = one_of(body.normalized.0, body.normalize.0, "normalize", "normalized")?;
    let normalized = one_of(normalized, body.use_activation.0, "use_activation", "normalized")?;
    let format = format(&body, normalized, fields)?;
    let (dimensions, output_dimension) = (body.dimensions.0, body.output_dimension.0);
    let both = one_of(dimensions, output_dimension, "output_dimension", "dimensions")?;
    let truncate = one_of(body.truncation.0, body.truncate.0, "truncate", "truncation")?;
    let purpose = one_of(body.input_type.0, body.task.0, "task", "input_type")?;
    let is_base64 = matches!(body.encoding_format.0, Some(EncodingFormat::Base64));
    let options = EmbedOptions {
        truncation: match truncate {
            None | Some(Truncation::Right) if is_left => Truncation::Left,
            truncation => truncation.unwrap_or(Truncation::Right),
        },
        prompts: body.prompt_name.prompts(),
        // Embeddings of OpenAI, Jina and Voyage have unit length.
        normalize: Some(normalized.unwrap_or(true)),
        dimensions: both,
        ..EmbedOptions::default()
    };
    let dimensions_field = match dimensions {
        Some(_) => "dimensions",
        None => "output_dimension",
    };
    let request = EmbedRequest {
        input: body.input.input,
        purpose,
        options,
        dimensions_field,
        token_limit: body.truncate_prompt_tokens.0,
    };
    Ok(Call::new(request, move |_, listed, service| {
        let values = listed.values(|row| match is_base64 {
            true => format.base64(row),
            false => format.value(row),
        });
        embeddings(&listed, values, service)
    }))
}

/// Whether a name is that of an embedding model of OpenAI. Its clients send token ids of its vocabulary.
fn is_of_openai(name: &Value) -> bool {
    name.as_str()
        .is_some_and(|name| name.trim_start_matches("openai/").starts_with("text-embedding-"))
}

/// Returns the number format of the embeddings, from Voyage's option or Jina's.
fn format(
    body: &EmbeddingsBody,
    normalized: Option<bool>,
    fields: &Fields,
) -> Result<NumberFormat, RequestError> {
    let types = one_of(
        body.embedding_type.0.as_deref(),
        body.encoding_type.0.as_deref(),
        "encoding_type",
        "embedding_type",
    )?;
    let (name, format) = match (body.output_dtype.0, types) {
        (Some(format), Some(formats)) if formats != [format] => {
            let (field, other) = (fields.field("embedding_type"), "output_dtype");
            return Err(RequestError::Contradiction { field, other });
        }
        (Some(format), _) => ("output_dtype", format),
        (None, None) => return Ok(NumberFormat::Float),
        (None, Some(&[format])) => ("embedding_type", format),
        (None, Some(_)) => {
            let field = fields.field("embedding_type");
            return Err(RequestError::UnsupportedOption { field, expected: "one format" });
        }
    };
    if format.needs_unit_length() && normalized == Some(false) {
        let field = fields.field(name);
        let expected = "another format if normalized is false";
        return Err(RequestError::UnsupportedOption { field, expected });
    }
    Ok(format)
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
    /// The errors of the invalid texts, with `"on_error": "null"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

/// One embedding.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct EmbeddingItem {
    /// `embedding`.
    object: &'static str,
    /// Index of the text in the request.
    index: usize,
    /// The embedding; null if the text is invalid.
    embedding: Option<EmbeddingValue>,
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
    listed: &Listed<EmbedOutput>,
    values: Vec<Option<EmbeddingValue>>,
    service: &Service,
) -> Result<Reply, Error> {
    let item = |(index, embedding)| EmbeddingItem { object: "embedding", index, embedding };
    let prompt_tokens = listed.outcome.cost.prompt_tokens;
    let list = EmbeddingList {
        object: "list",
        data: values.into_iter().enumerate().map(item).collect(),
        model: service.about().model_id.clone(),
        usage: TokenUsage { prompt_tokens, total_tokens: prompt_tokens },
        errors: listed.errors.clone(),
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
