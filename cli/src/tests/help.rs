//! Every `--help`, found by walking the command line itself, so that none is forgotten.

use clap::CommandFactory as _;

use super::{
    documents,
    rig::{Rig, golden},
};
use crate::args::Cli;

#[tokio::test]
async fn every_help_reads_as_agreed() {
    let mut paths = Vec::new();
    walk(&Cli::command(), &mut Vec::new(), &mut paths);
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let ran = Rig::new().run(&arguments).await;
        let name = path.join("-");
        golden(&format!("help-{}", if name.is_empty() { "wattle" } else { &name }), &ran);
    }
}

#[tokio::test]
async fn help_may_come_first() {
    let rig = Rig::new();
    let first = rig.run(&["help", "start", "actor"]).await;
    assert_eq!((first.code, first.out), (0, rig.run(&["start", "actor", "--help"]).await.out));
}

#[test]
fn every_command_that_acts_has_examples() {
    let mut paths = Vec::new();
    walk(&Cli::command(), &mut Vec::new(), &mut paths);
    for path in paths {
        let mut command = Cli::command();
        for name in &path {
            command = command.find_subcommand(name).unwrap().clone();
        }
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(command.has_subcommands() || examples.contains("Examples:\n  wattle "), "{path:?}");
    }
}

#[test]
fn every_example_can_be_pasted() {
    let mut paths = Vec::new();
    walk(&Cli::command(), &mut Vec::new(), &mut paths);
    for path in paths {
        let mut command = Cli::command();
        for name in &path {
            command = command.find_subcommand(name).unwrap().clone();
        }
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        // What is not indented are sentences.
        let indented: Vec<_> = examples.lines().filter(|line| line.starts_with("  ")).collect();
        for line in documents::commands(&indented.join("\n")) {
            documents::check(&line);
        }
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

fn walk(command: &clap::Command, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    paths.push(path.clone());
    for inner in command.get_subcommands() {
        path.push(inner.get_name().to_owned());
        walk(inner, path, paths);
        path.pop();
    }
}
