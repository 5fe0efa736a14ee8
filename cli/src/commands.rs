//! The commands: a folder for each noun, a file for each verb.

pub(crate) mod call;
pub(crate) mod claims;
pub(crate) mod completions;
pub(crate) mod config;
mod contracts;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod drain;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod keys;
pub(crate) mod label;
mod lasting;
pub(crate) mod link;
pub(crate) mod logs;
mod pairs;
pub(crate) mod par;
pub(crate) mod rollout;
pub(crate) mod scale;
pub(crate) mod spy;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod top;
pub(crate) mod up;
pub(crate) mod update;

use crate::{args::Command, context::Context, error::CliError};

/// Carries out a command.
pub(crate) async fn run(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::Up(args) => up::run(context, *args).await,
        Command::Down(args) => down::run(context, args).await,
        Command::Keys(verb) => keys::run(context, verb),
        Command::Claims(verb) => claims::run(context, verb),
        Command::Par(verb) => par::run(context, verb),
        Command::Start(noun) => start::run(context, noun).await,
        Command::Update(noun) => update::run(context, noun).await,
        Command::Rollout(verb) => rollout::run(context, verb).await,
        Command::Rollback(args) => rollout::back(context, args).await,
        Command::Scale(noun) => scale::run(context, noun).await,
        Command::Stop(noun) => stop::run(context, noun).await,
        Command::Drain(noun) => drain::run(context, noun).await,
        Command::Link(verb) => link::run(context, verb).await,
        Command::Config(verb) => config::run(context, verb).await,
        Command::Label(verb) => label::run(context, verb).await,
        Command::Get(noun) => get::run(context, noun).await,
        Command::Ps(args) => get::ps(context, args).await,
        Command::Inspect(args) => claims::inspect(context, &args),
        Command::Logs(args) => logs::run(context, &args).await,
        Command::Call(args) => call::run(context, args).await,
        Command::Spy(args) => spy::run(context, args).await,
        Command::Top(args) => top::run(context, args).await,
        Command::Doctor(args) => doctor::run(context, args).await,
        Command::Explain(args) => explain::run(context, args),
        Command::Completions(args) => completions::run(context, &args),
    }
}
