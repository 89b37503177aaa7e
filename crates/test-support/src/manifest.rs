//! The manifest of a bundle that does not exist.

use serde_json::{Value, json};

/// Returns a valid manifest of an embedding model `tiny`, whose files have one byte each, and the
/// embedding table what it must have: 20 rows of 8 f32.
#[must_use]
pub fn tiny_manifest() -> Value {
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
