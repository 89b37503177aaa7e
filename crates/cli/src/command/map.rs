//! The command `map`: a picture of an index.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;

use semblance::corpus::{ClusterOptions, Index, labels};

use crate::arguments::MapArguments;
use crate::error::CommandError;

/// Size of the picture in pixels, and the space around the points.
const WIDTH: f32 = 1600.0;
const HEIGHT: f32 = 1200.0;
const MARGIN: f32 = 60.0;

/// Colors that differ on white, also with color blindness; more clusters repeat them.
///
/// Source: Paul Tol, the schemes "bright" and "muted".
const COLORS: [&str; 14] = [
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#332288", "#117733",
    "#999933", "#cc6677", "#882255", "#44aa99", "#ddaa33", "#bb5566",
];

/// The color of rows without a cluster.
const PLAIN: &str = "#c8c8c8";

/// Height and mean width of a letter of a label.
const FONT: f32 = 15.0;
const LETTER: f32 = 0.56 * FONT;

/// Maximum number of labels.
const LABELS: usize = 40;

pub(super) fn run(arguments: &MapArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let index = Index::open(&arguments.index.index)?;
    let options = ClusterOptions {
        threshold: arguments.threshold,
        min_size: arguments.min_size as usize,
        ..ClusterOptions::default()
    };
    let clusters = index.cluster(&options)?;
    let labels = labels(&index, &clusters)?;
    let points = scaled(&index.map()?);
    let mut picture = Picture::new(points.len());
    let mut of_row = vec![None; points.len()];
    for (cluster, members) in clusters.iter().enumerate() {
        members.iter().for_each(|&row| of_row[row] = Some(cluster));
    }
    // Rows without a cluster are below the others.
    for (point, _) in points.iter().zip(&of_row).filter(|(_, cluster)| cluster.is_none()) {
        picture.circle(*point, PLAIN);
    }
    for (point, cluster) in points.iter().zip(&of_row) {
        if let Some(cluster) = cluster {
            picture.circle(*point, COLORS[cluster % COLORS.len()]);
        }
    }
    for (cluster, (members, label)) in clusters.iter().zip(&labels).take(LABELS).enumerate() {
        let words = label.words.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        let middle = [0, 1].map(|axis| {
            let mut values: Vec<f32> = members.iter().map(|&row| points[row][axis]).collect();
            values.sort_by(f32::total_cmp);
            values[values.len() / 2]
        });
        picture.label(middle, &words, COLORS[cluster % COLORS.len()]);
    }
    let path = arguments.output.display().to_string();
    fs::write(&arguments.output, picture.finish())
        .map_err(|source| CommandError::Unwritable { path: path.clone(), source })?;
    writeln!(out, "{} points, {} clusters in {path}", points.len(), clusters.len())?;
    out.flush()?;
    Ok(())
}

/// Scales points to the picture. The outermost points do not decide.
fn scaled(points: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let range = |axis: usize| {
        let mut values: Vec<f32> = points.iter().map(|point| point[axis]).collect();
        values.sort_by(f32::total_cmp);
        let at = |share: f32| {
            let index = (share * values.len().saturating_sub(1) as f32).round() as usize;
            values.get(index).copied().unwrap_or(0.0)
        };
        (at(0.002), (at(0.998) - at(0.002)).max(f32::MIN_POSITIVE))
    };
    let ranges = [range(0), range(1)];
    let size = [WIDTH, HEIGHT];
    let place = |point: &[f32; 2]| {
        [0, 1].map(|axis| {
            let (least, length) = ranges[axis];
            let share = ((point[axis] - least) / length).clamp(-0.02, 1.02);
            MARGIN + share * (size[axis] - 2.0 * MARGIN)
        })
    };
    points.iter().map(place).collect()
}

/// An SVG picture in the making.
struct Picture {
    svg: String,
    radius: f32,
    opacity: f32,
    /// Left, top, right and bottom of the labels.
    taken: Vec<[f32; 4]>,
    labels: String,
}

impl Picture {
    fn new(points: usize) -> Self {
        // 200 points have a radius of 6 pixels, 100,000 of 1.
        let radius = (90.0 / (points.max(1) as f32).sqrt()).clamp(1.0, 6.0);
        let opacity = if points > 20_000 { 0.5 } else { 0.8 };
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"{FONT}\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        Self { svg, radius, opacity, taken: Vec::new(), labels: String::new() }
    }

    fn circle(&mut self, [x, y]: [f32; 2], color: &str) {
        let (radius, opacity) = (self.radius, self.opacity);
        let _ = writeln!(
            self.svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"{color}\" \
             fill-opacity=\"{opacity}\"/>"
        );
    }

    /// Writes a label at a point, or as near as there is room. A label without room is left out.
    fn label(&mut self, [x, y]: [f32; 2], text: &str, color: &str) {
        let half = text.chars().count() as f32 * LETTER / 2.0;
        let x = x.clamp(half + 4.0, (WIDTH - half - 4.0).max(half + 4.0));
        for step in [0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 4.0, -4.0] {
            let y = y + step * FONT * 1.3;
            let area = [x - half, y - FONT, x + half, y + FONT * 0.3];
            let inside = area[1] > 0.0 && area[3] < HEIGHT;
            let is_free = self.taken.iter().all(|other| {
                area[2] < other[0] || other[2] < area[0] || area[3] < other[1] || other[3] < area[1]
            });
            if inside && is_free {
                self.taken.push(area);
                let _ = writeln!(
                    self.labels,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"{color}\" \
                     stroke=\"white\" stroke-width=\"4\" paint-order=\"stroke\" \
                     font-weight=\"bold\">{}</text>",
                    escaped(text)
                );
                return;
            }
        }
    }

    fn finish(self) -> String {
        format!("{}{}</svg>\n", self.svg, self.labels)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
