//! The arithmetic of a transformer over weights in a mapped file: products, attention and
//! normalization, in the instruction set that the processor has.
//!
//! Rows of activations are `[tokens of all texts, features]`, without padding. Weights are stored in
//! the order in which the kernels read them, one order for every instruction set, so that nothing is
//! repacked, copied or transposed. A row's result is the same to the last bit in any pass and with
//! any number of threads.
//!
//! A kernel is written once, against the `Simd` and `Dot` traits; the files named after instruction
//! sets implement these and are the only ones with intrinsics. `avx512_signs` is a faster way for one kernel.

mod activation;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_signs;
mod bytes;
#[cfg(test)]
mod corpus_tests;
mod instruction_set;
#[cfg(target_arch = "aarch64")]
mod neon;
mod norm;
mod operands;
mod pages;
mod pairs;
mod portable;
mod product;
mod scan;
mod signs;
mod simd;
mod team;
#[cfg(test)]
mod tests;
mod tile;
mod workers;

use std::ops::Range;

use attention::{HeadTask, Workspace};
use bytes::{BytePanelTask, QuantizeTask, row_bytes};
use norm::NormTask;
use operands::check;
use product::{PanelTask, TASK_ROWS};
use simd::{Simd, Task};
use team::{Shared, share};

pub use activation::Activation;
pub use bytes::{BYTE_PANEL, ByteRange, GROUP};
pub use instruction_set::{InstructionSet, UnknownInstructionSet};
pub use operands::{Attention, ByteDense, Dense, LengthError, Norm, Then};
pub use pages::access_pages;
pub use pairs::{PAIR_PANEL, PairColumns, PairRows, pair_panel_bytes};
pub use scan::HALF_DOTS_REACH;
pub use team::{Alone, Team};
pub use tile::PANEL;
pub use workers::{Awake, Workers};

/// Rows that a task normalizes or brings to bytes.
const ROWS_A_TASK: usize = 16;

/// Multiply-adds below which another thread costs more than it saves.
const SHARED_WORK: usize = 100_000;

/// The kernels of one instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Kernels(Detected);

/// An instruction set, with the proof that the processor has it.
#[derive(Clone, Copy, Debug)]
enum Detected {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    Portable(portable::Portable),
}

impl Kernels {
    /// Returns the kernels of the fastest instruction set that the processor has.
    #[must_use]
    pub fn detect() -> Self {
        let found = InstructionSet::ALL.into_iter().find_map(Self::of);
        found.unwrap_or(Self(Detected::Portable(portable::Portable)))
    }

    /// Returns the kernels of an instruction set, or none if the processor does not have it.
    #[must_use]
    pub fn of(set: InstructionSet) -> Option<Self> {
        let detected = match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => avx512::Avx512::detect().map(Detected::Avx512),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => avx2::Avx2::detect().map(Detected::Avx2),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => neon::Neon::detect().map(Detected::Neon),
            InstructionSet::Portable => Some(Detected::Portable(portable::Portable)),
            _ => None,
        };
        detected.map(Self)
    }

    /// The instruction set.
    #[must_use]
    pub fn instruction_set(self) -> InstructionSet {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Detected::Avx512(_) => InstructionSet::Avx512,
            #[cfg(target_arch = "x86_64")]
            Detected::Avx2(_) => InstructionSet::Avx2,
            #[cfg(target_arch = "aarch64")]
            Detected::Neon(_) => InstructionSet::Neon,
            Detected::Portable(_) => InstructionSet::Portable,
        }
    }

    /// Multiplies rows `x`, `[rows, inputs]`, with a weight, and writes `[rows, features]` to `out`.
    ///
    /// # Errors
    /// - [`LengthError`] if the lengths of the operands do not belong together.
    pub fn product(
        self,
        x: &[f32],
        dense: Dense<'_>,
        then: Then<'_>,
        out: &mut [f32],
        team: &dyn Team,
    ) -> Result<(), LengthError> {
        let features = dense.bias.len();
        let panels = features.div_ceil(PANEL);
        let rows = out.len().checked_div(features).unwrap_or(0);
        let inputs = x.len().checked_div(rows).unwrap_or(0);
        check("the output", out.len(), rows * features)?;
        check("the activations", x.len(), rows * inputs)?;
        then.check(out.len(), features)?;
        if rows == 0 {
            return Ok(());
        }
        check("the weight", dense.panels.len(), panels * inputs * PANEL)?;
        self.prefetch_before(dense.bias, then);
        let finish = then.finish();
        let shared = Shared::new(out);
        let blocks = blocks(rows, TASK_ROWS);
        let team_of = if rows * features * inputs < SHARED_WORK { &Alone } else { team };
        let threads = team_of.threads();
        share(
            team_of,
            panels * blocks.len(),
            || (),
            |(), task| {
                let (panel, block) = place(task, panels, blocks.len(), threads);
                self.enter(PanelTask {
                    panel: &dense.panels[panel * inputs * PANEL..][..inputs * PANEL],
                    inputs,
                    bias: &dense.bias[panel * PANEL..],
                    x,
                    out: shared,
                    features,
                    first_feature: panel * PANEL,
                    rows: blocks[block].clone(),
                    finish,
                });
            },
        );
        self.normalize(then, out, team_of);
        Ok(())
    }

    /// As [`product`](Self::product), with the products in 8 bits.
    ///
    /// # Errors
    /// - [`LengthError`] if the lengths of the operands do not belong together.
    pub fn byte_product(
        self,
        x: &[f32],
        dense: ByteDense<'_>,
        then: Then<'_>,
        out: &mut [f32],
        team: &dyn Team,
    ) -> Result<(), LengthError> {
        let (features, inputs) = (dense.bias.len(), dense.factors.len());
        let panels = features.div_ceil(BYTE_PANEL);
        let panel_bytes = row_bytes(inputs) * BYTE_PANEL;
        let rows = out.len().checked_div(features).unwrap_or(0);
        check("the output", out.len(), rows * features)?;
        check("the activations", x.len(), rows * inputs)?;
        check("the weight", dense.panels.len(), panels * panel_bytes)?;
        check("the weight's scales", dense.scales.len(), features)?;
        check("the weight's sums", dense.sums.len(), features)?;
        then.check(out.len(), features)?;
        self.prefetch(dense.factors);
        self.prefetch(dense.scales);
        self.prefetch(dense.sums);
        self.prefetch_before(dense.bias, then);
        let team_of = if rows * features * inputs < SHARED_WORK { &Alone } else { team };
        let (mut bytes, mut row_scales) = (vec![0; rows * row_bytes(inputs)], vec![0.0; rows]);
        let (shared_bytes, shared_scales) = (Shared::new(&mut bytes), Shared::new(&mut row_scales));
        let quantized = blocks(rows, ROWS_A_TASK);
        share(
            team_of,
            quantized.len(),
            || (),
            |(), task| {
                self.enter(QuantizeTask {
                    x,
                    factors: dense.factors,
                    range: dense.range,
                    bytes: shared_bytes,
                    scales: shared_scales,
                    rows: quantized[task].clone(),
                });
            },
        );
        let finish = then.finish();
        let shared = Shared::new(out);
        let blocks = blocks(rows, TASK_ROWS);
        let threads = team_of.threads();
        share(
            team_of,
            panels * blocks.len(),
            || (),
            |(), task| {
                let (panel, block) = place(task, panels, blocks.len(), threads);
                let first_feature = panel * BYTE_PANEL;
                self.enter(BytePanelTask {
                    panel: &dense.panels[panel * panel_bytes..][..panel_bytes],
                    scales: &dense.scales[first_feature..],
                    sums: &dense.sums[first_feature..],
                    bias: &dense.bias[first_feature..],
                    bytes: &bytes,
                    row_scales: &row_scales,
                    range: dense.range,
                    out: shared,
                    features,
                    first_feature,
                    rows: blocks[block].clone(),
                    finish,
                });
            },
        );
        self.normalize(then, out, team_of);
        Ok(())
    }

    /// Attends, in every text and head, from each token to all tokens of its text.
    ///
    /// `out` becomes `[tokens, hidden]`, with the features of one head side by side.
    ///
    /// # Errors
    /// - [`LengthError`] if the lengths of the operands do not belong together, the offsets do not
    ///   rise from 0 to the number of tokens, or a text is longer than the bias has distances for.
    pub fn attention(
        self,
        attention: Attention<'_>,
        out: &mut [f32],
        team: &dyn Team,
    ) -> Result<(), LengthError> {
        let Attention { projected, offsets, heads, bias } = attention;
        let tokens = usize::try_from(offsets.last().copied().unwrap_or(0)).unwrap_or(0);
        let hidden = out.len().checked_div(tokens).unwrap_or(0);
        let head_size = hidden.checked_div(heads).unwrap_or(0);
        check("the output", out.len(), tokens * heads * head_size)?;
        check("the projections", projected.len(), 3 * out.len())?;
        let mut texts = Vec::with_capacity(offsets.len());
        let mut end = 0;
        for (index, &offset) in offsets.iter().enumerate() {
            let start = end;
            end = usize::try_from(offset).unwrap_or(usize::MAX);
            if end < start || end > tokens || (index == 0 && end != 0) {
                return Err(LengthError { operand: "an offset", found: end, expected: start });
            }
            if end > start {
                texts.push(start..end);
            }
        }
        let distances = bias.len().checked_div(heads).unwrap_or(0);
        if !bias.is_empty() {
            let longest = texts.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
            let needed = distances.max((2 * longest).saturating_sub(1)) | 1;
            check("the bias", bias.len(), heads * needed)?;
        }
        let shared = Shared::new(out);
        let team_of = if tokens * hidden * 2 * PANEL < SHARED_WORK { &Alone } else { team };
        share(team_of, texts.len() * heads, Workspace::default, |workspace, task| {
            let head = task % heads;
            self.enter(HeadTask {
                projected,
                out: shared,
                hidden,
                head_size,
                head,
                tokens: texts[task / heads].clone(),
                bias: &bias[head * distances..(head + 1) * distances],
                workspace,
            });
        });
        Ok(())
    }

    /// Requests the small operands of a product from memory. A pass reads all weights, so these are no longer in a
    /// cache, and a task would wait for them.
    fn prefetch_before(self, bias: &[f32], then: Then<'_>) {
        self.prefetch(bias);
        if let Then::AddNorm { norm, .. } = then {
            self.prefetch(norm.scale);
            self.prefetch(norm.shift);
        }
    }

    fn normalize(self, then: Then<'_>, out: &mut [f32], team: &dyn Team) {
        let Then::AddNorm { norm, .. } = then else { return };
        let blocks = blocks(out.len() / norm.scale.len(), ROWS_A_TASK);
        let shared = Shared::new(out);
        share(
            team,
            blocks.len(),
            || (),
            |(), task| {
                self.enter(NormTask { out: shared, rows: blocks[task].clone(), norm });
            },
        );
    }

    fn enter<T: Task>(self, task: T) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Detected::Avx512(simd) => simd.enter(task),
            #[cfg(target_arch = "x86_64")]
            Detected::Avx2(simd) => simd.enter(task),
            #[cfg(target_arch = "aarch64")]
            Detected::Neon(simd) => simd.enter(task),
            Detected::Portable(simd) => simd.enter(task),
        }
    }

    fn enter_counting<T: Task>(self, task: T) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Detected::Avx512(simd) => simd.enter_counting(task),
            _ => self.enter(task),
        }
    }
}

/// Returns the panel and the block of rows of a task. One thread multiplies a panel with all rows while the
/// panel is in its cache. Several threads divide the rows first.
fn place(task: usize, panels: usize, blocks: usize, threads: usize) -> (usize, usize) {
    match threads {
        1 => (task / blocks, task % blocks),
        _ => (task % panels, task / panels),
    }
}

/// Rows in blocks of about the same size, none above `most`.
fn blocks(rows: usize, most: usize) -> Vec<Range<usize>> {
    let count = rows.div_ceil(most);
    (0..count).map(|block| rows * block / count..rows * (block + 1) / count).collect()
}
