//! The tables of the documentation.

use std::collections::BTreeSet;
use std::fs;

use crate::repository;

/// Returns the names in backquotes in the first column of the first table below a heading.
///
/// # Panics
/// If the file or the heading is missing.
#[must_use]
pub fn table_names(file: &str, heading: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(repository(file)).expect(file);
    let section = text.split(&format!("\n{heading}\n")).nth(1).expect(heading);
    let table = section.lines().skip_while(|line| !line.starts_with('|'));
    let cells = table.take_while(|line| line.starts_with('|')).filter_map(|line| {
        let cell = line.trim_start_matches('|').split('|').next()?;
        Some(cell.split('`').skip(1).step_by(2))
    });
    cells.flatten().map(str::to_owned).collect()
}
