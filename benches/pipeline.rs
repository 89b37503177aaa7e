//! Each stage of the pipeline, and the whole event, on the bundle that `make model` built.
//!
//! One thread, so that figures compare between machines. `cargo bench --bench pipeline -- infer`
//! runs one group.
#![expect(clippy::expect_used, reason = "a bench without its model has nothing to go on with")]

use std::env;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group,
    criterion_main,
};
use ndarray::Array2;
use semblance::internals::bundle::{Bundle, Task};
use semblance::internals::kernels::{InstructionSet, Kernels};
use semblance::internals::runtime::{
    EmbeddingTable, Infer as _, Inputs, OnnxRuntime, OnnxSession, SessionOptions,
};
use semblance::internals::tokenizer::{Count, Side, Tokenizer, TokenizerLimits};
use semblance::internals::vector::{Embeddings, Pooling, cosine, pool};
use semblance::outcome::rank;
use semblance::{Model, Options};

/// Width of a token embedding where no model is asked.
const HIDDEN: usize = 384;

/// Words of a catalog of questions, answers and articles.
const SENTENCES: [&str; 16] = [
    "How many people live in London?",
    "Around 9 million people live in London, and 14.8 million in its metropolitan area.",
    "London is known for its financial district.",
    "My order #48213 hasn't arrived yet; the tracking page still says \"in transit\".",
    "To reset your password, open Settings > Security and choose \"Forgot password\".",
    "The invoice of 3 March 2024 (1,249.50 EUR) was charged twice to my card.",
    "Refunds are issued within 5-7 business days of receiving the returned item.",
    "Our opening hours are Monday to Friday, 9 a.m. to 5:30 p.m., except on bank holidays.",
    "Can I change the delivery address after the parcel has been shipped?",
    "Photosynthesis converts carbon dioxide and water into glucose and oxygen.",
    "The committee postponed its decision until the autumn session.",
    "Patients with hypertension should have their blood pressure checked at least twice a year.",
    "Die Lieferung erfolgt innerhalb von drei Werktagen; bitte prüfen Sie Ihr Postfach.",
    "Le musée d'Orsay possède la plus grande collection d'œuvres impressionnistes au monde.",
    "See https://example.com/docs/api/v2#rate-limits for the limits of the HTTP API.",
    "He plugged the Übertragungskabel into the antidisestablishmentarianism-era loudspeaker.",
];

/// Words of the texts of each class, and the class's name.
const LENGTHS: [(&str, usize); 3] = [("short", 8), ("medium", 30), ("long", 180)];

/// Different texts of this many words each.
fn texts(count: usize, words: usize) -> Vec<String> {
    let vocabulary: Vec<&str> = SENTENCES.iter().flat_map(|text| text.split(' ')).collect();
    let sentences: Vec<Vec<&str>> =
        SENTENCES.iter().map(|text| text.split(' ').collect()).collect();
    (0..count)
        .map(|text| {
            // Whole sentences in an order of the text's own, opened by a word that sets it apart.
            let first = vocabulary[text * 7 % vocabulary.len()];
            let numbered = format!("{first} {text}:");
            let step = 2 * (text % 8) + 1;
            let following = (0..).flat_map(|turn| &sentences[(text + turn * step) % 16]);
            let chosen: Vec<&str> =
                numbered.split(' ').chain(following.copied()).take(words).collect();
            chosen.join(" ")
        })
        .collect()
}

/// The parts of a start, each for itself.
struct Parts {
    bundle: Bundle,
    runtime: OnnxRuntime,
}

impl Parts {
    fn open() -> Self {
        let path = |variable: &str| PathBuf::from(env::var_os(variable).expect("set by cargo"));
        let bundle = Bundle::open(&path("SEMBLANCE_BUNDLE"))
            .and_then(|bundle| bundle.for_task(Task::Embedding))
            .expect("`make model` builds it");
        let runtime = OnnxRuntime::load(&path("SEMBLANCE_ORT_LIBRARY")).expect("`make model` too");
        Self { bundle, runtime }
    }

    fn tokenizer(&self) -> Tokenizer {
        let manifest = self.bundle.manifest();
        let rules = self.bundle.path_of(&manifest.files.tokenizer);
        let words = self.bundle.path_of(&manifest.files.vocabulary);
        let limits = TokenizerLimits {
            max_tokens: manifest.max_tokens,
            vocabulary_size: manifest.vocabulary_size,
        };
        Tokenizer::from_files(&rules, &words, limits).expect("the bundle's own")
    }

    fn session(&self, kernels: Kernels, threads: usize) -> OnnxSession {
        let graph = self.bundle.path_of(&self.bundle.manifest().files.graph);
        let table = EmbeddingTable::open(&self.bundle).expect("the bundle's own");
        let inputs = self.bundle.manifest().inputs.clone();
        let padding = None;
        let options = SessionOptions { task: Task::Embedding, inputs, padding, kernels, threads };
        OnnxSession::load(&self.runtime, &graph, Arc::new(table), options)
            .expect("the bundle's own")
    }

    fn model(&self) -> Model {
        let options = Options {
            library: PathBuf::from(env::var_os("SEMBLANCE_ORT_LIBRARY").expect("as above")),
            threads: NonZeroUsize::MIN,
            // Off: the same event again must be embedded again.
            cache_bytes: 0,
            ..Options::default()
        };
        Model::load(self.bundle.folder(), options).expect("the bundle's own")
    }
}

fn tokenize(group: &mut BenchmarkGroup<'_, WallTime>, parts: &Parts) {
    let tokenizer = parts.tokenizer();
    for (name, words) in LENGTHS {
        let texts = texts(100, words);
        let bytes: usize = texts.iter().map(String::len).sum();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_with_input(BenchmarkId::new("100 texts", name), &texts, |bencher, texts| {
            bencher.iter(|| {
                for text in texts {
                    black_box(
                        tokenizer.encode(text, Side::Right, Count::UpToLimit).expect("plain text"),
                    );
                }
            });
        });
    }
}

/// One pass in each instruction set of the machine, on one thread and on two.
fn infer(group: &mut BenchmarkGroup<'_, WallTime>, parts: &Parts) {
    let shapes = [(1, 8), (3, 9), (1, 32), (1, 128), (16, 12)];
    for kernels in InstructionSet::ALL.into_iter().filter_map(Kernels::of) {
        // Without vector instructions a pass takes seconds.
        if kernels.instruction_set() == InstructionSet::Portable {
            continue;
        }
        for threads in [1, 2] {
            let mut session = parts.session(kernels, threads);
            for (texts, tokens) in shapes {
                // Ids of whole words: the first 999 of this vocabulary are placeholders.
                let ids: Vec<i32> = (0..tokens).map(|token| 2_000 + 97 * token % 20_000).collect();
                let mut inputs = Inputs::default();
                for _ in 0..texts {
                    inputs.push(&ids, &vec![0; ids.len()]);
                }
                group.throughput(Throughput::Elements(inputs.tokens() as u64));
                let name = format!("{} {threads} threads", kernels.instruction_set());
                let id = BenchmarkId::new(name, format!("{texts}x{tokens}"));
                group.bench_with_input(id, &inputs, |bencher, inputs| {
                    bencher.iter(|| session.infer(inputs, |_| ()).expect("a valid pass"));
                });
            }
        }
    }
}

fn pooled(group: &mut BenchmarkGroup<'_, WallTime>) {
    let tokens =
        Array2::from_shape_fn((16 * 24, HIDDEN), |(i, k)| ((i * 31 + k * 7) % 101) as f32 / 50.0);
    group.throughput(Throughput::Elements(16 * 24));
    for pooling in [Pooling::Mean, Pooling::Cls, Pooling::Max, Pooling::MeanSqrtLen] {
        let id = BenchmarkId::new("16x24", format!("{pooling:?}"));
        group.bench_with_input(id, &pooling, |bencher, &pooling| {
            let texts = || (0..16).map(|text| 24 * text..24 * (text + 1));
            bencher.iter(|| pool(black_box(tokens.view()), texts(), &[pooling]));
        });
    }
}

fn score(group: &mut BenchmarkGroup<'_, WallTime>) {
    for count in [10, 1_000] {
        let rows = Array2::from_shape_fn((count + 1, HIDDEN), |(i, j)| {
            ((i * 131 + j * 7) % 97) as f32 / 48.0 - 1.0
        });
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(BenchmarkId::new("normalize", count), &rows, |bencher, rows| {
            bencher.iter(|| Embeddings::from_pooled(rows.clone()).expect("no zero row"));
        });
        let unit = Embeddings::from_pooled(rows).expect("no zero row");
        group.bench_with_input(
            BenchmarkId::new("score and rank", count),
            &unit,
            |bencher, unit| {
                bencher.iter(|| {
                    let query = unit.row(0);
                    let scores: Vec<f32> =
                        (1..unit.len()).map(|row| cosine(query, unit.row(row))).collect();
                    rank(black_box(&scores), usize::MAX)
                });
            },
        );
    }
}

fn event(group: &mut BenchmarkGroup<'_, WallTime>, parts: &Parts) {
    let model = parts.model();
    // The largest that end in about a second.
    for (candidates, classes) in [(2, &LENGTHS[..]), (10, &LENGTHS[..]), (50, &LENGTHS[..2])] {
        for (name, words) in classes {
            let mut texts = texts(candidates + 1, *words);
            let query = texts.remove(0);
            group.throughput(Throughput::Elements(candidates as u64 + 1));
            let id = BenchmarkId::new(format!("1+{candidates} texts"), name);
            group.bench_with_input(id, &texts, |bencher, texts| {
                bencher.iter(|| model.similarity(&query, texts).expect("valid texts"));
            });
        }
    }
}

fn pipeline(criterion: &mut Criterion) {
    let parts = Parts::open();
    let mut pure = criterion.benchmark_group("tokenize");
    tokenize(&mut pure, &parts);
    pure.finish();
    let mut pure = criterion.benchmark_group("pool");
    pooled(&mut pure);
    pure.finish();
    let mut pure = criterion.benchmark_group("score");
    score(&mut pure);
    pure.finish();
    let mut slow = criterion.benchmark_group("infer");
    slow.sampling_mode(SamplingMode::Flat);
    infer(&mut slow, &parts);
    slow.finish();
    let mut slow = criterion.benchmark_group("event");
    slow.sampling_mode(SamplingMode::Flat);
    event(&mut slow, &parts);
    slow.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
        .without_plots();
    targets = pipeline
}
criterion_main!(benches);
