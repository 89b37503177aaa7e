//! `semblance verify`.

use std::io::Write;

use super::Failure;
use super::args::{VerifyArguments, bundle_folder};
use super::progress;
use crate::bundle::Bundle;
use crate::config::Config;

pub(super) fn run(arguments: &VerifyArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let folder = bundle_folder(arguments.bundle.as_ref(), &Config::from_env()?);
    let bundle = Bundle::open(&folder)?;
    let total = bundle.manifest().files.iter().map(|file| file.size_bytes).sum();
    let bar = progress::bytes(Some(total));
    let verified = bundle.verify(|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let verified = verified?;
    let manifest = bundle.manifest();
    writeln!(out, "model   {} ({}, {})", manifest.model_name, manifest.task, manifest.licence)?;
    writeln!(out, "source  {} {}", manifest.source, manifest.revision)?;
    writeln!(out, "digest  {}", bundle.digest())?;
    writeln!(out, "ok      {} files, {} bytes", verified.files, verified.bytes)?;
    Ok(())
}
