//! The embedding dialect of Ollama.
//!
//! Source: <https://github.com/ollama/ollama/blob/main/docs/api.md>.

use axum::http::Method;
use semblance::outcome::EmbedOutput;
use semblance::{EmbedOptions, Prompts, Truncation};
use serde::Serialize;
use serde_json::{Error, Map, Value, json};
use utoipa::ToSchema;

use super::embedding::{EmbeddingValue, NumberFormat};
use super::{Route, RouteSchema, tei};
use crate::Limits;
use crate::about::{About, ModelType};
use crate::body::{
    Body as _, Choice, ClientInput, Count, Dimensions, Fields, OnError, OptionalObject, Text,
    Truncate, Unread, body,
};
use crate::operation::{Call, EmbedRequest, InfoRequest, ItemError, Listed, Reply, TokenLimit};
use crate::request::{Field, RequestError};
use crate::service::Service;

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/api/embed",
        summary: "Embed texts",
        decode: embed,
        errors: &tei::ERRORS,
        schema: |schemas| {
            let reply = schemas.reply::<OllamaEmbeddings>();
            RouteSchema::post(schemas.body::<OllamaEmbedBody>(), reply)
        },
    },
    Route {
        method: Method::POST,
        path: "/api/embeddings",
        summary: "Embed a text",
        decode: embed_one,
        errors: &tei::ERRORS,
        schema: |schemas| {
            let reply = schemas.reply::<OllamaEmbedding>();
            RouteSchema::post(schemas.body::<OllamaPromptBody>(), reply)
        },
    },
    Route {
        method: Method::POST,
        path: "/api/show",
        summary: "Describe the model",
        decode: |fields, limits| {
            OllamaShowBody::decode(fields, limits)?;
            Ok(Call::new(InfoRequest, |_, about, _| Reply::new(&OllamaShow::new(&about), 1)))
        },
        errors: &tei::ERRORS,
        schema: |schemas| {
            let reply = schemas.reply::<OllamaShow>();
            RouteSchema::post(schemas.body::<OllamaShowBody>(), reply)
        },
    },
    Route {
        method: Method::GET,
        path: "/api/tags",
        summary: "List the models",
        decode: |_, _| Ok(Call::new(InfoRequest, |_, about, _| tags(&about))),
        errors: &tei::ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<OllamaModels>()),
    },
    Route {
        method: Method::GET,
        path: "/api/version",
        summary: "Report the version",
        decode: |_, _| {
            let version = |about: &About| OllamaVersion { version: about.version };
            Ok(Call::new(InfoRequest, move |_, about, _| Reply::new(&version(&about), 1)))
        },
        errors: &tei::ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<OllamaVersion>()),
    },
];

body! {
    /// Texts to embed. A text beyond the model's limit is truncated.
    OllamaEmbedBody = {"model": "any", "input": ["Around 9 million", "It has a river"]} {
        input: ClientInput,
        /// Whether to truncate a text beyond the model's limit (default). Otherwise it is an error.
        truncate: Truncate,
        /// Number of leading dimensions to keep.
        dimensions: Dimensions,
        /// What to do with an invalid text: `error` refuses the request (default); `null` embeds the
        /// others.
        on_error: Choice<OnError>,
        /// Ignored; the service has one model.
        model: Unread,
        options: OptionalObject<OllamaOptions>,
        /// Ignored; the model stays in memory.
        keep_alive: Unread,
    }
}

body! {
    /// A text to embed. A text beyond the model's limit is truncated.
    OllamaPromptBody = {"model": "any", "prompt": "Around 9 million"} {
        /// The text.
        prompt: Text,
        /// Ignored; the service has one model.
        model: Unread,
        options: OptionalObject<OllamaOptions>,
        /// Ignored; the model stays in memory.
        keep_alive: Unread,
    }
}

body! {
    /// Options of the model.
    OllamaOptions = null {
        /// Maximum number of tokens of a text, special tokens included. A larger number than the model's
        /// limit is that limit.
        num_ctx: Count,
        /// Ignored, like every other option of the model: options of generation and of the hardware do not
        /// change an embedding.
        top_k: Unread,
    }
}

impl OllamaOptions {
    /// The limit on the tokens of a text.
    fn token_limit(&self) -> Option<TokenLimit> {
        let field = Field { parent: Some("options"), ..Field::new("num_ctx") };
        self.num_ctx.0.map(|tokens| TokenLimit { field, tokens, is_capped: true })
    }
}

body! {
    /// A model to describe.
    OllamaShowBody = {"model": "any"} {
        /// Ignored; the service has one model.
        model: Unread,
        /// Ignored; the older name of `model`.
        name: Unread,
        /// Ignored; the response has no tensors.
        verbose: Unread,
    }
}

fn embed(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    fields.read_texts(true);
    let body = OllamaEmbedBody::decode(fields, limits)?;
    let options = EmbedOptions {
        truncation: body.truncate.0.unwrap_or(Truncation::Right),
        prompts: Prompts::ByRole,
        normalize: Some(true),
        dimensions: body.dimensions.0,
        ..EmbedOptions::default()
    };
    let token_limit = body.options.0.token_limit();
    let request = EmbedRequest { token_limit, ..EmbedRequest::new(body.input.0, options) };
    Ok(Call::new(request, embeddings))
}

fn embed_one(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    fields.read_texts(true);
    let body = OllamaPromptBody::decode(fields, limits)?;
    let options = EmbedOptions { normalize: Some(true), ..EmbedOptions::default() };
    let token_limit = body.options.0.token_limit();
    let request = EmbedRequest { token_limit, ..EmbedRequest::new(body.prompt.0, options) };
    Ok(Call::new(request, |_, listed, _| {
        let embedding = listed.outcome.vectors.row(0).to_vec();
        Reply::new(&OllamaEmbedding { embedding }, 1)
    }))
}

/// Embeddings of texts.
#[derive(Serialize, ToSchema)]
struct OllamaEmbeddings {
    /// Name of the model that computed them. The requested name is ignored.
    model: String,
    /// One embedding of unit length for each text, in input order; null for an invalid text.
    embeddings: Vec<Option<EmbeddingValue>>,
    /// Nanoseconds in the tokenizer and the model.
    total_duration: u64,
    /// Always 0, because the model is in memory.
    load_duration: u64,
    /// Number of tokens of all texts after truncation, special tokens included.
    prompt_eval_count: usize,
    /// The errors of the invalid texts, with `"on_error": "null"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

/// The embedding of a text.
#[derive(Serialize, ToSchema)]
struct OllamaEmbedding {
    /// `[dim]`, unit length.
    embedding: Vec<f32>,
}

/// The models.
#[derive(Serialize, ToSchema)]
struct OllamaModels {
    /// The embedding model, and the cross-encoder if there is one.
    models: Vec<OllamaModel>,
}

/// A model.
#[derive(Serialize, ToSchema)]
struct OllamaModel {
    /// Its name.
    name: String,
    /// Its name.
    model: String,
    /// The time 0, because a bundle has no date.
    modified_at: &'static str,
    /// Always 0.
    size: u64,
    /// Digest of its bundle.
    digest: String,
    /// Its form.
    details: OllamaDetails,
}

/// The form of a model.
#[derive(Serialize, ToSchema)]
struct OllamaDetails {
    /// `semblance`.
    format: &'static str,
    /// `bert`.
    family: &'static str,
    /// `["bert"]`.
    families: [&'static str; 1],
    /// Empty.
    parameter_size: &'static str,
    /// Number format of the weights.
    quantization_level: String,
}

/// A description of the model.
#[derive(Serialize, ToSchema)]
struct OllamaShow {
    /// Its form.
    details: OllamaDetails,
    /// Its sizes, as in Ollama's `model_info`.
    #[schema(value_type = Object)]
    model_info: Map<String, Value>,
    /// `["embedding"]`, or empty without an embedding model.
    capabilities: Vec<&'static str>,
}

/// The version.
#[derive(Serialize, ToSchema)]
struct OllamaVersion {
    /// Version of this software.
    version: &'static str,
}

impl OllamaDetails {
    fn new(precision: &str) -> Self {
        Self {
            format: "semblance",
            family: "bert",
            families: ["bert"],
            parameter_size: "",
            quantization_level: precision.to_owned(),
        }
    }
}

impl OllamaShow {
    fn new(about: &About) -> Self {
        let info = json!({
            "general.architecture": "bert",
            "general.basename": about.model_id,
            "bert.embedding_length": about.dimensions,
            "bert.context_length": about.max_input_length,
        });
        let model_info = info.as_object().cloned().unwrap_or_default();
        let details = OllamaDetails::new(&about.model_dtype);
        let embeds = matches!(about.model_type, ModelType::Embedding { .. });
        let capabilities = if embeds { vec!["embedding"] } else { Vec::new() };
        Self { details, model_info, capabilities }
    }
}

fn embeddings(
    _: &EmbedRequest,
    listed: Listed<EmbedOutput>,
    service: &Service,
) -> Result<Reply, Error> {
    let cost = &listed.outcome.cost;
    let nanoseconds = (cost.tokenize_time + cost.infer_time).as_nanos();
    let response = OllamaEmbeddings {
        model: service.about().model_id.clone(),
        embeddings: listed.values(|row| NumberFormat::Float.value(row)),
        total_duration: u64::try_from(nanoseconds).unwrap_or(u64::MAX),
        load_duration: 0,
        prompt_eval_count: cost.prompt_tokens,
        errors: listed.errors.clone(),
    };
    Reply::new(&response, listed.places.len())
}

fn tags(about: &About) -> Result<Reply, Error> {
    let model = |name: &str, digest: &str, precision: &str| OllamaModel {
        name: name.to_owned(),
        model: name.to_owned(),
        modified_at: "1970-01-01T00:00:00Z",
        size: 0,
        digest: digest.to_owned(),
        details: OllamaDetails::new(precision),
    };
    let embedding = model(&about.model_id, &about.model_sha, &about.model_dtype);
    let cross_encoder = about.cross_encoder.iter();
    let cross_encoder =
        cross_encoder.map(|one| model(&one.model_id, &one.model_sha, &one.model_dtype));
    let embeds = matches!(about.model_type, ModelType::Embedding { .. });
    let embedding = embeds.then_some(embedding).into_iter();
    let models: Vec<OllamaModel> = embedding.chain(cross_encoder).collect();
    let items = models.len();
    Reply::new(&OllamaModels { models }, items)
}
