//! The CPUs of the function. A child inherits them from this thread, so that no wrapper's own
//! start is measured; the Runtime API and the slow mount keep all.

use std::fs;
use std::process::Command;

use crate::error::Result;
use crate::tool::finish;

pub(crate) struct Cpus {
    all: String,
    chosen: String,
}

impl Cpus {
    /// The first `count` of the CPUs that this process may use.
    pub(crate) fn choose(count: u32) -> Result<Self> {
        let all = Self::allowed()?;
        let chosen: Vec<String> =
            numbers(&all)?.iter().take(count as usize).map(ToString::to_string).collect();
        if chosen.len() < count as usize {
            return Err(format!("{count} CPUs are wanted, {all} may be used").into());
        }
        Ok(Self { all, chosen: chosen.join(",") })
    }

    /// The CPUs that this process may use, as a list such as `0-2,5`.
    pub(crate) fn allowed() -> Result<String> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        Ok(list.ok_or("no Cpus_allowed_list in status")?.trim().to_owned())
    }

    /// The chosen ones, as a list such as `0,1`.
    pub(crate) fn chosen(&self) -> &str {
        &self.chosen
    }

    pub(crate) fn confine(&self) -> Result<()> {
        self.set(&self.chosen)
    }

    pub(crate) fn release(&self) -> Result<()> {
        self.set(&self.all)
    }

    fn set(&self, list: &str) -> Result<()> {
        // The main thread's number is the process's.
        let process = std::process::id().to_string();
        finish(Command::new("taskset").args(["-cp", list, &process])).map(drop)
    }
}

/// Expands a list such as `0-2,5`.
fn numbers(list: &str) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        numbers.extend(first.parse::<u32>()?..=last.parse()?);
    }
    Ok(numbers)
}
