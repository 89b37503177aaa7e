//! The command `serve`.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroUsize;
use std::time::Duration;

use semblance_api::http::HttpOptions;
use semblance_api::{AdmissionLimits, Service};
use semblance_process::{self as process, ConfigError, ms};

use crate::arguments::ServeArguments;
use crate::error::CommandError;
use crate::server::{self, ServerOptions};
use crate::settings::Settings;

/// Number of concurrent operations per thread of the model. While one operation runs the model,
/// others are decoded, tokenized and serialized, and waiting ones share a forward pass. The measurement
/// is in ADR 0007.
const RUNNING_PER_THREAD: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

pub(super) fn run(arguments: &ServeArguments) -> Result<(), CommandError> {
    let settings = Settings::for_server(arguments)?;
    let address = address(&arguments.host, arguments.port)?;
    process::init(settings.log_level());
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
    let running = options.threads.saturating_mul(RUNNING_PER_THREAD);
    let concurrency = settings.concurrency();
    let server = ServerOptions {
        address,
        admission: AdmissionLimits {
            running: running.min(concurrency),
            admitted: concurrency,
            timeout: Duration::from_secs(arguments.timeout_seconds),
        },
        http: HttpOptions {
            cors_origins: settings.cors_origins().to_vec(),
            max_body_bytes: arguments.max_body_bytes,
            api_keys: settings.api_keys().clone(),
        },
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
