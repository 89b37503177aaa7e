//! The help of the command line.

use std::process::Command;

use clap::CommandFactory as _;
use insta::assert_snapshot;
use semblance_api::routes;
use semblance_cli::Arguments;

fn help(arguments: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_semblance");
    let output = Command::new(program).args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_describes_the_command_line() {
    assert_snapshot!(help(&[]), @r"
    Scores and embeds texts with a sentence-transformer on the CPU, and serves it over HTTP

    Usage: semblance <COMMAND>

    Commands:
      score        Score texts against a query, best first
      rerank       Rank texts by their relevance to a query, best first
      predict      Score pairs of texts with a cross-encoder, for each of its labels
      embed        Embed the texts of a file, as JSON Lines, CSV, NumPy or Parquet
      tokenize     Print the tokens of texts
      models       List the model bundles below a folder
      index        Build and change an index of texts
      search       Search an index
      mine         Find the pairs of rows of an index or a file with the highest scores
      cluster      Find groups of near rows of an index or a file
      map          Draw the rows of an index or a file as points, near ones near each other
      verify       Verify the files of a bundle against its manifest
      serve        Serve over HTTP, for clients of text-embeddings-inference, OpenAI and Cohere
      completions  Print a script that completes the command line in a shell
      manual       Write the manual pages of all commands
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version
    ");
}

#[test]
fn the_help_of_serve_lists_every_route() {
    let help = help(&["serve"]);
    let lines: Vec<Vec<&str>> =
        help.lines().map(|line| line.split_whitespace().collect()).collect();
    let missing: Vec<String> = routes()
        .map(|route| format!("{} {} {}", route.method, route.path, route.summary))
        .chain(["GET /metrics Report counters for Prometheus".to_owned()])
        .filter(|route| !lines.contains(&route.split_whitespace().collect()))
        .collect();
    assert_eq!(missing, [""; 0], "{help}");
}

#[test]
fn every_command_has_help_with_examples() {
    let program = Arguments::command();
    let commands: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
    assert!(commands.len() > 9, "{commands:?}");
    let without = commands.into_iter().filter(|command| {
        // The commands of `index` have their own help.
        let help = help(&[command]);
        *command != "index" && !help.contains(&format!("\nExamples:\n  semblance {command}"))
    });
    assert_eq!(without.collect::<Vec<_>>(), [""; 0]);
}
