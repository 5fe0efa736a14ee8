//! `demo`: the main job, told on a live host under constant load.
//!
//! A counter actor is replaced while it is called, its HTTP server too; its store is taken away and another takes its
//! place; the host is never restarted. Every request is accounted for, every promise is checked.

mod lattice;
mod promise;
mod stage;
mod story;
mod table;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{
    actors,
    process::{cargo, run as run_command, say},
    setup,
    workspace::Workspace,
};

use stage::Stage;

/// Shows live updates under load on a host of its own, and leaves it running to be tried.
///
/// Brings what is missing, builds everything, starts a host with its own nats-server, and plays the story: a counter
/// service is replaced by a new version and back, its HTTP server is replaced, a broken module is refused, its
/// key-value store is taken away and another takes its place. Ends with a table; exits with an error if a promise
/// broke.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask demo\n  cargo xtask demo --once\n  \
                        cargo xtask demo --once --connections 128 --requests 1000000\n  \
                        cargo xtask demo lattice --once")]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    story: StoryArgs,
}

/// Which story is told.
#[derive(Debug, clap::Subcommand)]
enum What {
    Lattice(lattice::Args),
}

#[derive(Debug, clap::Args)]
struct StoryArgs {
    /// End the host after the story.
    #[arg(long)]
    once: bool,
    /// Requests in flight at any time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Least requests over the live updates: they are repeated until there are as many.
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// Seconds of load around each change.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
}

/// What the story is told with.
struct Settings {
    connections: usize,
    requests: usize,
    phase: Duration,
}

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    match &args.what {
        None => tell(workspace, &args.story),
        Some(What::Lattice(args)) => lattice::run(workspace, args),
    }
}

fn tell(workspace: &Workspace, args: &StoryArgs) -> Result<()> {
    say("demo: what is needed");
    let nats = setup::nats(workspace)?;
    actors::build(workspace)?;
    say("demo: the wattle program (some minutes the first time)");
    run_command(cargo(workspace.root()).args(["build", "--release", "--package", "wattle"]))?;
    let settings = Settings {
        connections: usize::from(args.connections),
        requests: args.requests,
        phase: Duration::from_secs(u64::from(args.seconds)),
    };
    let stage = Stage::set(workspace, &nats)?;
    let told = story::tell(&stage, &settings);
    let broken = match told {
        Ok(acts) => {
            table::show(&acts);
            promise::broken(&acts)
        }
        Err(error) => {
            stage.show_log();
            return Err(error);
        }
    };
    if !broken.is_empty() {
        bail!("promises broken:\n  {}", broken.join("\n  "));
    }
    say("demo: every promise was kept");
    if !args.once {
        stage.leave();
    }
    Ok(())
}
