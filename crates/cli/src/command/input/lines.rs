//! Lines of a file, of bounded size, and the position in the file.

use std::io::{self, BufRead};

use semblance::internals::bundle::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Maximum size of a line in bytes. A text of 64 KiB whose every character is escaped in JSON has
/// 384 KiB; the rest is for other fields.
pub(in crate::command) const MAX_LINE_BYTES: usize = 4 << 20;

/// A line as it is in the file.
#[derive(Debug)]
pub(in crate::command) struct RawLine {
    /// The line with its line break; its start only, if the line is too long.
    pub(in crate::command) bytes: Vec<u8>,
    /// Size of the line in the file.
    pub(in crate::command) size_bytes: u64,
}

impl RawLine {
    /// Whether the line exceeds the maximum size.
    pub(in crate::command) fn is_too_long(&self) -> bool {
        self.size_bytes > self.bytes.len() as u64
    }

    /// Returns the line without its line break, which is `\n` or `\r\n`.
    pub(in crate::command) fn content(&self) -> &[u8] {
        let line = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

/// Returns the next line; `None` at the end. Of a line that is too long, only the start is kept.
///
/// # Errors
/// - [`io::Error`] if the input cannot be read.
pub(in crate::command) fn read_line(reader: &mut dyn BufRead) -> io::Result<Option<RawLine>> {
    let mut line = RawLine { bytes: Vec::new(), size_bytes: 0 };
    loop {
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = available.iter().position(|&byte| byte == b'\n');
        let size = end.map_or(available.len(), |end| end + 1);
        let kept = size.min(MAX_LINE_BYTES - line.bytes.len());
        line.bytes.extend_from_slice(&available[..kept]);
        line.size_bytes += size as u64;
        reader.consume(size);
        if end.is_some() || size == 0 {
            return Ok((line.size_bytes > 0).then_some(line));
        }
    }
}

/// A UTF-8 byte order mark.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// UTF-16 byte order marks, little and big endian.
const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Whether the start of a file says that it is UTF-16.
pub(in crate::command) fn is_utf16(start: &[u8]) -> bool {
    UTF16_MARKS.iter().any(|mark| start.starts_with(mark))
}

/// Returns the first line of a file without the byte order mark, and another line unchanged.
pub(in crate::command) fn without_mark(line: &[u8], is_first: bool) -> &[u8] {
    match is_first {
        true => line.strip_prefix(UTF8_MARK).unwrap_or(line),
        false => line,
    }
}

/// A position in the input. Two inputs with the same position have the same bytes before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Number of bytes before it.
    pub(crate) bytes: u64,
    /// Number of lines before it.
    pub(crate) lines: u64,
    /// Number of records before it.
    pub(crate) records: u64,
    /// sha256 of the bytes before it. Of a line that is too long, only the start is hashed.
    pub(crate) sha256: String,
}

impl Default for Position {
    fn default() -> Self {
        Consumed::default().position()
    }
}

/// The part of the input that was read.
#[derive(Clone, Default)]
pub(in crate::command) struct Consumed {
    pub(in crate::command) bytes: u64,
    pub(in crate::command) lines: u64,
    pub(in crate::command) records: u64,
    hash: Sha256,
}

impl Consumed {
    pub(in crate::command) fn add(&mut self, line: &RawLine) {
        self.bytes += line.size_bytes;
        self.lines += 1;
        self.hash.update(&line.bytes);
    }

    pub(in crate::command) fn position(&self) -> Position {
        Position {
            bytes: self.bytes,
            lines: self.lines,
            records: self.records,
            sha256: hex(&self.hash.clone().finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(input: &[u8]) -> Vec<RawLine> {
        // A small buffer, so that lines span several reads.
        let mut reader = BufReader::with_capacity(3, input);
        std::iter::from_fn(|| read_line(&mut reader).unwrap()).collect()
    }

    #[test]
    fn a_line_break_is_no_part_of_the_content() {
        let lines = lines(b"one\r\n\ntwo\rthree\nlast");
        let contents: Vec<&[u8]> = lines.iter().map(RawLine::content).collect();
        assert_eq!(contents, [&b"one"[..], b"", b"two\rthree", b"last"]);
    }

    #[test]
    fn a_long_line_is_not_kept() {
        let mut input = vec![b'x'; MAX_LINE_BYTES + 1];
        input.extend_from_slice(b"\nnext\n");
        let lines = lines(&input);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].is_too_long() && !lines[1].is_too_long());
        assert_eq!(lines[0].size_bytes, MAX_LINE_BYTES as u64 + 2);
        assert_eq!(lines[0].bytes.len(), MAX_LINE_BYTES);
    }
}
