//! Records of a CSV file (RFC 4180). A quoted field can span lines.

use std::collections::VecDeque;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::lines::RawLine;

/// Maximum size of a record that spans lines, in bytes. A quote that is never closed would otherwise
/// swallow the rest of the file.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// A record of a CSV file.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::command) enum CsvRecord {
    /// Its fields, without quotes.
    Fields(Vec<Vec<u8>>),
    /// A quoted field starts on this line and does not end.
    UnclosedQuote,
}

/// Splits lines into records.
pub(in crate::command) struct CsvRecords {
    reader: Reader,
    /// Lines that were read in search of the end of a quoted field that does not end.
    again: VecDeque<RawLine>,
}

impl CsvRecords {
    pub(in crate::command) fn new(delimiter: u8) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(delimiter).terminator(Terminator::Any(b'\n'));
        Self { reader: builder.build(), again: VecDeque::new() }
    }

    /// Returns the next line.
    pub(in crate::command) fn next_line<E>(
        &mut self,
        read: &mut impl FnMut() -> Result<Option<RawLine>, E>,
    ) -> Result<Option<RawLine>, E> {
        match self.again.pop_front() {
            Some(line) => Ok(Some(line)),
            None => read(),
        }
    }

    /// Returns the record that starts with the line `first`, and its lines.
    pub(in crate::command) fn record<E>(
        &mut self,
        first: RawLine,
        read: &mut impl FnMut() -> Result<Option<RawLine>, E>,
    ) -> Result<(CsvRecord, Vec<RawLine>), E> {
        self.reader.reset();
        let mut size_bytes = first.size_bytes;
        let mut parser = RecordParser::default();
        let mut is_complete = parser.line(&mut self.reader, &first);
        let mut lines = vec![first];
        while !is_complete {
            let next = match size_bytes < MAX_RECORD_BYTES {
                true => self.next_line(read)?,
                false => None,
            };
            let Some(next) = next else {
                let rest = lines.split_off(1);
                rest.into_iter().rev().for_each(|line| self.again.push_front(line));
                return Ok((CsvRecord::UnclosedQuote, lines));
            };
            size_bytes += next.size_bytes;
            is_complete = parser.line(&mut self.reader, &next);
            lines.push(next);
        }
        Ok((CsvRecord::Fields(parser.fields()), lines))
    }
}

/// The fields of a record so far.
#[derive(Default)]
struct RecordParser {
    content: Vec<u8>,
    content_bytes: usize,
    ends: Vec<usize>,
    fields: usize,
}

impl RecordParser {
    /// Reads a line. Returns whether the record is complete.
    fn line(&mut self, reader: &mut Reader, line: &RawLine) -> bool {
        let mut input = line.content().to_vec();
        input.push(b'\n');
        let mut input = input.as_slice();
        loop {
            self.content.resize(self.content_bytes + input.len() + 1, 0);
            self.ends.resize(self.fields + input.len() + 1, 0);
            let (result, read, written, fields) = reader.read_record(
                input,
                &mut self.content[self.content_bytes..],
                &mut self.ends[self.fields..],
            );
            input = &input[read..];
            self.content_bytes += written;
            self.fields += fields;
            match result {
                ReadRecordResult::InputEmpty => return false,
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {}
                ReadRecordResult::Record | ReadRecordResult::End => return true,
            }
        }
    }

    fn fields(self) -> Vec<Vec<u8>> {
        let ends = &self.ends[..self.fields];
        let starts = std::iter::once(&0).chain(ends);
        starts.zip(ends).map(|(&start, &end)| self.content[start..end].to_vec()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Returns the records of a file, and the number of lines of each.
    fn records(file: &str) -> Vec<(Option<Vec<String>>, usize)> {
        let mut lines = file
            .split_inclusive('\n')
            .map(|line| RawLine { bytes: line.as_bytes().to_vec(), size_bytes: line.len() as u64 });
        let mut read = || Ok::<_, Infallible>(lines.next());
        let mut csv = CsvRecords::new(b',');
        let mut records = Vec::new();
        while let Some(first) = csv.next_line(&mut read).unwrap() {
            let (record, lines) = csv.record(first, &mut read).unwrap();
            let fields = match record {
                CsvRecord::Fields(fields) => {
                    Some(fields.into_iter().map(|field| String::from_utf8(field).unwrap()))
                }
                CsvRecord::UnclosedQuote => None,
            };
            records.push((fields.map(Iterator::collect), lines.len()));
        }
        records
    }

    fn fields(fields: &[&str]) -> Option<Vec<String>> {
        Some(fields.iter().map(|&field| field.to_owned()).collect())
    }

    #[test]
    fn a_quoted_field_can_have_delimiters_quotes_and_line_breaks() {
        let found = records("id,text\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n2,5\" pipe\r\n3,");
        let expected = [
            (fields(&["id", "text"]), 1),
            (fields(&["1", "a, \"b\"\nc"]), 2),
            (fields(&["2", "5\" pipe"]), 1),
            (fields(&["3", ""]), 1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_quote_that_is_not_closed_loses_one_line() {
        let found = records("1,\"never closed\n2,good\n3,fine\n");
        let expected = [(None, 1), (fields(&["2", "good"]), 1), (fields(&["3", "fine"]), 1)];
        assert_eq!(found, expected);
    }
}
