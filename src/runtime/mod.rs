//! Running the model: what goes in, what comes out, and who can do it.

mod embedding_table;
mod onnx;
mod operators;

use std::ops::Range;

use ndarray::ArrayView2;

use crate::kernels::LengthError;

pub use embedding_table::{EmbeddingTable, UnknownToken};
pub use onnx::{OnnxRuntime, OnnxSession, SessionOptions};

/// The texts or pairs of one forward pass, one after the other, without padding.
///
/// # Examples
/// ```
/// use semblance::internals::runtime::Inputs;
///
/// let mut inputs = Inputs::default();
/// inputs.push(&[101, 7, 102, 8, 102], &[0, 0, 0, 1, 1]);
/// inputs.push(&[101, 102], &[0, 0]);
/// assert_eq!(inputs.input_ids(), [101, 7, 102, 8, 102, 101, 102]);
/// assert_eq!(inputs.token_type_ids(), [0, 0, 0, 1, 1, 0, 0]);
/// assert_eq!(inputs.positions(None), [0, 1, 2, 3, 4, 0, 1]);
/// assert_eq!(inputs.positions(Some(7)), [0, -1, 1, 2, 3, 0, 1]);
/// assert_eq!(inputs.offsets(), [0, 5, 7]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    input_ids: Vec<i32>,
    token_type_ids: Vec<i32>,
    offsets: Vec<i32>,
}

impl Default for Inputs {
    fn default() -> Self {
        Self { input_ids: Vec::new(), token_type_ids: Vec::new(), offsets: vec![0] }
    }
}

impl Inputs {
    /// Appends a text or pair: its token ids, and the segment of each token, 0, or 1 for the second
    /// text of a pair. Both are `[tokens]`.
    pub fn push(&mut self, input_ids: &[i32], token_type_ids: &[i32]) {
        self.input_ids.extend_from_slice(input_ids);
        self.token_type_ids.extend_from_slice(token_type_ids);
        self.offsets.push(i32::try_from(self.input_ids.len()).unwrap_or(i32::MAX));
    }

    /// Number of texts.
    #[must_use]
    pub fn texts(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of tokens.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.input_ids.len()
    }

    /// Token ids, `[tokens]`.
    #[must_use]
    pub fn input_ids(&self) -> &[i32] {
        &self.input_ids
    }

    /// Segment of each token, `[tokens]`.
    #[must_use]
    pub fn token_type_ids(&self) -> &[i32] {
        &self.token_type_ids
    }

    /// Where each text starts, and the number of tokens, `[texts + 1]`.
    #[must_use]
    pub fn offsets(&self) -> &[i32] {
        &self.offsets
    }

    /// Position of each token in its text, `[tokens]`. The token `padding` is not counted, and its
    /// position is -1.
    #[must_use]
    pub fn positions(&self, padding: Option<i32>) -> Vec<i32> {
        let mut positions = Vec::with_capacity(self.tokens());
        for rows in self.rows() {
            let mut next = 0;
            for &id in &self.input_ids[rows] {
                if padding == Some(id) {
                    positions.push(-1);
                } else {
                    positions.push(next);
                    next += 1;
                }
            }
        }
        positions
    }

    /// The tokens of each text.
    pub fn rows(&self) -> impl Iterator<Item = Range<usize>> {
        self.offsets.windows(2).map(|text| text[0] as usize..text[1] as usize)
    }
}

/// A model that can be run: token ids in, its output out.
pub trait Infer: Send {
    /// Runs the model on a pass and hands its output, f32, to `read`: of a bi-encoder's transformer
    /// the token embeddings `[tokens, hidden]`, not pooled; of a cross-encoder the logits
    /// `[texts, labels]`.
    ///
    /// # Errors
    /// - [`InferError::UnknownToken`] if a token has no word embedding.
    /// - [`InferError::Run`] if the runtime fails on the pass.
    /// - [`InferError::Shape`] if it returns another shape.
    fn infer<R>(
        &mut self,
        inputs: &Inputs,
        read: impl FnOnce(ArrayView2<'_, f32>) -> R,
    ) -> Result<R, InferError>;
}

/// Why the model could not be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InferError {
    /// The ONNX Runtime library is missing, or is not a library.
    #[error("the ONNX Runtime library {path} cannot be loaded")]
    LibraryNotLoaded {
        /// The library.
        path: String,
        /// What the loader says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The library is older than this program needs.
    #[error(
        "the ONNX Runtime library {path} is version {found}, but 1.{minimum_minor} or newer is needed"
    )]
    LibraryTooOld {
        /// The library.
        path: String,
        /// Its version.
        found: String,
        /// The oldest 1.x that will do.
        minimum_minor: u32,
    },
    /// The process has loaded another library before, and can have one.
    #[error("the ONNX Runtime library {path} cannot be loaded: the process has loaded {loaded}")]
    AnotherLibrary {
        /// The library asked for.
        path: String,
        /// The library of this process.
        loaded: String,
    },
    /// The library is there but its environment cannot be made.
    #[error("ONNX Runtime cannot start")]
    Environment(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A thread of a session cannot be started.
    #[error("a thread for the forward pass cannot be started")]
    Thread(#[source] std::io::Error),
    /// The graph or its weights cannot be loaded.
    #[error("the model graph {path} cannot be loaded")]
    Session {
        /// The graph.
        path: String,
        /// What ONNX Runtime says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The graph has not the inputs and outputs of the bundle's contract.
    #[error("the model graph {path} has the {kind} [{found}], but [{expected}] are needed")]
    Contract {
        /// The graph.
        path: String,
        /// `inputs` or `outputs`.
        kind: &'static str,
        /// Names in the graph.
        found: String,
        /// Names needed.
        expected: String,
    },
    /// A token has no word embedding: tokenizer and table do not belong together.
    #[error(transparent)]
    UnknownToken(#[from] UnknownToken),
    /// The pooled rows do not fit the dense layers that follow.
    #[error("a dense layer cannot be applied")]
    Dense(#[from] LengthError),
    /// ONNX Runtime failed on a pass.
    #[error("inference failed on {texts} texts with {tokens} tokens")]
    Run {
        /// Texts of the pass.
        texts: usize,
        /// Their tokens.
        tokens: usize,
        /// What ONNX Runtime says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The output has not the shape of the bundle's contract.
    #[error("the model returned the shape {found:?} for {texts} texts with {tokens} tokens")]
    Shape {
        /// The shape that came.
        found: Vec<usize>,
        /// Texts of the pass.
        texts: usize,
        /// Their tokens.
        tokens: usize,
    },
}
