//! `wattle claims token`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use wattle_types::ContractId;
use wattle_wascap::{Account, Claims, Cluster, Host, KeyKind, Metadata, Operator, Provider, PublicKey};

use super::{expires_at, tell_if_new};
use crate::{
    commands::pairs::{self, Pair},
    context::Context,
    error::CliError,
    keystore,
    run_dir::write_whole,
};

const EXAMPLES: &str = "\
Examples:
  wattle claims token operator --name Acme
  wattle claims token account --name Shop --issuer acme --subject shop --out shop.jwt
  wattle up --trust-operator OPERATOR --account-token shop.jwt

An operator signs its own token and those of accounts; a host that trusts the operator then trusts those accounts.";

/// Makes a token for an operator, account, provider, cluster or host.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TokenArgs {
    /// What the token is about: operator, account, provider, cluster or host.
    #[arg(value_enum, hide_possible_values = true)]
    kind: TokenKind,
    /// A name for people.
    #[arg(long)]
    name: String,
    /// The key that signs: an operator for accounts, an account for all else [default: the one named default].
    #[arg(long, value_name = "KEY")]
    issuer: Option<String>,
    /// The key it is about: a name or file.
    #[arg(long, value_name = "KEY", default_value = keystore::DEFAULT_NAME)]
    subject: String,
    /// Another key that may sign for the subject; repeat for more (operator, account, cluster).
    #[arg(long = "signer", value_name = "KEY")]
    signers: Vec<PublicKey>,
    /// The contract it serves (provider).
    #[arg(long, value_name = "CONTRACT", required_if_eq("kind", "provider"))]
    contract: Option<ContractId>,
    /// Who makes it (provider).
    #[arg(long, default_value = "")]
    vendor: String,
    /// What it says of itself (host); repeat for more.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pairs::pair)]
    labels: Vec<Pair>,
    /// When the claims end [default: never].
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    expires_in_days: Option<u32>,
    /// Where the token goes [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What a token is about.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum TokenKind {
    /// Signs itself.
    Operator,
    /// Signed by an operator.
    Account,
    /// Signed by an account.
    Provider,
    /// Signed by an operator.
    Cluster,
    /// Signed by an account.
    Host,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    kind: String,
    subject: String,
    issuer: String,
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

pub(super) fn run(context: &Context, args: TokenArgs) -> Result<(), CliError> {
    let made = match args.kind {
        TokenKind::Operator => {
            let metadata = args.signers.iter().fold(Operator::new(&args.name), |made, key| made.signer(*key));
            make(context, &args, metadata, KeyKind::Operator)
        }
        TokenKind::Account => {
            let metadata = args.signers.iter().fold(Account::new(&args.name), |made, key| made.signer(*key));
            make(context, &args, metadata, KeyKind::Operator)
        }
        TokenKind::Cluster => {
            let metadata = args.signers.iter().fold(Cluster::new(&args.name), |made, key| made.signer(*key));
            make(context, &args, metadata, KeyKind::Operator)
        }
        TokenKind::Provider => {
            let contract = args.contract.as_ref().map_or("", |contract| contract.as_str());
            make(context, &args, Provider::new(&args.name, contract, &args.vendor), KeyKind::Account)
        }
        TokenKind::Host => {
            let labels = args.labels.iter();
            let metadata = labels.fold(Host::new(&args.name), |made, (key, value)| made.label(key, value));
            make(context, &args, metadata, KeyKind::Account)
        }
    }?;
    context.output.result(&made, |made| match &made.file {
        Some(file) => format!("The token of {} {} is in {file}", made.kind, made.subject),
        None => made.token.clone(),
    })
}

fn make<T: Metadata>(context: &Context, args: &TokenArgs, metadata: T, issuer: KeyKind) -> Result<Made, CliError> {
    let keys = context.keys()?;
    let subject_kind = T::KIND.subject_kind().unwrap_or(KeyKind::Account);
    let subject = keys.find_or_generate(&args.subject, subject_kind)?;
    tell_if_new(context, &subject_kind.to_string(), &subject);
    // An operator speaks for itself unless it says otherwise.
    let own = if subject_kind == issuer { args.subject.as_str() } else { keystore::DEFAULT_NAME };
    let issuer = keys.find_or_generate(args.issuer.as_deref().unwrap_or(own), issuer)?;
    tell_if_new(context, "issuer's", &issuer);

    let mut claims = Claims::new(metadata, subject.key.pair.public_key(), context.now);
    claims.expires = expires_at(context.now, args.expires_in_days);
    let token = claims.sign(&issuer.key.pair)?;
    let file = args.out.as_ref().map(|out| context.directory.join(out));
    if let Some(file) = &file {
        write_whole(file, token.as_bytes()).map_err(|error| CliError::file("write", file, &error))?;
    }
    Ok(Made {
        kind: T::KIND.to_string(),
        subject: subject.key.pair.public_key().to_string(),
        issuer: issuer.key.pair.public_key().to_string(),
        token,
        file: file.map(|file| file.display().to_string()),
    })
}
