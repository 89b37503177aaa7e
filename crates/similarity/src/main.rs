//! The Lambda function `similarity`: loads the model and handles events.

use std::error::Error;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use semblance::{LoadError, Model};
use semblance_api::http::HttpOptions;
use semblance_api::{Admission, AdmissionLimits, Config, Service};
use semblance_process::{self as process, ConfigError, Environment, chain, ms};
use semblance_similarity::{Handler, ReplyLimit, run};
use tracing::level_filters::LevelFilter;

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    /// The environment is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl StartError {
    fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code().name,
            Self::Load(error) => error.code().name,
        }
    }
}

fn main() -> ExitCode {
    process::disable_onnx_telemetry();
    let config = Config::from_environment(&Environment::from_process());
    process::init(config.as_ref().map_or(LevelFilter::INFO, |config| config.log_level));
    if let Err(error) = process::report_changed_files(|| {}) {
        // The function works without it.
        tracing::warn!(target: "semblance", error = chain(&error), "SIGBUS is not reported");
    }
    let handler = match config.map_err(StartError::from).and_then(start) {
        Ok(handler) => handler,
        Err(error) => {
            tracing::error!(target: "semblance", code = error.code(), error = chain(&error), "start failed");
            return ExitCode::FAILURE;
        }
    };
    match serve(handler) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (code, error) = (process::RUNTIME_UNREACHABLE.name, chain(error.as_ref()));
            tracing::error!(target: "semblance", code, error, "the Runtime API failed");
            ExitCode::FAILURE
        }
    }
}

fn start(config: Config) -> Result<Handler, StartError> {
    let bundle = config.require_bundle()?;
    let model = match bundle {
        Some(bundle) => Model::load(bundle, config.model.clone())?,
        None => Model::load_cross_encoder(config.model.clone())?,
    };
    let timings = model.timings();
    tracing::info!(
        target: "semblance",
        bundle = bundle.map(|folder| folder.display().to_string()),
        cross_encoder = config.model.cross_encoder.as_ref().map(|folder| folder.display().to_string()),
        threads = config.model.threads,
        bundle_ms = ms(timings.bundle),
        tokenizer_ms = ms(timings.tokenizer),
        page_in_ms = ms(timings.page_in),
        library_ms = ms(timings.library),
        session_ms = ms(timings.session),
        warm_up_ms = ms(timings.warm_up),
        total_ms = ms(timings.total),
        "started"
    );
    let service = Service::new(model, config.service_options())
        .with_indexes(config.indexes)
        .with_reply_bytes(ReplyLimit::default().bytes());
    let service = Arc::new(service);
    let admission = match config.concurrency.get() {
        1 => Admission::inline(service),
        _ => Admission::queued(service, concurrent(config.concurrency)),
    };
    let http = HttpOptions {
        cors_origins: config.cors,
        api_keys: config.api_keys,
        ..HttpOptions::default()
    };
    let handler = Handler::new(admission, http).with_base_path(config.base_path);
    Ok(handler.with_http_timeout(config.http_timeout))
}

/// Returns limits that admit as many events as Lambda sends concurrently. The timeout is the maximum
/// of a function, 15 minutes; Lambda enforces the timeout of this function.
fn concurrent(events: NonZeroUsize) -> AdmissionLimits {
    AdmissionLimits {
        admitted: events,
        // An event has at most 6 MB, so their number limits their memory.
        buffered_bytes: usize::MAX / 2,
        timeout: Duration::from_secs(900),
    }
}

/// Runs the event loop on this thread. With several concurrent events, operations run on other threads.
fn serve(handler: Handler) -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(handler))
}
