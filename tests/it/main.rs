//! Tests of the engine with the real models that `make` builds.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![expect(clippy::print_stdout, reason = "figures are shown with --nocapture")]

mod bundle;
mod damaged_files;
mod families;
mod golden;
mod imports;
mod int8;
mod invariance;
mod long_texts;
mod multilingual;
mod pieces;
mod tokenizer;
mod vocabularies;
