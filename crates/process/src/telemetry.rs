//! Logging as JSON lines, and the format of errors and times in them.

use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::panic;
use std::time::Duration;

use semblance::Code;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::line_queue::LineQueue;

/// Initializes logging: JSON lines on standard output, which Lambda collects. Panics are logged too. A
/// line is written before the code that logs it goes on.
///
/// The fields `timestamp` and `level` have the names that Lambda's JSON logging reads.
pub fn init(level: LevelFilter) {
    init_with(level, io::stdout);
}

/// As [`init`], but a thread writes the lines: if standard output is blocked or fails, lines are dropped
/// and the process goes on. Keep the result until the end of the process.
///
/// # Errors
/// If the thread cannot be started.
pub fn init_queued(level: LevelFilter) -> io::Result<LineQueue> {
    // Not `io::Stdout`, because a thread that is blocked would hold its lock.
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let queue = LineQueue::new(output)?;
    init_with(level, queue.writer());
    Ok(queue)
}

fn init_with(level: LevelFilter, writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_filter(filter_fn(is_logged))
        .with_filter(level);
    // In tests that share a process, a second call fails and keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(lines).try_init();
    panic::set_hook(Box::new(|panic| {
        // The message is not logged, because it can contain a text of a user.
        let location = panic.location().map(ToString::to_string);
        tracing::error!(code = Code::PANIC.name, location, "panic");
    }));
}

/// Whether to log a line: every line of this project, and warnings of libraries. The line of the
/// Lambda runtime for a failed event is dropped, because the handler logs its request id and code.
fn is_logged(metadata: &tracing::Metadata<'_>) -> bool {
    let target = metadata.target();
    if target.starts_with("lambda_runtime::layers::panic") {
        return false;
    }
    target.starts_with("semblance")
        || *metadata.level() <= Level::WARN
        || target.starts_with("lambda_runtime") && *metadata.level() == Level::TRACE
}

/// Returns the messages of an error and its causes, outermost first, joined with `: `.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // A transparent error has the message of its source.
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// Returns a duration in milliseconds with a resolution of one microsecond, for log fields and
/// reports.
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
    fn a_chain_contains_every_cause_once() {
        assert_eq!(chain(&Wrapper(Outer(Inner(7)))), "outer: inner 7");
    }

    #[test]
    fn milliseconds_have_three_decimals() {
        assert_eq!(ms(Duration::from_nanos(1_234_567)), 1.234);
    }
}
