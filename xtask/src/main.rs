//! The repository's own tasks. `cargo xtask --help` lists them.
//!
//! Everything here may be done by hand as well; a task only spares the reading. Tasks tell on standard error what they
//! do and keep what they make under `target/`: decisions, keys and downloads in `target/xtask`, modules in
//! `target/actors`.

mod actors;
mod bench;
mod ci;
mod demo;
mod fleet;
mod ground;
mod guard;
mod live;
mod load;
mod probe;
mod process;
mod program;
mod setup;
mod sim;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use workspace::Workspace;

/// Builds, tests and checks Wattle.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Setup(setup::Args),
    BuildActors(actors::Args),
    Bench(bench::Args),
    Guard(guard::Args),
    Demo(demo::Args),
    Live(live::Args),
    Soak(soak::Args),
    Sim(sim::Args),
    Test(test::Args),
    Tidy(tidy::Args),
    Ci(ci::Args),
}

fn main() -> ExitCode {
    let workspace = Workspace::here();
    let result = match Cli::parse().task {
        Task::Setup(args) => setup::run(&workspace, &args),
        Task::BuildActors(args) => actors::run(&workspace, &args),
        Task::Bench(args) => bench::run(&workspace, &args),
        Task::Guard(args) => guard::run(&workspace, &args),
        Task::Demo(args) => demo::run(&workspace, &args),
        Task::Live(args) => live::run(&workspace, &args),
        Task::Soak(args) => soak::run(&workspace, &args),
        Task::Sim(args) => sim::run(&workspace, &args),
        Task::Test(args) => test::run(&workspace, &args),
        Task::Tidy(args) => tidy::run(&workspace, &args),
        Task::Ci(args) => ci::run(&workspace, &args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
