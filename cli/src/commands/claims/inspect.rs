//! `wattle claims inspect`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use wattle_wascap::{ClaimsError, Container, Distrust, Inspection, KeyKind, PublicKey, TrustPolicy, inspect};

use crate::{context::Context, error::CliError, table};

const EXAMPLES: &str = "\
Examples:
  wattle claims inspect counter_s.wasm
  wattle claims inspect redis.par.gz -o json
  wattle claims inspect token.jwt --strict";

/// Shows what a module, a provider archive or a token claims, and whether that holds.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// A .wasm module, a .par or .par.gz archive, or a file with a token.
    file: PathBuf,
    /// Whom to trust besides the accounts and operators in the keys directory; repeat for more.
    #[arg(long, value_name = "KEY")]
    trust: Vec<PublicKey>,
    /// Show the token itself too.
    #[arg(long)]
    raw: bool,
    /// End with exit code 3 if there is any reason to refuse it.
    #[arg(long)]
    strict: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Inspected {
    container: &'static str,
    kind: String,
    claims: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_hash: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<String>,
    valid: bool,
    findings: Vec<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// One reason to refuse it.
#[derive(Debug, Serialize)]
struct Finding {
    code: &'static str,
    message: String,
}

pub(crate) fn run(context: &Context, args: &InspectArgs) -> Result<(), CliError> {
    let bytes = context.read(&args.file)?;
    let inspection = inspect(&bytes, context.now, Some(&trust(context, &args.trust)?));
    let inspection = inspection.map_err(|error| unlike_all(error, &bytes, &args.file))?;
    let first = inspection.findings.first().cloned();
    context.output.result(&shown(inspection, args.raw), |found| describe(found, context.now))?;
    match first {
        Some(finding) if args.strict => Err(CliError::from(finding).already_told()),
        _ => Ok(()),
    }
}

/// Says of a file that cannot even be meant as a token that it is none of the three.
fn unlike_all(error: ClaimsError, bytes: &[u8], file: &Path) -> CliError {
    let is_token = bytes.iter().filter(|byte| **byte == b'.').count() == 2;
    let made = CliError::from(error.clone());
    match error {
        ClaimsError::TokenMalformed(_) if !is_token => {
            let message = format!("{} is no WebAssembly module, provider archive or token", file.display());
            CliError { message, ..made }
        }
        _ => made,
    }
}

/// Trusts what the keys directory holds and what is named.
fn trust(context: &Context, named: &[PublicKey]) -> Result<TrustPolicy, CliError> {
    let keys = context.keys()?;
    let mut all = keys.public_keys(KeyKind::Account)?;
    all.extend(keys.public_keys(KeyKind::Operator)?);
    all.extend(named);
    all.into_iter().try_fold(TrustPolicy::new(), |policy, key| {
        let policy = match key.kind() {
            KeyKind::Operator => policy.trust_operator(key),
            _ => policy.trust_account(key),
        };
        policy.map_err(CliError::from)
    })
}

fn shown(inspection: Inspection, raw: bool) -> Inspected {
    Inspected {
        container: match inspection.container {
            Container::Module => "module",
            Container::Archive => "archive",
            Container::Token => "token",
        },
        kind: inspection.kind.to_string(),
        claims: serde_json::to_value(&inspection.claims).unwrap_or_default(),
        module_hash: inspection.module_hash.map(|hash| hash.to_string()),
        targets: inspection.targets,
        valid: inspection.findings.is_empty(),
        findings: inspection.findings.iter().map(finding).collect(),
        token: raw.then_some(inspection.token),
    }
}

fn finding(error: &ClaimsError) -> Finding {
    let message = match error {
        ClaimsError::IssuerNotTrusted { why: Distrust::Unknown, .. } => {
            format!("{error}: neither in the keys directory nor given with --trust")
        }
        error => error.to_string(),
    };
    Finding { code: error.code(), message }
}

fn describe(found: &Inspected, now: u64) -> String {
    let claim = |name: &str| text(found.claims.get(name));
    let own = |name: &str| text(found.claims.get("wascap").and_then(|wascap| wascap.get(name)));
    let mut lines = table::pairs(&[
        ("found in", found.container.into()),
        ("claims of", found.kind.clone()),
        ("name", own("name")),
        ("subject", claim("sub")),
        ("issuer", claim("iss")),
        ("capabilities", own("caps")),
        ("contract", own("capid")),
        ("vendor", own("vendor")),
        ("version", own("ver")),
        ("revision", own("rev")),
        ("call alias", own("call_alias")),
        ("tags", own("tags")),
        ("signers", own("valid_signers")),
        ("targets", found.targets.join(", ")),
        ("hash", found.module_hash.clone().unwrap_or_default()),
        ("issued", moment(found.claims.get("iat"), now)),
        ("valid from", moment(found.claims.get("nbf"), now)),
        (
            "expires",
            Some(moment(found.claims.get("exp"), now))
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "never".into()),
        ),
        ("token", found.token.clone().unwrap_or_default()),
    ]);
    lines.push('\n');
    if found.valid {
        lines.push_str("Everything checks out: form, kinds of keys, signature, times, issuer and hash.\n");
    } else {
        lines.push_str("A host would refuse it:\n");
        for Finding { code, message } in &found.findings {
            lines.push_str(&format!("  {code}: {}\n", table::one_line(message)));
        }
    }
    lines
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(|item| text(Some(item))).collect::<Vec<_>>().join(", "),
        Some(other) => other.to_string(),
    }
}

/// Writes a time as its distance from now, and in UTC.
fn moment(value: Option<&Value>, now: u64) -> String {
    let Some(at) = value.and_then(Value::as_u64) else { return String::new() };
    let span = duration(at.abs_diff(now));
    let date = date(at).unwrap_or_else(|| at.to_string());
    if at > now { format!("in {span} ({date})") } else { format!("{span} ago ({date})") }
}

/// Returns `None` for years nobody writes with four digits.
pub(crate) fn date(at: u64) -> Option<String> {
    let date = OffsetDateTime::from_unix_timestamp(at.try_into().ok()?).ok()?;
    date.format(&Rfc3339).ok()
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}
