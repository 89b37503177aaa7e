//! SQS records. Each message is a direct event; the response lists the records that failed.

use semblance_api::{Call, Limits, RequestError, decode_event, parse_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Its id in the queue.
    pub(super) message_id: String,
    body: String,
}

/// The failed records, which SQS delivers again, in the format of `ReportBatchItemFailures`.
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
    /// Decodes the records of an event.
    pub(super) fn from_event(event: Value) -> Result<Self, RequestError> {
        let expected = "SQS records, each with \"messageId\" and \"body\"";
        serde_json::from_value(event).map_err(|_| RequestError::Unrecognized { expected })
    }
}

impl Record {
    /// Decodes the request in the message.
    pub(super) fn call(&self, limits: &Limits) -> Result<Call, RequestError> {
        decode_event(parse_json(self.body.as_bytes())?, limits)
    }
}

impl BatchFailures {
    pub(super) fn add(&mut self, record: Record) {
        self.batch_item_failures.push(ItemFailure { item_identifier: record.message_id });
    }
}
