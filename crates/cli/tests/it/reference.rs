//! The documentation lists what the code has.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use clap::CommandFactory as _;
use semblance_api::{Config, Limits, Line, decode_event};
use semblance_cli::Arguments;
use semblance_process::{Environment, ORT_DISABLE_TELEMETRY};
use semblance_test_support::table_names;
use serde_json::json;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::client::Client;
use crate::serve;

fn names<T: Into<String>>(names: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    names.into_iter().map(Into::into).collect()
}

#[test]
fn the_documentation_lists_every_variable() {
    let read = Rc::<RefCell<BTreeSet<String>>>::default();
    let environment = Environment::from_lookup({
        let read = Rc::clone(&read);
        move |name| {
            read.borrow_mut().insert(name.to_owned());
            None
        }
    });
    Config::from_environment(&environment).unwrap();
    // Read at the start of a process, before the configuration.
    read.borrow_mut().insert(ORT_DISABLE_TELEMETRY.to_owned());
    let listed = table_names("docs/configuration.md", "## Environment variables");
    assert_eq!(listed, *read.borrow());
}

#[test]
fn the_documentation_lists_every_flag() {
    let table = |heading: &str| table_names("docs/configuration.md", heading);
    let common = table("### Flags of every command that runs a model");
    let pairs = &common | &table("### Flags of rerank and predict");
    let own = |command| table(&format!("### Flags of {command}"));
    let mut listed: Vec<_> = ["score", "embed", "tokenize", "search", "serve", "verify"]
        .map(|command| (command.to_owned(), &own(command) | &common))
        .into();
    listed.push(("rerank".to_owned(), &own("rerank") | &pairs));
    listed.push(("predict".to_owned(), pairs));
    listed.push(("models".to_owned(), names(["--json"])));
    listed.push(("completions".to_owned(), names([""; 0])));
    listed.push(("manual".to_owned(), names(["--output"])));
    // The flags of its commands are in docs/corpora.md.
    listed.push(("index".to_owned(), names([""; 0])));
    let rows = &common | &table("### Flags of mine, cluster and map for a file of rows");
    for command in ["mine", "cluster", "map"] {
        listed.push((command.to_owned(), &own(command) | &rows));
    }
    listed.sort();
    let program = Arguments::command();
    let mut found: Vec<_> = program
        .get_subcommands()
        .map(|command| {
            let flags = command.get_arguments().filter_map(|argument| argument.get_long());
            (command.get_name().to_owned(), names(flags.map(|flag| format!("--{flag}"))))
        })
        .collect();
    found.sort();
    assert_eq!(listed.as_slice(), found);
}

/// The fields of the events of a subscriber, absent ones included.
#[derive(Clone, Default)]
struct Fields(Arc<Mutex<BTreeSet<String>>>);

impl<S: Subscriber> Layer<S> for Fields {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let fields = event.metadata().fields();
        self.0.lock().unwrap().extend(fields.iter().map(|field| field.name().to_owned()));
    }
}

#[test]
fn the_documentation_lists_every_log_field() {
    let fields = Fields::default();
    let subscriber = tracing_subscriber::registry().with(fields.clone());
    tracing::subscriber::with_default(subscriber, || Line::default().write());
    let mut found = fields.0.lock().unwrap().clone();
    // Every line of the JSON format has these.
    found.extend(names(["timestamp", "level", "target"]));
    assert_eq!(table_names("docs/operations.md", "## Logs"), found);
}

#[test]
fn the_documentation_lists_every_metric() {
    let server = serve(&[]);
    let client = Client::new(&server);
    // A metric with labels appears with its first request.
    client.get("/health");
    let metrics = client.get("/metrics");
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let found = types.map(|line| match line.split_once(' ') {
        Some((name, "counter")) => format!("{name}_total"),
        Some((name, _)) => name.to_owned(),
        None => panic!("{line}"),
    });
    assert_eq!(table_names("docs/operations.md", "## Metrics"), names(found));
}

#[test]
fn the_documentation_lists_every_operation() {
    let unknown = decode_event(json!({"operation": "?"}), &Limits::default());
    let Err(error) = unknown else { panic!("no operation has this name") };
    let message = error.to_string();
    let found = message.split('"').skip(1).step_by(2);
    assert_eq!(table_names("docs/events.md", "### Operations"), names(found));
}
