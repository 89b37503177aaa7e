//! What the runs of a case measured.

use serde_json::{Value, json};

use crate::run::{Measure, Run};

/// Width of the names.
const NAME: usize = 38;

/// The runs of one subject, measure by measure.
#[derive(Default)]
pub(crate) struct Report(Vec<Row>);

struct Row {
    path: Vec<String>,
    unit: &'static str,
    values: Vec<f64>,
}

impl Report {
    pub(crate) fn add(&mut self, run: Run) {
        for Measure { path, unit, value } in run.0 {
            match self.0.iter_mut().find(|row| row.path == path) {
                Some(row) => row.values.push(value),
                None => self.0.push(Row { path, unit, values: vec![value] }),
            }
        }
    }

    pub(crate) fn json(&self) -> Value {
        let of = |row: &Row| {
            let median = median(&mut row.values.clone());
            json!({
                "name": row.path.join(" / "),
                "unit": row.unit,
                "median": median,
                "runs": row.values,
            })
        };
        self.0.iter().map(of).collect()
    }
}

/// Prints the reports of one case side by side: medians with least and most and, from the second
/// subject on, the ratio of its median to the first's.
pub(crate) fn print(reports: &[Report]) {
    let several = reports.len() > 1;
    let mut head = " ".repeat(NAME);
    for letter in letters().take(reports.len()) {
        let letter = if several { format!("{letter} ") } else { String::new() };
        head += &format!(" {:>11} {:>10} {:>10}", format!("{letter}median"), "min", "max");
        if letter.starts_with(|letter| letter > 'A') {
            head += &format!(" {:>7}", format!("{letter}/ A"));
        }
    }
    println!("{head}");
    for (path, unit) in rows(reports) {
        println!("{}", line(reports, path, unit));
    }
}

/// Names of the subjects.
pub(crate) fn letters() -> impl Iterator<Item = char> {
    'A'..='Z'
}

fn line(reports: &[Report], path: &[String], unit: &str) -> String {
    let name = path.last().map_or("", String::as_str);
    let mut line = format!("{:<NAME$}", format!("{}{name}", "  ".repeat(path.len() - 1)));
    let digits = match unit {
        "" => 0,
        "ms" => 1,
        _ => 2,
    };
    let mut first_median = None;
    for (index, report) in reports.iter().enumerate() {
        let row = report.0.iter().find(|row| row.path == path);
        let mut values = row.map(|row| row.values.clone()).unwrap_or_default();
        let cells = if values.is_empty() {
            [const { String::new() }; 3]
        } else {
            let median = median(&mut values);
            [median, values[0], values[values.len() - 1]].map(|value| format!("{value:.digits$}"))
        };
        let [median_cell, least, most] = cells;
        line += &format!(" {median_cell:>11} {least:>10} {most:>10}");
        let median = (!values.is_empty()).then(|| median(&mut values));
        if index == 0 {
            first_median = median;
            continue;
        }
        let ratio = median.zip(first_median).filter(|(_, first)| *first != 0.0);
        line += &format!(
            " {:>7}",
            ratio.map_or(String::new(), |(own, first)| format!("{:.3}", own / first))
        );
    }
    format!("{line} {unit}").trim_end().to_owned()
}

/// The rows of all reports, each once: a report's own after those it stands behind.
fn rows(reports: &[Report]) -> Vec<(&[String], &'static str)> {
    let mut rows: Vec<(&[String], &'static str)> = Vec::new();
    for report in reports {
        let mut next = 0;
        for row in &report.0 {
            match rows.iter().position(|(path, _)| *path == row.path) {
                Some(at) => next = at + 1,
                None => {
                    rows.insert(next, (&row.path, row.unit));
                    next += 1;
                }
            }
        }
    }
    rows
}

/// Sorts the values, of which there is one at least, and returns the middle one (the mean of two).
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}
