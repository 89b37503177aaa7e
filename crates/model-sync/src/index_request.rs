//! An event that names a version of an index.

use serde::Deserialize;

use semblance::internals::bundle::{NAME_RULE, SHA256_RULE, is_name, is_sha256};
use semblance::internals::corpus::{manifest_file, segment_file, tombstones_file};

use crate::version::{EventError, check, decode_fields};

/// What to do with a version of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexRequest {
    /// Name of the index.
    pub name: String,
    /// sha256 of the manifest of the version, 64 lowercase hex digits.
    pub digest: String,
    /// Whether to replace another version that is current. Otherwise the version is copied only if no
    /// version is current, and old versions are removed.
    pub replace: bool,
    /// Whether to hash the files of a complete copy and to replace those that differ.
    pub verify: bool,
}

/// The fields of an event. Other fields, such as Terraform's `tf`, are ignored.
#[derive(Deserialize)]
struct Fields {
    index: String,
    digest: String,
    replace: Option<bool>,
    verify: Option<bool>,
}

impl IndexRequest {
    /// Parses and validates an event.
    ///
    /// # Errors
    /// - [`EventError::Malformed`] if it is not JSON, or a field is missing or of another type.
    /// - [`EventError::Invalid`] if a value is not the name of an index or a digest.
    ///
    /// # Examples
    /// ```
    /// use semblance_model_sync::IndexRequest;
    ///
    /// let digest = "0".repeat(64);
    /// let event = format!(r#"{{"index": "docs", "digest": "{digest}"}}"#);
    /// let request = IndexRequest::decode(event.as_bytes())?;
    /// assert_eq!((request.name.as_str(), request.replace, request.verify), ("docs", true, false));
    /// # Ok::<(), semblance_model_sync::EventError>(())
    /// ```
    pub fn decode(event: &[u8]) -> Result<Self, EventError> {
        let Fields { index, digest, replace, verify } = decode_fields(event)?;
        check(is_name(&index), "index", NAME_RULE, &index)?;
        check(is_sha256(&digest), "digest", SHA256_RULE, &digest)?;
        let (replace, verify) = (replace.unwrap_or(true), verify.unwrap_or(false));
        Ok(Self { name: index, digest, replace, verify })
    }

    /// Key of the manifest of the version in S3.
    pub(crate) fn manifest_key(&self, prefix: &str) -> String {
        self.key(prefix, &manifest_file(&self.digest))
    }

    /// Key of a file of a segment in S3.
    pub(crate) fn segment_key(&self, prefix: &str, segment: &str, file: &str) -> String {
        self.key(prefix, &segment_file(segment, file))
    }

    /// Key of a set of deleted rows in S3.
    pub(crate) fn tombstones_key(&self, prefix: &str, digest: &str) -> String {
        self.key(prefix, &tombstones_file(digest))
    }

    fn key(&self, prefix: &str, file: &str) -> String {
        format!("{prefix}/{}/{file}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(fields: &Value) -> Result<IndexRequest, EventError> {
        IndexRequest::decode(fields.to_string().as_bytes())
    }

    #[test]
    fn keys_are_the_paths_of_the_index_below_its_name() {
        let digest = "0a".repeat(32);
        let request = request(&json!({"index": "docs", "digest": digest, "tf": {}})).unwrap();
        assert_eq!(request.manifest_key("a/b"), format!("a/b/docs/manifests/{digest}.json"));
        assert_eq!(request.segment_key("a", "s", "ids.bin"), "a/docs/segments/s/ids.bin");
        assert_eq!(request.tombstones_key("a", "t"), "a/docs/tombstones/t.bits");
    }

    #[test]
    fn rejects_invalid_fields_with_their_names() {
        let digest = "0".repeat(64);
        let malformed = [
            json!({"index": 1, "digest": digest}),
            json!({"index": "docs"}),
            json!({"index": "docs", "digest": digest, "replace": "no"}),
            json!({"index": "docs", "digest": digest, "verify": 1}),
        ];
        for event in malformed {
            assert!(
                matches!(request(&event).unwrap_err(), EventError::Malformed { .. }),
                "{event}"
            );
        }
        for (index, digest, expected) in [
            ("../up", digest.as_str(), "index"),
            (".staging", digest.as_str(), "index"),
            ("", digest.as_str(), "index"),
            ("docs", "../../etc", "digest"),
        ] {
            match request(&json!({"index": index, "digest": digest})).unwrap_err() {
                EventError::Invalid { field, .. } => assert_eq!(field, expected),
                other => panic!("{other}"),
            }
        }
    }
}
