//! The Lambda function: maps the model, scores events.

use std::error::Error;
use std::process::ExitCode;

use semblance::config::Config;
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
    Ok(Handler::new(service))
}

fn serve(handler: Handler) -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(lambda::run(handler))
}
