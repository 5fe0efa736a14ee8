//! `wattle claims sign`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use wattle_types::ContractId;
use wattle_wascap::{Actor, Claims, KeyKind, inspect, sign_module};

use super::{expires_at, tell_if_new};
use crate::{
    commands::contracts,
    context::Context,
    error::{CliError, Kind},
    keystore,
    run_dir::write_whole,
    table,
};

const EXAMPLES: &str = "\
Examples:
  wattle claims sign hello.wasm --name Hello --cap wasmcloud:httpserver
  wattle claims sign counter.wasm --name Counter --rev 2 --ver 0.2.0 \\
      --cap wasmcloud:httpserver --cap wasmcloud:keyvalue --out counter2.wasm

Keys that are missing are made. The claims are embedded in the module; nothing else is changed.
Contracts: wasmcloud:httpserver, wasmcloud:keyvalue, wasmcloud:builtin:logging, wasmcloud:builtin:numbergen; for \
actors of 2020: wascc:http_server, wascc:keyvalue, wascc:logging, wascc:extras.
A new version of an actor is signed with the same subject (the same --name, or --subject) and a higher --rev.";

/// Signs a module: who it is, who answers for it, what it may use.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SignArgs {
    /// The module.
    module: PathBuf,
    /// A name for people [default: the file's name].
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// A capability contract it may use; repeat for more.
    #[arg(long = "cap", value_name = "CONTRACT")]
    caps: Vec<ContractId>,
    /// A number that grows with each release.
    #[arg(long, visible_alias = "revision", value_name = "NUMBER", default_value_t = 0)]
    rev: i32,
    /// A version for people.
    #[arg(long = "ver", value_name = "VERSION")]
    version: Option<String>,
    /// A name other actors may call it by.
    #[arg(long, value_name = "ALIAS")]
    call_alias: Option<String>,
    /// A tag for people; repeat for more.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// When the claims end [default: never].
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    expires_in_days: Option<u32>,
    /// The account that answers for it: a key's name or file.
    #[arg(long, value_name = "KEY", default_value = keystore::DEFAULT_NAME)]
    issuer: String,
    /// The actor's own key: a name or file [default: named after --name, or the file].
    #[arg(long, value_name = "KEY")]
    subject: Option<String>,
    /// Where the signed module goes [default: MODULE_s.wasm beside it].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What was signed.
#[derive(Debug, Serialize)]
struct Signed {
    file: String,
    name: String,
    subject: String,
    issuer: String,
    capabilities: Vec<String>,
    revision: i32,
    module_hash: Option<String>,
    bytes: usize,
}

pub(super) fn run(context: &Context, mut args: SignArgs) -> Result<(), CliError> {
    for (typed, meant) in args.caps.iter().filter_map(|cap| Some((cap, contracts::nearest(cap.as_str())?))) {
        context.output.warn(&format!("no provider that ships with wattle serves {typed}: did you mean {meant}?"));
    }
    let mut seen = BTreeSet::new();
    args.caps.retain(|contract| seen.insert(contract.clone()));
    let module = context.read(&args.module)?;
    let stem = args.module.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = args.name.clone().unwrap_or_else(|| stem.clone());
    let out = context.directory.join(args.out.clone().unwrap_or_else(|| beside(&args.module, &stem)));

    let keys = context.keys()?;
    // Refused before any key is made.
    wattle_wascap::strip_token(&module)?;
    if wattle_wascap::is_component(&module) {
        return Err(component(&args.module));
    }
    keys.warn_of_faults(&context.output)?;
    let issuer = keys.find_or_generate(&args.issuer, KeyKind::Account)?;
    tell_if_new(context, "account", &issuer);
    let subject = match &args.subject {
        Some(subject) => keys.find_or_generate(subject, KeyKind::Module)?,
        None => keys.named_for(&name, KeyKind::Module)?,
    };
    tell_if_new(context, "module", &subject);

    let mut claims = Claims::new(actor(&args, &name), subject.key.pair.public_key(), context.now);
    claims.expires = expires_at(context.now, args.expires_in_days);
    let signed = sign_module(&module, &claims, &issuer.key.pair)?;
    let module_hash = inspect(&signed, context.now, None)?.module_hash.map(|hash| hash.to_string());
    write_whole(&out, &signed).map_err(|error| CliError::file("write", &out, &error))?;

    let result = Signed {
        file: out.display().to_string(),
        name,
        subject: subject.key.pair.public_key().to_string(),
        issuer: issuer.key.pair.public_key().to_string(),
        capabilities: args.caps.iter().map(ToString::to_string).collect(),
        revision: args.rev,
        module_hash,
        bytes: signed.len(),
    };
    context.output.result(&result, |signed| {
        table::pairs(&[
            ("signed", signed.file.clone()),
            ("name", signed.name.clone()),
            ("actor", signed.subject.clone()),
            ("issuer", signed.issuer.clone()),
            ("may use", signed.capabilities.join(", ")),
            ("revision", signed.revision.to_string()),
        ])
    })
}

fn actor(args: &SignArgs, name: &str) -> Actor {
    let mut actor = Actor::new(name).revision(args.rev);
    actor = args.caps.iter().fold(actor, |actor, contract| actor.capability(contract.as_str()));
    actor = args.tags.iter().fold(actor, |actor, tag| actor.tag(tag));
    Actor { version: args.version.clone(), call_alias: args.call_alias.clone(), ..actor }
}

/// Makes the error of a component: what was signed would be refused by every host.
fn component(path: &Path) -> CliError {
    let message = format!("{} is a WebAssembly component; Wattle runs core modules (waPC)", path.display());
    CliError::new(Kind::Refused, "wasm_malformed", message)
        .hint("build a core module for wasm32-unknown-unknown with an actor SDK: docs/actors.md")
}

fn beside(module: &Path, stem: &str) -> PathBuf {
    module.with_file_name(format!("{stem}_s.wasm"))
}
