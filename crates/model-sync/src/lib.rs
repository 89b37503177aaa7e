//! The Lambda function `model-sync`: copies a bundle or an index from S3 to the file system, verifies it
//! and publishes it atomically.

mod bucket;
mod config;
mod copy;
mod deadline;
mod error;
mod handler;
mod index_request;
mod index_syncer;
mod partial;
mod prune;
mod publish;
mod staging;
mod syncer;
mod version;

pub use bucket::{Bucket, BucketOptions};
pub use config::Config;
pub use deadline::Deadline;
pub use error::{StorageError, SyncError};
pub use handler::{Handler, HandlerError, run};
pub use index_request::IndexRequest;
pub use index_syncer::{IndexSyncOptions, IndexSyncer};
pub use syncer::{SyncOptions, SyncReport, Syncer};
pub use version::{EventError, ModelVersion, SyncRequest};
