//! Environment variables and their validation. This is the only file that uses `std::env`.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use semblance::{Code, Fault};
use tracing::level_filters::LevelFilter;

/// Returns the value of a variable, if it is set.
type Lookup = Box<dyn Fn(&str) -> Option<String>>;

/// The environment variables of a process. An empty variable counts as unset.
pub struct Environment {
    lookup: Lookup,
}

/// Why an environment variable or an argument is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A required variable is not set.
    #[error("the environment variable {variable} is not set: {hint}")]
    Missing {
        /// Name of the variable.
        variable: &'static str,
        /// How to set it.
        hint: &'static str,
    },
    /// A value violates its rule.
    #[error("{variable} is {value:?}; expected {rule}")]
    Invalid {
        /// Name of the variable, or of the argument.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The rule.
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
        "The value of an environment variable or an argument is invalid. The message has the name, \
         the value and the rule.",
    ),
});

impl Environment {
    /// Returns the environment of this process.
    #[must_use]
    pub fn from_process() -> Self {
        Self::from_lookup(|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// Returns an environment that looks up variables with a function.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self { lookup: Box::new(lookup) }
    }

    /// Returns the value of a variable; `None` if it is unset or empty.
    #[must_use]
    pub fn get(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).filter(|value| !value.is_empty())
    }

    /// Returns the value of a variable as a path.
    #[must_use]
    pub fn path(&self, variable: &str) -> Option<PathBuf> {
        self.get(variable).map(PathBuf::from)
    }

    /// Returns the value of a required variable. `hint` is part of the error message.
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

    /// Returns the value of a variable as a number from `minimum` to `maximum`; `None` if it is unset.
    ///
    /// # Errors
    /// - [`ConfigError::Invalid`] if it is not a number in this range.
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

    /// Returns the value of a variable as a boolean; `None` if it is unset.
    ///
    /// # Errors
    /// - [`ConfigError::Invalid`] if it is neither `true` nor `false` (or 1 and 0).
    pub fn flag(&self, variable: &'static str) -> Result<Option<bool>, ConfigError> {
        let Some(value) = self.get(variable) else { return Ok(None) };
        match value.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => {
                let rule = "true or false".to_owned();
                Err(ConfigError::Invalid { variable, value, rule })
            }
        }
    }

    /// Returns the log level from `AWS_LAMBDA_LOG_LEVEL`; the default is INFO.
    ///
    /// # Errors
    /// - [`ConfigError::Invalid`] if it is not a log level.
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
