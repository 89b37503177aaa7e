//! The floor of a pass: how fast the product kernel runs on this machine.

use std::hint::black_box;
use std::io::{self, BufRead as _};
use std::thread;
use std::time::{Duration, Instant};

use semblance::internals::kernels::{Activation, Dense, Kernels, PANEL, Team, Then};
use semblance::options::InstructionSet;
use serde_json::json;

use crate::print;

/// Hidden size, and intermediate size, of all-MiniLM-L6-v2.
const HIDDEN: usize = 384;
const INTERMEDIATE: usize = 1536;
const LAYERS: usize = 6;
/// Rows of the product whose rate is measured: enough to reuse each weight from a cache.
const ROWS: usize = 512;
/// How long each product is repeated.
const SECONDS: Duration = Duration::from_millis(250);

/// For each line of standard input, prints the GFLOP/s of one large product, and the milliseconds
/// of all products of the model for each number of rows, as {"gflops", "products_ms": {rows: ms}}.
///
/// # Errors
/// If the processor does not have the instruction set, or standard output is closed.
pub(crate) fn run(
    threads: usize,
    rows: &[usize],
    instruction_set: Option<InstructionSet>,
) -> Result<(), String> {
    let of = |set| Kernels::of(set).ok_or_else(|| format!("this processor has no {set}"));
    let kernels = instruction_set.map_or_else(|| Ok(Kernels::detect()), of)?;
    let team = Scoped { threads };
    let wide = Layer::new(HIDDEN, INTERMEDIATE);
    // Every layer has its own weights, so that they come from memory as those of a model do.
    let model: Vec<Layer> = (0..LAYERS)
        .flat_map(|_| {
            [
                Layer::new(HIDDEN, 3 * HIDDEN),
                Layer::new(HIDDEN, HIDDEN),
                Layer::new(HIDDEN, INTERMEDIATE),
                Layer::new(INTERMEDIATE, HIDDEN),
            ]
        })
        .collect();
    for _ in io::stdin().lock().lines().map_while(Result::ok) {
        let seconds = median(|| wide.multiply(kernels, ROWS, &team))?.as_secs_f64();
        let gflops = (2 * ROWS * HIDDEN * INTERMEDIATE) as f64 / seconds / 1e9;
        let mut products = serde_json::Map::new();
        for &rows in rows {
            let all = || model.iter().try_for_each(|layer| layer.multiply(kernels, rows, &team));
            products.insert(rows.to_string(), json!(median(all)?.as_secs_f64() * 1e3));
        }
        print(&json!({"gflops": gflops, "products_ms": products}))?;
    }
    Ok(())
}

/// A dense layer with weights that are not zero.
struct Layer {
    panels: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
}

impl Layer {
    fn new(inputs: usize, features: usize) -> Self {
        let panels = 0..features.div_ceil(PANEL) * inputs * PANEL;
        let value = |index: usize| (index % 97) as f32 / 97.0 - 0.5;
        Self { panels: panels.map(value).collect(), bias: vec![0.0; features], inputs }
    }

    fn multiply(&self, kernels: Kernels, rows: usize, team: &dyn Team) -> Result<(), String> {
        let x = vec![0.5; rows * self.inputs];
        let mut out = vec![0.0; rows * self.bias.len()];
        let dense = Dense { panels: &self.panels, bias: &self.bias };
        let then = Then::Activate(Activation::Identity);
        let made = kernels.product(&x, dense, then, &mut out, team);
        black_box(&out);
        made.map_err(|error| error.to_string())
    }
}

/// Returns the median time of a product.
fn median(mut product: impl FnMut() -> Result<(), String>) -> Result<Duration, String> {
    product()?;
    let mut times = Vec::new();
    let end = Instant::now() + SECONDS;
    while Instant::now() < end || times.len() < 3 {
        let started = Instant::now();
        product()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Threads that are started for each product. That takes some ten microseconds, little compared with the
/// milliseconds of the large product.
struct Scoped {
    threads: usize,
}

impl Team for Scoped {
    fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, work: &(dyn Fn() + Sync)) {
        thread::scope(|scope| {
            for _ in 1..self.threads {
                scope.spawn(work);
            }
            work();
        });
    }
}
