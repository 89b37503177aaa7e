//! A proxy in front of S3 that delays requests and interrupts responses.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// Bytes of an answer that come through before it breaks off.
const CUT_AFTER_BYTES: usize = 1 << 20;

/// A proxy to S3; open, until told otherwise.
pub(crate) struct Gate {
    /// Where it listens on the loopback interface.
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    hold_from: Option<u64>,
    cuts: Option<(u64, usize)>,
    requests: usize,
    answered_bytes: usize,
}

impl Gate {
    /// Starts listening, in front of a port of the loopback interface.
    pub(crate) fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        thread::spawn({
            let shared = Arc::clone(&shared);
            // Ends with the process.
            move || listener.incoming().for_each(|client| connect(client.unwrap(), server, &shared))
        });
        Self { port, shared }
    }

    /// Holds back requests for ranges that begin at this byte or later.
    pub(crate) fn hold_from(&self, offset: u64) {
        self.state().hold_from = Some(offset);
    }

    /// Lets everything through.
    pub(crate) fn open(&self) {
        self.state().hold_from = None;
        self.shared.changed.notify_all();
    }

    /// Interrupts this number of responses to requests for the range that begins at this byte.
    pub(crate) fn cut(&self, offset: u64, times: usize) {
        self.state().cuts = Some((offset, times));
    }

    /// Answers that are still to be broken off.
    pub(crate) fn cuts_left(&self) -> usize {
        self.state().cuts.map_or(0, |(_, times)| times)
    }

    /// Requests that came, and bytes that were answered, headers counted.
    pub(crate) fn traffic(&self) -> (usize, usize) {
        let state = self.state();
        (state.requests, state.answered_bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

fn connect(client: TcpStream, server: u16, shared: &Arc<Shared>) {
    let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
    let (from_client, from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let cut = Arc::<Mutex<bool>>::default();
    thread::spawn({
        let (shared, cut) = (Arc::clone(shared), Arc::clone(&cut));
        move || requests(from_client, server, &shared, &cut)
    });
    let shared = Arc::clone(shared);
    thread::spawn(move || answers(from_server, client, &shared, &cut));
}

/// Hands requests on. Each has no body and arrives at once, for the client sends no second one on a
/// connection before the first is answered.
fn requests(mut client: TcpStream, mut server: TcpStream, shared: &Shared, cut: &Mutex<bool>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let start = range_start(&buffer[..read]);
        let mut state = shared.state.lock().unwrap();
        state.requests += 1;
        while start.zip(state.hold_from).is_some_and(|(start, from)| start >= from) {
            state = shared.changed.wait(state).unwrap();
        }
        if let (Some(start), Some((offset, times @ 1..))) = (start, state.cuts)
            && start == offset
        {
            state.cuts = Some((offset, times - 1));
            *cut.lock().unwrap() = true;
        }
        drop(state);
        if server.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn answers(mut server: TcpStream, mut client: TcpStream, shared: &Shared, cut: &Mutex<bool>) {
    let mut buffer = vec![0; 1 << 16];
    let mut cut_bytes = 0;
    while let Ok(read @ 1..) = server.read(&mut buffer) {
        if client.write_all(&buffer[..read]).is_err() {
            break;
        }
        shared.state.lock().unwrap().answered_bytes += read;
        if *cut.lock().unwrap() {
            cut_bytes += read;
        }
        if cut_bytes >= CUT_AFTER_BYTES {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// The first byte of the range that a request asks for.
fn range_start(request: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let (_, rest) = text.split_once("\r\nrange: bytes=")?;
    rest.split_once('-')?.0.parse().ok()
}
