//! Measures Wattle beside what a user would pick instead: named scenarios, rounds, medians, a history.

mod actors;
mod calls;
mod cold;
mod compare;
mod compute;
mod document;
mod fairness;
mod first_start;
mod goals;
mod guest;
mod helper;
mod http;
mod idle;
mod machine;
mod many;
mod mesh;
mod plots;
mod quantiles;
mod record;
mod report;
mod routing;
mod scenario;
mod settings;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use record::Record;
use scenario::{ALL, Scenario};
use settings::Settings;

/// Rounds unless told otherwise, and in a quick run.
const ROUNDS: [u32; 2] = [5, 3];
/// Milliseconds of a turn unless told otherwise, and in a quick run.
const TURN_MS: [u64; 2] = [400, 60];

/// Measures Wattle beside what a user would pick instead, in one run, on this machine.
///
/// Figures of one run may be compared with each other: contestants take turns within each round. The run is kept as
/// JSON, with plots, in bench/results.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
#[command(
    disable_help_subcommand = true,
    after_help = "Examples:\n  cargo xtask bench\n  \
    cargo xtask bench --list\n  cargo xtask bench calls http --rounds 9\n  cargo xtask bench --quick\n  \
    cargo xtask bench --compare bench/results/A.json bench/results/B.json\n  \
    cargo xtask bench --show bench/results/A.json --into docs/performance.md"
)]
struct Args {
    /// What to measure; everything unless said.
    scenarios: Vec<String>,
    /// Say which scenarios there are.
    #[arg(long)]
    list: bool,
    /// Short turns, few actors: to see that it works. Not to be quoted.
    #[arg(long)]
    quick: bool,
    /// Build and measure others' programs too (`wasmtime serve`: many minutes the first time).
    #[arg(long)]
    peers: bool,
    /// How often each figure is taken; the median counts.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Milliseconds of a contestant's turn; scenarios with more to do take a multiple.
    #[arg(long)]
    turn_ms: Option<u64>,
    /// Show two kept runs beside each other, figure by figure.
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    compare: Option<Vec<PathBuf>>,
    /// Show a kept run again: its tables and goals. Plots are drawn anew.
    #[arg(long, value_name = "RUN")]
    show: Option<PathBuf>,
    /// Put the shown run into a page between its marks, with its plots.
    #[arg(long, value_name = "PAGE", requires = "show")]
    into: Option<PathBuf>,
    /// Write the record to standard output, instead of tables.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program is when another one of it needs company.
#[derive(Debug, Subcommand)]
enum Part {
    /// Answers calls over NATS.
    #[command(hide = true)]
    Answer { end: mesh::End, url: String },
    /// Serves HTTP on a free port.
    #[command(hide = true)]
    Serve { server: http::Server, trusted: Vec<String> },
    /// Runs a host with many actors.
    #[command(hide = true)]
    Actors { folder: PathBuf, issuer: String },
    /// Repeats one contestant's calls for four seconds, for a profiler to look at.
    #[command(hide = true)]
    Profile { contestant: String, size: usize, threads: usize },
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
    match &args.part {
        Some(Part::Serve { server, trusted }) => return http::serve(*server, trusted),
        Some(Part::Answer { end, url }) => return mesh::serve(*end, url),
        Some(Part::Actors { folder, issuer }) => return actors::serve(folder, issuer),
        Some(Part::Profile { contestant, size, threads }) => {
            return calls::profile(contestant, *size, *threads, Duration::from_secs(4));
        }
        None => {}
    }
    if args.list {
        ALL.iter().for_each(|scenario| println!("{:<12} {}", scenario.name, scenario.about));
        return Ok(());
    }
    if let Some([first, second]) = args.compare.as_deref() {
        print!("{}", compare::compare(&Record::read(first)?, &Record::read(second)?));
        return Ok(());
    }
    if let Some(file) = &args.show {
        let record = Record::read(file)?;
        return match &args.into {
            Some(page) => document::put(&record, page),
            None => show(&record, args.json),
        };
    }
    let record = measure(args)?;
    let file = record.write()?;
    show(&record, args.json)?;
    eprintln!("kept: {}", file.display());
    Ok(())
}

fn measure(args: &Args) -> Result<Record> {
    let chosen = args.scenarios.iter().map(|name| Scenario::named(name)).collect::<Result<Vec<_>>>()?;
    let chosen = if chosen.is_empty() { ALL.iter().collect() } else { chosen };
    let mut record = Record::begin(args.settings())?;
    let mut failed = Vec::new();
    for scenario in chosen {
        // What one scenario lacks should not cost the others' figures.
        match scenario.run(record.settings) {
            Ok(report) => {
                eprintln!("{report}");
                record.scenarios.push(report);
            }
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    if !failed.is_empty() {
        record.write()?;
        bail!("not everything was measured:\n- {}", failed.join("\n- "));
    }
    Ok(record)
}

fn show(record: &Record, json: bool) -> Result<()> {
    for (_, file) in plots::draw(record)? {
        eprintln!("drawn: {}", file.display());
    }
    if json {
        println!("{}", serde_json::to_string_pretty(record)?);
        return Ok(());
    }
    println!("{}", record.heading());
    record.scenarios.iter().for_each(|report| println!("{report}"));
    print!("{}", goals::Goals(record));
    Ok(())
}

impl Args {
    fn settings(&self) -> Settings {
        let at = usize::from(self.quick);
        Settings {
            rounds: self.rounds.unwrap_or(ROUNDS[at]),
            turn_ms: self.turn_ms.unwrap_or(TURN_MS[at]),
            quick: self.quick,
            peers: self.peers,
        }
    }
}
