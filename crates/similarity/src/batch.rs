//! Events with several requests: the records of SQS and SNS, and lists.

use std::borrow::Cow;
use std::fmt;

use semblance_api::{ApiError, RequestError};
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::members::{Members, text};

/// Maximum number of records in an event.
///
/// Source: AWS Lambda developer guide, "Using Lambda with Amazon SQS": a batch has up to 10,000 records.
/// The batches of EventBridge Pipes have the same limit.
const MAX_RECORDS: usize = 10_000;

/// The members of a record.
const NAMES: &[&str] = &["messageId", "body", "eventSource", "EventSource", "Sns"];

/// A record of an event, or an item of a list.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// The id of the message in its queue.
    pub(crate) message_id: Option<Cow<'a, str>>,
    /// The message, which is a request.
    pub(crate) message: Result<Cow<'a, [u8]>, RequestError>,
}

/// Returns the records of an SQS or SNS event.
///
/// # Errors
/// - [`RequestError::TooManyRecords`] if there are more than 10,000.
pub(crate) fn records(event: &[u8]) -> Result<Vec<Record<'_>>, RequestError> {
    let members = Members::parse(event, &["Records"]);
    let records = members.and_then(|members| members.get("Records"));
    let Some(records) = records else { return Ok(Vec::new()) };
    let records = items(records.get().as_bytes())?.unwrap_or_default();
    Ok(records.into_iter().map(Record::from_record).collect())
}

/// Returns the items of a list; `None` if the event is not JSON.
///
/// An item is a request, the text of a request, or a record of a queue.
///
/// # Errors
/// - [`RequestError::TooManyRecords`] if there are more than 10,000.
pub(crate) fn list(event: &[u8]) -> Result<Option<Vec<Record<'_>>>, RequestError> {
    Ok(items(event)?.map(|items| items.into_iter().map(Record::from_item).collect()))
}

/// Returns the source of the records: that of the first record of SQS or SNS.
pub(crate) fn is_from(records: &RawValue) -> Option<&'static str> {
    all_items(records.get().as_bytes())?.into_iter().find_map(source)
}

fn source(record: &RawValue) -> Option<&'static str> {
    let members = Members::of(record, NAMES)?;
    let name = members.text("eventSource").or_else(|| members.text("EventSource"))?;
    ["aws:sqs", "aws:sns"].into_iter().find(|source| *source == name)
}

impl<'a> Record<'a> {
    /// Decodes a record of an SQS or SNS event.
    fn from_record(record: &'a RawValue) -> Self {
        let members = Members::of(record, NAMES);
        let message_id = members.as_ref().and_then(|members| members.text("messageId"));
        let message = members.as_ref().and_then(|members| match source(record)? {
            "aws:sqs" => members.get("body").and_then(content),
            _ => Members::of(members.get("Sns")?, &["Message"])?.get("Message").and_then(content),
        });
        let expected = "a record of SQS with \"body\", or of SNS with \"Sns\": {\"Message\"}";
        Self { message_id, message: message.ok_or(RequestError::Unrecognized { expected }) }
    }

    /// Decodes an item of a list: a record, or anything else as it is.
    fn from_item(item: &'a RawValue) -> Self {
        if source(item).is_some() {
            return Self::from_record(item);
        }
        let message = content(item).unwrap_or(Cow::Borrowed(item.get().as_bytes()));
        Self { message_id: None, message: Ok(message) }
    }
}

/// Returns the content of a message: the characters of a string, or the text of an object.
fn content(value: &RawValue) -> Option<Cow<'_, [u8]>> {
    if value.get().starts_with('{') {
        return Some(Cow::Borrowed(value.get().as_bytes()));
    }
    Some(match text(value)? {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}

/// Returns the items of a JSON list; `None` if the text is not a list.
fn items(json: &[u8]) -> Result<Option<Vec<&RawValue>>, RequestError> {
    match all_items(json) {
        Some(items) if items.len() > MAX_RECORDS => {
            Err(RequestError::TooManyRecords { limit: MAX_RECORDS })
        }
        items => Ok(items),
    }
}

/// As [`items`], with one item more than the limit if there are too many.
fn all_items(json: &[u8]) -> Option<Vec<&RawValue>> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let items = Items.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(items)
}

/// Reads the items of a list. Items beyond the limit are skipped, except one that shows the excess.
struct Items;

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() <= MAX_RECORDS {
            match list.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}

/// The failed records, which are delivered again, in the format of `ReportBatchItemFailures`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchFailures {
    batch_item_failures: Vec<ItemFailure>,
}

/// A record that failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

impl BatchFailures {
    /// Whether no record failed.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch_item_failures.is_empty()
    }

    /// Adds a record. AWS accepts no record without an id: it would deliver the complete batch again.
    pub(crate) fn add(&mut self, message_id: Option<&str>) {
        if let Some(id) = message_id.filter(|id| !id.is_empty()) {
            self.batch_item_failures.push(ItemFailure { item_identifier: id.to_owned() });
        }
    }
}

/// An item of a list that failed, in the format of an error of Lambda.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemError {
    error_type: &'static str,
    error_message: String,
}

impl ItemError {
    /// Returns the item for an error.
    pub(crate) fn new(error: &ApiError) -> Self {
        Self { error_type: error.code().name, error_message: error.message() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(records: Vec<Record<'_>>) -> Vec<Option<String>> {
        let text = |message: Cow<'_, [u8]>| String::from_utf8(message.into_owned()).unwrap();
        records.into_iter().map(|record| record.message.ok().map(text)).collect()
    }

    #[test]
    fn each_record_is_decoded_by_itself() {
        let event = br#"{"Records": [
            {"eventSource": "aws:sqs", "messageId": "1", "body": "{\"a\": 1}"},
            {"eventSource": "aws:sqs", "messageId": "2"},
            {"eventSource": "aws:s3", "messageId": "3", "body": "{}"},
            7, {"eventSource": "aws:sqs", "messageId": "4", "body": "\ud800"},
            {"EventSource": "aws:sns", "Sns": {"Message": "{\"b\": 2}"}}]}"#;
        let records = records(event).unwrap();
        let ids: Vec<_> = records.iter().map(|record| record.message_id.as_deref()).collect();
        assert_eq!(ids, [Some("1"), Some("2"), Some("3"), None, Some("4"), None]);
        let expected = [Some("{\"a\": 1}"), None, None, None, None, Some("{\"b\": 2}")];
        assert_eq!(messages(records), expected.map(|text| text.map(str::to_owned)));
    }

    #[test]
    fn an_item_is_a_request_its_text_or_a_record() {
        let event = br#"[{"a": 1}, "{\"a\": 2}", {"eventSource": "aws:sqs", "body": {"a": 3}}, 4]"#;
        let expected = ["{\"a\": 1}", "{\"a\": 2}", "{\"a\": 3}", "4"];
        let expected = expected.map(|text| Some(text.to_owned()));
        assert_eq!(messages(list(event).unwrap().unwrap()), expected);
        assert!(list(b"[1,").unwrap().is_none());
        assert!(list(b"[] []").unwrap().is_none());
    }

    #[test]
    fn the_number_of_records_is_limited() {
        let event = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert_eq!(list(event(10_000).as_bytes()).unwrap().unwrap().len(), 10_000);
        let too_many = RequestError::TooManyRecords { limit: 10_000 };
        assert_eq!(list(event(10_001).as_bytes()).unwrap_err(), too_many);
        let record = r#"{"eventSource": "aws:sqs", "messageId": "1", "body": "{}"}"#;
        let event = format!("{{\"Records\": [{}]}}", vec![record; 10_001].join(","));
        assert_eq!(records(event.as_bytes()).unwrap_err(), too_many);
    }
}
