//! `wattle link del`.

use clap::Args;
use wattle_types::{ContractId, LinkKey, LinkName, control::Command};

use crate::{context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle link del Counter wasmcloud:keyvalue
  wattle link del MDX3 wasmcloud:keyvalue --link-name cache";

/// Takes a link away: the actor may not use that provider any more.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DelArgs {
    /// The actor: its id, a unique beginning of it, its call alias or its name.
    actor: String,
    /// The contract, spelled as the actor claims it.
    contract: ContractId,
    /// The link's name.
    #[arg(long, value_name = "NAME", default_value = LinkName::DEFAULT)]
    link_name: LinkName,
}

pub(super) async fn run(context: &Context, args: DelArgs) -> Result<(), CliError> {
    let (client, host) = context.client_and_any_host().await?;
    let actor = context.known_actor(&client, &args.actor).await?;
    let link = LinkKey { actor, contract: args.contract, link_name: args.link_name };
    let result = client.command(&host, &Command::DeleteLink { link: link.clone() }, context.steps()).await?;
    context.output.result(&result, |_| format!("{} may not use {} any more", args.actor, link.contract))
}
