//! The environment of `model-sync`.

use std::path::PathBuf;

use semblance_process::{ConfigError, Environment};
use tracing::level_filters::LevelFilter;

use crate::bucket::BucketOptions;
use crate::syncer::SyncOptions;

/// Versions of a model that stay on the file system, if nobody says otherwise.
const KEEP_VERSIONS: usize = 3;

/// Everything the environment of `model-sync` says. Region, credentials and endpoint are the AWS
/// SDK's own variables, and read by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `SEMBLANCE_MODELS_BUCKET` and `SEMBLANCE_MODELS_PREFIX`; by path, not by host name, if
    /// `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3` names an endpoint.
    pub bucket: BucketOptions,
    /// `SEMBLANCE_MODELS_ROOT` and `SEMBLANCE_KEEP_VERSIONS`.
    pub sync: SyncOptions,
    /// `AWS_LAMBDA_LOG_LEVEL`.
    pub log_level: LevelFilter,
}

impl Config {
    /// Reads the configuration. An empty variable counts as unset.
    ///
    /// # Errors
    /// - [`ConfigError::Missing`] if root or bucket is not set.
    /// - [`ConfigError::Invalid`] if a variable has a value outside its rule.
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
        let root = "set it to the folder that holds the models, such as /mnt/models";
        let bucket = "set it to the bucket that Terraform uploads the bundles to";
        let endpoints = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"];
        Ok(Self {
            sync: SyncOptions {
                root: PathBuf::from(environment.require("SEMBLANCE_MODELS_ROOT", root)?),
                keep_versions: environment
                    .number("SEMBLANCE_KEEP_VERSIONS", 1, 100)?
                    .unwrap_or(KEEP_VERSIONS),
            },
            bucket: BucketOptions {
                bucket: environment.require("SEMBLANCE_MODELS_BUCKET", bucket)?,
                prefix: prefix(environment)?,
                path_style: endpoints.iter().any(|name| environment.get(name).is_some()),
            },
            log_level: environment.log_level()?,
        })
    }
}

fn prefix(environment: &Environment) -> Result<String, ConfigError> {
    let variable = "SEMBLANCE_MODELS_PREFIX";
    let Some(value) = environment.get(variable) else { return Ok("models".to_owned()) };
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
