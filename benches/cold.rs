//! Cold start of the packaged function: from spawning `bootstrap` to its first response.
//!
//! Unpacks the zip that is deployed, gives its `bootstrap` the environment that Lambda gives and a
//! Runtime API in this process, with the first event waiting before the spawn. Run it with
//! `cargo bench --bench cold -- --help`.
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Map, Value, json};

#[path = "../tests/support/runtime_api.rs"]
mod runtime_api;

use runtime_api::{Answer, Kind, Pending, RuntimeApi};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Measures spawn -> first response of the packaged Lambda function.
#[derive(Parser)]
#[command(name = "cold")]
struct Args {
    /// The package
    #[arg(default_value = "target/lambda/similarity/bootstrap.zip")]
    package: PathBuf,
    /// The model bundle; by default the one of the environment's SEMBLANCE_BUNDLE
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// The event, as JSON
    #[arg(long, default_value = "tests/events/london.json")]
    event: PathBuf,
    /// Cold starts to measure
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Events to answer after the first
    #[arg(long, default_value_t = 20)]
    warm: u32,
    /// Threads of a forward pass; by default what the memory size buys
    #[arg(long)]
    threads: Option<u32>,
    /// The function's memory size, MB
    #[arg(long, default_value_t = 1769)]
    memory_mb: u32,
    /// CPUs the function may run on, by taskset(1); by default all
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    cpus: Option<u32>,
    /// Drop the page cache before each start; needs root
    #[arg(long)]
    drop_caches: bool,
    /// More environment for the function
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Also write every run and the summary to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cold: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let event = read(&args.event)?;
    let bundle = args.bundle.clone().or_else(|| env::var_os("SEMBLANCE_BUNDLE").map(Into::into));
    let bundle = bundle.unwrap_or_else(|| "build/model/default".into());
    let bundle = fs::canonicalize(&bundle).map_err(in_file(&bundle))?;
    let zip_bytes = fs::metadata(&args.package).map_err(in_file(&args.package))?.len();
    let task_root = unpack(&args.package)?;
    let cpus = Cpus::choose(args.cpus)?;
    let mut report = Report::default();
    for _ in 0..args.runs {
        if args.drop_caches {
            drop_caches()?;
        }
        report.add(cold_start(args, task_root.path(), &bundle, &event, &cpus)?);
    }
    println!(
        "{} ({:.2} MB) on {}, {} runs, page cache {}, CPUs {}",
        args.package.display(),
        zip_bytes as f64 / 1e6,
        bundle.display(),
        args.runs,
        if args.drop_caches { "dropped before each" } else { "warm" },
        cpus.chosen,
    );
    report.print();
    if let Some(file) = &args.json {
        let json = json!({ "zip_bytes": zip_bytes, "measures": report.json() });
        fs::write(file, format!("{json:#}\n")).map_err(in_file(file))?;
    }
    Ok(())
}

/// Starts the function once, from spawn to the last warm answer.
fn cold_start(
    args: &Args,
    task_root: &Path,
    bundle: &Path,
    event: &[u8],
    cpus: &Cpus,
) -> Result<Run> {
    let api = RuntimeApi::start()?;
    let pending = api.queue(event);
    let mut command = Command::new(task_root.join("bootstrap"));
    lambda_environment(&mut command, args, task_root, bundle, &api.url());
    cpus.confine()?;
    let spawned = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    cpus.release()?;
    let mut function = Function(child?);
    let log = Log::of(&mut function)?;
    let answer = function.answer(&pending).inspect_err(|_| log.show())?;
    let memory = function.memory()?;
    let (started_at, started) = log.line("started")?;
    let (_, answered) = log.line("event answered")?;

    let mut run = Run::default();
    let init = number(&started, "total_ms")?;
    let handled = number(&answered, "total_ms")?;
    let until_started = ms(started_at - spawned);
    run.ms("spawn -> first response", ms(answer.arrived - spawned));
    run.ms("  exec, loader, configuration", until_started - init);
    run.ms("  init", init);
    for (name, value) in steps(&started) {
        run.ms(&format!("    {name}"), value);
    }
    run.ms("  runtime, connect, poll", ms(answer.handed_over - spawned) - until_started);
    run.ms("  first event", handled);
    for (name, value) in steps(&answered) {
        run.ms(&format!("    {name}"), value);
    }
    run.ms("  event and answer on the wire", ms(answer.elapsed()) - handled);
    run.0.extend(memory);
    if args.drop_caches {
        // The cache was empty, so what is in it now is what was read.
        run.mb("read from the bundle", resident_bytes(bundle)?);
        run.mb("read from the package", resident_bytes(task_root)?);
    }
    let mut warm = Vec::new();
    for _ in 0..args.warm {
        warm.push(ms(function.answer(&api.queue(event))?.elapsed()));
    }
    if !warm.is_empty() {
        run.ms("warm event, median", median(&mut warm));
        run.mb("peak RSS after the warm events", function.status("VmHWM")?);
    }
    Ok(run)
}

/// What Lambda sets for a function on an OS-only runtime (developer guide, "Defined runtime
/// environment variables"), and nothing else.
fn lambda_environment(
    command: &mut Command,
    args: &Args,
    task_root: &Path,
    bundle: &Path,
    api: &str,
) {
    let root = task_root.display();
    let libraries =
        format!("/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:{root}:{root}/lib:/opt/lib");
    command.env_clear().current_dir(task_root);
    command.envs([
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &args.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", "similarity"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/similarity"),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[1]0123456789abcdef0123456789abcdef"),
        ("AWS_LAMBDA_RUNTIME_API", api),
        ("AWS_REGION", "eu-west-1"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", &root.to_string()),
        ("LANG", "en_US.UTF-8"),
        ("LD_LIBRARY_PATH", &libraries),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("SEMBLANCE_BUNDLE", &bundle.display().to_string()),
        // Off: the warm events are the first again and must be embedded again.
        ("SEMBLANCE_CACHE_BYTES", "0"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ]);
    if let Some(threads) = args.threads {
        command.env("SEMBLANCE_THREADS", threads.to_string());
    }
    command.envs(args.env.iter().filter_map(|pair| pair.split_once('=')));
}

/// The function's process; killed when dropped.
struct Function(Child);

impl Function {
    /// Waits for an answer for as long as the process lives.
    fn answer(&mut self, pending: &Pending) -> Result<Answer> {
        loop {
            match pending.wait(Duration::from_millis(200)) {
                Some(answer) if answer.kind == Kind::Response => return Ok(answer),
                Some(answer) => {
                    let body = String::from_utf8_lossy(&answer.body).into_owned();
                    return Err(format!("the function answered with an error: {body}").into());
                }
                None => {
                    if let Some(status) = self.0.try_wait()? {
                        return Err(
                            format!("the function ended without an answer: {status}").into()
                        );
                    }
                }
            }
        }
    }

    fn memory(&self) -> Result<Vec<Measure>> {
        let stat = fs::read_to_string(self.proc("stat"))?;
        // proc_pid_stat(5); the second field, the name, may hold spaces and ends with `)`.
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |number: usize| -> Result<f64> {
            Ok(fields.get(number - 3).ok_or("too few fields in stat")?.parse()?)
        };
        let mut run = Run::default();
        run.mb("peak RSS", self.status("VmHWM")?);
        run.mb("RSS after the first answer", self.status("VmRSS")?);
        run.mb("  anonymous", self.status("RssAnon")?);
        run.mb("  file", self.status("RssFile")?);
        run.0.push(Measure { name: "minor page faults".into(), unit: "", value: field(10)? });
        run.0.push(Measure { name: "major page faults".into(), unit: "", value: field(12)? });
        Ok(run.0)
    }

    /// A size of `status`, in bytes.
    fn status(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .ok_or_else(|| format!("no {name} in status"))?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024.0)
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.0.id().to_string()).join(file)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The function's log lines, with the time each arrived.
struct Log(Receiver<(Instant, String)>);

impl Log {
    fn of(function: &mut Function) -> Result<Self> {
        let stdout = function.0.stdout.take().ok_or("no standard output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(io_ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self(lines))
    }

    /// Shows what is left of it.
    fn show(&self) {
        while let Ok((_, text)) = self.0.recv_timeout(Duration::from_millis(200)) {
            println!("{text}");
        }
    }

    /// The next line with this message; shows the others.
    fn line(&self, message: &str) -> Result<(Instant, Logged)> {
        loop {
            let (at, text) = self
                .0
                .recv_timeout(Duration::from_secs(5))
                .map_err(|_| format!("the function did not log {message:?}"))?;
            match serde_json::from_str::<Map<String, Value>>(&text) {
                Ok(fields) if fields.get("message").is_some_and(|found| found == message) => {
                    return Ok((at, Logged { text, fields }));
                }
                _ => println!("{text}"),
            }
        }
    }
}

fn io_ok(line: std::io::Result<String>) -> Option<String> {
    line.ok()
}

/// A log line: as it was written, and its fields.
struct Logged {
    text: String,
    fields: Map<String, Value>,
}

fn number(line: &Logged, field: &str) -> Result<f64> {
    line.fields
        .get(field)
        .and_then(Value::as_f64)
        .ok_or_else(|| format!("no number {field} in {}", line.text).into())
}

/// Every `<step>_ms` of a line but the total, in the order of the line.
fn steps(line: &Logged) -> Vec<(String, f64)> {
    let mut steps: Vec<(usize, String, f64)> = line
        .fields
        .iter()
        .filter(|(field, _)| *field != "total_ms")
        .filter_map(|(field, value)| {
            let position = line.text.find(&format!("\"{field}\":"))?;
            Some((position, field.strip_suffix("_ms")?.replace('_', " "), value.as_f64()?))
        })
        .collect();
    steps.sort_by_key(|(position, ..)| *position);
    steps.into_iter().map(|(_, name, value)| (name, value)).collect()
}

struct Measure {
    name: String,
    unit: &'static str,
    value: f64,
}

/// What one cold start measured.
#[derive(Default)]
struct Run(Vec<Measure>);

impl Run {
    fn ms(&mut self, name: &str, value: f64) {
        self.0.push(Measure { name: name.to_owned(), unit: "ms", value });
    }

    fn mb(&mut self, name: &str, bytes: f64) {
        self.0.push(Measure { name: name.to_owned(), unit: "MB", value: bytes / 1e6 });
    }
}

/// The runs, measure by measure.
#[derive(Default)]
struct Report(Vec<(String, &'static str, Vec<f64>)>);

impl Report {
    fn add(&mut self, run: Run) {
        for (index, measure) in run.0.into_iter().enumerate() {
            if index == self.0.len() {
                self.0.push((measure.name, measure.unit, Vec::new()));
            }
            self.0[index].2.push(measure.value);
        }
    }

    fn print(&self) {
        println!("{:<34} {:>10} {:>10} {:>10}", "", "median", "min", "max");
        for (name, unit, values) in &self.0 {
            let mut values = values.clone();
            let median = median(&mut values);
            let digits = if unit.is_empty() { 0 } else { 1 };
            let [median, least, most] = [median, values[0], values[values.len() - 1]]
                .map(|value| format!("{value:.digits$}"));
            println!("{name:<34} {median:>10} {least:>10} {most:>10} {unit}");
        }
    }

    fn json(&self) -> Value {
        let of = |(name, unit, values): &(String, &'static str, Vec<f64>)| {
            let (name, median) = (name.trim(), median(&mut values.clone()));
            json!({ "name": name, "unit": unit, "median": median, "runs": values })
        };
        self.0.iter().map(of).collect()
    }
}

/// Sorts the values, of which there is one at least, and returns the middle one (the mean of two).
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The CPUs of the function. A child inherits them from this thread, so that no wrapper's own
/// start is measured; the Runtime API keeps all.
struct Cpus {
    all: String,
    chosen: String,
}

impl Cpus {
    fn choose(count: Option<u32>) -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let all = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .ok_or("no Cpus_allowed_list in status")?
            .trim()
            .to_owned();
        let Some(count) = count else { return Ok(Self { chosen: all.clone(), all }) };
        let chosen: Vec<String> =
            cpu_numbers(&all)?.iter().take(count as usize).map(ToString::to_string).collect();
        if chosen.len() < count as usize {
            return Err(format!("{count} CPUs are wanted, {all} may be used").into());
        }
        Ok(Self { all, chosen: chosen.join(",") })
    }

    fn confine(&self) -> Result<()> {
        self.set(&self.chosen)
    }

    fn release(&self) -> Result<()> {
        self.set(&self.all)
    }

    fn set(&self, list: &str) -> Result<()> {
        if self.all == self.chosen {
            return Ok(());
        }
        // The main thread's number is the process's.
        let process = std::process::id().to_string();
        finish(Command::new("taskset").args(["-cp", list, &process]))
    }
}

/// Expands a list such as `0-2,5`.
fn cpu_numbers(list: &str) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        numbers.extend(first.parse::<u32>()?..=last.parse()?);
    }
    Ok(numbers)
}

fn drop_caches() -> Result<()> {
    finish(&mut Command::new("sync"))?;
    fs::write("/proc/sys/vm/drop_caches", "3").map_err(|error| {
        format!("--drop-caches: the page cache cannot be dropped ({error}); root may do it").into()
    })
}

/// Bytes of a folder's files, and of those below it, that are in the page cache.
fn resident_bytes(folder: &Path) -> Result<f64> {
    let mut bytes = 0.0;
    for entry in fs::read_dir(folder).map_err(in_file(folder))? {
        let path = entry?.path();
        if path.is_dir() {
            bytes += resident_bytes(&path)?;
            continue;
        }
        let output = Command::new("fincore")
            .args(["--bytes", "--noheadings", "--output", "RES"])
            .arg(&path)
            .output()
            .map_err(in_file(Path::new("fincore")))?;
        bytes += String::from_utf8(output.stdout)?.trim().parse::<f64>()?;
    }
    Ok(bytes)
}

/// Unpacks a zip beside itself: the usual place for such folders may be in memory, where no cache
/// can be cold.
fn unpack(package: &Path) -> Result<tempfile::TempDir> {
    let package = fs::canonicalize(package).map_err(in_file(package))?;
    let folder = tempfile::tempdir_in(package.parent().ok_or("the package is no file")?)?;
    finish(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&package).arg(folder.path()))?;
    // Python's module does not restore the permissions.
    finish(Command::new("chmod").args(["-R", "a+rx"]).arg(folder.path()))?;
    Ok(folder)
}

/// Runs a tool to its end.
fn finish(command: &mut Command) -> Result<()> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(in_file(&program))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{}: {}", program.display(), reason.trim()).into())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(in_file(file))
}

/// Says in which file an error happened.
fn in_file(file: &Path) -> impl FnOnce(std::io::Error) -> Box<dyn Error + Send + Sync> {
    let file = file.display().to_string();
    move |error| format!("{file}: {error}").into()
}
