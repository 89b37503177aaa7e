//! What the kernels compute with, and the check of its lengths.

use super::activation::Activation;
use super::bytes::ByteRange;
use super::product::Finish;

/// An operand does not have the length that the others ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operand} has {found} values, but {expected} are needed")]
pub struct LengthError {
    /// Which operand.
    pub operand: &'static str,
    /// Its length.
    pub found: usize,
    /// The length needed.
    pub expected: usize,
}

/// The weight of a dense layer in fp32, with its bias.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// `[features / 32, inputs, 32]`: feature `32 * p + f` is column `f` of panel `p`. The last panel
    /// is padded to whole.
    pub panels: &'a [f32],
    /// `[features]`.
    pub bias: &'a [f32],
}

/// The weight of a dense layer in int8, with its bias.
#[derive(Clone, Copy, Debug)]
pub struct ByteDense<'a> {
    /// `[features / 16, inputs / 4, 16, 4]`, panels and groups of four inputs padded to whole.
    pub panels: &'a [i8],
    /// `[features]`: what a feature's integers are multiplied by.
    pub scales: &'a [f32],
    /// `[features]`: the sum of a feature's integers.
    pub sums: &'a [i32],
    /// `[features]`.
    pub bias: &'a [f32],
    /// `[inputs]`: what activations are multiplied by before they become bytes.
    pub factors: &'a [f32],
    /// Which values activations have.
    pub range: ByteRange,
}

/// The operands of self-attention.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// `[tokens, 3 * hidden]`: query, key and value of each token, the features of one head side by
    /// side.
    pub projected: &'a [f32],
    /// Text `i` has the tokens from `offsets[i]` up to `offsets[i + 1]`.
    pub offsets: &'a [i32],
    /// Number of heads.
    pub heads: usize,
    /// `[heads, 2 * positions - 1]`, or empty: what a head adds to the score of a query and the key
    /// that is `d` tokens after it, in column `d + positions - 1`.
    pub bias: &'a [f32],
}

/// A layer normalization.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// `[features]`.
    pub scale: &'a [f32],
    /// `[features]`.
    pub shift: &'a [f32],
    /// What is added to the variance.
    pub epsilon: f32,
}

/// What follows a product.
#[derive(Clone, Copy, Debug)]
pub enum Then<'a> {
    /// A function of each element.
    Activate(Activation),
    /// A residual `[rows, features]` is added, and each row normalized.
    AddNorm {
        /// `[rows, features]`.
        residual: &'a [f32],
        /// The normalization.
        norm: Norm<'a>,
    },
}

impl Then<'_> {
    pub(super) fn finish(&self) -> Finish<'_> {
        match self {
            Self::Activate(activation) => Finish { activation: *activation, residual: None },
            Self::AddNorm { residual, .. } => {
                Finish { activation: Activation::Identity, residual: Some(residual) }
            }
        }
    }

    pub(super) fn check(&self, out: usize, features: usize) -> Result<(), LengthError> {
        match self {
            Self::Activate(_) => Ok(()),
            Self::AddNorm { residual, norm } => {
                check("the residual", residual.len(), out)?;
                check("the norm's scale", norm.scale.len(), features)?;
                check("the norm's shift", norm.shift.len(), features)
            }
        }
    }
}

/// Checks the length of an operand.
pub(super) fn check(
    operand: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), LengthError> {
    if found == expected { Ok(()) } else { Err(LengthError { operand, found, expected }) }
}
