//! `wattle par create`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{Args, builder::NonEmptyStringValueParser};
use wattle_types::ContractId;
use wattle_wascap::{Archive, Claims, Compression, KeyKind, Provider, current_target};

use super::{pack, target};
use crate::{
    commands::claims::{expires_at, tell_if_new},
    context::Context,
    error::CliError,
    keystore,
};

const EXAMPLES: &str = "\
Examples:
  wattle par create target/release/greeter --name Greeter --cap example:greeter --vendor Example
  wattle par create greeter.py --name Greeter --cap example:greeter --vendor Example \\
      --rev 2 --ver 0.2.0 --out greeter.par.gz
  wattle start provider greeter.par.gz

Keys that are missing are made. A host starts the program for its own platform: add those for others with
wattle par insert. docs/provider-processes.md says what a program is told and asked.
A new version of a provider is packed with the same subject (the same --name, or --subject) and a higher --rev.";

/// Packs a provider's program and signs it: who it is, who answers for it, which contract it serves.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CreateArgs {
    /// The provider's program: an executable file, or a script with an interpreter line.
    program: PathBuf,
    /// A name for people.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// The capability contract it serves.
    #[arg(long = "cap", visible_alias = "capid", value_name = "CONTRACT")]
    contract: ContractId,
    /// Who makes it.
    #[arg(long, value_name = "NAME")]
    vendor: String,
    /// The platform the program is for [default: this machine's].
    #[arg(long, visible_alias = "arch", value_name = "ARCH-OS", value_parser = target)]
    target: Option<String>,
    /// A number that grows with each release.
    #[arg(long, visible_alias = "revision", value_name = "NUMBER", default_value_t = 0)]
    rev: i32,
    /// A version for people.
    #[arg(long = "ver", value_name = "VERSION")]
    version: Option<String>,
    /// When the claims end [default: never].
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    expires_in_days: Option<u32>,
    /// The account that answers for it: a key's name or file.
    #[arg(long, value_name = "KEY", default_value = keystore::DEFAULT_NAME)]
    issuer: String,
    /// The provider's own key: a name or file [default: named after --name].
    #[arg(long, value_name = "KEY")]
    subject: Option<String>,
    /// Where the archive goes; a name that ends in .gz has it compressed [default: NAME.par.gz].
    #[arg(long, visible_alias = "destination", value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: CreateArgs) -> Result<(), CliError> {
    let program = context.read(&args.program)?;
    let out = args.out.unwrap_or_else(|| PathBuf::from(format!("{}.par.gz", keystore::plain_name(&args.name))));
    let out = context.directory.join(out);
    let target = args.target.unwrap_or_else(current_target);

    let keys = context.keys()?;
    keys.warn_of_faults(&context.output)?;
    let issuer = keys.find_or_generate(&args.issuer, KeyKind::Account)?;
    tell_if_new(context, "account", &issuer);
    let subject = match &args.subject {
        Some(subject) => keys.find_or_generate(subject, KeyKind::Provider)?,
        None => keys.named_for(&args.name, KeyKind::Provider)?,
    };
    tell_if_new(context, "provider", &subject);

    let provider = Provider::new(args.name, args.contract.as_str(), args.vendor).revision(args.rev);
    let provider = Provider { version: args.version, ..provider };
    let mut claims = Claims::new(provider, subject.key.pair.public_key(), context.now);
    claims.expires = expires_at(context.now, args.expires_in_days);
    let archive = Archive { binaries: BTreeMap::from([(target, program.into())]), world: None };
    pack(context, &out, &archive, &claims, &issuer.key.pair, compression(&out))
}

fn compression(path: &Path) -> Compression {
    if path.extension().is_some_and(|extension| extension == "gz") { Compression::Gzip } else { Compression::None }
}
