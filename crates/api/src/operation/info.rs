//! Operations without texts: models and limits, health, warm-up, the OpenAPI document.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Report, Request};
use crate::about::About;
use crate::error::ApiError;
use crate::openapi;
use crate::service::Service;

/// A request for the models and limits.
pub(crate) struct InfoRequest;

/// A request for the names of the models.
pub(crate) struct ModelsRequest;

/// A request for one model.
pub(crate) struct ModelRequest {
    /// The name.
    pub(crate) name: String,
}

/// A health check.
pub(crate) struct HealthRequest;

/// A warm-up: starts the execution environment and does nothing else.
pub(crate) struct WarmUpRequest;

/// A request for the OpenAPI document.
pub(crate) struct DocumentRequest;

/// The status of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Status {
    /// `ok`, or `warm` for a warm-up.
    pub(crate) status: &'static str,
}

impl Request for InfoRequest {
    type Outcome = About;

    const NAME: &'static str = "info";

    fn memory_bytes(&self, _: &Service) -> usize {
        0
    }

    fn run(&self, service: &Service) -> Result<(About, Report), ApiError> {
        Ok((service.about().clone(), Report::default()))
    }
}

impl Request for ModelsRequest {
    type Outcome = Vec<String>;

    const NAME: &'static str = "models";

    fn memory_bytes(&self, _: &Service) -> usize {
        0
    }

    fn run(&self, service: &Service) -> Result<(Vec<String>, Report), ApiError> {
        Ok((service.about().models(), Report::default()))
    }
}

impl Request for ModelRequest {
    type Outcome = ();

    const NAME: &'static str = "model";

    fn memory_bytes(&self, _: &Service) -> usize {
        0
    }

    fn run(&self, service: &Service) -> Result<((), Report), ApiError> {
        match service.about().models().contains(&self.name) {
            true => Ok(((), Report::default())),
            false => Err(ApiError::UnknownModel),
        }
    }
}

impl Request for HealthRequest {
    type Outcome = Status;

    const NAME: &'static str = "health";

    fn memory_bytes(&self, _: &Service) -> usize {
        0
    }

    fn run(&self, _: &Service) -> Result<(Status, Report), ApiError> {
        Ok((Status { status: "ok" }, Report::default()))
    }
}

impl Request for WarmUpRequest {
    type Outcome = Status;

    const NAME: &'static str = "warmup";

    fn memory_bytes(&self, _: &Service) -> usize {
        0
    }

    fn run(&self, _: &Service) -> Result<(Status, Report), ApiError> {
        Ok((Status { status: "warm" }, Report::default()))
    }
}

impl Request for DocumentRequest {
    type Outcome = Box<RawValue>;

    const NAME: &'static str = "openapi";

    fn memory_bytes(&self, _: &Service) -> usize {
        0
    }

    fn run(&self, service: &Service) -> Result<(Box<RawValue>, Report), ApiError> {
        Ok((openapi::document(service).map_err(ApiError::Write)?, Report::default()))
    }
}
