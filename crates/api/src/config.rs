//! The environment, read once. The only file that names `std::env`.

#[cfg(feature = "sync")]
mod sync;

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;

use crate::api::Limits;
use crate::encoder::CacheLimit;
use crate::text::Budget;

#[cfg(feature = "sync")]
pub use sync::SyncConfig;

/// Memory that buys one vCPU on AWS Lambda, in MB.
///
/// Source: AWS Lambda developer guide, "Configure Lambda function memory": "At 1,769 MB, a
/// function has the equivalent of one vCPU".
const MEMORY_MB_PER_VCPU: f64 = 1769.0;

/// The most vCPUs of a Lambda function (10,240 MB).
const MAX_VCPUS: usize = 6;

/// Everything the environment says. Options belong to their consumers; only binaries see this.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `SEMBLANCE_BUNDLE`: the bundle's folder.
    pub bundle: Option<PathBuf>,
    /// `SEMBLANCE_CROSS_ENCODER_BUNDLE`: the folder of the cross-encoder's bundle.
    pub cross_encoder: Option<PathBuf>,
    /// `SEMBLANCE_ORT_LIBRARY`: the ONNX Runtime library; by default `lib/libonnxruntime.so` below
    /// `LAMBDA_TASK_ROOT`, where the function's zip is unpacked.
    pub ort_library: PathBuf,
    /// `SEMBLANCE_MAX_TEXTS` and `SEMBLANCE_MAX_TEXT_BYTES`.
    pub limits: Limits,
    /// `SEMBLANCE_BATCH_TOKENS`.
    pub budget: Budget,
    /// `SEMBLANCE_CACHE_BYTES`.
    pub cache: CacheLimit,
    /// `SEMBLANCE_THREADS`, by default what `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` buys, else the
    /// machine's: forward passes at a time.
    pub threads: NonZeroUsize,
    /// `AWS_LAMBDA_MAX_CONCURRENCY`: events that are worked on at a time, where the function has
    /// instances of its own.
    pub concurrency: NonZeroUsize,
    /// `SEMBLANCE_CORS_ORIGINS`: pages that may call over HTTP.
    pub cors: Vec<String>,
    /// Whether to run the model once before the first event: not where
    /// `AWS_LAMBDA_INITIALIZATION_TYPE` is `on-demand`, for there an event waits already.
    pub warm_up: bool,
    /// `AWS_LAMBDA_LOG_LEVEL`.
    pub log_level: LevelFilter,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// - [`ConfigError::Invalid`] if a variable is set to what it cannot be.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(process)
    }

    /// Reads an environment given as a lookup; an empty variable is as good as none.
    ///
    /// # Errors
    /// - [`ConfigError::Invalid`] if a variable is set to what it cannot be.
    ///
    /// # Examples
    /// ```
    /// use semblance::config::Config;
    ///
    /// let config = Config::from_lookup(|name| match name {
    ///     "SEMBLANCE_BUNDLE" => Some("/mnt/models/m".into()),
    ///     "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" => Some("3538".into()),
    ///     _ => None,
    /// })?;
    /// assert_eq!(config.threads.get(), 2);
    /// assert_eq!(config.limits.texts, 1_000);
    /// # Ok::<(), semblance::config::ConfigError>(())
    /// ```
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let limits = Limits::default();
        Ok(Self {
            bundle: get("SEMBLANCE_BUNDLE").map(PathBuf::from),
            cross_encoder: get("SEMBLANCE_CROSS_ENCODER_BUNDLE").map(PathBuf::from),
            ort_library: get("SEMBLANCE_ORT_LIBRARY").map_or_else(
                || {
                    let root = get("LAMBDA_TASK_ROOT").unwrap_or_else(|| ".".to_owned());
                    PathBuf::from(root).join("lib/libonnxruntime.so")
                },
                PathBuf::from,
            ),
            limits: Limits {
                texts: number(&get, "SEMBLANCE_MAX_TEXTS", 1, 100_000)?.unwrap_or(limits.texts),
                text_bytes: number(&get, "SEMBLANCE_MAX_TEXT_BYTES", 1, 6_291_456)?
                    .unwrap_or(limits.text_bytes),
            },
            budget: number(&get, "SEMBLANCE_BATCH_TOKENS", 1, 65_536)?
                .map_or_else(Budget::default, |padded_tokens| Budget { padded_tokens }),
            cache: number(&get, "SEMBLANCE_CACHE_BYTES", 0, 8 << 30)?
                .map_or_else(CacheLimit::default, |bytes| CacheLimit { bytes }),
            threads: threads(&get)?,
            concurrency: number(&get, "AWS_LAMBDA_MAX_CONCURRENCY", 1, 10_000)?
                .map_or(NonZeroUsize::MIN, at_least_one),
            cors: get("SEMBLANCE_CORS_ORIGINS")
                .map_or_else(|| Ok(Vec::new()), |list| origins("SEMBLANCE_CORS_ORIGINS", list))?,
            warm_up: get("AWS_LAMBDA_INITIALIZATION_TYPE").as_deref() != Some("on-demand"),
            log_level: log_level(&get)?,
        })
    }

    /// The bundle's folder.
    ///
    /// # Errors
    /// - [`ConfigError::Missing`] if it is not set.
    pub fn require_bundle(&self) -> Result<&PathBuf, ConfigError> {
        self.bundle.as_ref().ok_or(ConfigError::Missing {
            variable: "SEMBLANCE_BUNDLE",
            hint: "set it to the folder of a model bundle, such as /mnt/models/<name>/<digest>",
        })
    }
}

fn threads(get: &impl Fn(&str) -> Option<String>) -> Result<NonZeroUsize, ConfigError> {
    if let Some(threads) = number(get, "SEMBLANCE_THREADS", 1, 64)? {
        return Ok(at_least_one(threads));
    }
    let memory_mb: Option<u32> = number(get, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 1, 1_000_000)?;
    Ok(match memory_mb {
        // A function sees two CPUs below 3,009 MB whatever its share: the share counts.
        Some(memory_mb) => vcpus(memory_mb),
        None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    })
}

/// Returns the origins in a list, which are `*` alone, or each `scheme://host` or
/// `scheme://host:port`.
///
/// # Errors
/// - [`ConfigError::Invalid`] if one is none; `variable` is where the list stood.
pub(crate) fn origins(variable: &'static str, value: String) -> Result<Vec<String>, ConfigError> {
    let origins: Vec<String> = value.split(',').map(|origin| origin.trim().to_owned()).collect();
    let is_origin = |origin: &String| {
        let rest = ["http://", "https://"].iter().find_map(|scheme| origin.strip_prefix(scheme));
        rest.is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
        })
    };
    if origins == ["*"] || origins.iter().all(is_origin) {
        return Ok(origins);
    }
    let rule = "* or origins such as https://example.com, separated by commas".to_owned();
    Err(ConfigError::Invalid { variable, value, rule })
}

/// Returns the whole vCPUs, at least 1, that come nearest to the share this memory buys.
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
        Config::from_lookup(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        let config = config(&[]).unwrap();
        assert_eq!(config.limits, Limits { texts: 1_000, text_bytes: 65_536 });
        assert_eq!(config.budget, Budget { padded_tokens: 192 });
        assert_eq!(config.log_level, LevelFilter::INFO);
        assert!(matches!(config.require_bundle(), Err(ConfigError::Missing { .. })));
    }

    #[test]
    fn the_library_is_looked_for_in_the_function_package() {
        let library = config(&[("LAMBDA_TASK_ROOT", "/var/task")]).unwrap().ort_library;
        assert_eq!(library, PathBuf::from("/var/task/lib/libonnxruntime.so"));
    }

    #[test]
    fn memory_buys_threads() {
        let cases = [("128", 1), ("1280", 1), ("1769", 1), ("3008", 2), ("3538", 2), ("10240", 6)];
        for (memory_mb, threads) in cases {
            let config = config(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mb)]).unwrap();
            assert_eq!(config.threads.get(), threads, "{memory_mb} MB");
        }
    }

    #[test]
    fn origins_are_a_list() {
        let cors = |value| config(&[("SEMBLANCE_CORS_ORIGINS", value)]).unwrap().cors;
        assert_eq!(cors("*"), ["*"]);
        let two = cors("https://example.com, http://localhost:3000");
        assert_eq!(two, ["https://example.com", "http://localhost:3000"]);
    }

    #[test]
    fn threads_can_be_said_outright() {
        let variables = [("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"), ("SEMBLANCE_THREADS", "4")];
        assert_eq!(config(&variables).unwrap().threads.get(), 4);
    }

    #[test]
    fn only_a_start_that_no_event_waits_for_warms_up() {
        let kinds = [("on-demand", false), ("provisioned-concurrency", true), ("", true)];
        for (kind, warms_up) in kinds {
            let config = config(&[("AWS_LAMBDA_INITIALIZATION_TYPE", kind)]).unwrap();
            assert_eq!(config.warm_up, warms_up, "{kind}");
        }
    }

    #[test]
    fn a_value_out_of_its_range_is_refused_with_name_value_and_rule() {
        let cases = [
            ("SEMBLANCE_MAX_TEXTS", "0"),
            ("SEMBLANCE_MAX_TEXT_BYTES", "-1"),
            ("SEMBLANCE_BATCH_TOKENS", "many"),
            ("SEMBLANCE_CACHE_BYTES", "16MB"),
            ("SEMBLANCE_CORS_ORIGINS", "example.com"),
            ("SEMBLANCE_CORS_ORIGINS", "*,https://example.com"),
            ("SEMBLANCE_CORS_ORIGINS", "https://example.com/"),
            ("AWS_LAMBDA_MAX_CONCURRENCY", "0"),
            ("SEMBLANCE_THREADS", "65"),
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
    fn an_empty_variable_is_as_good_as_none() {
        assert_eq!(config(&[("SEMBLANCE_MAX_TEXTS", "")]), config(&[]));
    }
}
