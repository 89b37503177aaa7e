//! Progress of long work: a bar on a terminal, nothing elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Returns a bar of bytes on standard error; a spinner if the total is not known.
pub(super) fn bytes(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} {msg}",
        ),
        None => (ProgressBar::no_length(), "{spinner} {bytes} {binary_bytes_per_sec} {msg}"),
    };
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    ProgressStyle::with_template(template).map_or(bar.clone(), |style| bar.with_style(style))
}
