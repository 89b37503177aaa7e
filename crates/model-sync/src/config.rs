//! The configuration of `model-sync`, from the environment.

use std::path::PathBuf;
use std::time::Duration;

use semblance_process::{ConfigError, Environment};
use tracing::level_filters::LevelFilter;

use crate::bucket::BucketOptions;
use crate::index_syncer::IndexSyncOptions;
use crate::syncer::SyncOptions;

/// Default number of versions of a model to keep on the file system.
const KEEP_VERSIONS: usize = 3;

/// Default number of hours that a version of an index stays after it was replaced.
const GRACE_HOURS: u64 = 24;

/// Name of the folder of the indexes in the root. It is not a valid model name.
const INDEXES: &str = ".indexes";

/// The configuration of `model-sync`. The AWS SDK reads its own variables for region, credentials and
/// endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `SEMBLANCE_MODELS_BUCKET` and `SEMBLANCE_MODELS_PREFIX`. URLs contain the bucket in the path if
    /// `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3` is set.
    pub bucket: BucketOptions,
    /// `SEMBLANCE_MODELS_ROOT` and `SEMBLANCE_KEEP_VERSIONS`.
    pub sync: SyncOptions,
    /// `SEMBLANCE_INDEXES_BUCKET`, by default that of the bundles, and `SEMBLANCE_INDEXES_PREFIX`.
    pub indexes: BucketOptions,
    /// `SEMBLANCE_INDEX_DIR`, by default `.indexes` below the root, and `SEMBLANCE_INDEX_GRACE_HOURS`.
    pub index_sync: IndexSyncOptions,
    /// `AWS_LAMBDA_LOG_LEVEL`.
    pub log_level: LevelFilter,
}

impl Config {
    /// Reads the configuration. An empty variable counts as unset.
    ///
    /// # Errors
    /// - [`ConfigError::Missing`] if the root or the bucket is not set.
    /// - [`ConfigError::Invalid`] if the value of a variable violates its rule.
    ///
    /// # Examples
    /// ```
    /// use semblance_model_sync::Config;
    /// use semblance_process::Environment;
    ///
    /// let environment = Environment::from_lookup(|name| match name {
    ///     "SEMBLANCE_MODELS_ROOT" => Some("/mnt/models".into()),
    ///     "SEMBLANCE_MODELS_BUCKET" => Some("bundles".into()),
    ///     _ => None,
    /// });
    /// let config = Config::from_environment(&environment)?;
    /// assert_eq!(config.bucket.prefix, "models");
    /// assert_eq!(config.sync.keep_versions, 3);
    /// # Ok::<(), semblance_process::ConfigError>(())
    /// ```
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let root = "set it to the folder of the models, such as /mnt/models";
        let bucket = "set it to the bucket that Terraform uploads the bundles to";
        let endpoints = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"];
        let root = PathBuf::from(environment.require("SEMBLANCE_MODELS_ROOT", root)?);
        let bucket = environment.require("SEMBLANCE_MODELS_BUCKET", bucket)?;
        let path_style = endpoints.iter().any(|name| environment.get(name).is_some());
        let hours = environment.number("SEMBLANCE_INDEX_GRACE_HOURS", 0, 8_760)?;
        let grace = Duration::from_secs(hours.unwrap_or(GRACE_HOURS) * 3_600);
        Ok(Self {
            indexes: BucketOptions {
                bucket: environment
                    .get("SEMBLANCE_INDEXES_BUCKET")
                    .unwrap_or_else(|| bucket.clone()),
                prefix: prefix(environment, "SEMBLANCE_INDEXES_PREFIX", "indexes")?,
                path_style,
            },
            index_sync: IndexSyncOptions {
                folder: environment
                    .get("SEMBLANCE_INDEX_DIR")
                    .map_or_else(|| root.join(INDEXES), PathBuf::from),
                grace,
            },
            sync: SyncOptions {
                root,
                keep_versions: environment
                    .number("SEMBLANCE_KEEP_VERSIONS", 1, 100)?
                    .unwrap_or(KEEP_VERSIONS),
            },
            bucket: BucketOptions {
                bucket,
                prefix: prefix(environment, "SEMBLANCE_MODELS_PREFIX", "models")?,
                path_style,
            },
            log_level: environment.log_level()?,
        })
    }
}

fn prefix(
    environment: &Environment,
    variable: &'static str,
    default: &str,
) -> Result<String, ConfigError> {
    let Some(value) = environment.get(variable) else { return Ok(default.to_owned()) };
    if value.split('/').all(|name| !name.is_empty()) {
        return Ok(value);
    }
    let rule = "names separated by slashes, without a leading or trailing slash".to_owned();
    Err(ConfigError::Invalid { variable, value, rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [(&str, &str); 2] =
        [("SEMBLANCE_MODELS_ROOT", "/mnt/models"), ("SEMBLANCE_MODELS_BUCKET", "bundles")];

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Config::from_environment(&Environment::from_lookup(move |name| {
            variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        }))
    }

    fn with(variable: &'static str, value: &'static str) -> Result<Config, ConfigError> {
        config(&[&REQUIRED[..], &[(variable, value)]].concat())
    }

    #[test]
    fn only_root_and_bucket_are_required() {
        let config = config(&REQUIRED).unwrap();
        assert_eq!(config.sync.root, PathBuf::from("/mnt/models"));
        assert_eq!((config.bucket.bucket.as_str(), config.bucket.path_style), ("bundles", false));
        assert_eq!(config.log_level, LevelFilter::INFO);
        assert_eq!((&*config.indexes.bucket, &*config.indexes.prefix), ("bundles", "indexes"));
        assert_eq!(config.index_sync.folder, PathBuf::from("/mnt/models/.indexes"));
        assert_eq!(config.index_sync.grace, Duration::from_secs(24 * 3_600));
    }

    #[test]
    fn an_error_names_a_missing_variable() {
        for present in REQUIRED {
            let error = config(&[present]).unwrap_err();
            let missing = REQUIRED.iter().find(|(name, _)| *name != present.0).unwrap().0;
            assert!(matches!(error, ConfigError::Missing { variable, .. } if variable == missing));
        }
    }

    #[test]
    fn a_custom_endpoint_uses_path_style_urls() {
        for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"] {
            assert!(with(variable, "http://localhost:5000").unwrap().bucket.path_style);
        }
    }

    #[test]
    fn an_error_has_the_variable_and_its_value() {
        let cases = [
            ("SEMBLANCE_KEEP_VERSIONS", "0"),
            ("SEMBLANCE_KEEP_VERSIONS", "101"),
            ("SEMBLANCE_MODELS_PREFIX", "/models"),
            ("SEMBLANCE_MODELS_PREFIX", "models/"),
            ("SEMBLANCE_MODELS_PREFIX", "a//b"),
            ("SEMBLANCE_INDEXES_PREFIX", "indexes/"),
            ("SEMBLANCE_INDEX_GRACE_HOURS", "-1"),
            ("SEMBLANCE_INDEX_GRACE_HOURS", "8761"),
            ("AWS_LAMBDA_LOG_LEVEL", "loud"),
        ];
        for (variable, value) in cases {
            let text = with(variable, value).unwrap_err().to_string();
            assert!(text.contains(variable) && text.contains(value), "{text}");
        }
    }
}
