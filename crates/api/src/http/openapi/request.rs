//! The bodies of requests as a reader of the document sees them: `api` decodes and checks them field
//! by field. What depends on the service's limits is filled in by [`limit`].
#![expect(dead_code, reason = "these types are read for their schemas alone")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use crate::service::Service;

/// What a text is: one character that is neither white space (Unicode's property `White_Space`) nor
/// U+0000, and no U+0000 around it.
const TEXT: &str = concat!(
    r"^[^\u0000]*",
    r"[^\u0000\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
    r"[^\u0000]*$"
);

/// A text: not blank, without U+0000, and of no more bytes in UTF-8 than the service's limit.
#[derive(ToSchema)]
pub(super) struct Text(String);

/// Texts, at least one.
#[derive(ToSchema)]
#[schema(min_items = 1)]
pub(super) struct Texts(Vec<Text>);

/// Texts, or none.
#[derive(ToSchema)]
pub(super) struct Candidates(Vec<Text>);

/// Pairs of texts, at least one.
#[derive(ToSchema)]
#[schema(min_items = 1)]
pub(super) struct Pairs(Vec<Pair>);

/// Two texts.
#[derive(ToSchema)]
#[schema(min_items = 2, max_items = 2)]
pub(super) struct Pair(Vec<Text>);

/// Texts to order, at least one.
#[derive(ToSchema)]
#[schema(min_items = 1)]
pub(super) struct Documents(Vec<DocumentItem>);

/// A text, or an object that holds it.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum DocumentItem {
    Text(Text),
    Object(DocumentBody),
}

/// An object that holds a text.
#[derive(ToSchema)]
pub(super) struct DocumentBody {
    text: Text,
}

/// A text or several.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum Input {
    One(Text),
    Many(Texts),
}

/// A pair of texts or several.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum PairInput {
    One(Pair),
    Many(Pairs),
}

/// Name of a prompt of the model, which is put before each text.
#[derive(ToSchema)]
pub(super) struct PromptName(String);

/// How many leading dimensions of an embedding are wanted.
#[derive(ToSchema)]
pub(super) struct Dimensions(u64);

/// At most so many.
#[derive(ToSchema)]
pub(super) struct Count(u64);

/// The side on which a text that is too long is cut.
#[derive(ToSchema)]
pub(super) enum Side {
    Left,
    Right,
    #[serde(rename = "left")]
    LeftInLowerCase,
    #[serde(rename = "right")]
    RightInLowerCase,
}

/// The event of the function.
#[derive(ToSchema)]
#[schema(example = json!({
    "query_from_app": "How many people live in London?",
    "actual_queries": ["Around 9 million", "It has a river"]
}))]
pub(super) struct EventBody {
    /// What to compare with.
    query_from_app: Text,
    /// What is compared with it; duplicates are kept.
    actual_queries: Candidates,
    /// Only the best; all if absent.
    top_k: Option<Count>,
    /// Whether a text that is too long is cut (default), or an error.
    truncate: Option<bool>,
    truncation_direction: Option<Side>,
    operation: Option<SimilarityName>,
    /// Must not be there: its texts would be read instead.
    #[schema(schema_with = null, required = false)]
    inputs: (),
}

/// Texts to compare one with.
#[derive(ToSchema)]
#[schema(example = json!({"inputs": {
    "source_sentence": "How many people live in London?",
    "sentences": ["Around 9 million", "It has a river"]
}}))]
pub(super) struct SimilarityBody {
    inputs: SimilarityInputs,
    parameters: Option<SimilarityParameters>,
}

/// The texts.
#[derive(ToSchema)]
pub(super) struct SimilarityInputs {
    /// What to compare with.
    source_sentence: Text,
    /// What is compared with it; duplicates are kept.
    sentences: Texts,
}

/// What happens to the texts.
#[derive(ToSchema)]
pub(super) struct SimilarityParameters {
    /// Whether a text that is too long is cut, or an error (default).
    truncate: Option<bool>,
    truncation_direction: Option<Side>,
    prompt_name: Option<PromptName>,
}

/// Texts to embed.
#[derive(ToSchema)]
#[schema(example = json!({"inputs": ["Around 9 million", "It has a river"]}))]
pub(super) struct EmbedBody {
    inputs: Input,
    /// Whether a text that is too long is cut, or an error (default).
    truncate: Option<bool>,
    truncation_direction: Option<Side>,
    prompt_name: Option<PromptName>,
    /// Whether embeddings are to be of unit length (default).
    normalize: Option<bool>,
    dimensions: Option<Dimensions>,
}

/// Texts to order by their worth to one.
#[derive(ToSchema)]
#[schema(example = json!({
    "query": "How many people live in London?", "texts": ["Around 9 million", "It has a river"]
}))]
pub(super) struct RerankBody {
    query: Text,
    texts: Texts,
    /// Whether a pair that is too long is cut, or an error (default).
    truncate: Option<bool>,
    truncation_direction: Option<Side>,
    /// Whether logits are wanted in place of scores.
    raw_scores: Option<bool>,
    /// Whether the answer is to hold the texts.
    return_text: Option<bool>,
}

/// Pairs to score.
#[derive(ToSchema)]
#[schema(example = json!({
    "inputs": [["How many people live in London?", "Around 9 million"]]
}))]
pub(super) struct PredictBody {
    inputs: PairInput,
    /// Whether a pair that is too long is cut, or an error (default).
    truncate: Option<bool>,
    truncation_direction: Option<Side>,
    /// Whether logits are wanted in place of scores.
    raw_scores: Option<bool>,
}

/// Texts to tokenise.
#[derive(ToSchema)]
#[schema(example = json!({"inputs": "How many people live in London?"}))]
pub(super) struct TokenizeBody {
    inputs: Input,
    /// Whether the tokens that the model wants around a text are wanted (default).
    add_special_tokens: Option<bool>,
    prompt_name: Option<PromptName>,
}

/// Texts to embed, in OpenAI's form. A text that is too long is cut.
#[derive(ToSchema)]
#[schema(example = json!({"model": "any", "input": ["Around 9 million", "It has a river"]}))]
pub(super) struct EmbeddingsBody {
    input: Input,
    encoding_format: Option<EncodingFormatName>,
    dimensions: Option<Dimensions>,
    /// Not read: there is one model.
    #[schema(required = false)]
    model: Value,
    /// Not read.
    #[schema(required = false)]
    user: Value,
}

/// How an embedding is written: as an array of numbers (default), or as base64 of its f32 in
/// little-endian order.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum EncodingFormatName {
    Float,
    Base64,
}

/// Texts to order by their worth to one, in Cohere's form. A pair that is too long is cut.
#[derive(ToSchema)]
#[schema(example = json!({
    "model": "any",
    "query": "How many people live in London?",
    "documents": ["Around 9 million", {"text": "It has a river"}]
}))]
pub(super) struct CohereRerankBody {
    query: Text,
    documents: Documents,
    /// Only the best; all if absent.
    top_n: Option<Count>,
    /// Whether the answer is to hold the texts.
    return_documents: Option<bool>,
    /// Not read: there is one model.
    #[schema(required = false)]
    model: Value,
}

/// As the route `/similarity`.
#[derive(ToSchema)]
pub(super) struct InvokeSimilarity {
    operation: Option<SimilarityName>,
    #[serde(flatten)]
    body: SimilarityBody,
}

/// As the route `/embed`.
#[derive(ToSchema)]
pub(super) struct InvokeEmbed {
    operation: Option<EmbedName>,
    #[serde(flatten)]
    body: EmbedBody,
}

/// As the route `/rerank`.
#[derive(ToSchema)]
pub(super) struct InvokeRerank {
    operation: RerankName,
    #[serde(flatten)]
    body: RerankBody,
}

/// As the route `/predict`.
#[derive(ToSchema)]
pub(super) struct InvokePredict {
    operation: PredictName,
    #[serde(flatten)]
    body: PredictBody,
}

/// As the route `/tokenize`.
#[derive(ToSchema)]
pub(super) struct InvokeTokenize {
    operation: TokenizeName,
    #[serde(flatten)]
    body: TokenizeBody,
}

/// An operation on no texts.
#[derive(ToSchema)]
#[schema(example = json!({"operation": "info"}))]
pub(super) struct InvokeBare {
    operation: BareName,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SimilarityName {
    Similarity,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum EmbedName {
    Embed,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RerankName {
    Rerank,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum PredictName {
    Predict,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TokenizeName {
    Tokenize,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BareName {
    Info,
    Health,
    WarmUp,
}

fn null() -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null)).into()
}

/// Fills in what depends on the service: how many texts, how long, which prompts, how many dimensions.
pub(super) fn limit(schemas: &mut BTreeMap<String, RefOr<Schema>>, service: &Service) {
    let (limits, about) = (service.limits(), service.about());
    for (name, schema) in schemas {
        match (name.as_str(), schema) {
            ("Text", RefOr::T(Schema::Object(text))) => {
                (text.min_length, text.max_length) = (Some(1), Some(limits.text_bytes));
                text.pattern = Some(TEXT.to_owned());
            }
            ("Texts" | "Candidates" | "Documents" | "Pairs", RefOr::T(Schema::Array(list))) => {
                list.max_items = Some(limits.texts);
            }
            ("PromptName", RefOr::T(Schema::Object(name))) => {
                name.enum_values = Some(about.prompts.iter().map(|prompt| json!(prompt)).collect());
            }
            ("Dimensions", RefOr::T(Schema::Object(count))) => {
                (count.minimum, count.format) = (Some(1_usize.into()), None);
                count.maximum = Some(about.dimensions.into());
            }
            // Any number: one beyond those of the machine is as good as its largest.
            ("Count", RefOr::T(Schema::Object(count))) => {
                (count.minimum, count.format) = (Some(1_usize.into()), None);
            }
            _ => {}
        }
    }
}
