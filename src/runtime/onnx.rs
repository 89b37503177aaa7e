//! ONNX Runtime. The only file that names `ort`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::ArrayView2;
use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use super::operators::operators;
use super::{EmbeddingTable, Infer, InferError, Inputs, UnknownToken};
use crate::bundle::{GraphInput, Task};
use crate::kernels::{Kernels, Workers};

/// The graph's only output, float32, by the bundle's task.
fn output_of(task: Task) -> &'static str {
    match task {
        Task::Embedding => "token_embeddings",
        Task::CrossEncoder => "logits",
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
    /// - [`InferError::LibraryNotLoaded`] if the file is missing or not a shared library.
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

/// A loaded model: a graph over its mapped weights, and the embedding table.
pub struct OnnxSession {
    session: Session,
    words: Arc<EmbeddingTable>,
    task: Task,
    inputs: Vec<GraphInput>,
    padding: Option<i32>,
    workers: Arc<Workers>,
}

/// How a session runs its graph.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// What the graph computes.
    pub task: Task,
    /// Its inputs, in its order.
    pub inputs: Vec<GraphInput>,
    /// The token that positions do not count.
    pub padding: Option<i32>,
    /// What the operators of the engine are computed with.
    pub kernels: Kernels,
    /// Threads of a forward pass, the caller's counted. The others sleep between passes.
    pub threads: usize,
}

impl OnnxSession {
    /// Loads a graph whose weights are in an external file, which ONNX Runtime maps.
    ///
    /// The graph is run as it was built, and its weights are stored as the kernels read them: packing
    /// would copy them into memory of the process.
    ///
    /// # Errors
    /// - [`InferError::Session`] if the graph is corrupt or its weights do not fit.
    /// - [`InferError::Contract`] if its inputs or outputs are not the bundle's.
    /// - [`InferError::Thread`] if a thread cannot be started.
    pub fn load(
        runtime: &OnnxRuntime,
        graph: &Path,
        words: Arc<EmbeddingTable>,
        options: SessionOptions,
    ) -> Result<Self, InferError> {
        let workers = Workers::start(options.threads).map_err(InferError::Thread)?;
        let workers = Arc::new(workers);
        let session = build(runtime, graph, options.kernels, &workers);
        let session = session.map_err(|error| InferError::Session {
            path: graph.display().to_string(),
            source: Box::new(error),
        })?;
        let SessionOptions { task, inputs, padding, .. } = options;
        let expected: Vec<_> = inputs.iter().map(|input| input.name()).collect();
        expect_names(
            graph,
            "inputs",
            session.inputs().iter().map(|input| input.name()),
            &expected,
        )?;
        let outputs = session.outputs().iter().map(|output| output.name());
        expect_names(graph, "outputs", outputs, &[output_of(task)])?;
        Ok(Self { session, words, task, inputs, padding, workers })
    }
}

/// Held while a session is created. ONNX Runtime registers the domain of custom operators in a list of
/// the process; two sessions at the same time would both find it absent and both add it, which is an
/// error.
static REGISTRATION: Mutex<()> = Mutex::new(());

fn build(
    runtime: &OnnxRuntime,
    graph: &Path,
    kernels: Kernels,
    workers: &Arc<Workers>,
) -> Result<Session, ort::Error> {
    let _registration = REGISTRATION.lock().unwrap_or_else(PoisonError::into_inner);
    let builder: SessionBuilder = Session::builder(&runtime.environment)?;
    builder
        .with_operators(operators(kernels, workers)?)?
        .with_optimization_level(GraphOptimizationLevel::Disable)?
        .with_prepacking(false)?
        // The operators divide their work among `workers`.
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        // Shapes differ from pass to pass: a remembered allocation pattern a shape only grows.
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

/// Returns the embeddings of these tokens one after the other: `[tokens, embedding]`, f32.
fn look_up(words: &EmbeddingTable, ids: &[i32]) -> Result<Vec<f32>, UnknownToken> {
    words.read_ahead(ids.iter().copied());
    let mut rows = vec![0.0; ids.len() * words.embedding_size()];
    for (row, &id) in rows.chunks_exact_mut(words.embedding_size()).zip(ids) {
        words.copy_row(id, row)?;
    }
    Ok(rows)
}

/// Returns a tensor over these integers, `[values]`.
fn integers(values: &[i32]) -> ort::Result<TensorRef<'_, i32>> {
    TensorRef::from_array_view(([values.len()], values))
}

impl Infer for OnnxSession {
    fn infer<R>(
        &mut self,
        inputs: &Inputs,
        read: impl FnOnce(ArrayView2<'_, f32>) -> R,
    ) -> Result<R, InferError> {
        let (texts, tokens) = (inputs.texts(), inputs.tokens());
        let failed = |error: ort::Error| InferError::Run { texts, tokens, source: Box::new(error) };
        // Early, because they need some time.
        let _awake = self.workers.wake();
        let words = look_up(&self.words, inputs.input_ids())?;
        let positions = inputs.positions(self.padding);
        let mut values: Vec<SessionInputValue<'_>> = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            values.push(match input {
                GraphInput::WordEmbeddings => {
                    let shape = [tokens, self.words.embedding_size()];
                    let words = TensorRef::from_array_view((shape, words.as_slice()));
                    words.map_err(failed)?.into()
                }
                GraphInput::InputIds => integers(inputs.input_ids()).map_err(failed)?.into(),
                GraphInput::Positions => integers(&positions).map_err(failed)?.into(),
                GraphInput::TokenTypeIds => {
                    integers(inputs.token_type_ids()).map_err(failed)?.into()
                }
                GraphInput::Offsets => integers(inputs.offsets()).map_err(failed)?.into(),
            });
        }
        let outputs = self.session.run(values.as_slice()).map_err(failed)?;
        let output = outputs[output_of(self.task)].try_extract_array::<f32>().map_err(failed)?;
        let found = output.shape().to_vec();
        let rows = match self.task {
            Task::Embedding => tokens,
            Task::CrossEncoder => texts,
        };
        match output.into_dimensionality() {
            Ok(output) if output.nrows() == rows => Ok(read(output)),
            _ => Err(InferError::Shape { found, texts, tokens }),
        }
    }
}
