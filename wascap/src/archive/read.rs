//! Unpacks an archive within bounds.

use std::{
    io::{self, Read},
    sync::Arc,
};

use flate2::read::GzDecoder;

use super::{Archive, TOKEN, WORLD};
use crate::{ClaimsError, MAX_TOKEN_LEN};

/// Most bytes an archive may unpack to. Ends decompression bombs; real ones have a few programs of 10 to 50 MB.
pub const MAX_ARCHIVE_LEN: u64 = 512 * 1024 * 1024;

/// Most entries an archive may have: claims, world, and more platforms than there are.
pub(super) const MAX_ENTRIES: usize = 64;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Tells whether the bytes look like an archive.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP) || bytes.get(257..262) == Some(b"ustar")
}

/// Unpacks an archive, and returns its token, *unverified*.
pub(crate) fn read(bytes: &[u8]) -> Result<(Archive, String), ClaimsError> {
    read_bounded(bytes, MAX_ARCHIVE_LEN)
}

pub(super) fn read_bounded(bytes: &[u8], limit: u64) -> Result<(Archive, String), ClaimsError> {
    let unpacked: Box<dyn Read + '_> =
        if bytes.starts_with(&GZIP) { Box::new(GzDecoder::new(bytes)) } else { Box::new(bytes) };
    let mut reader = Unpacker { archive: Archive::default(), token: None, limit, left: limit };
    let mut tar = tar::Archive::new(Bounded { inner: unpacked, left: limit });
    for (count, entry) in tar.entries().map_err(|error| reader.error(&error))?.enumerate() {
        let entry = entry.map_err(|error| reader.error(&error))?;
        if count >= MAX_ENTRIES {
            return Err(ClaimsError::ArchiveTooLarge { limit: MAX_ENTRIES as u64 });
        }
        reader.entry(entry)?;
    }
    reader.finish()
}

struct Unpacker {
    archive: Archive,
    token: Option<String>,
    limit: u64,
    /// Bytes of content that may still come. A sparse entry can grow without a byte being read below it.
    left: u64,
}

impl Unpacker {
    fn entry(&mut self, entry: tar::Entry<'_, impl Read>) -> Result<(), ClaimsError> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.strip_prefix("./").unwrap_or(&name);
        if !entry.header().entry_type().is_file() {
            return Ok(());
        }
        let duplicate = if name == TOKEN {
            let token = self.content(entry, MAX_TOKEN_LEN as u64)?;
            let token = String::from_utf8(token).map_err(|_| ClaimsError::TokenMalformed("it is not text"))?;
            self.token.replace(token).is_some()
        } else if name == WORLD {
            let world = self.content(entry, self.left)?;
            self.archive.world.replace(Arc::from(world)).is_some()
        } else if let Some(target) = name.strip_suffix(".bin").filter(|target| is_target(target)) {
            let binary = self.content(entry, self.left)?;
            self.archive.binaries.insert(target.to_owned(), Arc::from(binary)).is_some()
        } else {
            false
        };
        if duplicate { Err(ClaimsError::ArchiveMalformed("a file is in it twice".into())) } else { Ok(()) }
    }

    fn content(&mut self, entry: impl Read, limit: u64) -> Result<Vec<u8>, ClaimsError> {
        let mut content = Vec::new();
        entry.take(limit.saturating_add(1)).read_to_end(&mut content).map_err(|error| self.error(&error))?;
        let found = content.len() as u64;
        if found > limit {
            return Err(ClaimsError::ArchiveTooLarge { limit: limit.min(self.limit) });
        }
        self.left = self.left.saturating_sub(found);
        Ok(content)
    }

    fn finish(self) -> Result<(Archive, String), ClaimsError> {
        let token = self.token.ok_or(ClaimsError::Missing)?;
        if self.archive.binaries.is_empty() {
            return Err(ClaimsError::ArchiveMalformed("it has no binary".into()));
        }
        Ok((self.archive, token))
    }

    fn error(&self, error: &io::Error) -> ClaimsError {
        match error.kind() {
            io::ErrorKind::FileTooLarge => ClaimsError::ArchiveTooLarge { limit: self.limit },
            io::ErrorKind::UnexpectedEof => ClaimsError::ArchiveMalformed("it ends too early".into()),
            // What is said of it otherwise quotes the file's bytes.
            _ => ClaimsError::ArchiveMalformed("it is no tar archive, or a damaged one".into()),
        }
    }
}

/// Targets are spelled `{arch}-{os}`; what is not made of these letters is no target.
pub(super) fn is_target(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Fails instead of reading more than `left` bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.left = self.left.checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}
