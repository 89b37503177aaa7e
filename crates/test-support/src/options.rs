//! The tables of options in docs/http.md.

use std::fs;

use crate::repository;

/// A row of a table of options.
pub struct OptionRow {
    /// The path of the route.
    pub path: String,
    /// The field, as a path.
    pub field: String,
    /// Whether the field is required.
    pub is_required: bool,
    /// The type of the field.
    pub kind: String,
    /// `applied`, `no effect` or `refused`.
    pub effect: String,
}

/// Returns the rows of the tables in the section Options of docs/http.md. A table of several routes has
/// its rows once for each.
///
/// # Panics
/// If the page or the section is missing.
#[must_use]
pub fn option_rows() -> Vec<OptionRow> {
    let page = fs::read_to_string(repository("docs/http.md")).unwrap();
    let section = page.split("## Options").nth(1).unwrap();
    let (mut rows, mut paths) = (Vec::new(), Vec::new());
    for line in section.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            paths = heading.split('`').filter(|path| path.starts_with('/')).collect();
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        if let [field, kind, required, effect, ..] = cells[..]
            && let Some(field) = field.strip_prefix("| `")
        {
            rows.extend(paths.iter().map(|path| OptionRow {
                path: (*path).to_owned(),
                field: field.trim_end_matches('`').to_owned(),
                is_required: required == "yes",
                kind: kind.to_owned(),
                effect: effect.to_owned(),
            }));
        }
    }
    rows
}
