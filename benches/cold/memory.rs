//! The memory of a process, as /proc tells it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Result, in_file};

pub(crate) struct Memory {
    pub(crate) peak_bytes: f64,
    pub(crate) resident_bytes: f64,
    pub(crate) anonymous_bytes: f64,
    pub(crate) file_bytes: f64,
    pub(crate) minor_faults: f64,
    pub(crate) major_faults: f64,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Result<Self> {
        let folder = Path::new("/proc").join(process.to_string());
        let read = |file: PathBuf| fs::read_to_string(&file).map_err(in_file(&file));
        let (status, stat) = (read(folder.join("status"))?, read(folder.join("stat"))?);
        Ok(Self {
            peak_bytes: status_bytes(&status, "VmHWM")?,
            resident_bytes: status_bytes(&status, "VmRSS")?,
            anonymous_bytes: status_bytes(&status, "RssAnon")?,
            file_bytes: status_bytes(&status, "RssFile")?,
            minor_faults: stat_number(&stat, 10)?,
            major_faults: stat_number(&stat, 12)?,
        })
    }
}

/// A size of proc_pid_status(5).
fn status_bytes(status: &str, name: &str) -> Result<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .ok_or_else(|| format!("no {name} in status"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0)
}

/// A field of proc_pid_stat(5); the second, the name, may hold spaces and ends with `)`.
fn stat_number(stat: &str, field: usize) -> Result<f64> {
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    Ok(fields.nth(field - 3).ok_or("too few fields in stat")?.parse()?)
}
