//! Pixels as PNG.
//!
//! Source: <https://www.w3.org/TR/png-3/>: RGB of 8 bits, without interlacing or filters.

use std::io::{self, Write as _};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// Returns pixels `[height, width, 3]` as a PNG file.
pub(super) fn png(pixels: &[u8], width: usize, height: usize) -> io::Result<Vec<u8>> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut png, b"IHDR", &header);
    let mut data = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in pixels.chunks(width * 3) {
        data.write_all(&[0])?;
        data.write_all(row)?;
    }
    chunk(&mut png, b"IDAT", &data.finish()?);
    chunk(&mut png, b"IEND", &[]);
    Ok(png)
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    let mut crc = Crc::new();
    for part in [kind, data] {
        crc.update(part);
        png.extend(part);
    }
    png.extend(crc.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_picture_has_the_known_bytes() {
        let png = png(&[255, 0, 0], 1, 1).unwrap();
        assert_eq!(&png[..16], b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR");
        // The checksum of the header of every RGB picture of one pixel.
        assert_eq!(&png[29..33], [0x90, 0x77, 0x53, 0xde]);
        assert_eq!(&png[png.len() - 12..], b"\0\0\0\0IEND\xae\x42\x60\x82");
    }
}
