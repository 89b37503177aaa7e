//! The log of a process.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::Value;

/// The output of a process, read by a thread: a full pipe would stop the process.
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    /// Reads `output` to its end. `watch` sees each line as it arrives. If the log is echoed, each
    /// line goes to standard error instead of the log.
    pub(crate) fn new(
        output: impl Read + Send + 'static,
        is_echoed: bool,
        mut watch: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let reader = thread::spawn({
            let lines = Arc::clone(&lines);
            move || {
                for line in BufReader::new(output).split(b'\n').map_while(io::Result::ok) {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    watch(&line);
                    match is_echoed {
                        true => drop(writeln!(io::stderr(), "{line}")),
                        false => lines.lock().unwrap().push(line),
                    }
                }
            }
        });
        Self { lines, reader: Some(reader) }
    }

    /// Waits for the end of the output, which is that of the process.
    pub(crate) fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    /// The text so far.
    ///
    /// # Panics
    /// If the thread that reads it panicked.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// The lines so far that are JSON objects.
    ///
    /// # Panics
    /// If the thread that reads it panicked.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        let objects = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        objects.filter(Value::is_object).collect()
    }

    /// The objects with this message.
    #[must_use]
    pub fn with_message(&self, message: &str) -> Vec<Value> {
        let mut objects = self.objects();
        objects.retain(|line| line["message"] == message);
        objects
    }
}
