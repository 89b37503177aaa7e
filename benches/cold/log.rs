//! What the function logs.

use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::error::Result;

/// The function's log lines, with the time each arrived.
pub(crate) struct Log(Receiver<(Instant, String)>);

impl Log {
    /// Starts to read the function's standard output.
    pub(crate) fn of(stdout: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(io::Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    /// Shows what is left of it.
    pub(crate) fn show(&self) {
        while let Ok((_, text)) = self.0.recv_timeout(Duration::from_millis(200)) {
            println!("{text}");
        }
    }

    /// The next line with this message; shows the others.
    pub(crate) fn line(&self, message: &str) -> Result<Line> {
        loop {
            let (arrived, text) = self
                .0
                .recv_timeout(Duration::from_secs(5))
                .map_err(|_| format!("the function did not log {message:?}"))?;
            match serde_json::from_str::<Map<String, Value>>(&text) {
                Ok(fields) if fields.get("message").is_some_and(|found| found == message) => {
                    return Ok(Line { arrived, text, fields });
                }
                _ => println!("{text}"),
            }
        }
    }
}

/// A log line: when it was here, how it was written, its fields.
pub(crate) struct Line {
    pub(crate) arrived: Instant,
    text: String,
    fields: Map<String, Value>,
}

impl Line {
    pub(crate) fn number(&self, field: &str) -> Result<f64> {
        let number = self.fields.get(field).and_then(Value::as_f64);
        number.ok_or_else(|| format!("no number {field} in {}", self.text).into())
    }

    /// Every `<step>_ms` but the total, in the order of the line: name and milliseconds.
    pub(crate) fn steps(&self) -> Vec<(String, f64)> {
        let mut steps: Vec<(usize, String, f64)> = self
            .fields
            .iter()
            .filter(|(field, _)| *field != "total_ms")
            .filter_map(|(field, value)| {
                let position = self.text.find(&format!("\"{field}\":"))?;
                Some((position, field.strip_suffix("_ms")?.replace('_', " "), value.as_f64()?))
            })
            .collect();
        steps.sort_by_key(|(position, ..)| *position);
        steps.into_iter().map(|(_, name, value)| (name, value)).collect()
    }
}
