//! The Lambda function that copies a model bundle from S3 to the file system.

use std::error::Error;
use std::process::ExitCode;

use semblance::config::SyncConfig;
use semblance::lambda::{self, SyncHandler};
use semblance::sync::{Bucket, Syncer};
use semblance::telemetry::{self, chain};
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let config = SyncConfig::from_env();
    telemetry::init(config.as_ref().map_or(LevelFilter::INFO, |config| config.log_level));
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            let (code, error) = (error.code(), chain(&error));
            tracing::error!(target: "semblance", code, error, "start failed");
            return ExitCode::FAILURE;
        }
    };
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = chain(error.as_ref());
            tracing::error!(
                target: "semblance",
                code = "runtime.unreachable",
                error,
                "the Runtime API failed"
            );
            ExitCode::FAILURE
        }
    }
}

fn serve(config: SyncConfig) -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let bucket = Bucket::from_sdk_env(config.bucket).await;
        lambda::run_sync(SyncHandler::new(Syncer::new(bucket, config.sync))).await
    })
}
