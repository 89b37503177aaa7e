//! Ranks texts by their relevance to a query, with a cross-encoder if its bundle is given. Run
//! `make setup build/model/.cross` first, then:
//!
//! `cargo run --example rerank -- build/model/cross`
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;
use std::path::PathBuf;

use semblance::{Model, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options {
        library: "build/lib/libonnxruntime.so".into(),
        cross_encoder: std::env::args().nth(1).map(PathBuf::from),
        ..Options::default()
    };
    let model = Model::load("build/model/default", options)?;
    let texts = ["It has a river", "Around 9 million people live in London", "London is a city"];
    for ranked in model.rerank("How many people live in London?", &texts)? {
        println!("{:8.5}  {}", ranked.score, texts[ranked.index]);
    }
    Ok(())
}
