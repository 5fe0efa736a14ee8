//! `wattle par`: provider archives.

mod create;
mod insert;

use std::path::Path;

use clap::Subcommand;
use serde::Serialize;
use wattle_wascap::{Archive, Claims, Compression, KeyPair, Provider, sign_archive};

use super::claims::inspect;
use crate::{context::Context, error::CliError, run_dir::write_whole, table};

/// Packs providers that run as processes of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum Par {
    Create(Box<create::CreateArgs>),
    Insert(insert::InsertArgs),
    Inspect(inspect::InspectArgs),
}

pub(super) fn run(context: &Context, verb: Par) -> Result<(), CliError> {
    match verb {
        Par::Create(args) => create::run(context, *args),
        Par::Insert(args) => insert::run(context, &args),
        Par::Inspect(args) => inspect::run(context, &args),
    }
}

/// Reads a platform as archives spell it, such as `x86_64-linux`.
fn target(text: &str) -> Result<String, String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.contains('-') && text.len() <= 64 && text.chars().all(is_part) {
        return Ok(text.into());
    }
    Err("write it as ARCH-OS, such as x86_64-linux or aarch64-macos".into())
}

/// What was packed.
#[derive(Debug, Serialize)]
struct Packed {
    file: String,
    name: String,
    provider: String,
    issuer: String,
    contract: String,
    revision: i32,
    targets: Vec<String>,
    bytes: usize,
}

/// Signs `archive`, writes it to `path` as a whole, and shows what it holds.
fn pack(
    context: &Context,
    path: &Path,
    archive: &Archive,
    claims: &Claims<Provider>,
    issuer: &KeyPair,
    compression: Compression,
) -> Result<(), CliError> {
    let bytes = sign_archive(archive, claims, issuer, compression)?;
    write_whole(path, &bytes).map_err(|error| CliError::file("write", path, &error))?;
    let provider = claims.metadata.clone().unwrap_or_default();
    let packed = Packed {
        file: path.display().to_string(),
        name: provider.name.unwrap_or_default(),
        provider: claims.subject.clone(),
        issuer: issuer.public_key().to_string(),
        contract: provider.contract.unwrap_or_default(),
        revision: provider.revision.unwrap_or_default(),
        targets: archive.binaries.keys().cloned().collect(),
        bytes: bytes.len(),
    };
    context.output.result(&packed, |packed| {
        table::pairs(&[
            ("packed", packed.file.clone()),
            ("name", packed.name.clone()),
            ("provider", packed.provider.clone()),
            ("issuer", packed.issuer.clone()),
            ("contract", packed.contract.clone()),
            ("revision", packed.revision.to_string()),
            ("targets", packed.targets.join(", ")),
        ])
    })
}
