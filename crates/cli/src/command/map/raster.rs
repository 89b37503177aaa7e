//! The picture as pixels.

use noto_sans_mono_bitmap::{
    FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width,
};

use super::picture::{Color, HEIGHT, LINE, Label, Picture, WIDTH};

const WEIGHT: FontWeight = FontWeight::Bold;
const SIZE: RasterHeight = RasterHeight::Size24;

/// Width of a letter of a label.
pub(super) const LETTER: f32 = get_raster_width(WEIGHT, SIZE) as f32;

/// Width of the white border of letters.
const BORDER: isize = 2;

/// The pixels of a picture.
pub(super) struct Raster {
    /// `[HEIGHT, WIDTH, 3]`: red, green and blue.
    pub(super) pixels: Vec<u8>,
    /// Number of labels whose letters the font does not have. They have the numbers of their clusters.
    pub(super) numbered: usize,
}

impl Raster {
    /// Draws a picture.
    pub(super) fn new(picture: &Picture) -> Self {
        let mut raster = Self { pixels: vec![0xff; WIDTH * HEIGHT * 3], numbered: 0 };
        for circle in &picture.circles {
            raster.circle(circle.center, picture.radius, circle.color, picture.opacity);
        }
        for label in &picture.labels {
            raster.label(label);
        }
        raster
    }

    fn circle(&mut self, [x, y]: [f32; 2], radius: f32, color: Color, opacity: f32) {
        let range = |center: f32| {
            let start = (center - radius - 1.0).floor() as isize;
            start..=(center + radius + 1.0).ceil() as isize
        };
        for row in range(y) {
            for column in range(x) {
                let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
                // The edge covers a part of a pixel.
                let coverage = (radius + 0.5 - (dx * dx + dy * dy).sqrt()).clamp(0.0, 1.0);
                self.blend(column, row, color, coverage * opacity);
            }
        }
    }

    fn label(&mut self, label: &Label) {
        let mut letters = letters(&label.text);
        if letters.is_none() {
            self.numbered += 1;
            letters = self::letters(&label.cluster.to_string());
        }
        let letters = letters.unwrap_or_default();
        let left = (label.center[0] - letters.len() as f32 * LETTER / 2.0).round() as isize;
        let top = (label.center[1] - LINE / 2.0).round() as isize;
        for dy in -BORDER..=BORDER {
            for dx in -BORDER..=BORDER {
                if dx * dx + dy * dy <= BORDER * BORDER + 1 {
                    self.text(&letters, left + dx, top + dy, [0xff; 3]);
                }
            }
        }
        self.text(&letters, left, top, label.color);
    }

    fn text(&mut self, letters: &[RasterizedChar], left: isize, top: isize, color: Color) {
        let mut x = left;
        for letter in letters {
            for (row, values) in (top..).zip(letter.rows()) {
                for (column, value) in (x..).zip(values) {
                    self.blend(column, row, color, f32::from(*value) / 255.0);
                }
            }
            x += letter.width() as isize;
        }
    }

    /// Mixes a color into a pixel. Pixels outside the picture are left out.
    fn blend(&mut self, column: isize, row: isize, color: Color, share: f32) {
        let (Ok(column), Ok(row)) = (usize::try_from(column), usize::try_from(row)) else { return };
        if column >= WIDTH || row >= HEIGHT || share <= 0.0 {
            return;
        }
        let start = (row * WIDTH + column) * 3;
        for (pixel, part) in self.pixels[start..start + 3].iter_mut().zip(color) {
            let mixed = f32::from(*pixel) * (1.0 - share) + f32::from(part) * share;
            *pixel = mixed.round() as u8;
        }
    }
}

/// Returns the letters of a text, or none if the font does not have one of them.
fn letters(text: &str) -> Option<Vec<RasterizedChar>> {
    text.chars().map(|letter| get_raster(letter, WEIGHT, SIZE)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::map::picture::Circle;

    fn label(text: &str) -> Label {
        Label { center: [800.0, 600.0], text: text.to_owned(), color: [0; 3], cluster: 7 }
    }

    fn picture(labels: Vec<Label>, circles: Vec<Circle>) -> Picture {
        Picture { radius: 5.0, opacity: 1.0, circles, labels }
    }

    #[test]
    fn circles_and_labels_are_where_they_belong() {
        let circle = Circle { center: [10.0, 20.0], color: [255, 0, 0] };
        let raster = Raster::new(&picture(vec![label("Zürich, Łódź")], vec![circle]));
        let pixel = |x: usize, y: usize| &raster.pixels[(y * WIDTH + x) * 3..][..3];
        assert_eq!(pixel(10, 20), [255, 0, 0]);
        assert_eq!(pixel(20, 20), [255; 3]);
        let dark = |x: usize, y: usize| pixel(x, y).iter().all(|&part| part < 64);
        assert!((700..900).any(|x| (590..610).any(|y| dark(x, y))));
        assert_eq!(raster.numbered, 0);
    }

    #[test]
    fn a_label_that_the_font_does_not_have_becomes_a_number() {
        let raster = Raster::new(&picture(vec![label("地図")], Vec::new()));
        let numbered = Raster::new(&picture(vec![label("7")], Vec::new()));
        assert!(raster.pixels == numbered.pixels);
        assert_eq!((raster.numbered, numbered.numbered), (1, 0));
    }

    #[test]
    fn what_is_outside_is_left_out() {
        let circle = Circle { center: [-3.0, 1203.0], color: [0; 3] };
        let mut far = label("far");
        far.center = [1600.0, 0.0];
        Raster::new(&picture(vec![far], vec![circle]));
    }
}
