//! What a graph refers to: files with weights, and positions.
//!
//! ONNX Runtime opens the files that a graph names. The digest of a bundle covers only the files of its
//! manifest, so a graph must not name another one.

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, io};

use super::Bundle;

/// Maximum depth of graphs within attributes of nodes. A bundle's graph has no such graphs.
const MAX_DEPTH: usize = 16;

/// Input of the graph with the position of each token.
const POSITIONS: &str = "positions";

/// Why a graph does not fit its manifest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GraphError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// It is not an ONNX graph.
    #[error("it is not an ONNX graph")]
    Malformed,
    /// It names another file than the weights of the manifest.
    #[error(
        "it has weights in the file {location:?}, which the manifest does not list as its weights"
    )]
    UnlistedFile {
        /// The file.
        location: String,
    },
    /// A text can have more tokens than the graph has positions.
    #[error("it has {positions} positions, but max_tokens is {max_tokens}")]
    TooFewPositions {
        /// Rows of the position table.
        positions: usize,
        /// The limit in the manifest.
        max_tokens: usize,
    },
}

impl Bundle {
    /// Checks that the graph has weights in the file of the manifest only, and enough positions for the
    /// longest text.
    pub(crate) fn check_graph(&self) -> Result<(), GraphError> {
        let manifest = self.manifest();
        let bytes = fs::read(self.path_of(&manifest.files.graph)).map_err(GraphError::Read)?;
        let graph = Graph::parse(&bytes).ok_or(GraphError::Malformed)?;
        let weights = &manifest.files.weights.path;
        if let Some(location) = graph.locations.iter().find(|location| *location != weights) {
            return Err(GraphError::UnlistedFile { location: location.clone() });
        }
        let max_tokens = manifest.max_tokens;
        match graph.positions() {
            Some(positions) if positions < max_tokens => {
                Err(GraphError::TooFewPositions { positions, max_tokens })
            }
            _ => Ok(()),
        }
    }
}

/// The parts of a graph that are checked.
///
/// Source of the field numbers: `onnx.proto` of ONNX 1.22.
#[derive(Debug, Default)]
struct Graph {
    /// Files with external data.
    locations: BTreeSet<String>,
    /// Number of rows of each tensor by name.
    rows: BTreeMap<String, usize>,
    /// Names of the tables that are indexed with positions.
    tables: Vec<String>,
}

impl Graph {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut graph = Self::default();
        for field in Message(bytes) {
            match field? {
                (7, Value::Bytes(body)) => graph.add_graph(body, MAX_DEPTH)?,
                (25, Value::Bytes(function)) => {
                    for field in Message(function) {
                        if let (7, Value::Bytes(node)) = field? {
                            graph.add_node(node, MAX_DEPTH)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Some(graph)
    }

    /// Number of positions, if the graph looks them up in a table.
    fn positions(&self) -> Option<usize> {
        self.tables.iter().filter_map(|table| self.rows.get(table)).min().copied()
    }

    fn add_graph(&mut self, graph: &[u8], depth: usize) -> Option<()> {
        for field in Message(graph) {
            match field? {
                (1, Value::Bytes(node)) => self.add_node(node, depth)?,
                (5, Value::Bytes(tensor)) => self.add_tensor(tensor)?,
                (15, Value::Bytes(tensor)) => self.add_sparse(tensor)?,
                _ => {}
            }
        }
        Some(())
    }

    fn add_node(&mut self, node: &[u8], depth: usize) -> Option<()> {
        let (mut inputs, mut operator) = (Vec::new(), "");
        for field in Message(node) {
            match field? {
                (1, Value::Bytes(input)) => inputs.push(str::from_utf8(input).ok()?),
                (4, Value::Bytes(name)) => operator = str::from_utf8(name).ok()?,
                (5, Value::Bytes(attribute)) => self.add_attribute(attribute, depth)?,
                _ => {}
            }
        }
        if let ("Gather", [table, POSITIONS]) = (operator, inputs.as_slice()) {
            self.tables.push((*table).to_owned());
        }
        Some(())
    }

    fn add_attribute(&mut self, attribute: &[u8], depth: usize) -> Option<()> {
        for field in Message(attribute) {
            match field? {
                (5 | 10, Value::Bytes(tensor)) => self.add_tensor(tensor)?,
                (6 | 11, Value::Bytes(graph)) => self.add_graph(graph, depth.checked_sub(1)?)?,
                (22 | 23, Value::Bytes(tensor)) => self.add_sparse(tensor)?,
                _ => {}
            }
        }
        Some(())
    }

    /// Adds the values and the indices of a sparse tensor.
    fn add_sparse(&mut self, tensor: &[u8]) -> Option<()> {
        for field in Message(tensor) {
            if let (1 | 2, Value::Bytes(tensor)) = field? {
                self.add_tensor(tensor)?;
            }
        }
        Some(())
    }

    fn add_tensor(&mut self, tensor: &[u8]) -> Option<()> {
        let (mut name, mut rows) = ("", None);
        for field in Message(tensor) {
            match field? {
                (1, Value::Number(rank)) => rows = rows.or(Some(rank)),
                (1, Value::Bytes(mut packed)) => rows = rows.or(Some(number(&mut packed)?)),
                (8, Value::Bytes(bytes)) => name = str::from_utf8(bytes).ok()?,
                (13, Value::Bytes(entry)) => self.add_external(entry)?,
                _ => {}
            }
        }
        if let Some(rows) = rows.and_then(|rows| usize::try_from(rows).ok()) {
            self.rows.insert(name.to_owned(), rows);
        }
        Some(())
    }

    /// Adds an entry of a tensor's external data, which is a key and a value.
    fn add_external(&mut self, entry: &[u8]) -> Option<()> {
        let (mut is_location, mut values) = (false, Vec::new());
        for field in Message(entry) {
            match field? {
                (1, Value::Bytes(key)) => is_location |= key == b"location",
                (2, Value::Bytes(value)) => {
                    values.push(String::from_utf8_lossy(value).into_owned())
                }
                _ => {}
            }
        }
        if is_location {
            self.locations.extend(values);
        }
        Some(())
    }
}

/// The fields of a message of protocol buffers. Iteration ends at the first malformed field, with `None`.
struct Message<'a>(&'a [u8]);

/// The value of a field.
enum Value<'a> {
    /// A variable-length integer.
    Number(u64),
    /// Text, bytes, a message, or numbers one after the other.
    Bytes(&'a [u8]),
    /// A number of fixed size, which no checked field has.
    Fixed,
}

impl<'a> Iterator for Message<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Message<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = number(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Number(number(&mut self.0)?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = number(&mut self.0)?;
                Value::Bytes(self.take(usize::try_from(length).ok()?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            // Groups, which ONNX does not have.
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Reads a variable-length integer of at most 10 bytes.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A field with a length, as `onnx.proto` numbers it.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let key = u64::from(number) << 3 | 2;
        [varint(key), varint(content.len() as u64), content.to_vec()].concat()
    }

    fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    /// A tensor `[rows, 4]` with its values in a file.
    fn tensor(name: &str, rows: u64, location: &str) -> Vec<u8> {
        let dims = [vec![1 << 3], varint(rows), vec![1 << 3, 4]].concat();
        let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
        let offset = [field(1, b"offset"), field(2, b"0")].concat();
        [dims, field(8, name.as_bytes()), field(13, &entry), field(13, &offset)].concat()
    }

    fn gather() -> Vec<u8> {
        [field(1, b"table"), field(1, b"positions"), field(2, b"rows"), field(4, b"Gather")]
            .concat()
    }

    fn locations(model: &[u8]) -> Vec<String> {
        Graph::parse(model).unwrap().locations.into_iter().collect()
    }

    #[test]
    fn positions_are_the_rows_of_their_table() {
        let other = [field(1, b"other"), field(1, b"ids"), field(4, b"Gather")].concat();
        let parts = [
            field(1, &gather()),
            field(1, &other),
            field(5, &tensor("table", 512, "w")),
            field(5, &tensor("other", 2, "w")),
        ];
        let graph = Graph::parse(&field(7, &parts.concat())).unwrap();
        assert_eq!(graph.positions(), Some(512));
        let without = Graph::parse(&field(7, &field(1, &other))).unwrap();
        assert_eq!(without.positions(), None);
    }

    #[test]
    fn files_are_found_wherever_a_tensor_can_be() {
        let hidden = tensor("t", 1, "hidden");
        let sparse = field(1, &hidden);
        let constant = |number: u8, content: &[u8]| field(5, &field(number, content));
        let in_graph = |content: Vec<u8>| field(7, &content);
        let models = [
            in_graph(field(5, &hidden)),
            in_graph(field(15, &sparse)),
            in_graph(field(1, &constant(5, &hidden))),
            in_graph(field(1, &constant(10, &hidden))),
            in_graph(field(1, &constant(6, &field(5, &hidden)))),
            in_graph(field(1, &constant(11, &field(5, &hidden)))),
            in_graph(field(1, &constant(22, &sparse))),
            field(25, &field(7, &constant(5, &hidden))),
            // Two parts of one message are merged.
            [in_graph(vec![]), in_graph(field(5, &hidden))].concat(),
        ];
        for (index, model) in models.iter().enumerate() {
            assert_eq!(locations(model), ["hidden"], "{index}");
        }
    }

    #[test]
    fn what_is_not_a_graph_is_malformed() {
        for bytes in [&[0xff; 20][..], &[0x3a, 0x7f], &[0x3a], &[0x0b], &[0x39, 1]] {
            assert!(Graph::parse(bytes).is_none(), "{bytes:?}");
        }
        let mut deep = field(5, &tensor("t", 1, "w"));
        for _ in 0..=MAX_DEPTH {
            deep = field(1, &field(5, &field(6, &deep)));
        }
        assert!(Graph::parse(&field(7, &deep)).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = Graph::parse(&bytes);
            let _ = Graph::parse(&field(7, &bytes));
            let _ = Graph::parse(&field(7, &field(5, &bytes)));
        }
    }
}
