//! The command `verify`.

use std::io::Write;

use semblance::Bundle;
use semblance_api::Config;
use semblance_process::Environment;

use super::progress;
use crate::arguments::VerifyArguments;
use crate::error::CommandError;
use crate::settings::bundle_folder;

pub(super) fn run(arguments: &VerifyArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let config = Config::from_environment(&Environment::from_process())?;
    let folder = bundle_folder(arguments.bundle.as_ref(), &config);
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
