//! One cold start, from the spawn to the last warm answer.

use std::time::Duration;

use semblance_test_support::{Answer, RuntimeApi};

use crate::args::Args;
use crate::case::{Case, Storage};
use crate::error::Result;
use crate::event;
use crate::function::Function;
use crate::memory::Memory;
use crate::mount::SlowMount;
use crate::page_cache;
use crate::report::median;
use crate::run::Run;
use crate::subject::Subject;

const TO_FIRST: &str = "spawn -> first response";

pub(crate) fn cold_start(args: &Args, case: &Case, subject: &Subject) -> Result<Run> {
    let first_event = event::first(&args.event)?;
    let task_root = subject.package.task_root();
    let mount = match case.storage {
        Storage::SlowMount => Some(SlowMount::of(&subject.bundle, args)?),
        Storage::WarmCache | Storage::DroppedCache => None,
    };
    let bundle = mount.as_ref().map_or(subject.bundle.as_path(), SlowMount::path);
    if case.storage == Storage::DroppedCache {
        page_cache::empty()?;
    }
    let api = RuntimeApi::start()?;
    let pending = api.queue(&first_event);
    let mut function = Function::spawn(args, task_root, bundle, &api.url(), &case.cpus)?;
    let answer = function.answer(&pending)?;
    let memory = function.memory()?;

    let mut run = Run::default();
    times(&mut run, &function, &answer)?;
    first_memory(&mut run, &memory);
    if let Some(mount) = &mount {
        mount_traffic(&mut run, mount);
    }
    if case.storage == Storage::DroppedCache {
        // The cache was empty, so what is in it now is what was read, ahead included.
        run.parts("read from the bundle", "MB", &megabytes(page_cache::resident_bytes(bundle)?));
        run.parts(
            "read from the package",
            "MB",
            &megabytes(page_cache::resident_bytes(task_root)?),
        );
    }
    if case.large_event {
        let answer = function.answer(&api.queue(&event::large()))?;
        run.ms(&["large event"], ms(answer.elapsed()));
        let after = function.memory()?;
        run.mb(&["peak RSS after the large event"], after.peak_bytes);
        let ratio = after.peak_bytes / memory.peak_bytes;
        run.add(&["peak RSS after the large event", "to that after the first"], "x", ratio);
        run.mb(&["RSS after the large event"], after.resident_bytes);
    }
    let mut warm = Vec::new();
    for _ in 0..args.warm {
        warm.push(ms(function.answer(&api.queue(&first_event))?.elapsed()));
    }
    if !warm.is_empty() {
        run.ms(&["warm event, median"], median(&mut warm));
        let last = function.memory()?;
        run.mb(&["RSS after the last event"], last.resident_bytes);
        run.mb(&["RSS after the last event", "anonymous"], last.anonymous_bytes);
        run.mb(&["peak RSS after the last event"], last.peak_bytes);
    }
    Ok(run)
}

/// Where the time to the first response went; the function's log has the steps.
fn times(run: &mut Run, function: &Function, answer: &Answer) -> Result<()> {
    let started = function.log.line("started")?;
    let answered = function.log.line("event answered")?;
    let (init, handled) = (started.number("total_ms")?, answered.number("total_ms")?);
    let until_started = ms(started.arrived - function.spawned);
    let until_handed_over = ms(answer.handed_over - function.spawned);
    run.ms(&[TO_FIRST], ms(answer.arrived - function.spawned));
    run.ms(&[TO_FIRST, "exec, loader, configuration"], until_started - init);
    run.ms(&[TO_FIRST, "init"], init);
    for (step, value) in started.steps() {
        run.ms(&[TO_FIRST, "init", &step], value);
    }
    run.ms(&[TO_FIRST, "runtime, connect, poll"], until_handed_over - until_started);
    run.ms(&[TO_FIRST, "first event"], handled);
    for (step, value) in answered.steps() {
        run.ms(&[TO_FIRST, "first event", &step], value);
    }
    run.ms(&[TO_FIRST, "event and answer on the wire"], ms(answer.elapsed()) - handled);
    Ok(())
}

fn first_memory(run: &mut Run, memory: &Memory) {
    run.mb(&["peak RSS"], memory.peak_bytes);
    run.mb(&["RSS after the first answer"], memory.resident_bytes);
    run.mb(&["RSS after the first answer", "anonymous"], memory.anonymous_bytes);
    run.mb(&["RSS after the first answer", "file"], memory.file_bytes);
    run.count(&["minor page faults"], memory.minor_faults);
    run.count(&["major page faults"], memory.major_faults);
}

fn mount_traffic(run: &mut Run, mount: &SlowMount) {
    let traffic = mount.traffic();
    let (mut bytes, mut requests) = (Vec::new(), Vec::new());
    for (file, read_bytes, reads) in traffic.reads {
        bytes.push((file.clone(), read_bytes as f64));
        requests.push((file, reads as f64));
    }
    run.parts("read from the mount", "MB", &megabytes(bytes));
    run.parts("read requests to the mount", "", &requests);
    run.count(&["other requests to the mount"], traffic.others as f64);
}

fn megabytes(bytes: Vec<(String, f64)>) -> Vec<(String, f64)> {
    bytes.into_iter().map(|(name, bytes)| (name, bytes / 1e6)).collect()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
