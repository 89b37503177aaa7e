//! Sentence similarity, embeddings and reranking on the CPU. A model is a bundle of a
//! sentence-transformer; its files are memory-mapped and run by ONNX Runtime.
//!
//! ```
//! use semblance::{Model, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options { library: "build/lib/libonnxruntime.so".into(), ..Options::default() };
//! let model = Model::load("build/model/default", options)?;
//! let texts = ["Around 9 million people live in London", "London is known for its finance"];
//! let scores = model.similarity("How many people live in London?", &texts)?;
//! assert!(scores[0] > scores[1]);
//! # Ok(())
//! # }
//! ```
//!
//! # Data flow
//! Distinct texts are tokenized and truncated to the model's limit. Truncation is reported.
//! The scheduler groups them into forward passes without padding. Each pass returns token embeddings
//! `[tokens of all texts, hidden]`, f32, which are pooled and normalized to unit rows `[texts, dim]`.
//! Dot products of unit rows are the scores. A cross-encoder scores pairs of texts instead.
//!
//! # Telemetry
//! Official builds of ONNX Runtime collect data about the process and its models, and send it to its makers. The
//! binaries of this project turn this off. A program that uses this crate must be started with
//! `ORT_DISABLE_TELEMETRY=1`, or set it before it has threads: the library reads the variable when it starts.
//!
//! # Rules
//! `tests/it/imports.rs` lists which modules may import each other, and which may use `ort`,
//! `tokenizers` and `unsafe`. The test reads the sources.

mod bundle;
mod cache;
mod cancel;
mod code;
pub mod corpus;
mod cost;
mod cross_encoder;
mod encoder;
mod error;
pub mod info;
mod kernels;
mod load;
mod model;
pub mod options;
pub mod outcome;
mod prompted;
mod runtime;
mod scheduler;
mod threads;
mod tokenizer;
mod unique;
mod vector;

pub use cancel::{Cancel, Canceled};
pub use code::{Code, Fault};
pub use cost::Cost;
pub use error::{LoadError, ModelError};
pub use model::Model;
pub use options::{EmbedOptions, Options, PairOptions, Prompts, TextOptions, Truncation};

/// Parts of the engine for the benches, the tests and the other crates of this workspace. They are
/// not a stable API.
#[doc(hidden)]
pub mod internals {
    pub mod bundle {
        pub use crate::bundle::*;
    }
    pub mod cache {
        pub use crate::cache::CacheLimit;
    }
    pub mod corpus {
        pub use crate::corpus::replica::*;
    }
    pub mod cross_encoder {
        pub use crate::cross_encoder::*;
    }
    pub mod encoder {
        pub use crate::encoder::*;
    }
    pub mod kernels {
        pub use crate::kernels::*;
    }
    pub mod runtime {
        pub use crate::runtime::*;
    }
    pub mod scheduler {
        pub use crate::scheduler::*;
    }
    pub mod tokenizer {
        pub use crate::tokenizer::*;
    }
    pub mod vector {
        pub use crate::vector::*;
    }
}
