//! The manifest, `bundle.json`. It is untrusted until it is validated.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::{Files, GraphInput};
use crate::vector::{Activation, DenseShape, Poolings, SimilarityFunction};

/// The schema this version reads.
const SCHEMA_VERSION: u32 = 3;

/// The largest limit on the tokens of a text that a manifest can declare.
const MAX_TOKENS: usize = 65_536;

/// The rule for the name of a model.
pub const NAME_RULE: &str = "of the form [a-z0-9][a-z0-9._-]{0,63}";

/// The rule for a sha256.
pub const SHA256_RULE: &str = "64 lowercase hex digits";

/// The manifest of a bundle. The fields are those of `bundle.json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this schema: 3.
    pub schema_version: u32,
    /// Name of the model, `[a-z0-9][a-z0-9._-]{0,63}`. It is also a folder name.
    pub model_name: String,
    /// Source of the weights.
    pub source: String,
    /// Revision of the source.
    pub revision: String,
    /// SPDX identifier, or `unknown`.
    pub licence: String,
    /// Task of the graph.
    pub task: Task,
    /// Number of dimensions of a token embedding.
    pub hidden_size: usize,
    /// Number of features of a row of the embedding table; `None` if it is `hidden_size`.
    #[serde(default)]
    pub embedding_size: Option<usize>,
    /// Number of rows of the embedding table.
    pub vocabulary_size: usize,
    /// Maximum number of tokens of one text, special tokens included.
    pub max_tokens: usize,
    /// Inputs of the graph, in its order. Without this field, those of a BERT graph.
    #[serde(default = "bert_inputs")]
    pub inputs: Vec<GraphInput>,
    /// The token that positions do not count, if a text contains it: the padding of RoBERTa, for
    /// example. The field can be absent.
    #[serde(default)]
    pub pad_token_id: Option<i32>,
    /// How token embeddings are pooled; `None` for a cross-encoder.
    pub pooling: Option<Poolings>,
    /// The dense layers that follow the pooling.
    #[serde(default)]
    pub dense: Vec<DenseShape>,
    /// Number of features of an embedding that are kept, the first ones; `None` if all are.
    #[serde(default)]
    pub output_size: Option<usize>,
    /// Whether embeddings are normalized to unit length; `None` for a cross-encoder.
    pub normalize: Option<bool>,
    /// The function that scores two embeddings; `None` for cosine similarity and for a cross-encoder.
    /// The field can be absent.
    #[serde(default)]
    pub similarity: Option<SimilarityFunction>,
    /// Prompts by name: prefixes that the model was trained with.
    pub prompts: BTreeMap<String, String>,
    /// Name of the prompt of a text that is neither a query nor a document. The field can be absent.
    #[serde(default)]
    pub default_prompt: Option<String>,
    /// Number of logits of a cross-encoder; `None` for an embedding model.
    pub labels: Option<usize>,
    /// Names of the labels of a cross-encoder, by index: `id2label` of `transformers`. Without this field,
    /// they are `LABEL_0` and so on, the default of `transformers`.
    #[serde(default)]
    pub label_names: Option<Vec<String>>,
    /// The function that converts a logit of a cross-encoder into a score; `None` for an embedding
    /// model.
    pub activation: Option<Activation>,
    /// Number format of the weights.
    pub precision: Precision,
    /// Version of ONNX Runtime that optimized the graph.
    pub onnxruntime: String,
    /// Instruction set that the graph is optimized for, or `any`.
    pub isa: String,
    /// The other files of the folder.
    pub files: Files,
}

/// Task of a bundle's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// A bi-encoder: `token_embeddings` float32 `[tokens, hidden]`.
    Embedding,
    /// A cross-encoder: `logits` float32 `[texts, labels]`.
    CrossEncoder,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedding => "embedding",
            Self::CrossEncoder => "cross-encoder",
        })
    }
}

/// Number format of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE 754 binary32.
    Fp32,
    /// 8-bit integers for dense layers and the embedding table, with binary32 scales.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Int8 => "int8",
        })
    }
}

impl Precision {
    /// Size in bytes of one row of the embedding table.
    pub(crate) fn row_bytes(self, embedding_size: usize) -> usize {
        match self {
            Self::Fp32 => embedding_size.saturating_mul(size_of::<f32>()),
            Self::Int8 => embedding_size.saturating_add(size_of::<f32>()),
        }
    }
}

/// Why a manifest is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not JSON, or does not match the schema.
    #[error("field {field}: {source}")]
    Malformed {
        /// Path of the field; `.` is the document.
        field: String,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// Another version of the schema.
    #[error(
        "field schema_version: {found} is not supported; this version reads {SCHEMA_VERSION}; build the \
         bundle again with `python -m semblance_model build`"
    )]
    UnsupportedSchema {
        /// The version found.
        found: u64,
    },
    /// A value violates a rule.
    #[error("field {field}: must be {rule}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule.
        rule: &'static str,
    },
}

/// The version of the schema. It is read before the other fields.
#[derive(Deserialize)]
struct Schema {
    schema_version: u64,
}

impl Manifest {
    /// Parses and validates the bytes of a `bundle.json`.
    ///
    /// # Errors
    /// - [`ManifestError::Malformed`] if it is not JSON, or a field is missing, unknown or of
    ///   the wrong type.
    /// - [`ManifestError::UnsupportedSchema`] if `schema_version` is not 3.
    /// - [`ManifestError::Invalid`] if a value violates a rule or does not apply to the task.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let schema: Schema = from_json(bytes)?;
        if schema.schema_version != u64::from(SCHEMA_VERSION) {
            return Err(ManifestError::UnsupportedSchema { found: schema.schema_version });
        }
        let manifest: Self = from_json(bytes)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Number of features of a row of the embedding table.
    #[must_use]
    pub fn embedding_size(&self) -> usize {
        self.embedding_size.unwrap_or(self.hidden_size)
    }

    /// Names of the labels of a cross-encoder, by index.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        let default = || (0..self.labels.unwrap_or(1)).map(|label| format!("LABEL_{label}"));
        self.label_names.clone().unwrap_or_else(|| default().collect())
    }

    /// Number of dimensions of an embedding: that of the last dense layer or of the pooled row, or
    /// `output_size` if it is given.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.output_size.unwrap_or_else(|| self.module_size())
    }

    /// Number of features that the last module returns.
    fn module_size(&self) -> usize {
        self.dense.last().map_or_else(|| self.pooled_size(), |layer| layer.outputs)
    }

    /// Number of features of a pooled row.
    fn pooled_size(&self) -> usize {
        let poolings = self.pooling.as_ref().map_or(1, |poolings| poolings.len());
        self.hidden_size.saturating_mul(poolings)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let of_task = match self.task {
            Task::Embedding => {
                let poolings = self.pooling.as_ref().is_some_and(|poolings| !poolings.is_empty());
                check(poolings, "pooling", "one or more for the task embedding")?;
                check(self.normalize.is_some(), "normalize", "present for the task embedding")?;
                check(self.labels.is_none(), "labels", "null for the task embedding")?;
                let names = self.label_names.is_none();
                check(names, "label_names", "absent for the task embedding")?;
                check(self.activation.is_none(), "activation", "null for the task embedding")
            }
            Task::CrossEncoder => {
                check(self.pooling.is_none(), "pooling", "null for the task cross-encoder")?;
                check(self.normalize.is_none(), "normalize", "null for the task cross-encoder")?;
                let similarity = self.similarity.is_none();
                check(similarity, "similarity", "absent for the task cross-encoder")?;
                check(self.dense.is_empty(), "dense", "empty for the task cross-encoder")?;
                let output = self.output_size.is_none();
                check(output, "output_size", "null for the task cross-encoder")?;
                let prompt = self.default_prompt.is_none();
                check(prompt, "default_prompt", "absent for the task cross-encoder")?;
                let labels = self.labels.is_some_and(|labels| labels > 0);
                check(labels, "labels", "1 or more for the task cross-encoder")?;
                let fits = |names: &Vec<String>| Some(names.len()) == self.labels;
                let names = self.label_names.as_ref().is_none_or(fits);
                check(names, "label_names", "one name for each of the labels")?;
                check(self.activation.is_some(), "activation", "present for the task cross-encoder")
            }
        };
        of_task?;
        check(is_name(&self.model_name), "model_name", NAME_RULE)?;
        check(self.hidden_size > 0, "hidden_size", "1 or more")?;
        check(self.vocabulary_size > 0, "vocabulary_size", "1 or more")?;
        let max_tokens = (1..=MAX_TOKENS).contains(&self.max_tokens);
        check(max_tokens, "max_tokens", "from 1 to 65536")?;
        check(self.embedding_size() > 0, "embedding_size", "1 or more")?;
        let has = |input| self.inputs.iter().filter(|&&other| other == input).count() == 1;
        let distinct = self.inputs.iter().all(|&input| has(input));
        check(distinct, "inputs", "different inputs")?;
        let required = has(GraphInput::WordEmbeddings) && has(GraphInput::Offsets);
        check(required, "inputs", "a list with word_embeddings and offsets")?;
        let names_prompt =
            self.default_prompt.as_ref().is_none_or(|name| self.prompts.contains_key(name));
        check(names_prompt, "default_prompt", "the name of one of the prompts")?;
        self.check_dense()?;
        let words_bytes = (self.vocabulary_size as u64)
            .saturating_mul(self.precision.row_bytes(self.embedding_size()) as u64);
        let rule = match self.precision {
            Precision::Fp32 => "vocabulary_size * embedding_size * 4",
            Precision::Int8 => "vocabulary_size * (4 + embedding_size)",
        };
        check(self.files.words.size_bytes == words_bytes, "files.words.size_bytes", rule)?;
        for (fields, file) in self.files.named() {
            check(is_plain(&file.path), fields.path, "a file name of letters, digits and ._-")?;
            check(is_sha256(&file.sha256), fields.sha256, SHA256_RULE)?;
        }
        Ok(())
    }

    fn check_dense(&self) -> Result<(), ManifestError> {
        let mut inputs = self.pooled_size();
        for layer in &self.dense {
            let fits = layer.inputs == inputs && layer.outputs > 0;
            check(fits, "dense", "layers of which each has the previous one's outputs as inputs")?;
            inputs = layer.outputs;
        }
        let values = self.dense.iter().map(|layer| layer.values() as u64);
        let expected = values.fold(0, u64::saturating_add).saturating_mul(4);
        match &self.files.dense {
            None => check(self.dense.is_empty(), "files.dense", "present, because of dense")?,
            Some(file) => {
                check(!self.dense.is_empty(), "files.dense", "null, because dense is empty")?;
                let rule = "4 bytes for each value of the layers in dense";
                check(file.size_bytes == expected, "files.dense.size_bytes", rule)?;
            }
        }
        let fits = self.output_size.is_none_or(|size| (1..=self.module_size()).contains(&size));
        check(fits, "output_size", "1 up to the number of features of the last module")
    }
}

fn bert_inputs() -> Vec<GraphInput> {
    GraphInput::BERT.to_vec()
}

fn from_json<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, ManifestError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| ManifestError::Malformed {
        field: error.path().to_string(),
        source: error.into_inner(),
    })
}

fn check(holds: bool, field: &'static str, rule: &'static str) -> Result<(), ManifestError> {
    if holds { Ok(()) } else { Err(ManifestError::Invalid { field, rule }) }
}

/// Whether a name is a valid model name; see [`NAME_RULE`].
#[must_use]
pub fn is_name(name: &str) -> bool {
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 64
        && name.starts_with(ends)
        && name.chars().all(|c| ends(c) || matches!(c, '.' | '_' | '-'))
}

/// Whether a path is the plain name of a file in the folder.
fn is_plain(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&path.len())
        && path.bytes().all(is_plain)
        && ![".", "..", super::MANIFEST_FILE].contains(&path)
}

/// Whether a string is a sha256; see [`SHA256_RULE`].
#[must_use]
pub fn is_sha256(hex: &str) -> bool {
    hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::vector::{DenseActivation, Pooling};

    /// A valid manifest of an embedding model.
    fn embedding() -> Value {
        let file = |path: &str| json!({"path": path, "size_bytes": 1, "sha256": "0".repeat(64)});
        let mut words = file("model.words");
        words["size_bytes"] = json!(20 * 8 * 4);
        json!({
            "schema_version": 3, "model_name": "tiny", "source": "folder:tiny",
            "revision": "sha256:0", "licence": "Apache-2.0", "task": "embedding",
            "hidden_size": 8, "vocabulary_size": 20, "max_tokens": 16, "pooling": "mean",
            "normalize": true, "prompts": {"query": "query: "}, "labels": null,
            "activation": null, "precision": "fp32", "onnxruntime": "1.32.0", "isa": "any",
            "files": {"graph": file("model.onnx"), "weights": file("model.weights"),
                      "words": words, "tokenizer": file("tokenizer.json"),
                      "vocabulary": file("vocabulary.txt")}
        })
    }

    fn parse(manifest: &Value) -> Result<Manifest, ManifestError> {
        Manifest::parse(manifest.to_string().as_bytes())
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut manifest = embedding();
        *manifest.pointer_mut(pointer).unwrap() = value;
        manifest
    }

    #[test]
    fn parses_a_complete_manifest() {
        let manifest = parse(&embedding()).unwrap();
        assert_eq!(manifest.pooling, Some(Poolings::new(vec![Pooling::Mean])));
        assert_eq!(manifest.inputs, GraphInput::BERT);
        assert_eq!((manifest.embedding_size(), manifest.dimensions()), (8, 8));
        assert_eq!(manifest.files.weights.path, "model.weights");
        assert_eq!(manifest.prompts["query"], "query: ");
    }

    #[test]
    fn the_similarity_function_is_optional() {
        assert_eq!(parse(&embedding()).unwrap().similarity, None);
        let mut manifest = embedding();
        manifest["similarity"] = json!("dot");
        assert_eq!(parse(&manifest).unwrap().similarity, Some(SimilarityFunction::Dot));
        manifest["similarity"] = json!("maxsim");
        assert!(parse(&manifest).unwrap_err().to_string().contains("similarity"));
    }

    #[test]
    fn rejects_bytes_that_are_not_json() {
        let error = Manifest::parse(b"{\"schema_version\": 3,").unwrap_err();
        assert!(matches!(error, ManifestError::Malformed { .. }), "{error}");
    }

    #[test]
    fn rejects_another_schema_version_before_other_fields() {
        let error = Manifest::parse(b"{\"schema_version\": 2, \"shape\": []}").unwrap_err();
        assert!(matches!(error, ManifestError::UnsupportedSchema { found: 2 }), "{error}");
    }

    #[test]
    fn an_error_of_the_parser_names_the_field() {
        let cases = [
            ("/pooling", json!("median"), "pooling"),
            ("/pooling", json!(["mean", "median"]), "pooling"),
            ("/task", json!("translation"), "task"),
            ("/precision", json!("fp4"), "precision"),
            ("/hidden_size", json!("wide"), "hidden_size"),
            ("/files/graph", json!({"path": "g", "size_bytes": 1}), "files.graph"),
            ("/files/graph/size_bytes", json!(-1), "files.graph.size_bytes"),
        ];
        for (pointer, value, expected) in cases {
            match parse(&with(pointer, value)).unwrap_err() {
                ManifestError::Malformed { field, .. } => assert_eq!(field, expected),
                other => panic!("{pointer}: {other}"),
            }
        }
    }

    #[test]
    fn an_unknown_field_is_an_error_that_names_it() {
        let mut manifest = embedding();
        manifest["rotary"] = json!(true);
        assert!(parse(&manifest).unwrap_err().to_string().contains("rotary"));
    }

    #[test]
    fn a_missing_field_is_an_error_that_names_it() {
        let mut manifest = embedding();
        manifest.as_object_mut().unwrap().remove("max_tokens");
        assert!(parse(&manifest).unwrap_err().to_string().contains("max_tokens"));
    }

    #[test]
    fn a_violated_rule_is_an_error_that_names_the_field() {
        let cases = [
            ("/model_name", json!("../up"), "model_name"),
            ("/hidden_size", json!(0), "hidden_size"),
            ("/vocabulary_size", json!(0), "vocabulary_size"),
            ("/max_tokens", json!(0), "max_tokens"),
            ("/pooling", json!(null), "pooling"),
            ("/pooling", json!([]), "pooling"),
            ("/normalize", json!(null), "normalize"),
            ("/labels", json!(1), "labels"),
            ("/activation", json!("sigmoid"), "activation"),
            ("/files/graph/path", json!("/etc/passwd"), "files.graph.path"),
            ("/files/weights/path", json!("../w"), "files.weights.path"),
            ("/files/weights/path", json!("a/b"), "files.weights.path"),
            ("/files/weights/path", json!("a\u{1b}[31m"), "files.weights.path"),
            ("/files/weights/path", json!("a\nb"), "files.weights.path"),
            ("/max_tokens", json!(65_537), "max_tokens"),
            ("/files/words/path", json!(".."), "files.words.path"),
            ("/files/words/size_bytes", json!(639), "files.words.size_bytes"),
            ("/files/tokenizer/path", json!("bundle.json"), "files.tokenizer.path"),
            ("/files/tokenizer/path", json!(""), "files.tokenizer.path"),
            ("/files/tokenizer/sha256", json!("ABC"), "files.tokenizer.sha256"),
            ("/files/vocabulary/path", json!("a\0/b"), "files.vocabulary.path"),
            ("/files/vocabulary/sha256", json!(""), "files.vocabulary.sha256"),
        ];
        for (pointer, value, expected) in cases {
            match parse(&with(pointer, value)).unwrap_err() {
                ManifestError::Invalid { field, .. } => assert_eq!(field, expected),
                other => panic!("{pointer}: {other}"),
            }
        }
    }

    #[test]
    fn an_int8_embedding_row_includes_its_scale() {
        let mut manifest = embedding();
        manifest["precision"] = json!("int8");
        assert!(parse(&manifest).unwrap_err().to_string().contains("(4 + embedding_size)"));
        manifest["files"]["words"]["size_bytes"] = json!(20 * (4 + 8));
        assert_eq!(parse(&manifest).unwrap().precision, Precision::Int8);
    }

    #[test]
    fn a_cross_encoder_has_labels_and_activation() {
        let mut manifest = embedding();
        manifest["task"] = json!("cross-encoder");
        manifest["pooling"] = json!(null);
        manifest["normalize"] = json!(null);
        manifest["labels"] = json!(1);
        manifest["activation"] = json!("sigmoid");
        assert_eq!(parse(&manifest).unwrap().task, Task::CrossEncoder);
        assert_eq!(parse(&manifest).unwrap().label_names(), ["LABEL_0"]);
        manifest["label_names"] = json!(["relevant"]);
        assert_eq!(parse(&manifest).unwrap().label_names(), ["relevant"]);
        manifest["label_names"] = json!(["no", "yes"]);
        assert!(matches!(
            parse(&manifest).unwrap_err(),
            ManifestError::Invalid { field: "label_names", .. }
        ));
        manifest["label_names"] = json!(null);
        manifest["labels"] = json!(0);
        assert!(matches!(
            parse(&manifest).unwrap_err(),
            ManifestError::Invalid { field: "labels", .. }
        ));
    }

    /// A manifest with two poolings and two dense layers.
    fn with_dense() -> Value {
        let mut manifest = embedding();
        manifest["pooling"] = json!(["cls", "mean"]);
        manifest["dense"] = json!([
            {"inputs": 16, "outputs": 33, "activation": "tanh"},
            {"inputs": 33, "outputs": 5, "activation": "gelu_tanh"}
        ]);
        let values = (2 * 32 * 16 + 33) + (32 * 33 + 5);
        manifest["files"]["dense"] =
            json!({"path": "model.dense", "size_bytes": values * 4, "sha256": "0".repeat(64)});
        manifest
    }

    #[test]
    fn dense_layers_set_the_dimensions() {
        let mut manifest = with_dense();
        let parsed = parse(&manifest).unwrap();
        assert_eq!(parsed.dense[1].activation, DenseActivation::GeluTanh);
        assert_eq!((parsed.dimensions(), parsed.files.iter().count()), (5, 6));
        manifest["output_size"] = json!(3);
        assert_eq!(parse(&manifest).unwrap().dimensions(), 3);
        manifest["dense"] = json!([]);
        manifest["files"].as_object_mut().unwrap().remove("dense");
        manifest["output_size"] = json!(16);
        assert_eq!(parse(&manifest).unwrap().dimensions(), 16);
    }

    #[test]
    fn the_inputs_and_the_table_of_another_graph_are_read() {
        let mut manifest = embedding();
        manifest["inputs"] = json!(["word_embeddings", "offsets", "input_ids"]);
        manifest["embedding_size"] = json!(4);
        manifest["files"]["words"]["size_bytes"] = json!(20 * 4 * 4);
        let parsed = parse(&manifest).unwrap();
        let expected = [GraphInput::WordEmbeddings, GraphInput::Offsets, GraphInput::InputIds];
        assert_eq!((parsed.inputs.as_slice(), parsed.embedding_size()), (&expected[..], 4));
    }

    #[test]
    fn a_field_of_another_model_that_does_not_fit_is_an_error_that_names_it() {
        let cases = [
            ("/inputs", json!(["word_embeddings"]), "inputs"),
            ("/inputs", json!(["word_embeddings", "offsets", "offsets"]), "inputs"),
            ("/inputs", json!(["offsets"]), "inputs"),
            ("/embedding_size", json!(0), "embedding_size"),
            ("/output_size", json!(0), "output_size"),
            ("/output_size", json!(6), "output_size"),
            ("/dense/0/inputs", json!(8), "dense"),
            ("/dense/1/inputs", json!(5), "dense"),
            ("/dense/1/outputs", json!(0), "dense"),
            ("/dense", json!([]), "files.dense"),
            ("/files/dense", json!(null), "files.dense"),
            ("/files/dense/size_bytes", json!(4), "files.dense.size_bytes"),
            ("/files/dense/path", json!("../d"), "files.dense.path"),
        ];
        for (pointer, value, expected) in cases {
            let mut manifest = with_dense();
            manifest["inputs"] = json!(null);
            manifest["embedding_size"] = json!(null);
            manifest["output_size"] = json!(null);
            *manifest.pointer_mut(pointer).unwrap() = value;
            if manifest["inputs"].is_null() {
                manifest.as_object_mut().unwrap().remove("inputs");
            }
            match parse(&manifest).unwrap_err() {
                ManifestError::Invalid { field, .. } => assert_eq!(field, expected),
                other => panic!("{pointer}: {other}"),
            }
        }
    }
}
