//! Running the model: what goes in, what comes out, and who can do it.

mod embedding_table;
mod onnx;

use ndarray::Array2;

pub use embedding_table::{EmbeddingTable, UnknownToken};
pub use onnx::{GraphOutput, OnnxRuntime, OnnxSession};

/// A padded batch of token ids; all three are `[batch, tokens]`, i32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// Token ids; whatever stands in the padding.
    pub input_ids: Array2<i32>,
    /// 1 for a token, 0 for padding, which stands on the right.
    pub attention_mask: Array2<i32>,
    /// Segment of each token: 0, or 1 for the second text of a pair.
    pub token_type_ids: Array2<i32>,
}

impl Inputs {
    /// Returns the batch of these texts or pairs, padded on the right to `width` tokens.
    ///
    /// # Panics
    /// If a text has more than `width` tokens.
    ///
    /// # Examples
    /// ```
    /// use ndarray::array;
    /// use semblance::internals::runtime::{Inputs, Row};
    ///
    /// let pair = Row { input_ids: &[101, 7, 102, 8, 102], token_type_ids: &[0, 0, 0, 1, 1] };
    /// let text = Row { input_ids: &[101, 102], token_type_ids: &[0, 0] };
    /// let inputs = Inputs::padded([pair, text], 5);
    /// assert_eq!(inputs.input_ids, array![[101, 7, 102, 8, 102], [101, 102, 0, 0, 0]]);
    /// assert_eq!(inputs.attention_mask, array![[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]);
    /// assert_eq!(inputs.token_type_ids, array![[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]);
    /// ```
    #[must_use]
    pub fn padded<'a>(
        rows: impl IntoIterator<Item = Row<'a>, IntoIter: ExactSizeIterator>,
        width: usize,
    ) -> Self {
        let rows = rows.into_iter();
        let shape = (rows.len(), width);
        let mut input_ids = Array2::zeros(shape);
        let mut attention_mask = Array2::zeros(shape);
        let mut token_type_ids = Array2::zeros(shape);
        for (row, Row { input_ids: ids, token_type_ids: types }) in rows.enumerate() {
            for (column, (&id, &segment)) in ids.iter().zip(types).enumerate() {
                input_ids[[row, column]] = id;
                attention_mask[[row, column]] = 1;
                token_type_ids[[row, column]] = segment;
            }
        }
        Self { input_ids, attention_mask, token_type_ids }
    }
}

/// The tokens of one text or pair, without padding; both are `[tokens]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Token ids.
    pub input_ids: &'a [i32],
    /// Segment of each token.
    pub token_type_ids: &'a [i32],
}

/// A model that can be run: token ids in, its output out.
pub trait Infer: Send {
    /// What it gives for a batch, f32: of a bi-encoder's transformer the token embeddings
    /// `[batch, tokens, hidden]`, not pooled; of a cross-encoder the logits `[batch, labels]`.
    type Output;

    /// Runs the model on a batch.
    ///
    /// # Errors
    /// - [`InferError::UnknownToken`] if a token has no word embedding.
    /// - [`InferError::Run`] if the runtime fails on the batch.
    /// - [`InferError::Shape`] if it answers with another shape.
    fn infer(&mut self, inputs: &Inputs) -> Result<Self::Output, InferError>;
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
    #[error("the ONNX Runtime library {path} cannot be loaded beside {loaded}")]
    AnotherLibrary {
        /// The library asked for.
        path: String,
        /// The library of this process.
        loaded: String,
    },
    /// The library is there but its environment cannot be made.
    #[error("ONNX Runtime cannot start")]
    Environment(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    /// ONNX Runtime failed on a batch.
    #[error("inference failed on a batch of {texts} texts of {tokens} tokens")]
    Run {
        /// Texts in the batch.
        texts: usize,
        /// Tokens a text, padding counted.
        tokens: usize,
        /// What ONNX Runtime says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The output has not the shape of the bundle's contract.
    #[error("the model answered with the shape {found:?} for a batch of {texts} x {tokens} tokens")]
    Shape {
        /// The shape that came.
        found: Vec<usize>,
        /// Texts in the batch.
        texts: usize,
        /// Tokens a text, padding counted.
        tokens: usize,
    },
}
