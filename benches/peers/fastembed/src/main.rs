//! fastembed-rs as a peer: a Lambda function.
//!
//! `fastembed-peer FOLDER MODEL.onnx THREADS`: the folder of the tokenizer, the exported graph, threads of
//! a forward pass. `ORT_DYLIB_PATH` names the ONNX Runtime library. Model and options are what the
//! crate's own users have for all-MiniLM-L6-v2: mean pooling and its default batch of 256 texts.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use fastembed::{
    InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel,
    similarity::cosine_similarity,
};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};

/// Tokens that sentence-transformers reads of a text with this model (`max_seq_length`).
const MAX_TOKENS: usize = 256;

/// An event: texts to embed, or a query and candidates to compare.
#[derive(Deserialize)]
#[serde(untagged)]
enum Event {
    Embed { inputs: Vec<String> },
    Similarity { query_from_app: String, actual_queries: Vec<String> },
}

/// Embeddings, or candidates with their scores, best first.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Embed(Vec<Vec<f32>>),
    Similarity {
        #[serde(rename = "Scores")]
        scores: Vec<(String, f32)>,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, graph, threads] = arguments.as_slice() else {
        return Err("usage: fastembed-peer FOLDER MODEL.onnx THREADS".into());
    };
    let model = load(Path::new(folder), Path::new(graph), threads.parse()?);
    let model = Mutex::new(model.map_err(|error| error.to_string())?);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Event>| {
        let mut model = model.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answer(&mut model, event.payload).map_err(|error| error.to_string());
        async { Ok::<_, lambda_runtime::Error>(answer?) }
    }))
    .await
}

fn load(folder: &Path, graph: &Path, threads: usize) -> Result<TextEmbedding, Box<dyn Error>> {
    let read = |name: &str| fs::read(folder.join(name));
    let tokenizer_files = TokenizerFiles {
        tokenizer_file: read("tokenizer.json")?,
        config_file: read("config.json")?,
        special_tokens_map_file: read("special_tokens_map.json")?,
        tokenizer_config_file: read("tokenizer_config.json")?,
    };
    let model = UserDefinedEmbeddingModel::new(fs::read(graph)?, tokenizer_files)
        .with_pooling(Pooling::Mean);
    let options =
        InitOptionsUserDefined::new().with_max_length(MAX_TOKENS).with_intra_threads(threads);
    Ok(TextEmbedding::try_new_from_user_defined(model, options)?)
}

fn answer(model: &mut TextEmbedding, event: Event) -> fastembed::Result<Answer> {
    let (query_from_app, actual_queries) = match event {
        Event::Embed { inputs } => return Ok(Answer::Embed(model.embed(&inputs, None)?)),
        Event::Similarity { query_from_app, actual_queries } => (query_from_app, actual_queries),
    };
    let texts: Vec<&str> =
        [&query_from_app].into_iter().chain(&actual_queries).map(String::as_str).collect();
    let rows = model.embed(&texts, None)?;
    let score = |row: &Vec<f32>| cosine_similarity(&rows[0], row);
    let mut scores: Vec<(String, f32)> =
        actual_queries.iter().cloned().zip(rows[1..].iter().map(score)).collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(Answer::Similarity { scores })
}
