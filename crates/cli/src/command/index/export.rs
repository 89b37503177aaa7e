//! The command `index export`.

use std::collections::BTreeMap;
use std::io::Write;

use semblance::corpus::Index;
use semblance_api::metadata_to_json;
use serde::Serialize;
use serde_json::Value;

use crate::arguments::ExportArguments;
use crate::command::rows::free_name;
use crate::error::CommandError;

/// The other columns of a line. A column of metadata with such a name gets another one.
const COLUMNS: [&str; 3] = ["id", "text", "vector"];

/// One line of output. It can be the input of `index build`.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    text: &'a str,
    #[serde(flatten)]
    metadata: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<Vec<f32>>,
}

pub(super) fn run(arguments: &ExportArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let index = Index::open(&arguments.index.index)?;
    let columns = index.columns();
    for row in index.rows() {
        let (row, vector) = row?;
        let title = |name: &str| match COLUMNS.contains(&name) {
            true => free_name(name, |free| columns.contains(&free)),
            false => name.to_owned(),
        };
        let metadata = row.metadata.iter();
        let metadata = metadata.map(|(name, value)| (title(name), metadata_to_json(value)));
        let (id, text) = (row.id.as_str(), row.text.as_str());
        let vector = arguments.vectors.then_some(vector);
        let line = Line { id, text, metadata: metadata.collect(), vector };
        serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from)?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}
