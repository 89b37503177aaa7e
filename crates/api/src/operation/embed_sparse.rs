//! The operation `embed_sparse`: sparse embeddings, which no supported model has.

use std::convert::Infallible;

use super::{Report, Request};
use crate::error::ApiError;
use crate::request::RequestError;
use crate::service::Service;

/// A request for sparse embeddings.
pub(crate) struct EmbedSparseRequest;

impl Request for EmbedSparseRequest {
    type Outcome = Infallible;

    const NAME: &'static str = "embed_sparse";

    fn memory_bytes(&self, _: &Service) -> usize {
        0
    }

    fn run(&self, _: &Service) -> Result<(Infallible, Report), ApiError> {
        Err(RequestError::NoSparseEmbeddings.into())
    }
}
