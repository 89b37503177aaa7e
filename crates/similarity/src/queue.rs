//! SQS records: each a direct event in a message; only the bad ones come back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::{Form, Limits, Operation, RequestError, parse_json};

/// The records of an event.
#[derive(Debug, Deserialize)]
pub(super) struct Records {
    #[serde(rename = "Records")]
    pub(super) records: Vec<Record>,
}

/// A message of a queue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// By which the queue knows it.
    pub(super) message_id: String,
    body: String,
}

/// Which records the queue is to deliver again, as Lambda's `ReportBatchItemFailures` wants it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchFailures {
    pub(super) batch_item_failures: Vec<ItemFailure>,
}

/// A record that failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemFailure {
    pub(super) item_identifier: String,
}

impl Records {
    /// Reads the records of an event.
    pub(super) fn of(event: Value) -> Result<Self, RequestError> {
        serde_json::from_value(event).map_err(|_| RequestError::UnknownEvent)
    }
}

impl Record {
    /// Decodes the request in the message.
    pub(super) fn operation(&self, limits: &Limits) -> Result<Operation, RequestError> {
        Operation::decode(parse_json(self.body.as_bytes())?, Form::Event, limits)
    }
}

impl BatchFailures {
    pub(super) fn add(&mut self, record: Record) {
        self.batch_item_failures.push(ItemFailure { item_identifier: record.message_id });
    }
}
