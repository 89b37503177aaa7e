//! A queue of log lines, so that a slow reader of the log does not delay the process.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written. Further ones are dropped.
const CAPACITY: usize = 1024;

/// How long the end of the process waits for the lines of the queue.
const FLUSH: Duration = Duration::from_millis(250);

/// Log lines that a thread writes. A line is dropped if the queue is full or the output fails. The lines
/// of the queue are written before it is dropped, unless that takes too long.
#[derive(Debug)]
pub struct LineQueue(LineWriter);

/// Writes the lines of a queue.
#[derive(Clone, Debug)]
pub struct Flush(SyncSender<Entry>);

/// Number of lines that were dropped. Clones share the number.
#[derive(Clone, Debug, Default)]
pub struct DroppedLines(Arc<AtomicU64>);

/// Puts each write into the queue, as one line.
#[derive(Clone, Debug)]
pub(crate) struct LineWriter {
    lines: SyncSender<Entry>,
    dropped: DroppedLines,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Answered when the lines before it are written.
    Flush(Sender<()>),
}

impl LineQueue {
    /// Returns a queue whose thread writes to `output`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn new(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, entries) = sync_channel(CAPACITY);
        let dropped = DroppedLines::default();
        let on_thread = dropped.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(output, &entries, &on_thread))?;
        Ok(Self(LineWriter { lines, dropped }))
    }

    pub(crate) fn writer(&self) -> LineWriter {
        self.0.clone()
    }

    /// Number of lines that were dropped.
    #[must_use]
    pub fn dropped(&self) -> DroppedLines {
        self.0.dropped.clone()
    }

    /// Returns a way to write the lines of the queue at another end of the process.
    #[must_use]
    pub fn flush(&self) -> Flush {
        Flush(self.0.lines.clone())
    }
}

impl Drop for LineQueue {
    fn drop(&mut self) {
        self.flush().wait();
    }
}

impl Flush {
    /// Waits until the lines are written, or for a quarter of a second.
    pub fn wait(&self) {
        let (written, wait) = channel();
        // A full queue is not waited for: its reader is gone or too slow.
        if self.0.try_send(Entry::Flush(written)).is_ok() {
            let _ = wait.recv_timeout(FLUSH);
        }
    }
}

impl DroppedLines {
    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Entry::Line(line.to_vec())).is_err() {
            self.dropped.add_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn write_lines(mut output: impl Write, entries: &Receiver<Entry>, dropped: &DroppedLines) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                if output.write_all(&line).and_then(|()| output.flush()).is_err() {
                    dropped.add_one();
                }
            }
            // An error means that nobody waits any more.
            Entry::Flush(written) => drop(written.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// An output that blocks until it gets a permit for each write, and then keeps it.
    struct Blocked(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_blocked_output_drops_lines_and_blocks_nobody() {
        let (permit, wait) = channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let queue = LineQueue::new(Blocked(wait, Arc::clone(&written))).unwrap();
        let mut writer = queue.writer();
        for line in 0..CAPACITY + 100 {
            writer.write_all(format!("{line:04}\n").as_bytes()).unwrap();
        }
        // The thread holds at most one line in addition to the queue.
        let dropped = queue.dropped().get();
        assert!((99..=100).contains(&dropped), "{dropped}");
        drop(permit);
        // A full queue is not waited for when it is dropped.
        let bytes = (CAPACITY + 100 - usize::try_from(dropped).unwrap()) * "0000\n".len();
        while written.lock().unwrap().len() < bytes {
            std::thread::yield_now();
        }
        drop(queue);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("0000\n0001\n"), "{text}");
    }

    #[test]
    fn a_failing_output_is_counted_and_tried_again() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let queue = LineQueue::new(Full).unwrap();
        let dropped = queue.dropped();
        for _ in 0..3 {
            queue.writer().write_all(b"line\n").unwrap();
        }
        drop(queue);
        assert_eq!(dropped.get(), 3);
    }
}
