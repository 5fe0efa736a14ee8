//! `demo lattice`: three hosts, and everything that may happen to them, under constant load.

mod promise;
mod scene;
mod story;
mod table;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{actors, process::say, program, setup, workspace::Workspace};

use scene::Scene;

/// Shows a lattice of three hosts under load while hosts and NATS fail, and leaves it running to be tried.
///
/// HTTP on one host, a counter actor on two, its key-value provider on the third. One host of the actor is killed, it
/// comes back, another one is drained; a good version goes over all hosts, a bad one is tried on a share of the calls
/// and goes back by itself; NATS is killed and started again. Ends with a table; exits with an error if a promise
/// broke.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask demo lattice\n  cargo xtask demo lattice --once\n  \
                        cargo xtask demo lattice --end")]
pub(super) struct Args {
    /// End the hosts after the story.
    #[arg(long)]
    once: bool,
    /// Only end what an earlier demo left running.
    #[arg(long, conflicts_with = "once")]
    end: bool,
    /// Requests in flight at any time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Seconds of load around each change.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
}

/// What the story is told with.
struct Settings {
    connections: usize,
    phase: Duration,
}

/// Runs the task.
pub(super) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.end {
        return Scene::end_leftover(workspace);
    }
    say("demo: what is needed");
    let servers = setup::servers(workspace)?;
    actors::build(workspace)?;
    let wattle = program::bring(workspace)?;
    let settings =
        Settings { connections: usize::from(args.connections), phase: Duration::from_secs(u64::from(args.seconds)) };
    let mut scene = Scene::set(workspace, &wattle, &servers)?;
    let acts = match story::tell(&mut scene, &settings) {
        Ok(acts) => acts,
        Err(error) => {
            scene.show_logs();
            return Err(error);
        }
    };
    table::show(&acts);
    let broken = promise::broken(&acts, settings.connections);
    if !broken.is_empty() {
        scene.show_logs();
        bail!("promises broken:\n  {}", broken.join("\n  "));
    }
    say("demo: every promise was kept");
    if args.once {
        return scene.end();
    }
    scene.leave();
    Ok(())
}
