//! The system's page cache.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

use crate::error::{Result, in_file};
use crate::folder::files;
use crate::tool::finish;

const DROP: &str = "/proc/sys/vm/drop_caches";

/// Says whether it may be dropped.
pub(crate) fn may_drop() -> Result<()> {
    fs::OpenOptions::new().write(true).open(DROP).map(drop).map_err(needs_root)
}

/// Drops all of it that is on a disk and not in use.
pub(crate) fn empty() -> Result<()> {
    finish(&mut Command::new("sync"))?;
    fs::write(DROP, "3").map_err(needs_root)
}

fn needs_root(error: io::Error) -> Box<dyn std::error::Error + Send + Sync> {
    format!("--drop-caches: the page cache cannot be dropped ({error}), root may do it; --warm-cache needs no root").into()
}

/// Reads a folder into it.
pub(crate) fn fill(folder: &Path) -> Result<()> {
    for (_, path) in files(folder)? {
        let copied = File::open(&path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
        copied.map_err(in_file(&path))?;
    }
    Ok(())
}

/// Bytes of each file of a folder that are in it, by name.
pub(crate) fn resident_bytes(folder: &Path) -> Result<Vec<(String, f64)>> {
    let mut resident = Vec::new();
    for (name, path) in files(folder)? {
        let columns = ["--bytes", "--noheadings", "--output", "RES"];
        let bytes = finish(Command::new("fincore").args(columns).arg(&path))?;
        resident.push((name, bytes.trim().parse()?));
    }
    Ok(resident)
}
