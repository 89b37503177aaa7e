//! What is drawn: points and labels with their places and colors. The formats draw the same.

use semblance::corpus::{Cluster, ClusterLabel};

use super::raster::LETTER;

/// Size of the picture in pixels, and the space around the points.
pub(super) const WIDTH: usize = 1600;
pub(super) const HEIGHT: usize = 1200;
const MARGIN: f32 = 60.0;

/// Height of a line of a label, and the space around a label.
pub(super) const LINE: f32 = 24.0;
const PADDING: f32 = 3.0;

/// Space between a label and the edge of the picture.
const EDGE: f32 = 12.0;

/// Red, green and blue.
pub(super) type Color = [u8; 3];

/// Colors that differ on white, also with color blindness; more clusters repeat them.
///
/// Source: Paul Tol, the schemes "bright" and "muted", without their yellow and gray.
const COLORS: [Color; 12] = [
    [0x44, 0x77, 0xaa],
    [0xee, 0x66, 0x77],
    [0x22, 0x88, 0x33],
    [0xaa, 0x33, 0x77],
    [0x33, 0xa0, 0xc8],
    [0xdd, 0x8a, 0x1d],
    [0x33, 0x22, 0x88],
    [0x44, 0xaa, 0x99],
    [0x88, 0x22, 0x55],
    [0x99, 0x99, 0x33],
    [0xcc, 0x66, 0x77],
    [0x11, 0x77, 0x33],
];

/// The color of rows without a cluster.
const PLAIN: Color = [0xc8, 0xc8, 0xc8];

/// Maximum number of labels, and of words of one.
const LABELS: usize = 40;
const WORDS: usize = 3;

/// Maximum number of characters of a label.
const LABEL_CHARACTERS: usize = 34;

/// A point.
pub(super) struct Circle {
    pub(super) center: [f32; 2],
    pub(super) color: Color,
}

/// A label.
pub(super) struct Label {
    /// The middle of its text.
    pub(super) center: [f32; 2],
    pub(super) text: String,
    pub(super) color: Color,
    /// Number of its cluster, from 1.
    pub(super) cluster: usize,
}

/// The parts of a picture, from back to front.
pub(super) struct Picture {
    pub(super) radius: f32,
    pub(super) opacity: f32,
    pub(super) circles: Vec<Circle>,
    pub(super) labels: Vec<Label>,
}

impl Picture {
    /// Arranges points, one for each row, and the labels of clusters, largest first.
    pub(super) fn new(points: &[[f32; 2]], clusters: &[Cluster], labels: &[ClusterLabel]) -> Self {
        let points = scaled(points);
        let mut of_row = vec![None; points.len()];
        for (cluster, members) in clusters.iter().enumerate() {
            members.iter().for_each(|&row| of_row[row] = Some(cluster));
        }
        // Rows without a cluster are behind the others.
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by_key(|&row| of_row[row].is_some());
        let circle = |row: usize| Circle {
            center: points[row],
            color: of_row[row].map_or(PLAIN, |cluster| COLORS[cluster % COLORS.len()]),
        };
        // 200 points have a radius of 6 pixels, 2,000 of 3, 100,000 of 1.
        let radius = (135.0 / (points.len().max(1) as f32).sqrt()).clamp(1.1, 6.0);
        let opacity = if points.len() > 20_000 { 0.6 } else { 0.85 };
        let mut placed = Places::default();
        let mut shown = Vec::new();
        for (cluster, (members, label)) in clusters.iter().zip(labels).take(LABELS).enumerate() {
            let text = label_text(&label.words);
            let [x, y] = [0, 1].map(|axis| {
                let mut values: Vec<f32> = members.iter().map(|&row| points[row][axis]).collect();
                values.sort_by(f32::total_cmp);
                values[values.len() / 2]
            });
            // Above the middle, so that the points of a small cluster are visible.
            let above = y - LINE / 2.0 - radius - PADDING;
            let Some(center) = placed.place([x, above], &text) else { continue };
            let color = COLORS[cluster % COLORS.len()].map(|part| (f32::from(part) * 0.6) as u8);
            shown.push(Label { center, text, color, cluster: cluster + 1 });
        }
        Self { radius, opacity, circles: order.into_iter().map(circle).collect(), labels: shown }
    }
}

/// The words of a label; fewer if they are long.
fn label_text(words: &[String]) -> String {
    let mut text = String::new();
    for word in words.iter().take(WORDS) {
        let separator = if text.is_empty() { "" } else { ", " };
        if !text.is_empty() && text.chars().count() + word.chars().count() + 2 > LABEL_CHARACTERS {
            break;
        }
        text.push_str(separator);
        text.extend(word.chars().take(LABEL_CHARACTERS));
    }
    text
}

/// The places of labels.
#[derive(Default)]
struct Places {
    /// Left, top, right and bottom.
    taken: Vec<[f32; 4]>,
}

impl Places {
    /// Returns the middle of a label at a point, or as near as there is room; none if there is no room
    /// near it.
    fn place(&mut self, [x, y]: [f32; 2], text: &str) -> Option<[f32; 2]> {
        let half = text.chars().count() as f32 * LETTER / 2.0 + PADDING;
        let tall = LINE / 2.0 + PADDING;
        let clamp = |value: f32, half: f32, size: usize| {
            let least = half + EDGE;
            value.clamp(least, (size as f32 - least).max(least))
        };
        // Above and below first: labels are wide.
        for ring in 0..10 {
            for step in [0.0f32, -1.0, 1.0, -0.5, 0.5] {
                let rows = ring as f32 * (1.0 - step.abs() / 2.0);
                for side in [-1.0, 1.0] {
                    let center = [
                        clamp(x + step * ring as f32 * half / 2.0, half, WIDTH),
                        clamp(y + side * rows * tall, tall, HEIGHT),
                    ];
                    let [cx, cy] = center;
                    let area = [cx - half, cy - tall, cx + half, cy + tall];
                    let is_free = self.taken.iter().all(|other| {
                        area[2] <= other[0]
                            || other[2] <= area[0]
                            || area[3] <= other[1]
                            || other[3] <= area[1]
                    });
                    if is_free {
                        self.taken.push(area);
                        return Some(center);
                    }
                }
            }
        }
        None
    }
}

/// Scales points to the picture, with one scale for both axes. The outermost points do not decide.
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
    let size = [WIDTH as f32, HEIGHT as f32];
    let place = |point: &[f32; 2]| {
        [0, 1].map(|axis| {
            let (least, length) = ranges[axis];
            let share = ((point[axis] - least) / length).clamp(-0.03, 1.03);
            MARGIN + share * (size[axis] - 2.0 * MARGIN)
        })
    };
    points.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_overlap_and_stay_inside() {
        let mut places = Places::default();
        let spots = [[0.0, 0.0], [800.0, 600.0], [801.0, 602.0], [1600.0, 1200.0], [805.0, 600.0]];
        for spot in spots {
            assert!(places.place(spot, "password, reset, forgot").is_some());
        }
        for (index, a) in places.taken.iter().enumerate() {
            assert!(a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= 1600.0 && a[3] <= 1200.0, "{a:?}");
            for b in &places.taken[..index] {
                let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                assert!(apart, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_label_has_few_words() {
        let words = ["internationalization", "localization", "a"].map(str::to_owned);
        assert_eq!(label_text(&words), "internationalization, localization");
        assert_eq!(label_text(&["x".repeat(99)]), "x".repeat(LABEL_CHARACTERS));
    }
}
