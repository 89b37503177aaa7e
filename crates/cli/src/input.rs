//! Lines of text or JSON, in chunks.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::Failure;
use crate::api::{Field, Limits, RequestError, check_text, parse_json, text_of};

/// Name of the text in a JSON line.
const TEXT: &str = "text";

/// Texts of a file or of standard input, one a line.
pub(super) struct Input {
    path: String,
    reader: Box<dyn BufRead>,
    is_jsonl: bool,
    total_bytes: Option<u64>,
    read_bytes: u64,
    lines: usize,
}

impl Input {
    pub(super) fn open(file: &Path, jsonl: bool) -> Result<Self, Failure> {
        let path = file.display().to_string();
        let (reader, total_bytes): (Box<dyn BufRead>, _) = if file == Path::new("-") {
            (Box::new(BufReader::new(io::stdin())), None)
        } else {
            let read = |source| Failure::Read { path: path.clone(), source };
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

    /// Returns the next at most `count` texts, none at the end.
    pub(super) fn chunk(&mut self, count: usize, limits: &Limits) -> Result<Vec<String>, Failure> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let mut bytes = Vec::new();
            let read = self.reader.read_until(b'\n', &mut bytes);
            let read = read.map_err(|source| Failure::Read { path: self.path.clone(), source })?;
            if read == 0 {
                break;
            }
            self.read_bytes += read as u64;
            self.lines += 1;
            let line = self.lines;
            let text = self.text(bytes, limits).map_err(|source| Failure::Line { line, source })?;
            texts.push(text);
        }
        Ok(texts)
    }

    fn text(&self, line: Vec<u8>, limits: &Limits) -> Result<String, RequestError> {
        let field = Field::named(TEXT);
        let line = String::from_utf8(line).map_err(|error| RequestError::NotUtf8 {
            field,
            offset_bytes: error.utf8_error().valid_up_to(),
        })?;
        let line = line.trim_end_matches(['\n', '\r']);
        if !self.is_jsonl {
            check_text(line, field, limits)?;
            return Ok(line.to_owned());
        }
        text_of(parse_json(line.as_bytes())?, TEXT, limits)
    }
}
