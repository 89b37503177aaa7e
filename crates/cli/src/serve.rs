//! `semblance serve`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::Failure;
use super::args::{ServeArguments, Settings};
use crate::http::{GateLimits, HttpOptions};
use crate::init;
use crate::server::{self, ServerOptions};
use crate::telemetry::{self, ms};

/// Operations a lane that are carried out at a time: while one is in the model others are read,
/// tokenised and written, and what waits shares a forward pass; ADR 0007 has the measurement.
const RUNNING_PER_LANE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

pub(super) fn run(arguments: &ServeArguments) -> Result<(), Failure> {
    let settings = Settings::of(&arguments.model)?.for_serving(arguments);
    telemetry::init(settings.log_level());
    let init_options = settings.init_options();
    let (service, timings) = init::start(&init_options)?;
    tracing::info!(
        target: "semblance",
        bundle = %init_options.bundle.display(),
        cross_encoder = init_options.cross_encoder.map(|folder| folder.display().to_string()),
        threads = init_options.threads,
        total_ms = ms(timings.total),
        "started"
    );
    let running = init_options.threads.saturating_mul(RUNNING_PER_LANE);
    let options = ServerOptions {
        address: SocketAddr::new(arguments.host, arguments.port),
        gate: GateLimits {
            running: running.min(init_options.concurrency),
            admitted: init_options.concurrency,
            timeout: Duration::from_secs(arguments.timeout_seconds),
        },
        http: HttpOptions {
            cors_origins: settings.cors_origins(arguments)?,
            max_body_bytes: arguments.max_body_bytes,
        },
    };
    Ok(server::serve(service, options)?)
}
