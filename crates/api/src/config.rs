//! The configuration of a service, from the environment.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use semblance::Options;
use semblance::options::InstructionSet;
use semblance_process::{ConfigError, Environment};
use tracing::level_filters::LevelFilter;

use crate::http::ApiKeys;
use crate::{Limits, ServiceOptions};

/// Memory per vCPU on AWS Lambda, in MB.
///
/// Source: AWS Lambda developer guide, "Configure Lambda function memory": "At 1,769 MB, a
/// function has the equivalent of one vCPU".
const MEMORY_MB_PER_VCPU: f64 = 1769.0;

/// Maximum number of vCPUs of a Lambda function (10,240 MB).
const MAX_VCPUS: usize = 6;

/// The configuration of a service. `docs/configuration.md` lists the variables.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `SEMBLANCE_BUNDLE`: the folder of the bundle.
    pub bundle: Option<PathBuf>,
    /// Options of the model, from `SEMBLANCE_ORT_LIBRARY`, `SEMBLANCE_CROSS_ENCODER_BUNDLE`,
    /// `SEMBLANCE_BATCH_TOKENS`, `SEMBLANCE_CACHE_BYTES`, `SEMBLANCE_INSTRUCTION_SET` and
    /// `SEMBLANCE_THREADS`.
    ///
    /// The default library is `lib/libonnxruntime.so` in `LAMBDA_TASK_ROOT`, the folder of the
    /// extracted function package. The default number of threads is the number of vCPUs for
    /// `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`, otherwise the number of CPUs. The model is warmed up unless
    /// `AWS_LAMBDA_INITIALIZATION_TYPE` is `on-demand`, because an on-demand start delays an event.
    pub model: Options,
    /// `SEMBLANCE_MAX_TEXTS`, `SEMBLANCE_MAX_TEXT_BYTES` and `SEMBLANCE_AUTO_TRUNCATE`.
    pub limits: Limits,
    /// `SEMBLANCE_INDEX_DIR`: the folder of the indexes that can be searched.
    pub indexes: Option<PathBuf>,
    /// `AWS_LAMBDA_MAX_CONCURRENCY`: maximum number of concurrent events.
    pub concurrency: NonZeroUsize,
    /// `SEMBLANCE_CORS_ORIGINS`: origins that CORS allows.
    pub cors: Vec<String>,
    /// `SEMBLANCE_API_KEY`: the keys of HTTP clients. Direct events need none, because IAM authorizes
    /// them.
    pub api_keys: ApiKeys,
    /// `SEMBLANCE_BASE_PATH`: the path of HTTP events before that of the route.
    pub base_path: Option<String>,
    /// `SEMBLANCE_HTTP_TIMEOUT_SECONDS`: how long the sender of an HTTP event waits for the response.
    pub http_timeout: Option<Duration>,
    /// `AWS_LAMBDA_LOG_LEVEL`.
    pub log_level: LevelFilter,
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// - [`ConfigError::Invalid`] if the value of a variable violates its rule.
    ///
    /// # Examples
    /// ```
    /// use semblance_api::Config;
    /// use semblance_process::Environment;
    ///
    /// let environment = Environment::from_lookup(|name| match name {
    ///     "SEMBLANCE_BUNDLE" => Some("/mnt/models/m".into()),
    ///     "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" => Some("3538".into()),
    ///     _ => None,
    /// });
    /// let config = Config::from_environment(&environment)?;
    /// assert_eq!(config.model.threads.get(), 2);
    /// assert_eq!(config.limits.texts, 1_000);
    /// # Ok::<(), semblance_process::ConfigError>(())
    /// ```
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let (limits, options) = (Limits::default(), Options::default());
        let library = environment.path("SEMBLANCE_ORT_LIBRARY").unwrap_or_else(|| {
            let root = environment.path("LAMBDA_TASK_ROOT").unwrap_or_else(|| ".".into());
            root.join("lib/libonnxruntime.so")
        });
        let initialization = environment.get("AWS_LAMBDA_INITIALIZATION_TYPE");
        let model = Options {
            library,
            cross_encoder: environment.path("SEMBLANCE_CROSS_ENCODER_BUNDLE"),
            threads: threads(environment)?,
            instruction_set: instruction_set(environment)?,
            batch_tokens: environment
                .number("SEMBLANCE_BATCH_TOKENS", 1, 65_536)?
                .unwrap_or(options.batch_tokens),
            cache_bytes: environment
                .number("SEMBLANCE_CACHE_BYTES", 0, 8 << 30)?
                .unwrap_or(options.cache_bytes),
            warm_up: initialization.as_deref() != Some("on-demand"),
        };
        let texts = environment.number("SEMBLANCE_MAX_TEXTS", 1, 100_000)?;
        Ok(Self {
            bundle: environment.path("SEMBLANCE_BUNDLE"),
            model,
            limits: Limits {
                texts: texts.unwrap_or(limits.texts),
                client_texts: texts.unwrap_or(limits.client_texts),
                auto_truncate: environment
                    .flag("SEMBLANCE_AUTO_TRUNCATE")?
                    .unwrap_or(limits.auto_truncate),
                text_bytes: environment
                    .number("SEMBLANCE_MAX_TEXT_BYTES", 1, 6_291_456)?
                    .unwrap_or(limits.text_bytes),
                ..limits
            },
            indexes: environment.path("SEMBLANCE_INDEX_DIR"),
            concurrency: environment
                .number("AWS_LAMBDA_MAX_CONCURRENCY", 1, 10_000)?
                .map_or(NonZeroUsize::MIN, at_least_one),
            cors: match environment.get("SEMBLANCE_CORS_ORIGINS") {
                Some(list) => origins("SEMBLANCE_CORS_ORIGINS", list)?,
                None => Vec::new(),
            },
            api_keys: match environment.get("SEMBLANCE_API_KEY") {
                Some(list) => ApiKeys::parse("SEMBLANCE_API_KEY", &list)?,
                None => ApiKeys::default(),
            },
            base_path: base_path(environment)?,
            http_timeout: environment
                .number("SEMBLANCE_HTTP_TIMEOUT_SECONDS", 1, 900)?
                .map(Duration::from_secs),
            log_level: environment.log_level()?,
        })
    }

    /// The folder of the embedding model's bundle; `None` if only a cross-encoder is configured.
    ///
    /// # Errors
    /// - [`ConfigError::Missing`] if neither is set.
    pub fn require_bundle(&self) -> Result<Option<&PathBuf>, ConfigError> {
        if self.bundle.is_none() && self.model.cross_encoder.is_none() {
            return Err(ConfigError::Missing {
                variable: "SEMBLANCE_BUNDLE",
                hint: "set it to the folder of a model bundle, such as /mnt/models/<name>/<digest>",
            });
        }
        Ok(self.bundle.as_ref())
    }

    /// The part of the configuration that a service reports.
    #[must_use]
    pub fn service_options(&self) -> ServiceOptions {
        ServiceOptions {
            limits: self.limits,
            batch_tokens: self.model.batch_tokens,
            concurrency: self.concurrency,
        }
    }
}

fn threads(environment: &Environment) -> Result<NonZeroUsize, ConfigError> {
    if let Some(threads) = environment.number("SEMBLANCE_THREADS", 1, 64)? {
        return Ok(at_least_one(threads));
    }
    let memory_mb = environment.number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 1, 1_000_000)?;
    Ok(match memory_mb {
        // Below 3,009 MB a function has two CPUs but only a share of their time, so the memory decides.
        Some(memory_mb) => vcpus(memory_mb),
        None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    })
}

fn instruction_set(environment: &Environment) -> Result<Option<InstructionSet>, ConfigError> {
    let variable = "SEMBLANCE_INSTRUCTION_SET";
    let Some(value) = environment.get(variable) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| {
        let rule = "avx512, avx2, neon or portable".to_owned();
        ConfigError::Invalid { variable, value, rule }
    })
}

/// Returns the origins in a comma-separated list. The list is `*`, or each item is `scheme://host` or
/// `scheme://host:port`.
///
/// # Errors
/// - [`ConfigError::Invalid`] if an item is not an origin. `variable` is the source of the list.
pub fn origins(variable: &'static str, value: String) -> Result<Vec<String>, ConfigError> {
    let origins: Vec<String> = value.split(',').map(|origin| origin.trim().to_owned()).collect();
    let is_origin = |origin: &String| {
        let rest = ["http://", "https://"].iter().find_map(|scheme| origin.strip_prefix(scheme));
        rest.is_some_and(|rest| {
            let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"/*".contains(&byte);
            !rest.is_empty() && rest.bytes().all(is_allowed)
        })
    };
    if origins == ["*"] || origins.iter().all(is_origin) {
        return Ok(origins);
    }
    let rule = "* or origins such as https://example.com, separated by commas".to_owned();
    Err(ConfigError::Invalid { variable, value, rule })
}

/// Returns the path before that of the routes.
fn base_path(environment: &Environment) -> Result<Option<String>, ConfigError> {
    let variable = "SEMBLANCE_BASE_PATH";
    let Some(value) = environment.get(variable) else { return Ok(None) };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    match value.bytes().all(is_plain) {
        true => Ok(Some(value)),
        false => {
            let rule = "a path of letters, digits and -._~ such as /nlp".to_owned();
            Err(ConfigError::Invalid { variable, value, rule })
        }
    }
}

/// Returns the number of vCPUs for this memory, rounded, at least 1.
fn vcpus(memory_mb: u32) -> NonZeroUsize {
    let nearest = (f64::from(memory_mb) / MEMORY_MB_PER_VCPU).round() as usize;
    at_least_one(nearest.min(MAX_VCPUS))
}

fn at_least_one(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Config::from_environment(&Environment::from_lookup(move |name| {
            variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        }))
    }

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        let config = config(&[]).unwrap();
        assert_eq!(config.limits, Limits::default());
        assert_eq!((config.limits.texts, config.limits.client_texts), (1_000, 2_048));
        assert_eq!(config.model.batch_tokens, 192);
        assert_eq!(config.log_level, LevelFilter::INFO);
        assert!(matches!(config.require_bundle(), Err(ConfigError::Missing { .. })));
    }

    #[test]
    fn the_default_library_is_in_the_function_package() {
        let library = config(&[("LAMBDA_TASK_ROOT", "/var/task")]).unwrap().model.library;
        assert_eq!(library, PathBuf::from("/var/task/lib/libonnxruntime.so"));
    }

    #[test]
    fn memory_determines_the_threads() {
        let cases = [("128", 1), ("1280", 1), ("1769", 1), ("3008", 2), ("3538", 2), ("10240", 6)];
        for (memory_mb, threads) in cases {
            let config = config(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mb)]).unwrap();
            assert_eq!(config.model.threads.get(), threads, "{memory_mb} MB");
        }
    }

    #[test]
    fn origins_are_separated_by_commas() {
        let cors = |value| config(&[("SEMBLANCE_CORS_ORIGINS", value)]).unwrap().cors;
        assert_eq!(cors("*"), ["*"]);
        let two = cors("https://example.com, http://localhost:3000");
        assert_eq!(two, ["https://example.com", "http://localhost:3000"]);
    }

    #[test]
    fn an_explicit_thread_count_takes_precedence() {
        let variables = [("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"), ("SEMBLANCE_THREADS", "4")];
        assert_eq!(config(&variables).unwrap().model.threads.get(), 4);
    }

    #[test]
    fn an_on_demand_start_does_not_warm_up() {
        let kinds = [("on-demand", false), ("provisioned-concurrency", true), ("", true)];
        for (kind, warms_up) in kinds {
            let config = config(&[("AWS_LAMBDA_INITIALIZATION_TYPE", kind)]).unwrap();
            assert_eq!(config.model.warm_up, warms_up, "{kind}");
        }
    }

    #[test]
    fn an_error_has_the_variable_and_its_value() {
        let cases = [
            ("SEMBLANCE_MAX_TEXTS", "0"),
            ("SEMBLANCE_MAX_TEXT_BYTES", "-1"),
            ("SEMBLANCE_BATCH_TOKENS", "many"),
            ("SEMBLANCE_CACHE_BYTES", "16MB"),
            ("SEMBLANCE_CORS_ORIGINS", "example.com"),
            ("SEMBLANCE_CORS_ORIGINS", "*,https://example.com"),
            ("SEMBLANCE_CORS_ORIGINS", "https://example.com/"),
            ("SEMBLANCE_CORS_ORIGINS", "https://*.example.com"),
            ("SEMBLANCE_CORS_ORIGINS", "https://example.com:*"),
            ("AWS_LAMBDA_MAX_CONCURRENCY", "0"),
            ("SEMBLANCE_BASE_PATH", "/nlp?"),
            ("SEMBLANCE_BASE_PATH", "a b"),
            ("SEMBLANCE_HTTP_TIMEOUT_SECONDS", "0"),
            ("SEMBLANCE_THREADS", "65"),
            ("SEMBLANCE_INSTRUCTION_SET", "sse2"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1.5"),
            ("AWS_LAMBDA_LOG_LEVEL", "loud"),
        ];
        for (variable, value) in cases {
            let error = config(&[(variable, value)]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(variable) && text.contains(value), "{text}");
        }
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        assert_eq!(config(&[("SEMBLANCE_MAX_TEXTS", "")]), config(&[]));
    }
}
