//! Embeds the lines of a file, 256 at a time, and prints the shape and the first dimensions of each
//! batch. Run `make setup` first, then:
//!
//! `cargo run --release --example embed_file -- README.md`
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;
use std::fs;

use semblance::{EmbedOptions, Model, Options, Truncation};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: embed_file FILE")?;
    let text = fs::read_to_string(path)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let options = Options { library: "build/lib/libonnxruntime.so".into(), ..Options::default() };
    let model = Model::load("build/model/default", options)?;
    let options = EmbedOptions { truncation: Truncation::Right, ..EmbedOptions::default() };
    for batch in lines.chunks(256) {
        let embedded = model.embed_with(batch, &options)?;
        let (texts, dimensions) = embedded.vectors.dim();
        let truncated = embedded.cost.truncated.len();
        println!("{texts} texts x {dimensions} dimensions, {truncated} truncated");
        println!("  first text: {:.4} …", embedded.vectors.row(0).slice(ndarray::s![..4]));
    }
    Ok(())
}
