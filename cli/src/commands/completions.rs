//! `wattle completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{args::Cli, context::Context, error::CliError};

const EXAMPLES: &str = "\
Examples:
  wattle completions bash > ~/.local/share/bash-completion/completions/wattle
  wattle completions zsh > ~/.zfunc/_wattle
  wattle completions fish > ~/.config/fish/completions/wattle.fish";

/// Writes completions for a shell to standard output.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(context: &Context, args: &CompletionsArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "wattle", &mut script);
    context.output.bytes(&script)
}
