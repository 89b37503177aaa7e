//! The command `serve`.

use std::net::SocketAddr;
use std::time::Duration;

use semblance_api::http::HttpOptions;
use semblance_api::{AdmissionLimits, Service};
use semblance_process::{self as process, ms};

use crate::arguments::ServeArguments;
use crate::error::CommandError;
use crate::server::{self, ConnectionTimeouts, ServerError, ServerOptions};
use crate::settings::Settings;

pub(super) fn run(arguments: &ServeArguments) -> Result<(), CommandError> {
    let settings = Settings::for_server(arguments)?;
    // Before the model, because loading it needs descriptors too.
    let connections = server::connections(arguments.max_connections.get())?;
    let lines = process::init_queued(settings.log_level()).map_err(ServerError::from)?;
    let flush = lines.flush();
    process::report_changed_files(move || flush.wait()).map_err(ServerError::from)?;
    let model = settings.load()?;
    let (options, timings) = (settings.model(), model.timings());
    tracing::info!(
        target: "semblance",
        bundle = %settings.bundle().display(),
        cross_encoder = options.cross_encoder.as_ref().map(|folder| folder.display().to_string()),
        threads = options.threads,
        total_ms = ms(timings.total),
        "started"
    );
    let server = ServerOptions {
        address: SocketAddr::new(arguments.host, arguments.port),
        admission: AdmissionLimits {
            admitted: settings.concurrency(),
            buffered_bytes: arguments.max_buffered_bytes,
            timeout: Duration::from_secs(arguments.timeout_seconds),
        },
        http: HttpOptions {
            cors_origins: settings.cors_origins().to_vec(),
            max_body_bytes: arguments.max_body_bytes,
            is_loopback: arguments.host.is_loopback(),
            body_timeout: Some(Duration::from_secs(arguments.body_timeout_seconds)),
        },
        connections,
        header_bytes: arguments.max_header_bytes,
        timeouts: ConnectionTimeouts {
            head: Duration::from_secs(arguments.head_timeout_seconds),
            idle: Duration::from_secs(arguments.idle_timeout_seconds),
            write: Duration::from_secs(arguments.write_timeout_seconds),
        },
        shutdown: settings.shutdown(),
        dropped_lines: lines.dropped(),
    };
    let service = Service::new(model, settings.service_options());
    Ok(server::serve(service, server)?)
}
