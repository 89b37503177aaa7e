//! ONNX Runtime. The only file that names `ort`.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{Array, ArrayView2, Dimension, Ix2, Ix3};
use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::TensorRef;

use super::{EmbeddingTable, UnknownToken};
use super::{Infer, InferError, Inputs};
use crate::bundle::Precision;

/// Inputs of a bundle's graph, in the order they are handed over: float32 `[batch, tokens, hidden]`,
/// and int32 `[batch, tokens]` twice.
const INPUTS: [&str; 3] = ["word_embeddings", "attention_mask", "token_type_ids"];

/// What a bundle's graph computes, by the number of its axes.
pub trait GraphOutput: Dimension {
    /// Name of the graph's only output, float32.
    const NAME: &'static str;

    /// Whether an output of this shape belongs to a batch of so many texts and tokens a text.
    fn is_of(shape: &[usize], texts: usize, tokens: usize) -> bool;
}

/// An embedding bundle's: `[batch, tokens, hidden]`.
impl GraphOutput for Ix3 {
    const NAME: &'static str = "token_embeddings";

    fn is_of(shape: &[usize], texts: usize, tokens: usize) -> bool {
        matches!(shape, &[rows, columns, _] if (rows, columns) == (texts, tokens))
    }
}

/// A cross-encoder bundle's: `[batch, labels]`.
impl GraphOutput for Ix2 {
    const NAME: &'static str = "logits";

    fn is_of(shape: &[usize], texts: usize, _: usize) -> bool {
        matches!(shape, &[rows, _] if rows == texts)
    }
}

/// The process's one library and environment, kept so that a second model shares it.
static LOADED: Mutex<Option<(PathBuf, OnnxRuntime)>> = Mutex::new(None);

/// The ONNX Runtime library, loaded, with its one environment a process.
#[derive(Clone, Debug)]
pub struct OnnxRuntime {
    environment: Environment,
}

impl OnnxRuntime {
    /// Loads the library and starts its environment, or returns the one of this process: every
    /// model shares it.
    ///
    /// # Errors
    /// - [`InferError::LibraryNotLoaded`] if there is no such library or it is none.
    /// - [`InferError::LibraryTooOld`] if its version is below the API this program is built for.
    /// - [`InferError::AnotherLibrary`] if the process has already loaded another file.
    /// - [`InferError::Environment`] if the environment cannot be made.
    pub fn load(library: &Path) -> Result<Self, InferError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        match &*loaded {
            Some((path, runtime)) if path == library => Ok(runtime.clone()),
            Some((path, _)) => Err(InferError::AnotherLibrary {
                path: library.display().to_string(),
                loaded: path.display().to_string(),
            }),
            None => {
                let runtime = Self::start(library)?;
                *loaded = Some((library.to_path_buf(), runtime.clone()));
                Ok(runtime)
            }
        }
    }

    fn start(library: &Path) -> Result<Self, InferError> {
        let path = || library.display().to_string();
        let builder = ort::init_from(library).map_err(|error| match error {
            LoadDynamicError::BadVersion { version_str, .. } => InferError::LibraryTooOld {
                path: path(),
                found: version_str,
                minimum_minor: ort::MINOR_VERSION,
            },
            other => InferError::LibraryNotLoaded { path: path(), source: Box::new(other) },
        })?;
        let environment = builder
            .with_name("semblance")
            .with_telemetry(false)
            .build()
            .map_err(|error| InferError::Environment(Box::new(error)))?;
        environment.set_log_level(LogLevel::Warning);
        Ok(Self { environment })
    }
}

/// A loaded model: a graph over its mapped weights, and the table of words.
pub struct OnnxSession<D> {
    session: Session,
    words: Arc<EmbeddingTable>,
    output: PhantomData<fn() -> D>,
}

impl<D: GraphOutput> OnnxSession<D> {
    /// Loads an optimised graph whose weights lie in an external file beside it, which ONNX
    /// Runtime maps.
    ///
    /// The graph was optimised when the bundle was built, so it is taken as it is. Weights in fp32 are
    /// stored as the kernels read them: packing would copy them into memory of the process. Those in
    /// int8 are a quarter of that, and their kernels read packed weights alone.
    /// A forward pass runs on the caller's thread alone: who has more CPUs makes more sessions, which
    /// share what is mapped.
    ///
    /// # Errors
    /// - [`InferError::Session`] if the graph is corrupt or its weights do not fit.
    /// - [`InferError::Contract`] if its inputs or outputs are not the bundle's.
    pub fn load(
        runtime: &OnnxRuntime,
        graph: &Path,
        words: Arc<EmbeddingTable>,
    ) -> Result<Self, InferError> {
        let packs = words.precision() == Precision::Int8;
        let session = build(runtime, graph, packs).map_err(|error| InferError::Session {
            path: graph.display().to_string(),
            source: Box::new(error),
        })?;
        expect_names(graph, "inputs", session.inputs().iter().map(|input| input.name()), &INPUTS)?;
        let outputs = session.outputs().iter().map(|output| output.name());
        expect_names(graph, "outputs", outputs, &[D::NAME])?;
        Ok(Self { session, words, output: PhantomData })
    }
}

fn build(runtime: &OnnxRuntime, graph: &Path, packs: bool) -> Result<Session, ort::Error> {
    let builder: SessionBuilder = Session::builder(&runtime.environment)?;
    builder
        .with_optimization_level(GraphOptimizationLevel::Disable)?
        .with_prepacking(packs)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        // Shapes differ from batch to batch: a remembered allocation pattern a shape only grows.
        .with_memory_pattern(false)?
        .with_log_level(LogLevel::Warning)?
        .commit_from_file(graph)
}

fn expect_names<'a>(
    graph: &Path,
    kind: &'static str,
    found: impl Iterator<Item = &'a str>,
    expected: &[&str],
) -> Result<(), InferError> {
    let found: Vec<&str> = found.collect();
    if found == expected {
        return Ok(());
    }
    Err(InferError::Contract {
        path: graph.display().to_string(),
        kind,
        found: found.join(", "),
        expected: expected.join(", "),
    })
}

/// Returns the embeddings of these tokens one after the other: `[batch, tokens, hidden]`, f32.
fn look_up(words: &EmbeddingTable, ids: ArrayView2<'_, i32>) -> Result<Vec<f32>, UnknownToken> {
    words.read_ahead(ids.iter().copied());
    let mut rows = vec![0.0; ids.len() * words.hidden_size()];
    for (row, &id) in rows.chunks_exact_mut(words.hidden_size()).zip(ids) {
        words.copy_row(id, row)?;
    }
    Ok(rows)
}

impl<D: GraphOutput> Infer for OnnxSession<D> {
    type Output = Array<f32, D>;

    fn infer(&mut self, inputs: &Inputs) -> Result<Array<f32, D>, InferError> {
        let (texts, tokens) = inputs.input_ids.dim();
        let failed = |error: ort::Error| InferError::Run { texts, tokens, source: Box::new(error) };
        let words = look_up(&self.words, inputs.input_ids.view())?;
        let shape = [texts, tokens, self.words.hidden_size()];
        let words = TensorRef::from_array_view((shape, words.as_slice())).map_err(failed)?;
        let mask = TensorRef::from_array_view(inputs.attention_mask.view()).map_err(failed)?;
        let types = TensorRef::from_array_view(inputs.token_type_ids.view()).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![words, mask, types]).map_err(failed)?;
        let output = outputs[D::NAME].try_extract_array::<f32>().map_err(failed)?;
        let shape = output.shape().to_vec();
        match output.into_dimensionality::<D>() {
            Ok(array) if D::is_of(&shape, texts, tokens) => Ok(array.to_owned()),
            _ => Err(InferError::Shape { found: shape, texts, tokens }),
        }
    }
}
