//! Environment variables, read with their rules. The only file that names `std::env`.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use semblance::{Code, Fault};
use tracing::level_filters::LevelFilter;

/// The environment of a process, as a lookup. An empty variable counts as unset.
pub struct Environment {
    lookup: Box<dyn Fn(&str) -> Option<String>>,
}

/// An environment variable that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It must be set.
    #[error("the environment variable {variable} is not set: {hint}")]
    Missing {
        /// Its name.
        variable: &'static str,
        /// What to set it to.
        hint: &'static str,
    },
    /// Its value does not follow the rule.
    #[error("{variable} is {value:?}; expected {rule}")]
    Invalid {
        /// Name of the variable, or of the argument.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: String,
    },
}

semblance::codes!(ConfigError {
    Self::Missing { .. } => Code::new(
        "config.missing",
        Fault::Start,
        "A required environment variable is not set. The message names it.",
    ),
    Self::Invalid { .. } => Code::new(
        "config.invalid",
        Fault::Start,
        "An environment variable or an argument has a value outside its rule. The message has \
         the name, the value and the rule.",
    ),
});

impl Environment {
    /// Returns the environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::from_lookup(|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// Returns the environment that a function describes.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self { lookup: Box::new(lookup) }
    }

    /// Returns a variable that is set and not empty.
    #[must_use]
    pub fn get(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).filter(|value| !value.is_empty())
    }

    /// Returns a path.
    #[must_use]
    pub fn path(&self, variable: &str) -> Option<PathBuf> {
        self.get(variable).map(PathBuf::from)
    }

    /// Returns a variable that must be set; `hint` says what to set it to.
    ///
    /// # Errors
    /// - [`ConfigError::Missing`] if it is not set.
    pub fn require(
        &self,
        variable: &'static str,
        hint: &'static str,
    ) -> Result<String, ConfigError> {
        self.get(variable).ok_or(ConfigError::Missing { variable, hint })
    }

    /// Returns a number from `minimum` to `maximum`, if the variable is set.
    ///
    /// # Errors
    /// - [`ConfigError::Invalid`] if it is not such a number.
    pub fn number<T: FromStr + PartialOrd + Display>(
        &self,
        variable: &'static str,
        minimum: T,
        maximum: T,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(variable) else { return Ok(None) };
        match value.trim().parse() {
            Ok(number) if number >= minimum && number <= maximum => Ok(Some(number)),
            _ => {
                let rule = format!("an integer from {minimum} to {maximum}");
                Err(ConfigError::Invalid { variable, value, rule })
            }
        }
    }

    /// Returns the log level in `AWS_LAMBDA_LOG_LEVEL`; INFO if it is not set.
    ///
    /// # Errors
    /// - [`ConfigError::Invalid`] if it is not a level.
    pub fn log_level(&self) -> Result<LevelFilter, ConfigError> {
        let variable = "AWS_LAMBDA_LOG_LEVEL";
        let Some(value) = self.get(variable) else { return Ok(LevelFilter::INFO) };
        match value.to_ascii_uppercase().as_str() {
            "TRACE" => Ok(LevelFilter::TRACE),
            "DEBUG" => Ok(LevelFilter::DEBUG),
            "INFO" => Ok(LevelFilter::INFO),
            "WARN" => Ok(LevelFilter::WARN),
            "ERROR" | "FATAL" => Ok(LevelFilter::ERROR),
            _ => {
                let rule = "TRACE, DEBUG, INFO, WARN, ERROR or FATAL".to_owned();
                Err(ConfigError::Invalid { variable, value, rule })
            }
        }
    }
}
