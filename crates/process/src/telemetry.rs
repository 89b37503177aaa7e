//! JSON log lines, one an event, and how errors and times look in them.

use std::error::Error;
use std::panic;
use std::time::Duration;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Sends log lines as JSON to standard output, where Lambda collects them, and panics with them.
///
/// `timestamp` and `level` are the names that Lambda's JSON logging reads.
pub fn init(level: LevelFilter) {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_filter(filter_fn(is_ours_or_serious))
        .with_filter(level);
    // A second call, as in tests that share a process, keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(lines).try_init();
    panic::set_hook(Box::new(|panic| {
        // Not the message: it may quote a text.
        let location = panic.location().map(ToString::to_string);
        tracing::error!(code = "internal.panic", location, "panic");
    }));
}

/// Whether a line is this crate's, or a library's warning. The runtime's own line for a failed
/// event is left out: the handler has logged it with request id and code.
fn is_ours_or_serious(metadata: &tracing::Metadata<'_>) -> bool {
    let target = metadata.target();
    if target.starts_with("lambda_runtime::layers::panic") {
        return false;
    }
    target.starts_with("semblance")
        || *metadata.level() <= Level::WARN
        || target.starts_with("lambda_runtime") && *metadata.level() == Level::TRACE
}

/// Returns an error and its causes, outermost first, joined by `: `.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // A transparent wrapper repeats its source.
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// Returns milliseconds to the microsecond, as log fields and reports give them.
#[must_use]
pub fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner {0}")]
    struct Inner(u8);

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Wrapper(Outer);

    #[test]
    fn a_chain_names_every_cause_once() {
        assert_eq!(chain(&Wrapper(Outer(Inner(7)))), "outer: inner 7");
    }

    #[test]
    fn milliseconds_have_three_decimals() {
        assert_eq!(ms(Duration::from_nanos(1_234_567)), 1.234);
    }
}
