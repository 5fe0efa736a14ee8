//! `wattle rollout`, and what a rollout is to the commands that begin one.

mod back;
mod follow;
mod watch;

use clap::Subcommand;

use crate::{context::Context, control::Fleet, error::CliError};

pub(crate) use back::{BackArgs, run as back};
pub(super) use watch::watch;

/// Follows a new version on its way over all hosts, or turns it round.
#[derive(Debug, Subcommand)]
pub(crate) enum Rollout {
    Follow(follow::FollowArgs),
    Back(BackArgs),
}

pub(super) async fn run(context: &Context, verb: Rollout) -> Result<(), CliError> {
    match verb {
        Rollout::Follow(args) => follow::run(context, args).await,
        Rollout::Back(args) => back(context, args).await,
    }
}

/// Returns how hosts are told which rollout is meant. What runs nowhere may be declared still: hosts know it by name.
fn target(fleet: &Fleet, wanted: &str) -> Result<String, CliError> {
    match fleet.actor(wanted) {
        Ok(actor) => Ok(actor.to_string()),
        Err(error) if error.code == "actor_not_found" => Ok(wanted.to_owned()),
        Err(error) => Err(error),
    }
}
