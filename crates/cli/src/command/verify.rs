//! The command `verify`.

use std::io::Write;

use semblance::Model;
use semblance::internals::bundle::Bundle;

use super::progress;
use crate::arguments::VerifyArguments;
use crate::error::CommandError;
use crate::settings::Settings;
use crate::terminal::visible;

pub(super) fn run(arguments: &VerifyArguments, out: &mut dyn Write) -> Result<(), CommandError> {
    let settings = Settings::new(&arguments.model)?;
    let bundle = Bundle::open(settings.folder())?;
    let total = bundle.manifest().files.iter().map(|file| file.size_bytes).sum();
    let bar = progress::bytes(Some(total));
    let verified = bundle.verify(|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let verified = verified?;
    if arguments.load {
        Model::check(settings.folder(), settings.model())?;
    }
    // A manifest is written by others: its texts could contain control sequences of the terminal.
    let manifest = bundle.manifest();
    let (name, task) = (&manifest.model_name, manifest.task);
    writeln!(out, "model   {name} ({task}, {})", visible(&manifest.licence))?;
    writeln!(out, "source  {} {}", visible(&manifest.source), visible(&manifest.revision))?;
    writeln!(out, "digest  {}", bundle.digest())?;
    let loaded = if arguments.load { ", loaded" } else { "" };
    writeln!(out, "ok      {} files, {} bytes{loaded}", verified.files, verified.bytes)?;
    Ok(())
}
