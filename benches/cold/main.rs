//! Cold start of the packaged function: from spawning `bootstrap` to its first response.
//!
//! Unpacks the zip that is deployed, gives its `bootstrap` the environment that Lambda gives and a
//! Runtime API in this process, with the first event waiting before the spawn. Run it with
//! `cargo bench --bench cold -- --help`.
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

mod args;
mod case;
mod cpus;
mod error;
mod event;
mod folder;
mod function;
mod log;
mod machine;
mod memory;
mod mount;
mod page_cache;
mod report;
mod run;
mod start;
mod subject;
mod tool;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use serde_json::{Value, json};

use crate::args::Args;
use crate::case::{Case, Storage};
use crate::error::{Result, in_file};
use crate::machine::Machine;
use crate::mount::SlowMount;
use crate::report::Report;
use crate::start::cold_start;
use crate::subject::Subject;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.serve_mount {
        Some(folder) => serve_mount(&args, folder),
        None => measure(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cold: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves a slow mount to another program. Then prints how many bytes were read.
fn serve_mount(args: &Args, folder: &Path) -> Result<()> {
    let mount = SlowMount::of(folder, args)?;
    println!("{}", mount.path().display());
    io::stdout().flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    let bytes: u64 = mount.traffic().reads.iter().map(|(_, bytes, _)| bytes).sum();
    println!("{bytes}");
    Ok(())
}

/// Measures every case, and prints it when it is done.
fn measure(args: &Args) -> Result<()> {
    let cases = Case::chosen(args)?;
    let subjects = Subject::all(args)?;
    let machine = Machine::this()?;
    println!("{}", machine.title());
    for (letter, subject) in report::letters().zip(&subjects) {
        let letter = if subjects.len() > 1 { format!("{letter}: ") } else { String::new() };
        println!("{letter}{}", subject.title());
    }
    let mut documents = Vec::new();
    for case in &cases {
        println!("\n{case}");
        let reports = take_turns(args, case, &subjects)?;
        report::print(&reports);
        documents.push(document(case, &subjects, &reports));
    }
    if let Some(file) = &args.json {
        let json = json!({
            "machine": machine.json(),
            "mount": {
                "mib_s": args.mount_mib_s,
                "latency_ms": args.mount_latency_ms,
                "readahead_kib": args.mount_readahead_kib,
            },
            "memory_mb": args.memory_mb,
            "cases": documents,
        });
        fs::write(file, format!("{json:#}\n")).map_err(in_file(file))?;
    }
    Ok(())
}

/// Starts each subject once, then each again: what disturbs the machine disturbs all of them.
fn take_turns(args: &Args, case: &Case, subjects: &[Subject]) -> Result<Vec<Report>> {
    if case.storage != Storage::DroppedCache {
        for subject in subjects {
            page_cache::fill(&subject.bundle)?;
            page_cache::fill(subject.package.task_root())?;
        }
    }
    let mut reports: Vec<Report> = subjects.iter().map(|_| Report::default()).collect();
    for _ in 0..case.runs {
        for (subject, report) in subjects.iter().zip(&mut reports) {
            report.add(cold_start(args, case, subject)?);
        }
    }
    Ok(reports)
}

fn document(case: &Case, subjects: &[Subject], reports: &[Report]) -> Value {
    let subjects: Vec<Value> = subjects
        .iter()
        .zip(reports)
        .map(|(subject, report)| json!({ "subject": subject.json(), "measures": report.json() }))
        .collect();
    json!({ "case": case.json(), "subjects": subjects })
}
