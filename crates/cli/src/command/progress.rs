//! Progress on standard error: a bar on a terminal, otherwise a line every few seconds.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two lines, if standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Returns a progress bar in bytes, or a spinner if the total is unknown.
pub(super) fn bytes(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} {msg}",
        ),
        None => (ProgressBar::no_length(), "{spinner} {bytes} {binary_bytes_per_sec} {msg}"),
    };
    styled(bar, template)
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    ProgressStyle::with_template(template).map_or(bar.clone(), |style| bar.with_style(style))
}

/// The progress of a run over texts.
pub(super) struct Progress {
    bar: ProgressBar,
    started: Instant,
    next_line: Instant,
    total_bytes: Option<u64>,
    /// Bytes before the start of this run.
    resumed_bytes: u64,
    texts: u64,
}

impl Progress {
    /// Returns the progress of a run that starts at a position in the input.
    pub(super) fn new(total_bytes: Option<u64>, resumed_bytes: u64) -> Self {
        let (bar, template) = match total_bytes {
            Some(total) => (ProgressBar::new(total), "{bar:40} {percent:>3}% {msg}"),
            None => (ProgressBar::no_length(), "{spinner} {msg}"),
        };
        let bar = styled(bar, template);
        let started = Instant::now();
        let next_line = started + LINE_INTERVAL;
        Self { bar, started, next_line, total_bytes, resumed_bytes, texts: 0 }
    }

    /// Shows the number of texts so far and the position in the input.
    pub(super) fn update(&mut self, texts: u64, read_bytes: u64) {
        self.texts = texts;
        let left = self.time_left(read_bytes);
        let left = left.map(|left| format!(", {} left", HumanDuration(left))).unwrap_or_default();
        let message = format!("{texts} texts, {}{left}", self.rate());
        self.bar.set_position(read_bytes);
        self.bar.set_message(message.clone());
        let now = Instant::now();
        if self.bar.is_hidden() && now >= self.next_line {
            self.next_line = now + LINE_INTERVAL;
            let share = self.total_bytes.map(|total| read_bytes * 100 / total.max(1));
            let share = share.map(|share| format!(" ({share}% of the input)")).unwrap_or_default();
            self.print(&format!("embedded {message}{share}"));
        }
    }

    /// Takes note that the input up to a position needed no embedding.
    pub(super) fn resume(&mut self, read_bytes: u64) {
        self.resumed_bytes += read_bytes.saturating_sub(self.position());
        self.bar.set_position(read_bytes);
    }

    /// The position in the input that was shown last.
    pub(super) fn position(&self) -> u64 {
        self.bar.position()
    }

    /// Prints a line without disturbing the bar.
    pub(super) fn print(&self, line: &str) {
        // Nothing can report that standard error is closed.
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{line}");
        });
    }

    /// The number of texts per second so far.
    pub(super) fn rate(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        format!("{:.0} texts/s", self.texts as f64 / seconds)
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Returns the time that the rest of the input takes at the rate so far.
    fn time_left(&self, read_bytes: u64) -> Option<Duration> {
        let done = read_bytes.checked_sub(self.resumed_bytes).filter(|&done| done > 0)?;
        let rest = self.total_bytes?.saturating_sub(read_bytes);
        let seconds = self.started.elapsed().as_secs_f64() * rest as f64 / done as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }
}
