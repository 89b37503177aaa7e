//! The command `index delete`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use semblance::corpus::Writer;

use super::{report, writer_options};
use crate::arguments::DeleteArguments;
use crate::command::search::filter;
use crate::error::CommandError;

pub(super) fn run(arguments: &DeleteArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let filter = arguments.filter.as_deref().map(filter).transpose()?;
    let mut ids: BTreeSet<String> = arguments.id.iter().cloned().collect();
    if let Some(file) = &arguments.ids {
        let text = fs::read_to_string(file).map_err(|source| {
            let path = file.display().to_string();
            CommandError::Read { path, source }
        })?;
        ids.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
    }
    let change = &arguments.change;
    let mut writer = Writer::open(&change.index.index, writer_options(change))?;
    let (mut deleted, mut unknown) = (0, 0);
    for id in &ids {
        match writer.delete(id)? {
            true => deleted += 1,
            false => unknown += 1,
        }
    }
    if let Some(filter) = &filter {
        deleted += writer.delete_where(filter)?;
    }
    let published = writer.publish()?;
    writeln!(out, "deleted {deleted} rows")?;
    if unknown > 0 {
        writeln!(out, "unknown {unknown} ids")?;
    }
    report(&published, out)
}
