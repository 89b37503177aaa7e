//! The speed of a model, measured by its passes.

use std::time::Duration;

/// Number of passes that are remembered.
const PASSES: usize = 32;

/// Minimum number of passes of a measurement.
const MIN_PASSES: usize = 8;

/// Of this many passes, the slowest one does not count: it was interrupted.
const PASSES_PER_INTERRUPTION: usize = 8;

/// The last passes that were at least half full. Smaller ones are slower per token, so they say little
/// about a large request. The first pass of a process reads the weights, so it does not count.
pub(super) struct Speed {
    /// Minimum number of tokens of a pass that counts.
    min_tokens: usize,
    is_cold: bool,
    /// Tokens and time of each pass.
    passes: [(usize, Duration); PASSES],
    count: usize,
}

impl Speed {
    pub(super) fn new(pass_tokens: usize) -> Self {
        let passes = [(0, Duration::ZERO); PASSES];
        Self { min_tokens: pass_tokens.div_ceil(2), is_cold: true, passes, count: 0 }
    }

    /// Records a pass.
    pub(super) fn record(&mut self, tokens: usize, elapsed: Duration) {
        if std::mem::take(&mut self.is_cold) || tokens < self.min_tokens {
            return;
        }
        self.passes[self.count % PASSES] = (tokens, elapsed);
        self.count += 1;
    }

    /// Returns the time that tokens take, if the measurement is sufficient.
    pub(super) fn estimate(&self, tokens: usize) -> Option<Duration> {
        if self.count < MIN_PASSES {
            return None;
        }
        let mut passes = self.passes;
        let passes = &mut passes[..self.count.min(PASSES)];
        // The fastest first.
        passes.sort_by(|(tokens, elapsed), (other_tokens, other_elapsed)| {
            let seconds = elapsed.as_secs_f64() * *other_tokens as f64;
            seconds.total_cmp(&(other_elapsed.as_secs_f64() * *tokens as f64))
        });
        let kept = passes.len() - passes.len() / PASSES_PER_INTERRUPTION;
        let elapsed: Duration = passes[..kept].iter().map(|(_, elapsed)| elapsed).sum();
        let measured: usize = passes[..kept].iter().map(|(tokens, _)| tokens).sum();
        // A pass that counts has a token.
        Some(elapsed.mul_f64(tokens as f64 / measured.max(1) as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_estimate_needs_passes_that_count() {
        let mut speed = Speed::new(100);
        speed.record(100, 1_000 * MS);
        for _ in 0..7 {
            speed.record(100, 10 * MS);
            speed.record(49, 10 * MS);
        }
        assert_eq!(speed.estimate(1_000), None);
        speed.record(50, 5 * MS);
        assert_eq!(speed.estimate(1_000), Some(100 * MS));
        assert_eq!(speed.estimate(0), Some(Duration::ZERO));
    }

    #[test]
    fn an_interruption_does_not_count_and_a_slower_machine_does() {
        let mut speed = Speed::new(100);
        for pass in 0..40 {
            speed.record(100, if pass % 8 == 7 { 5_000 * MS } else { 10 * MS });
        }
        assert_eq!(speed.estimate(1_000), Some(100 * MS));
        for _ in 0..32 {
            speed.record(100, 30 * MS);
        }
        assert_eq!(speed.estimate(1_000), Some(300 * MS));
    }
}
