//! The command `map`: a picture of a corpus.

mod picture;
mod png;
mod raster;
mod svg;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use semblance::corpus::ClusterOptions;

use super::output::with_suffix;
use super::source::Source;
use crate::arguments::MapArguments;
use crate::error::CommandError;

use picture::{HEIGHT, Picture, WIDTH};
use raster::Raster;

/// A format of a picture.
#[derive(Clone, Copy)]
enum Format {
    Svg,
    Png,
}

impl Format {
    fn of(path: &Path) -> Result<Self, CommandError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(CommandError::UnknownPicture { path: path.display().to_string() }),
        }
    }
}

pub(super) fn run(arguments: &MapArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let formats = arguments.output.iter().map(|path| Format::of(path));
    let formats: Vec<Format> = formats.collect::<Result<_, _>>()?;
    let source = Source::open(&arguments.corpus)?;
    let index = &source.index;
    let options = ClusterOptions {
        threshold: arguments.threshold,
        min_size: arguments.min_size as usize,
        ..ClusterOptions::default()
    };
    let clusters = index.cluster(&options)?;
    let labels = index.labels(&clusters)?;
    let points = index.map()?;
    let picture = Picture::new(&points, &clusters, &labels);
    for (path, format) in arguments.output.iter().zip(formats) {
        let name = path.display().to_string();
        let fail = |source| CommandError::Unwritable { path: name.clone(), source };
        let bytes = match format {
            Format::Svg => svg::svg(&picture).into_bytes(),
            Format::Png => {
                let raster = Raster::new(&picture);
                if raster.numbered > 0 {
                    writeln!(
                        out,
                        "{} labels are numbers of clusters in {name}: its font has Latin letters \
                         only; an SVG picture has the fonts of its viewer",
                        raster.numbered
                    )?;
                }
                png::png(&raster.pixels, WIDTH, HEIGHT).map_err(fail)?
            }
        };
        write_whole(path, &bytes).map_err(fail)?;
        writeln!(out, "{} points, {} clusters in {name}", points.len(), clusters.len())?;
    }
    out.flush()?;
    Ok(())
}

/// Writes a file. If that fails, the file from before stays.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = with_suffix(path, ".partial");
    let written = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // The error of the write is the one to report.
        let _ = fs::remove_file(&partial);
    }
    written
}
