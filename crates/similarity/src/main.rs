//! The Lambda function: maps the model, scores events.

use std::error::Error;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use semblance::config::Config;
use semblance::http::{Gate, GateLimits, HttpOptions};
use semblance::init::{self, InitError, InitOptions};
use semblance::lambda::{self, Handler};
use semblance::telemetry::{self, chain, ms};
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let config = Config::from_env().map_err(InitError::from);
    telemetry::init(config.as_ref().map_or(LevelFilter::INFO, |config| config.log_level));
    let handler = match config.and_then(|config| start(&config)) {
        Ok(handler) => handler,
        Err(error) => {
            tracing::error!(code = error.code(), error = chain(&error), "start failed");
            return ExitCode::FAILURE;
        }
    };
    match serve(handler) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = chain(error.as_ref());
            tracing::error!(code = "runtime.unreachable", error, "the Runtime API failed");
            ExitCode::FAILURE
        }
    }
}

fn start(config: &Config) -> Result<Handler, InitError> {
    let options = InitOptions::from_config(config)?;
    let (service, timings) = init::start(&options)?;
    tracing::info!(
        target: "semblance",
        bundle = %options.bundle.display(),
        cross_encoder = options.cross_encoder.map(|folder| folder.display().to_string()),
        threads = options.threads,
        bundle_ms = ms(timings.bundle),
        tokenizer_ms = ms(timings.tokenizer),
        page_in_ms = ms(timings.page_in),
        library_ms = ms(timings.library),
        session_ms = ms(timings.session),
        warm_up_ms = ms(timings.warm_up),
        total_ms = ms(timings.total),
        "started"
    );
    let service = Arc::new(service);
    let gate = match config.concurrency.get() {
        1 => Gate::inline(service),
        _ => Gate::queued(service, concurrent(config.concurrency)),
    };
    let http = HttpOptions { cors_origins: config.cors.clone(), ..HttpOptions::default() };
    Ok(Handler::new(gate, http))
}

/// As many events as Lambda sends at a time; it ends what takes longer than the function's timeout,
/// which is at most 15 minutes.
fn concurrent(events: NonZeroUsize) -> GateLimits {
    GateLimits { running: events, admitted: events, timeout: Duration::from_secs(900) }
}

/// One thread reads and writes; with events at a time, the gate has threads for what is asked.
fn serve(handler: Handler) -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(lambda::run(handler))
}
