//! The command `serve`.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use semblance_api::http::HttpOptions;
use semblance_api::{AdmissionLimits, Service};
use semblance_process::{self as process, ConfigError, ms};

use crate::arguments::ServeArguments;
use crate::error::CommandError;
use crate::server::{self, ConnectionTimeouts, ServerError, ServerOptions};
use crate::settings::Settings;

pub(super) fn run(arguments: &ServeArguments) -> Result<(), CommandError> {
    let settings = Settings::for_server(arguments)?;
    let address = address(&arguments.host, arguments.port)?;
    // Before the model, because loading it needs descriptors too.
    let connections = server::connections(arguments.max_connections.get())?;
    let lines = process::init_queued(settings.log_level()).map_err(ServerError::from)?;
    let flush = lines.flush();
    process::report_changed_files(move || flush.wait()).map_err(ServerError::from)?;
    let model = settings.load()?;
    let (options, timings) = (settings.model(), model.timings());
    tracing::info!(
        target: "semblance",
        bundle = settings.bundle().map(|folder| folder.display().to_string()),
        cross_encoder = options.cross_encoder.as_ref().map(|folder| folder.display().to_string()),
        threads = options.threads,
        total_ms = ms(timings.total),
        "started"
    );
    let server = ServerOptions {
        address,
        admission: AdmissionLimits {
            admitted: settings.concurrency(),
            buffered_bytes: arguments.max_buffered_bytes,
            timeout: Duration::from_secs(arguments.timeout_seconds),
        },
        http: HttpOptions {
            cors_origins: settings.cors_origins().to_vec(),
            max_body_bytes: arguments.max_body_bytes,
            api_keys: settings.api_keys().clone(),
            is_loopback: address.ip().is_loopback(),
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
    let service = Service::new(model, settings.service_options()).with_indexes(settings.indexes());
    Ok(server::serve(service, server)?)
}

/// Returns the address of a host. Of several addresses, the first IPv4 address is used, because
/// clients try it for every name.
fn address(host: &str, port: u16) -> Result<SocketAddr, ConfigError> {
    let invalid = || ConfigError::Invalid {
        variable: "--host",
        value: host.to_owned(),
        rule: "an IP address, or a host name that resolves to one".to_owned(),
    };
    let addresses: Vec<SocketAddr> =
        (host, port).to_socket_addrs().map_err(|_| invalid())?.collect();
    let ipv4 = addresses.iter().find(|address| address.is_ipv4());
    ipv4.or(addresses.first()).copied().ok_or_else(invalid)
}
