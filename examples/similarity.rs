//! Scores texts against a query. Run `make setup` first, then:
//!
//! `cargo run --example similarity -- 'How many people live in London?' 'Around 9 million' 'A river'`
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;

use semblance::{Model, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let query = arguments.next().ok_or("usage: similarity QUERY TEXT...")?;
    let texts: Vec<String> = arguments.collect();
    let options = Options { library: "build/lib/libonnxruntime.so".into(), ..Options::default() };
    let model = Model::load("build/model/default", options)?;
    for (text, score) in texts.iter().zip(model.similarity(&query, &texts)?) {
        println!("{score:8.5}  {text}");
    }
    Ok(())
}
