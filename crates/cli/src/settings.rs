//! The settings of a command. Arguments take precedence over environment variables, which take
//! precedence over the paths of `make`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use semblance::{LoadError, Model, Options};
use semblance_api::{Config, Limits, ServiceOptions, origins};
use semblance_process::{ConfigError, Environment};
use tracing::level_filters::LevelFilter;

use crate::arguments::{ModelArguments, ServeArguments};

/// The default of `--shutdown-seconds`.
const DEFAULT_SHUTDOWN_SECONDS: u64 = 10;

/// The settings of a command.
#[derive(Debug)]
pub(crate) struct Settings {
    config: Config,
    bundle: PathBuf,
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
        Ok(Self { config, bundle, shutdown: Duration::from_secs(DEFAULT_SHUTDOWN_SECONDS) })
    }

    /// Returns the settings of a server.
    pub(crate) fn for_server(arguments: &ServeArguments) -> Result<Self, ConfigError> {
        let mut settings = Self::new(&arguments.model)?;
        let environment = Environment::from_process();
        let config = &mut settings.config;
        config.model.cross_encoder = arguments
            .cross_encoder
            .clone()
            .or_else(|| environment.path("SEMBLANCE_CROSS_ENCODER_BUNDLE"));
        let threads = arguments.threads.and_then(|threads| NonZeroUsize::new(threads.into()));
        config.model.threads = threads.unwrap_or(config.model.threads);
        config.model.warm_up = true;
        config.concurrency = arguments.max_concurrent_requests;
        let from_environment = environment.number("SEMBLANCE_SHUTDOWN_SECONDS", 0, 3600)?;
        if let Some(seconds) = arguments.shutdown_seconds.or(from_environment) {
            settings.shutdown = Duration::from_secs(seconds);
        }
        if !arguments.cors_origin.is_empty() {
            config.cors = origins("--cors-origin", arguments.cors_origin.join(","))?;
        }
        Ok(settings)
    }

    /// Loads the model.
    pub(crate) fn load(&self) -> Result<Model, LoadError> {
        Model::load(&self.bundle, self.config.model.clone())
    }

    pub(crate) fn bundle(&self) -> &Path {
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
