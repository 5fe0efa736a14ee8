//! Whom a host trusts: the accounts and operators of the keys directory, and those named.

use std::path::PathBuf;

use clap::Args;
use wattle_wascap::{KeyKind, PublicKey, TrustPolicy};

use crate::{
    context::Context,
    error::CliError,
    keystore::{DEFAULT_NAME, Keystore},
};

/// Whom to trust.
#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// Another account to trust (A...); repeat for more.
    #[arg(long, value_name = "ACCOUNT")]
    trust: Vec<PublicKey>,
    /// An operator to trust (O...), with every account it vouches for; repeat for more.
    #[arg(long, value_name = "OPERATOR")]
    trust_operator: Vec<PublicKey>,
    /// A token in which an operator vouches for an account; repeat for more.
    #[arg(long, value_name = "FILE")]
    account_token: Vec<PathBuf>,
    /// Do not trust the accounts and operators of the keys directory.
    #[arg(long)]
    trust_no_local_keys: bool,
    /// Accept modules signed before wascap 0.10, whose hash nobody can check.
    #[arg(long)]
    allow_unverifiable_legacy: bool,
}

pub(super) fn policy(context: &Context, keys: &Keystore, args: &TrustArgs) -> Result<TrustPolicy, CliError> {
    let local = |kind| if args.trust_no_local_keys { Ok(Vec::new()) } else { keys.public_keys(kind) };
    let mut accounts = local(KeyKind::Account)?;
    accounts.extend(&args.trust);
    let mut operators = local(KeyKind::Operator)?;
    operators.extend(&args.trust_operator);
    if accounts.is_empty() && operators.is_empty() {
        if args.trust_no_local_keys {
            context.output.warn("this host trusts nobody, so it will refuse every actor; name accounts with --trust");
        } else {
            accounts.push(first_account(context, keys)?);
        }
    }
    let mut policy = TrustPolicy::new().allow_unverifiable_legacy(args.allow_unverifiable_legacy);
    for account in accounts {
        policy = policy.trust_account(account)?;
    }
    for operator in operators {
        policy = policy.trust_operator(operator)?;
    }
    for file in &args.account_token {
        let token = context.read(file)?;
        policy = policy.account_token(String::from_utf8_lossy(&token).trim())?;
    }
    Ok(policy)
}

/// Without an account there would be nothing this host could run, and what is signed later would come too late.
fn first_account(context: &Context, keys: &Keystore) -> Result<PublicKey, CliError> {
    let key = keys.generate(KeyKind::Account, DEFAULT_NAME)?;
    context.output.remark(&format!(
        "Made your account key {} and stored it in {}: this host accepts what it signs.",
        key.name,
        key.path.display()
    ));
    Ok(key.pair.public_key())
}
