//! The machine that measures.

use std::fs;

use serde_json::{Value, json};

use crate::cpus::Cpus;
use crate::error::Result;

pub(crate) struct Machine {
    cpu_model: String,
    cpus: String,
    kernel: String,
}

impl Machine {
    pub(crate) fn this() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let model =
            cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Ok(Self {
            // ARM's has no such line.
            cpu_model: model.map_or("unknown", |(_, model)| model.trim()).to_owned(),
            cpus: Cpus::allowed()?,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        })
    }

    pub(crate) fn title(&self) -> String {
        let Self { cpu_model, cpus, kernel } = self;
        format!("{cpu_model}, CPUs {cpus}, Linux {kernel}")
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "cpu_model": self.cpu_model, "cpus": self.cpus, "kernel": self.kernel })
    }
}
