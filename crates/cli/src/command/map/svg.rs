//! The picture as SVG.

use std::fmt::Write as _;

use super::picture::{Color, HEIGHT, LINE, Label, Picture, WIDTH};
use super::raster::LETTER;

/// Width of a letter of a monospaced font, of its size.
const LETTER_SHARE: f32 = 0.6;

/// Returns the picture as SVG.
pub(super) fn svg(picture: &Picture) -> String {
    let font = LETTER / LETTER_SHARE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"'Noto Sans Mono', 'DejaVu Sans Mono', monospace\" font-size=\"{font:.1}\" \
         font-weight=\"bold\" text-anchor=\"middle\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<g fill-opacity=\"{}\">\n",
        picture.opacity
    );
    for circle in &picture.circles {
        let ([x, y], radius) = (circle.center, picture.radius);
        let color = hex(circle.color);
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"{color}\"/>"
        );
    }
    svg.push_str("</g>\n");
    for Label { center: [x, y], text, color, .. } in &picture.labels {
        // The baseline is below the middle.
        let y = y + LINE * 0.22;
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{}\" stroke=\"white\" stroke-width=\"4\" \
             stroke-linejoin=\"round\" paint-order=\"stroke\">{}</text>",
            hex(*color),
            escaped(text)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn hex([red, green, blue]: Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
