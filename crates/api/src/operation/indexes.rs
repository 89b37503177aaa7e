//! The operation `indexes`: returns the names of the indexes.

use super::{Report, Request};
use crate::error::ApiError;
use crate::service::Service;

/// A request for the names of the indexes.
pub(crate) struct IndexesRequest;

impl Request for IndexesRequest {
    type Outcome = Vec<String>;

    const NAME: &'static str = "indexes";

    fn memory_bytes(&self, _: &Service) -> usize {
        0
    }

    fn run(&self, service: &Service) -> Result<(Vec<String>, Report), ApiError> {
        let indexes = service.indexes().ok_or(ApiError::NoIndexes)?;
        Ok((indexes.names()?, Report::default()))
    }
}
