//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Measures spawn -> first response of the packaged Lambda function.
///
/// Without options: page cache warm, page cache dropped and bundle on a slow mount, each on one and
/// on two CPUs, and once an event of 500 candidates. --warm-cache, --drop-caches, --slow-mount,
/// --cpus and --large-event each narrow that to what they name.
///
/// Several packages or several bundles are compared: they take turns, run by run, and the ratio of
/// their medians to the first's is printed.
#[derive(Parser)]
#[command(name = "cold")]
pub(crate) struct Args {
    /// The package; several are compared
    #[arg(default_value = "target/lambda/similarity/bootstrap.zip")]
    pub(crate) packages: Vec<PathBuf>,
    /// The model bundle; several are compared [default: $SEMBLANCE_BUNDLE]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) bundle: Vec<PathBuf>,
    /// The first event and the warm ones, as JSON
    #[arg(long, value_name = "FILE", default_value = "tests/events/london.json")]
    pub(crate) event: PathBuf,
    /// Cold starts of each case [default: 10 with a warm cache, else 5, with the large event 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: Option<u32>,
    /// Events to answer after the first
    #[arg(long, default_value_t = 20)]
    pub(crate) warm: u32,
    /// Threads of a forward pass [default: what the memory size buys]
    #[arg(long)]
    pub(crate) threads: Option<u32>,
    /// The function's memory size, MB
    #[arg(long, default_value_t = 1769)]
    pub(crate) memory_mb: u32,
    /// CPUs the function may run on
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) cpus: Option<u32>,
    /// Package and bundle in the page cache
    #[arg(long)]
    pub(crate) warm_cache: bool,
    /// Drop the page cache before each start; needs root
    #[arg(long)]
    pub(crate) drop_caches: bool,
    /// Bundle on a mount as slow as a network file system, new for each start, package in the page
    /// cache; needs root and /dev/fuse
    #[arg(long)]
    pub(crate) slow_mount: bool,
    /// Bandwidth of the slow mount, MiB/s
    #[arg(long, default_value_t = 300.0, value_parser = positive)]
    pub(crate) mount_mib_s: f64,
    /// Latency of each request to the slow mount, ms
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    pub(crate) mount_latency_ms: f64,
    /// Read-ahead of the slow mount, KiB
    #[arg(long, default_value_t = 128)]
    pub(crate) mount_readahead_kib: u32,
    /// Measure nothing: mount this folder slowly, print where, and serve it until standard input ends
    #[arg(long, value_name = "FOLDER", conflicts_with = "slow_mount")]
    pub(crate) serve_mount: Option<PathBuf>,
    /// After the first event, send one of 500 candidates
    #[arg(long)]
    pub(crate) large_event: bool,
    /// More environment for the function
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) env: Vec<(String, String)>,
    /// Also write every run of every case to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    not_negative(text).and_then(|number| {
        if number > 0.0 { Ok(number) } else { Err("must be above 0".to_owned()) }
    })
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..f64::INFINITY).contains(&number) => Ok(number),
        _ => Err("must be a number, 0 or more".to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
