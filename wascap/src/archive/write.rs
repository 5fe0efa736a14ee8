//! Packs an archive.

use std::io::{self, Write};

use flate2::write::GzEncoder;

use super::{
    Archive, Compression, TOKEN, WORLD,
    read::{MAX_ARCHIVE_LEN, MAX_ENTRIES, is_target},
};
use crate::ClaimsError;

/// Packs the token first, so that a reader can judge it before the programs.
pub(super) fn pack(archive: &Archive, token: &str, compression: Compression) -> Result<Vec<u8>, ClaimsError> {
    check(archive)?;
    let packed = match compression {
        Compression::None => write(archive, token, Vec::new()),
        Compression::Gzip => write(archive, token, GzEncoder::new(Vec::new(), flate2::Compression::default()))
            .and_then(GzEncoder::finish),
    };
    packed.map_err(|error| ClaimsError::ArchiveMalformed(error.to_string()))
}

fn check(archive: &Archive) -> Result<(), ClaimsError> {
    if archive.binaries.is_empty() {
        return Err(ClaimsError::ArchiveMalformed("it has no binary".into()));
    }
    if let Some(target) = archive.binaries.keys().find(|target| !is_target(target)) {
        return Err(ClaimsError::ArchiveMalformed(format!("{target:?} is no platform such as x86_64-linux")));
    }
    let content: u64 = archive.files().map(|(_, bytes)| bytes.len() as u64 + 1024).sum();
    if archive.files().count() >= MAX_ENTRIES {
        return Err(ClaimsError::ArchiveTooLarge { limit: MAX_ENTRIES as u64 });
    }
    // The token and its block, and the end of the tar.
    if content > MAX_ARCHIVE_LEN - 2 * crate::MAX_TOKEN_LEN as u64 {
        return Err(ClaimsError::ArchiveTooLarge { limit: MAX_ARCHIVE_LEN });
    }
    Ok(())
}

fn write<W: Write>(archive: &Archive, token: &str, out: W) -> io::Result<W> {
    let mut tar = tar::Builder::new(out);
    append(&mut tar, TOKEN, token.as_bytes())?;
    for (target, bytes) in &archive.binaries {
        append(&mut tar, &format!("{target}.bin"), bytes)?;
    }
    if let Some(world) = &archive.world {
        append(&mut tar, WORLD, world)?;
    }
    tar.into_inner()
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(if name.ends_with(".bin") { 0o755 } else { 0o644 });
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes)
}
