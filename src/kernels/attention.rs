//! Self-attention within each of the texts that stand one after the other.
//!
//! What a text gives depends on its own tokens alone, to the last bit.
#![expect(unsafe_code, reason = "heads are read and written through pointers, rows apart")]

use super::activation::exp2;
use super::simd::{Dot, Simd, Task};
use super::team::Shared;
use super::tile::{PANEL, Tile};

/// One head of one text.
pub(super) struct HeadTask<'a> {
    /// `[tokens, 3 * hidden]`: query, key and value of each token.
    pub(super) projected: &'a [f32],
    /// `[tokens, hidden]`.
    pub(super) out: Shared<'a, f32>,
    pub(super) hidden: usize,
    pub(super) head_size: usize,
    pub(super) head: usize,
    /// The tokens of the text.
    pub(super) tokens: std::ops::Range<usize>,
    /// What this head adds to scores by distance, `[2 * positions - 1]`; empty for nothing.
    pub(super) bias: &'a [f32],
    pub(super) workspace: &'a mut Workspace,
}

/// The scratch memory of a thread.
#[derive(Default)]
pub(super) struct Workspace {
    /// `[tokens / 32, head_size, 32]`: a key is a column.
    keys: Vec<f32>,
    /// `[head_size / 32, tokens, 32]`: a value is a row.
    values: Vec<f32>,
    /// `[tile, tokens]`, rows padded to whole panels.
    scores: Vec<f32>,
    /// `[tile, head_size]`, rows padded to whole panels.
    context: Vec<f32>,
}

/// No bias.
const ZEROS: [f32; PANEL] = [0.0; PANEL];

impl Task for HeadTask<'_> {
    #[inline(always)]
    fn run<S: Dot>(self, s: S) {
        let (tokens, size) = (self.tokens.len(), self.head_size);
        let stride = 3 * self.hidden;
        let rows = &self.projected[self.tokens.start * stride..self.tokens.end * stride];
        let at = self.head * size;
        let (token_panels, size_panels) = (tokens.div_ceil(PANEL), size.div_ceil(PANEL));
        let Workspace { keys, values, scores, context } = self.workspace;
        // What pads a panel is never summed: it may be anything that was there before.
        keys.resize(token_panels * size * PANEL, 0.0);
        values.resize(size_panels * tokens * PANEL, 0.0);
        scores.resize(S::TILE_ROWS * token_panels * PANEL, 0.0);
        context.resize(S::TILE_ROWS * size_panels * PANEL, 0.0);
        for (token, row) in rows.chunks_exact(stride).enumerate() {
            let key = &row[self.hidden + at..][..size];
            let start = token / PANEL * size * PANEL + token % PANEL;
            for (place, &value) in keys[start..].iter_mut().step_by(PANEL).zip(key) {
                *place = value;
            }
            let value = &row[2 * self.hidden + at..][..size];
            for (panel, value) in value.chunks(PANEL).enumerate() {
                let start = (panel * tokens + token) * PANEL;
                match value.first_chunk::<PANEL>() {
                    // A known length is copied without a call.
                    Some(value) => values[start..start + PANEL].copy_from_slice(value),
                    None => values[start..start + value.len()].copy_from_slice(value),
                }
            }
        }
        let scale = 1.0 / (size as f32).sqrt();
        let (score_stride, context_stride) = (token_panels * PANEL, size_panels * PANEL);
        let mut first = 0;
        while first < tokens {
            let height = (tokens - first).min(S::TILE_ROWS);
            let query = &rows[first * stride + at..];
            for (panel, keys) in keys.chunks_exact(size * PANEL).enumerate() {
                // SAFETY: `height` queries of `size` values stand in `rows`, and as many rows of
                // scores were made room for.
                let tile = unsafe {
                    let out = scores.as_mut_ptr().add(panel * PANEL);
                    let rows = (query.as_ptr(), stride);
                    Tile::new((keys, &ZEROS), rows, height, (out, score_stride))
                };
                s.enter(tile);
            }
            let mut factors = [0.0; 14];
            let softmax = scores.chunks_exact_mut(score_stride).zip(&mut factors);
            for (index, (scores, factor)) in softmax.take(height).enumerate() {
                if !self.bias.is_empty() {
                    // The column of the first key: the text is at most `positions` long.
                    let column = self.bias.len() / 2 - (first + index);
                    let bias = &self.bias[column..column + tokens];
                    for (score, bias) in scores.iter_mut().zip(bias) {
                        *score += bias / scale;
                    }
                }
                scores[tokens..].fill(f32::NEG_INFINITY);
                *factor = 1.0 / exponentials(s, scores, scale);
            }
            for (panel, values) in values.chunks_exact(tokens * PANEL).enumerate() {
                // SAFETY: `height` rows of scores of `tokens` values were written above, and as
                // many rows of context were made room for.
                let tile = unsafe {
                    let out = context.as_mut_ptr().add(panel * PANEL);
                    let rows = (scores.as_ptr(), score_stride);
                    Tile::new((values, &ZEROS), rows, height, (out, context_stride))
                };
                s.enter(tile);
            }
            let rows = context.chunks_exact(context_stride).zip(factors).take(height);
            for (index, (context, factor)) in rows.enumerate() {
                let start = (self.tokens.start + first + index) * self.hidden + at;
                // SAFETY: within the output; this head of this text is this task's alone.
                let out = unsafe { self.out.part(start..start + size) };
                for (out, value) in out.iter_mut().zip(context) {
                    *out = *value * factor;
                }
            }
            first += height;
        }
    }
}

/// Replaces scores by `exp(scale * (score - largest))` and returns their sum. Their number is a
/// multiple of 32, and what pads them is minus infinity.
#[inline(always)]
fn exponentials<S: Simd>(s: S, scores: &mut [f32], scale: f32) -> f32 {
    let mut largest = s.splat(f32::NEG_INFINITY);
    for chunk in scores.chunks_exact(S::WIDTH) {
        // SAFETY: a chunk is one register long, here and below.
        largest = s.max(largest, unsafe { s.load(chunk.as_ptr()) });
    }
    let largest = s.splat(s.largest(largest));
    let scale = s.splat(scale * std::f32::consts::LOG2_E);
    let mut sums = s.splat(0.0);
    for chunk in scores.chunks_exact_mut(S::WIDTH) {
        // SAFETY: as above.
        unsafe {
            let distance = s.sub(s.load(chunk.as_ptr()), largest);
            let value = exp2(s, s.max(s.splat(-126.0), s.mul(distance, scale)));
            sums = s.add(sums, value);
            s.store(chunk.as_mut_ptr(), value);
        }
    }
    s.sum(sums)
}
