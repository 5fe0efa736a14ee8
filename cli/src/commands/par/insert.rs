//! `wattle par insert`.

use std::path::PathBuf;

use clap::Args;
use wattle_wascap::{
    Archive, Claims, ClaimsError, Compression, KeyKind, Provider, TrustPolicy, VerifiedArchive, current_target,
    verify_archive,
};

use super::{pack, target};
use crate::{
    context::Context,
    error::{CliError, Kind},
    keystore,
};

const EXAMPLES: &str = "\
Examples:
  wattle par insert greeter.par.gz target/aarch64-unknown-linux-gnu/release/greeter --target aarch64-linux
  wattle par insert greeter.par.gz target/release/greeter --issuer acme

The archive is signed anew by the account that signed it; a program for the same platform is replaced.";

/// What gzip begins with (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Adds the program for one more platform to a provider archive.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InsertArgs {
    /// The archive.
    archive: PathBuf,
    /// The provider's program.
    program: PathBuf,
    /// The platform the program is for [default: this machine's].
    #[arg(long, visible_alias = "arch", value_name = "ARCH-OS", value_parser = target)]
    target: Option<String>,
    /// The account that signed the archive: a key's name or file.
    #[arg(long, value_name = "KEY", default_value = keystore::DEFAULT_NAME)]
    issuer: String,
    /// Where the archive goes [default: in place].
    #[arg(long, visible_alias = "destination", value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &InsertArgs) -> Result<(), CliError> {
    let packed = context.read(&args.archive)?;
    let program = context.read(&args.program)?;
    let issuer = context.keys()?.find(&args.issuer, Some(KeyKind::Account))?;
    // Only the account that answers for an archive may change it: it vouches for the programs that are there, too.
    let policy = TrustPolicy::new().trust_account(issuer.pair.public_key())?;
    let verified = verify_archive(&packed, context.now, &policy).map_err(|error| refusal(error, args))?;
    let mut archive = content(&verified)?;
    archive.binaries.insert(args.target.clone().unwrap_or_else(current_target), program.into());

    let compression = if packed.starts_with(&GZIP) { Compression::Gzip } else { Compression::None };
    let out = context.directory.join(args.out.as_ref().unwrap_or(&args.archive));
    pack(context, &out, &archive, &claims(&verified, context.now), &issuer.pair, compression)
}

fn refusal(error: ClaimsError, args: &InsertArgs) -> CliError {
    let create = "or pack it anew under your own: wattle par create --help";
    match error {
        ClaimsError::IssuerNotTrusted { .. } => {
            let message = format!("{} was not signed by {}", args.archive.display(), args.issuer);
            CliError::new(Kind::Refused, error.code(), message)
                .hint("name the account that signed it: --issuer KEY")
                .hint(create)
        }
        ClaimsError::ArchiveMalformed(_) => {
            let message = format!("{} is no provider archive", args.archive.display());
            CliError::new(Kind::Usage, error.code(), message).hint("name an archive first, then the program to add")
        }
        error => CliError::from(error).hint(create),
    }
}

/// Takes the files out of an archive.
fn content(verified: &VerifiedArchive) -> Result<Archive, CliError> {
    let mut archive = Archive { world: verified.world().cloned(), ..Archive::default() };
    for target in verified.targets() {
        archive.binaries.insert(target.to_owned(), verified.binary(target)?.clone());
    }
    Ok(archive)
}

/// Returns the same statements under a new id.
fn claims(verified: &VerifiedArchive, now: u64) -> Claims<Provider> {
    let old = verified.claims();
    let mut claims = Claims::new(old.metadata().clone(), old.subject(), now);
    (claims.expires, claims.not_before) = (old.claims().expires, old.claims().not_before);
    claims
}
