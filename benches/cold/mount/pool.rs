//! Threads that answer requests, so that a request which waits holds up no other.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

type Task = Box<dyn FnOnce() + Send>;

/// Its threads end when it is dropped.
pub(super) struct Pool {
    tasks: Option<Sender<Task>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn of(threads: u16) -> Self {
        let (sender, tasks) = mpsc::channel();
        let tasks = Arc::new(Mutex::new(tasks));
        let work = || {
            let tasks = Arc::clone(&tasks);
            thread::spawn(move || {
                while let Some(task) = next(&tasks) {
                    task();
                }
            })
        };
        let threads = (0..threads).map(|_| work()).collect();
        Self { tasks: Some(sender), threads }
    }

    pub(super) fn run(&self, task: impl FnOnce() + Send + 'static) {
        if let Some(tasks) = &self.tasks {
            // The threads live as long as this does.
            let _ = tasks.send(Box::new(task));
        }
    }
}

/// The next task; none when there will be no more.
fn next(tasks: &Mutex<Receiver<Task>>) -> Option<Task> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tasks = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
