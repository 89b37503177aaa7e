//! The real `model-sync` under a Runtime API, against an S3 emulator.
//!
//! The emulator is moto's server: `SEMBLANCE_MOTO_SERVER`, by default the one that `make` installs.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap fails the test")]

mod bundle;
mod copies;
mod crashes;
mod failures;
mod function;
mod gate;
mod indexes;
mod moto;
mod reference;
