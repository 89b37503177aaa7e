//! The circumstances of a cold start.

use std::fmt;

use serde_json::{Value, json};

use crate::args::Args;
use crate::cpus::Cpus;
use crate::error::Result;
use crate::event::LARGE_EVENT_CANDIDATES;
use crate::mount;
use crate::page_cache;

pub(crate) struct Case {
    pub(crate) storage: Storage,
    pub(crate) cpus: Cpus,
    pub(crate) large_event: bool,
    pub(crate) runs: u32,
}

/// Where package and bundle are when the function starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// In the page cache.
    WarmCache,
    /// On the disk only.
    DroppedCache,
    /// The package in the page cache, the bundle on a mount that is slow.
    SlowMount,
}

impl Case {
    /// The cases that the options leave.
    ///
    /// # Errors
    /// If one of them cannot be had on this machine.
    pub(crate) fn chosen(args: &Args) -> Result<Vec<Self>> {
        let named: Vec<Storage> = [
            (args.warm_cache, Storage::WarmCache),
            (args.drop_caches, Storage::DroppedCache),
            (args.slow_mount, Storage::SlowMount),
        ]
        .into_iter()
        .filter_map(|(is_named, storage)| is_named.then_some(storage))
        .collect();
        let is_named = !named.is_empty() || args.cpus.is_some();
        let mut cases = Vec::new();
        if !args.large_event {
            let all = [Storage::WarmCache, Storage::DroppedCache, Storage::SlowMount];
            for &storage in if named.is_empty() { &all[..] } else { &named } {
                for count in args.cpus.map_or(vec![1, 2], |count| vec![count]) {
                    cases.push(Self::new(args, storage, count, false)?);
                }
            }
        }
        if args.large_event || !is_named {
            let default = [Storage::WarmCache];
            for &storage in if named.is_empty() { &default[..] } else { &named } {
                cases.push(Self::new(args, storage, args.cpus.unwrap_or(1), true)?);
            }
        }
        Ok(cases)
    }

    fn new(args: &Args, storage: Storage, cpu_count: u32, large_event: bool) -> Result<Self> {
        match storage {
            Storage::WarmCache => {}
            Storage::DroppedCache => page_cache::may_drop()?,
            Storage::SlowMount => mount::may_mount()?,
        }
        let runs = match storage {
            _ if large_event => 3,
            Storage::WarmCache => 10,
            Storage::DroppedCache | Storage::SlowMount => 5,
        };
        let (runs, cpus) = (args.runs.unwrap_or(runs), Cpus::choose(cpu_count)?);
        Ok(Self { storage, cpus, large_event, runs })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "storage": self.storage.to_string(),
            "cpus": self.cpus.chosen(),
            "large_event": self.large_event,
            "runs": self.runs,
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, CPU {}", self.storage, self.cpus.chosen())?;
        if self.large_event {
            write!(f, ", an event of {LARGE_EVENT_CANDIDATES} candidates")?;
        }
        write!(f, ", {} runs", self.runs)
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WarmCache => "page cache warm",
            Self::DroppedCache => "page cache dropped",
            Self::SlowMount => "slow mount",
        })
    }
}
