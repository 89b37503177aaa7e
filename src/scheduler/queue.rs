//! The callers that wait, and whose texts are in the next pass.
//!
//! Each caller has a position on a clock that counts tokens: a text moves its caller forward by its
//! tokens, and the caller with the lowest position is next. This is start-time fair queueing
//! (<https://doi.org/10.1145/248156.248171>). A new caller starts one pass behind the clock, so that
//! the first texts of a request go before those of requests that the model already works on. After
//! [`NEW_IN_A_ROW`] such passes, a caller that is not new has a turn.

use std::sync::Arc;

use super::caller::Caller;

/// Maximum number of passes in a row that begin with a new caller while another waits.
const NEW_IN_A_ROW: usize = 8;

/// The callers that have texts that no pass has taken.
pub(super) struct Queue {
    pass_tokens: usize,
    /// The highest position of a caller whose text began a pass.
    clock: u64,
    /// Passes in a row that began with a new caller while another waited.
    new_in_a_row: usize,
    /// In the order in which they came.
    pub(super) waiting: Vec<Waiting>,
}

/// A caller that waits.
pub(super) struct Waiting {
    caller: Arc<Caller>,
    position: u64,
    /// Tokens of the texts that passes have taken.
    served: usize,
}

/// The texts of one caller in a pass.
pub(super) struct Share {
    pub(super) caller: Arc<Caller>,
    pub(super) texts: Vec<usize>,
}

impl Share {
    /// Tokens of the texts.
    pub(super) fn tokens(&self) -> usize {
        self.texts.iter().map(|&text| self.caller.texts[text].tokens()).sum()
    }
}

impl Queue {
    pub(super) fn new(pass_tokens: usize) -> Self {
        let clock = pass_tokens as u64;
        Self { pass_tokens, clock, new_in_a_row: 0, waiting: Vec::new() }
    }

    /// Adds a caller.
    pub(super) fn enter(&mut self, caller: &Arc<Caller>) {
        let position = self.clock - self.pass_tokens as u64;
        self.waiting.push(Waiting { caller: Arc::clone(caller), position, served: 0 });
    }

    /// Wakes the thread of one caller that waits, so that it runs the next pass.
    pub(super) fn wake_next(&mut self) {
        self.remove_done();
        if let Some(next) = self.waiting.first() {
            next.caller.changed.notify_one();
        }
    }

    /// Takes the texts of the next pass: the next text of the caller whose turn it is, then, while
    /// there is room, those of the callers with the lowest positions.
    pub(super) fn take_texts(&mut self) -> Vec<Share> {
        self.remove_done();
        let mut shares: Vec<Share> = Vec::new();
        let mut room = self.pass_tokens;
        let mut next = self.first();
        while let Some(index) = next {
            let waiting = &mut self.waiting[index];
            if let Some(text) = waiting.caller.take() {
                let tokens = waiting.caller.texts[text].tokens();
                waiting.position += tokens as u64;
                waiting.served += tokens;
                room = room.saturating_sub(tokens);
                match shares.iter_mut().find(|share| Arc::ptr_eq(&share.caller, &waiting.caller)) {
                    Some(share) => share.texts.push(text),
                    None => {
                        waiting.caller.progress().passes += 1;
                        let caller = Arc::clone(&waiting.caller);
                        shares.push(Share { caller, texts: vec![text] });
                    }
                }
            }
            next = self.lowest(|waiting| {
                waiting.caller.next_tokens().is_some_and(|tokens| tokens <= room)
            });
        }
        self.remove_done();
        shares
    }

    /// Returns the caller whose turn it is to begin a pass.
    fn first(&mut self) -> Option<usize> {
        let pass_tokens = self.pass_tokens;
        let is_old = |waiting: &Waiting| waiting.served >= pass_tokens;
        let mut first = self.lowest(|_| true)?;
        if is_old(&self.waiting[first]) {
            self.new_in_a_row = 0;
        } else if let Some(old) = self.lowest(is_old) {
            self.new_in_a_row += 1;
            if self.new_in_a_row > NEW_IN_A_ROW {
                (first, self.new_in_a_row) = (old, 0);
            }
        }
        self.clock = self.clock.max(self.waiting[first].position);
        Some(first)
    }

    /// Returns the caller with the lowest position that passes a test; of equal ones, the first.
    fn lowest(&self, test: impl Fn(&Waiting) -> bool) -> Option<usize> {
        let passing = self.waiting.iter().enumerate().filter(|(_, waiting)| test(waiting));
        passing.min_by_key(|(_, waiting)| waiting.position).map(|(index, _)| index)
    }

    /// Removes the callers that have no more texts, and wakes those of them that are done.
    fn remove_done(&mut self) {
        self.waiting.retain(|Waiting { caller, .. }| {
            let has_next = caller.next_tokens().is_some();
            if !has_next && caller.is_done() {
                caller.changed.notify_one();
            }
            has_next
        });
    }
}
