//! The settings of a command. Arguments take precedence over environment variables, which take
//! precedence over the paths of `make`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use semblance::{LoadError, Model, Options};
use semblance_api::http::ApiKeys;
use semblance_api::{Config, Limits, ServiceOptions, origins};
use semblance_process::{ConfigError, Environment};
use tracing::level_filters::LevelFilter;

use crate::arguments::{
    EmbedArguments, ModelArguments, PairArguments, SearchArguments, ServeArguments,
};

/// The default of `--shutdown-seconds`.
const DEFAULT_SHUTDOWN_SECONDS: u64 = 10;

/// The settings of a command.
#[derive(Debug)]
pub(crate) struct Settings {
    config: Config,
    bundle: PathBuf,
    /// Whether the embedding model is loaded.
    has_bundle: bool,
    shutdown: Duration,
}

impl Settings {
    /// Returns the settings of a command that runs a model once.
    pub(crate) fn new(model: &ModelArguments) -> Result<Self, ConfigError> {
        let mut config = Config::from_environment(&Environment::from_process())?;
        let bundle = bundle_folder(model.bundle.as_ref(), &config);
        config.model.library = match (&model.library, config.model.library.exists()) {
            (Some(library), _) => library.clone(),
            (None, true) => config.model.library,
            (None, false) => PathBuf::from("build/lib/libonnxruntime.so"),
        };
        config.model = Options { cross_encoder: None, warm_up: false, ..config.model };
        let shutdown = Duration::from_secs(DEFAULT_SHUTDOWN_SECONDS);
        Ok(Self { config, bundle, has_bundle: true, shutdown })
    }

    /// Returns the settings of `embed`.
    pub(crate) fn for_embed(arguments: &EmbedArguments) -> Result<Self, ConfigError> {
        let mut settings = Self::new(&arguments.model)?;
        let model = &mut settings.config.model;
        model.threads = arguments.threads.unwrap_or(model.threads);
        Ok(settings)
    }

    /// Returns the settings of a command that scores pairs.
    pub(crate) fn for_pairs(
        model: &ModelArguments,
        pairs: &PairArguments,
    ) -> Result<Self, ConfigError> {
        let mut settings = Self::new(model)?;
        settings.config.model.cross_encoder = cross_encoder_folder(pairs.cross_encoder.as_ref());
        Ok(settings)
    }

    /// Returns the settings of a search.
    pub(crate) fn for_search(arguments: &SearchArguments) -> Result<Self, ConfigError> {
        let mut settings = Self::new(&arguments.model)?;
        // Without `--rerank`, a cross-encoder is not needed.
        settings.config.model.cross_encoder =
            arguments.rerank.and_then(|_| cross_encoder_folder(arguments.cross_encoder.as_ref()));
        Ok(settings)
    }

    /// Returns the settings of a server.
    pub(crate) fn for_server(arguments: &ServeArguments) -> Result<Self, ConfigError> {
        let mut settings = Self::new(&arguments.model)?;
        let config = &mut settings.config;
        let is_bundle_given = arguments.model.bundle.is_some() || config.bundle.is_some();
        config.model.cross_encoder = cross_encoder_folder(arguments.cross_encoder.as_ref());
        settings.has_bundle = is_bundle_given || config.model.cross_encoder.is_none();
        let threads = arguments.threads.and_then(|threads| NonZeroUsize::new(threads.into()));
        config.model.threads = threads.unwrap_or(config.model.threads);
        config.model.warm_up = true;
        config.indexes = arguments.index_dir.clone().or(config.indexes.take());
        config.concurrency = arguments.max_concurrent_requests;
        let environment = Environment::from_process();
        let from_environment = environment.number("SEMBLANCE_SHUTDOWN_SECONDS", 0, 3600)?;
        if let Some(seconds) = arguments.shutdown_seconds.or(from_environment) {
            settings.shutdown = Duration::from_secs(seconds);
        }
        if !arguments.cors_origin.is_empty() {
            config.cors = origins("--cors-origin", arguments.cors_origin.join(","))?;
        }
        if !arguments.api_key.is_empty() {
            config.api_keys = ApiKeys::parse("--api-key", &arguments.api_key.join(","))?;
        }
        config.limits.auto_truncate =
            arguments.auto_truncate.unwrap_or(config.limits.auto_truncate);
        Ok(settings)
    }

    /// Loads the model.
    pub(crate) fn load(&self) -> Result<Model, LoadError> {
        match self.bundle() {
            Some(bundle) => Model::load(bundle, self.config.model.clone()),
            None => Model::load_cross_encoder(self.config.model.clone()),
        }
    }

    /// The folder of the embedding model's bundle; `None` for a server that has only a cross-encoder.
    pub(crate) fn bundle(&self) -> Option<&Path> {
        self.has_bundle.then_some(self.bundle.as_path())
    }

    /// The folder of the bundle of a command that runs a model once.
    pub(crate) fn folder(&self) -> &Path {
        &self.bundle
    }

    pub(crate) fn model(&self) -> &Options {
        &self.config.model
    }

    pub(crate) fn service_options(&self) -> ServiceOptions {
        self.config.service_options()
    }

    pub(crate) fn concurrency(&self) -> NonZeroUsize {
        self.config.concurrency
    }

    pub(crate) fn api_keys(&self) -> &ApiKeys {
        &self.config.api_keys
    }

    pub(crate) fn indexes(&self) -> Option<PathBuf> {
        self.config.indexes.clone()
    }

    /// Within this time of the first signal, a server ends.
    pub(crate) fn shutdown(&self) -> Duration {
        self.shutdown
    }

    pub(crate) fn cors_origins(&self) -> &[String] {
        &self.config.cors
    }

    pub(crate) fn log_level(&self) -> LevelFilter {
        self.config.log_level
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }
}

/// Returns the folder of a bundle: the argument, else the environment variable, else the folder of
/// `make model`.
pub(crate) fn bundle_folder(argument: Option<&PathBuf>, config: &Config) -> PathBuf {
    argument
        .or(config.bundle.as_ref())
        .map_or_else(|| Path::new("build/model/default").to_path_buf(), Clone::clone)
}

/// Returns the folder of the cross-encoder's bundle: the argument, else the environment variable.
fn cross_encoder_folder(argument: Option<&PathBuf>) -> Option<PathBuf> {
    let environment = Environment::from_process();
    argument.cloned().or_else(|| environment.path("SEMBLANCE_CROSS_ENCODER_BUNDLE"))
}
