//! Sentence similarity as an AWS Lambda function: a sentence-transformer inside the function,
//! mapped from a file system, run by ONNX Runtime on the CPU.
//!
//! # The flow
//! An event becomes a checked request ([`api`]); its unique texts become [`text::Encoding`]s, cut
//! to the model's limit and said so; their lengths become a [`text::BatchPlan`]; each batch goes
//! through the model ([`infer`]) and comes back as token embeddings `[batch, tokens, hidden]`,
//! which are pooled and brought to unit length ([`vector`]); dot products of unit rows are the
//! scores. [`service`] holds that pipeline and those of the other operations; pairs go through a
//! [`reranker`] instead. [`lanes`] are the copies of a model that run side by side, for one caller or many.
//!
//! Around it lie the doors: [`lambda`] for events of every kind, [`http`] for the routes and their
//! dialects, which HTTP events and the [`server`] share. Each reads a request as an
//! [`api::Operation`], has it carried out by [`service::Service::answer`], and writes the
//! [`api::Answer`].
//!
//! Start-up is a second line: [`config`] → [`bundle`] → [`init`] → [`service`] → [`lambda::run`] or
//! [`server::serve`].
//!
//! Beside it, `model-sync` brings a bundle to where the function maps it: the module `sync`, built
//! with the feature of that name.
//!
//! # Who may name what
//! | crate or thing | only in |
//! |---|---|
//! | `ort` | `infer/onnx.rs` |
//! | `tokenizers` | `text/` |
//! | `lambda_runtime` | `lambda/` and the binaries |
//! | `lambda_http` | `lambda/` |
//! | `axum` | `http/`, `server/`, `lambda/` |
//! | `tower_http` | `http/` |
//! | `utoipa` | `api/`, `http/` |
//! | `base64` | `api/`, `http/page.rs` |
//! | `prometheus_client` | `server/` |
//! | `tokio` | `http/`, `server.rs`, `sync/` and the binaries |
//! | `clap`, `indicatif` | `cli/` and the binaries |
//! | `std::env` | `config.rs` |
//! | `unsafe` | `bundle/` |
//! | the AWS SDK | `sync/` |
//!
//! `tests/it/imports.rs` reads the sources and holds this.

pub mod api;
pub mod bundle;
pub mod cli;
pub mod config;
pub mod encoder;
pub mod http;
pub mod infer;
pub mod init;
pub mod kernels;
pub mod lambda;
pub mod lanes;
pub mod reranker;
pub mod server;
pub mod service;
#[cfg(feature = "sync")]
pub mod sync;
pub mod telemetry;
pub mod text;
pub mod vector;
