//! Measures Wattle beside what a user would pick instead, in one run, and prints ratios.
//!
//! Contestants take turns, round by round, so that whatever else the machine does hits all of them; what is printed are
//! medians over the rounds. Absolute figures belong to the machine, ratios carry over better.

mod calls;
mod guest;
mod http;
mod mesh;
mod quantiles;
mod table;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

/// Measures fresh-sandbox calls, HTTP and calls between hosts, ours and others', and prints ratios.
#[derive(Debug, Parser)]
#[command(name = "wattle-bench", disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// How to print the results.
    #[arg(short, long, value_enum, default_value = "text", global = true)]
    output: Output,
    /// How many times each contestant has its turn.
    #[arg(long, default_value_t = 9, global = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Length of a turn of calls, in milliseconds; HTTP turns take ten times that, calls between hosts five.
    #[arg(long, default_value_t = 200, global = true, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    turn_ms: u64,
}

#[derive(Debug, Clone, Subcommand)]
enum Part {
    /// Only calls of an echo guest, each in a fresh sandbox or not.
    Calls,
    /// Only HTTP hello.
    Http,
    /// Only calls of an actor on another host.
    Mesh,
    /// Answers calls over NATS until standard input ends: one contestant of `mesh`, in a process of its own.
    #[command(hide = true)]
    Answer { end: mesh::End, url: String },
    /// Serves hello on a free port until standard input ends: one contestant of `http`, in a process of its own.
    #[command(hide = true)]
    Serve { server: http::Server },
    /// Repeats one contestant's calls for ten turns, for a profiler to look at.
    #[command(hide = true)]
    Profile { contestant: String, size: usize, threads: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let turn = Duration::from_millis(args.turn_ms);
    match &args.part {
        Some(Part::Serve { server }) => return http::serve(*server),
        Some(Part::Answer { end, url }) => return mesh::serve(*end, url),
        Some(Part::Mesh) => print(args.output, &[mesh::run(args.rounds, turn * 5)?]),
        Some(Part::Profile { contestant, size, threads }) => {
            return calls::profile(contestant, *size, *threads, turn * 10);
        }
        Some(Part::Calls) => print(args.output, &[calls::run(args.rounds, turn)?]),
        Some(Part::Http) => print(args.output, &[http::run(args.rounds, turn * 10)?]),
        None => {
            let tables =
                [calls::run(args.rounds, turn)?, http::run(args.rounds, turn * 10)?, mesh::run(args.rounds, turn * 5)?];
            print(args.output, &tables);
        }
    }
    Ok(())
}

fn print(output: Output, results: &[table::Table]) {
    match output {
        Output::Text => results.iter().for_each(|table| println!("{table}")),
        Output::Json => println!("{:#}", results.iter().map(table::Table::to_json).collect::<serde_json::Value>()),
    }
}
