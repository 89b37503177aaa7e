//! The Lambda function that copies model bundles and indexes from S3 to the file system.

use std::error::Error;
use std::process::ExitCode;

use semblance_model_sync::{Bucket, Config, Handler, IndexSyncer, Syncer, run};
use semblance_process::{self as process, Environment, chain};
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let config = Config::from_environment(&Environment::from_process());
    process::init(config.as_ref().map_or(LevelFilter::INFO, |config| config.log_level));
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            let (code, error) = (error.code().name, chain(&error));
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
                code = process::RUNTIME_UNREACHABLE.name,
                error,
                "the Runtime API failed"
            );
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config) -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let bucket = Bucket::from_sdk_env(config.bucket).await;
        let indexes = IndexSyncer::new(bucket.at(config.indexes), config.index_sync);
        run(Handler::new(Syncer::new(bucket, config.sync), indexes)).await
    })
}
