//! The version of a model that an event requests, with its paths.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use semblance::internals::bundle::{NAME_RULE, SHA256_RULE, is_name, is_sha256};

/// Maximum number of characters of an invalid value in an error message.
const SHOWN_CHARACTERS: usize = 80;

/// A version of a model. It determines the keys in S3 and the folder on the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelVersion {
    model_name: String,
    digest: String,
}

/// Why an event is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// It is not JSON, or does not match the schema.
    #[error("field {field}: {source}")]
    Malformed {
        /// Path of the field; `.` is the event.
        field: String,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// A value violates a rule.
    #[error("field {field}: must be {rule}, found {found:?}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule.
        rule: &'static str,
        /// The value, shortened.
        found: String,
    },
}

/// An event: what to do with a version of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// The version to copy.
    pub version: ModelVersion,
    /// Digests of versions that are in service, such as those of an alias and of its former function
    /// version. `None` removes no version at all.
    pub keep: Option<Vec<String>>,
    /// Whether to hash the files of a complete copy and to replace those that differ.
    pub verify: bool,
}

/// The fields of an event. Other fields, such as Terraform's `tf`, are ignored.
#[derive(Deserialize)]
struct Fields {
    model_name: String,
    digest: String,
    keep: Option<Vec<String>>,
    verify: Option<bool>,
}

impl SyncRequest {
    /// Parses and validates an event.
    ///
    /// # Errors
    /// - [`EventError::Malformed`] if it is not JSON, or a field is missing or of another type.
    /// - [`EventError::Invalid`] if a value is not a model name or a digest.
    ///
    /// # Examples
    /// ```
    /// use semblance_model_sync::SyncRequest;
    ///
    /// let digest = "0".repeat(64);
    /// let event = format!(r#"{{"model_name": "minilm", "digest": "{digest}", "verify": true}}"#);
    /// let request = SyncRequest::decode(event.as_bytes())?;
    /// assert_eq!((request.keep, request.verify), (None, true));
    /// # Ok::<(), semblance_model_sync::EventError>(())
    /// ```
    pub fn decode(event: &[u8]) -> Result<Self, EventError> {
        let Fields { model_name, digest, keep, verify } = decode_fields(event)?;
        for digest in keep.iter().flatten() {
            check(is_sha256(digest), "keep", SHA256_RULE, digest)?;
        }
        let version = ModelVersion::new(model_name, digest)?;
        Ok(Self { version, keep, verify: verify.unwrap_or(false) })
    }
}

/// Parses the fields of an event.
pub(crate) fn decode_fields<T: DeserializeOwned>(event: &[u8]) -> Result<T, EventError> {
    let mut json = serde_json::Deserializer::from_slice(event);
    let fields = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        EventError::Malformed { field, source: error.into_inner() }
    })?;
    json.end().map_err(|source| EventError::Malformed { field: ".".to_owned(), source })?;
    Ok(fields)
}

impl ModelVersion {
    /// Parses and validates an event.
    ///
    /// # Errors
    /// - [`EventError::Malformed`] if it is not JSON, or a field is missing or not a string.
    /// - [`EventError::Invalid`] if a value is not a model name or a digest.
    ///
    /// # Examples
    /// ```
    /// use semblance_model_sync::ModelVersion;
    ///
    /// let digest = "0".repeat(64);
    /// let event = format!(r#"{{"model_name": "minilm", "digest": "{digest}"}}"#);
    /// let version = ModelVersion::decode(event.as_bytes())?;
    /// assert_eq!((version.model_name(), version.digest()), ("minilm", digest.as_str()));
    /// assert!(ModelVersion::decode(br#"{"model_name": "../up", "digest": "0"}"#).is_err());
    /// # Ok::<(), semblance_model_sync::EventError>(())
    /// ```
    pub fn decode(event: &[u8]) -> Result<Self, EventError> {
        let Fields { model_name, digest, .. } = decode_fields(event)?;
        Self::new(model_name, digest)
    }

    fn new(model_name: String, digest: String) -> Result<Self, EventError> {
        check(is_name(&model_name), "model_name", NAME_RULE, &model_name)?;
        check(is_sha256(&digest), "digest", SHA256_RULE, &digest)?;
        Ok(Self { model_name, digest })
    }

    /// Name of the model.
    #[must_use]
    pub fn model_name(&self) -> &str {
        &self.model_name
    }

    /// sha256 of the bundle's manifest, 64 lowercase hex digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The folder of all versions of the model.
    pub(crate) fn model_folder(&self, root: &Path) -> PathBuf {
        root.join(&self.model_name)
    }

    /// The folder of this version.
    pub(crate) fn folder(&self, root: &Path) -> PathBuf {
        self.model_folder(root).join(&self.digest)
    }

    /// Name of the folder in which this version is assembled.
    pub(crate) fn staging_name(&self) -> String {
        format!("{}-{}", self.model_name, self.digest)
    }

    /// Key of a file of the bundle in S3.
    pub(crate) fn key(&self, prefix: &str, file: &str) -> String {
        format!("{prefix}/{}/{}/{file}", self.model_name, self.digest)
    }
}

/// Returns an error if a value violates the rule of its field.
pub(crate) fn check(
    holds: bool,
    field: &'static str,
    rule: &'static str,
    found: &str,
) -> Result<(), EventError> {
    if holds {
        return Ok(());
    }
    Err(EventError::Invalid { field, rule, found: found.chars().take(SHOWN_CHARACTERS).collect() })
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// The version of the model `tiny` whose digest consists of 64 times this digit.
    pub(crate) fn version(digit: char) -> ModelVersion {
        ModelVersion { model_name: "tiny".to_owned(), digest: digit.to_string().repeat(64) }
    }

    fn decode(event: &serde_json::Value) -> Result<ModelVersion, EventError> {
        ModelVersion::decode(event.to_string().as_bytes())
    }

    #[test]
    fn ignores_unknown_fields() {
        let digest = "0a".repeat(32);
        let tf = json!({"action": "create", "prev_input": null});
        let version = decode(&json!({"model_name": "m.1", "digest": digest, "tf": tf})).unwrap();
        assert_eq!(version.folder(Path::new("/r")), Path::new("/r/m.1").join(&digest));
        assert_eq!(version.key("a/b", "model.onnx"), format!("a/b/m.1/{digest}/model.onnx"));
    }

    #[test]
    fn a_request_says_what_to_keep_and_to_verify() {
        let digest = "0a".repeat(32);
        let decode = |more: serde_json::Value| {
            let mut event = json!({"model_name": "m", "digest": digest});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            SyncRequest::decode(event.to_string().as_bytes())
        };
        let plain = decode(json!({})).unwrap();
        assert_eq!((plain.keep, plain.verify), (None, false));
        let full = decode(json!({"keep": [digest], "verify": true})).unwrap();
        assert_eq!((full.keep, full.verify), (Some(vec![digest.clone()]), true));
        assert_eq!(decode(json!({"keep": []})).unwrap().keep, Some(vec![]));
        for more in [json!({"keep": digest}), json!({"keep": [1]}), json!({"verify": "yes"})] {
            assert!(matches!(decode(more).unwrap_err(), EventError::Malformed { .. }));
        }
        for keep in ["", "../up", "ABC"] {
            let error = decode(json!({"keep": [keep]})).unwrap_err();
            assert!(matches!(error, EventError::Invalid { field: "keep", .. }), "{error}");
        }
    }

    #[test]
    fn an_error_of_the_parser_names_the_field() {
        let digest = "0".repeat(64);
        let cases = [
            (json!([]), "."),
            (json!({"digest": digest}), "."),
            (json!({"model_name": 1, "digest": digest}), "model_name"),
            (json!({"model_name": "m", "digest": null}), "digest"),
        ];
        for (event, expected) in cases {
            match decode(&event).unwrap_err() {
                EventError::Malformed { field, .. } => assert_eq!(field, expected, "{event}"),
                other => panic!("{event}: {other}"),
            }
        }
    }

    #[test]
    fn rejects_bytes_that_are_not_json() {
        for event in [b"".as_slice(), b"{", b"\xff"] {
            let error = ModelVersion::decode(event).unwrap_err();
            assert!(matches!(error, EventError::Malformed { .. }), "{error}");
        }
        let digest = "0".repeat(64);
        let event = format!(r#"{{"model_name": "m", "digest": "{digest}"}} {{}}"#);
        let error = ModelVersion::decode(event.as_bytes()).unwrap_err();
        assert!(matches!(error, EventError::Malformed { .. }), "{error}");
    }

    #[test]
    fn rejects_invalid_names_and_digests_with_their_field() {
        let good = "0".repeat(64);
        let long = "x".repeat(1_000);
        let cases = [
            ("../up", good.as_str(), "model_name"),
            (".staging", good.as_str(), "model_name"),
            ("", good.as_str(), "model_name"),
            (long.as_str(), good.as_str(), "model_name"),
            ("m", "ABC", "digest"),
            ("m", "../../etc", "digest"),
            ("m", long.as_str(), "digest"),
        ];
        for (model_name, digest, expected) in cases {
            match decode(&json!({"model_name": model_name, "digest": digest})).unwrap_err() {
                EventError::Invalid { field, found, .. } => {
                    assert_eq!(field, expected);
                    assert!(found.len() <= SHOWN_CHARACTERS);
                }
                other => panic!("{other}"),
            }
        }
    }
}
