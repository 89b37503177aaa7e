//! The input of the command `embed`: lines of text or JSON, read in chunks.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use semblance_api::{Field, Kind, Limits, RequestError, TextFault, check_text, parse_json};
use serde_json::Value;

use crate::error::{CommandError, Location};

/// Name of the field with the text, in a JSON line.
const TEXT: &str = "text";

/// Texts from a file or standard input, one per line.
pub(super) struct Input {
    path: String,
    reader: Box<dyn BufRead>,
    is_jsonl: bool,
    total_bytes: Option<u64>,
    read_bytes: u64,
    lines: usize,
}

impl Input {
    pub(super) fn open(file: &Path, jsonl: bool) -> Result<Self, CommandError> {
        let path = file.display().to_string();
        let (reader, total_bytes): (Box<dyn BufRead>, _) = if file == Path::new("-") {
            (Box::new(BufReader::new(io::stdin())), None)
        } else {
            let read = |source| CommandError::Read { path: path.clone(), source };
            let opened = File::open(file).map_err(read)?;
            let metadata = opened.metadata().map_err(read)?;
            (Box::new(BufReader::new(opened)), metadata.is_file().then_some(metadata.len()))
        };
        let extension = file.extension().and_then(|extension| extension.to_str());
        let is_jsonl = jsonl || matches!(extension, Some("jsonl" | "ndjson"));
        Ok(Self { path, reader, is_jsonl, total_bytes, read_bytes: 0, lines: 0 })
    }

    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Returns up to `count` texts; an empty list at the end of the input.
    pub(super) fn chunk(
        &mut self,
        count: usize,
        limits: &Limits,
    ) -> Result<Vec<String>, CommandError> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let mut bytes = Vec::new();
            let read = self.reader.read_until(b'\n', &mut bytes);
            let read =
                read.map_err(|source| CommandError::Read { path: self.path.clone(), source })?;
            if read == 0 {
                break;
            }
            self.read_bytes += read as u64;
            self.lines += 1;
            texts.push(self.text(bytes, limits)?);
        }
        Ok(texts)
    }

    /// Returns the text in a line, which is the last one read.
    fn text(&self, line: Vec<u8>, limits: &Limits) -> Result<String, CommandError> {
        let number = self.lines;
        let invalid = |fault| CommandError::Text { location: Location::Line(number), fault };
        let line = String::from_utf8(line).map_err(|error| {
            invalid(TextFault::NotUtf8 { offset_bytes: error.utf8_error().valid_up_to() })
        })?;
        let line = line.trim_end_matches(['\n', '\r']);
        let text = match self.is_jsonl {
            true => {
                json_text(line).map_err(|source| CommandError::Line { line: number, source })?
            }
            false => line.to_owned(),
        };
        check_text(&text, limits).map_err(invalid)?;
        Ok(text)
    }
}

/// Returns the text in a JSON line: an object with the field "text".
fn json_text(line: &str) -> Result<String, RequestError> {
    let field = Field::new(TEXT);
    let value = parse_json(line.as_bytes())?;
    let Value::Object(mut object) = value else {
        return Err(RequestError::NotAnObject { found: Kind::from(&value) });
    };
    match object.remove(TEXT) {
        None => Err(RequestError::MissingField { field }),
        Some(Value::String(text)) => Ok(text),
        Some(other) => {
            let found = Kind::from(&other);
            Err(RequestError::WrongType { field, expected: "a string", found })
        }
    }
}
