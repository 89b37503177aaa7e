//! The environment of `model-sync`.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::{ConfigError, log_level, number, process};
use crate::sync::{BucketOptions, SyncOptions};

/// Versions of a model that stay on the file system, if nobody says otherwise.
const KEEP_VERSIONS: usize = 3;

/// Everything the environment of `model-sync` says. Region, credentials and endpoint are the AWS
/// SDK's own variables, and read by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncConfig {
    /// `SEMBLANCE_MODELS_BUCKET` and `SEMBLANCE_MODELS_PREFIX`; by path, not by host name, if
    /// `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3` names an endpoint.
    pub bucket: BucketOptions,
    /// `SEMBLANCE_MODELS_ROOT` and `SEMBLANCE_KEEP_VERSIONS`.
    pub sync: SyncOptions,
    /// `AWS_LAMBDA_LOG_LEVEL`.
    pub log_level: LevelFilter,
}

impl SyncConfig {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// - [`ConfigError::Missing`] if root or bucket is not set.
    /// - [`ConfigError::Invalid`] if a variable is set to what it cannot be.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(process)
    }

    /// Reads an environment given as a lookup; an empty variable is as good as none.
    ///
    /// # Errors
    /// - [`ConfigError::Missing`] if root or bucket is not set.
    /// - [`ConfigError::Invalid`] if a variable is set to what it cannot be.
    ///
    /// # Examples
    /// ```
    /// use semblance::config::SyncConfig;
    ///
    /// let config = SyncConfig::from_lookup(|name| match name {
    ///     "SEMBLANCE_MODELS_ROOT" => Some("/mnt/models".into()),
    ///     "SEMBLANCE_MODELS_BUCKET" => Some("bundles".into()),
    ///     _ => None,
    /// })?;
    /// assert_eq!(config.bucket.prefix, "models");
    /// assert_eq!(config.sync.keep_versions, 3);
    /// # Ok::<(), semblance::config::ConfigError>(())
    /// ```
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let require = |variable: &'static str, hint: &'static str| {
            get(variable).ok_or(ConfigError::Missing { variable, hint })
        };
        let root = "set it to the folder that holds the models, such as /mnt/models";
        let bucket = "set it to the bucket that Terraform uploads the bundles to";
        let endpoints = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"];
        Ok(Self {
            sync: SyncOptions {
                root: PathBuf::from(require("SEMBLANCE_MODELS_ROOT", root)?),
                keep_versions: number(&get, "SEMBLANCE_KEEP_VERSIONS", 1, 100)?
                    .unwrap_or(KEEP_VERSIONS),
            },
            bucket: BucketOptions {
                bucket: require("SEMBLANCE_MODELS_BUCKET", bucket)?,
                prefix: prefix(&get)?,
                path_style: endpoints.iter().any(|name| get(name).is_some()),
            },
            log_level: log_level(&get)?,
        })
    }
}

fn prefix(get: &impl Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let variable = "SEMBLANCE_MODELS_PREFIX";
    let Some(value) = get(variable) else { return Ok("models".to_owned()) };
    if value.split('/').all(|name| !name.is_empty()) {
        return Ok(value);
    }
    let rule = "names joined by slashes, without a slash at either end".to_owned();
    Err(ConfigError::Invalid { variable, value, rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [(&str, &str); 2] =
        [("SEMBLANCE_MODELS_ROOT", "/mnt/models"), ("SEMBLANCE_MODELS_BUCKET", "bundles")];

    fn config(variables: &[(&str, &str)]) -> Result<SyncConfig, ConfigError> {
        SyncConfig::from_lookup(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn with(variable: &'static str, value: &'static str) -> Result<SyncConfig, ConfigError> {
        config(&[&REQUIRED[..], &[(variable, value)]].concat())
    }

    #[test]
    fn root_and_bucket_are_enough() {
        let config = config(&REQUIRED).unwrap();
        assert_eq!(config.sync.root, PathBuf::from("/mnt/models"));
        assert_eq!((config.bucket.bucket.as_str(), config.bucket.path_style), ("bundles", false));
        assert_eq!(config.log_level, LevelFilter::INFO);
    }

    #[test]
    fn a_missing_root_or_bucket_is_named() {
        for present in REQUIRED {
            let error = config(&[present]).unwrap_err();
            let missing = REQUIRED.iter().find(|(name, _)| *name != present.0).unwrap().0;
            assert!(matches!(error, ConfigError::Missing { variable, .. } if variable == missing));
        }
    }

    #[test]
    fn an_endpoint_of_ones_own_is_addressed_by_path() {
        for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"] {
            assert!(with(variable, "http://localhost:5000").unwrap().bucket.path_style);
        }
    }

    #[test]
    fn a_value_that_breaks_its_rule_is_refused_with_name_and_value() {
        let cases = [
            ("SEMBLANCE_KEEP_VERSIONS", "0"),
            ("SEMBLANCE_KEEP_VERSIONS", "101"),
            ("SEMBLANCE_MODELS_PREFIX", "/models"),
            ("SEMBLANCE_MODELS_PREFIX", "models/"),
            ("SEMBLANCE_MODELS_PREFIX", "a//b"),
            ("AWS_LAMBDA_LOG_LEVEL", "loud"),
        ];
        for (variable, value) in cases {
            let text = with(variable, value).unwrap_err().to_string();
            assert!(text.contains(variable) && text.contains(value), "{text}");
        }
    }
}
