//! Bringing the bytes a reference names: a local file, or an https URL pinned by a digest.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{known_modules::FileIdentity, registries::Registries};

/// Largest file a reference may name: a module or a provider archive.
const FILE_LEN_MAX: u64 = 256 << 20;
/// Before the path of a file.
const FILE: &str = "file://";
/// Before the digest of an https reference.
const DIGEST: &str = "#sha256=";
/// Longest a whole file may take: the largest one over a slow line.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(300);

/// Why a reference gave no bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The text is no reference.
    #[error("{0:?} is no reference: use file:///path or https://host/path#sha256=HEX")]
    BadReference(String),
    /// An https reference without a digest.
    #[error("{0} has no digest: add #sha256=HEX, so that what is fetched is what was meant")]
    DigestMissing(String),
    /// What was fetched is something else.
    #[error("{reference} has the digest {found}, not {expected}")]
    DigestMismatch {
        /// The reference, without its digest.
        reference: String,
        /// What it should have.
        expected: String,
        /// What it has.
        found: String,
    },
    /// The file cannot be read.
    #[error("{} cannot be read: {error}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The server did not send it.
    #[error("{url} cannot be fetched: {message}")]
    Http {
        /// From where.
        url: String,
        /// Why.
        message: String,
    },
    /// It takes too long.
    #[error("{reference} was not there after {limit:?}")]
    TooSlow {
        /// Which.
        reference: String,
        /// How long it may take.
        limit: Duration,
    },
    /// There is too much of it.
    #[error("{reference} is larger than {limit} bytes")]
    TooLarge {
        /// Which.
        reference: String,
        /// The most that is read.
        limit: u64,
    },
}

impl FetchError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadReference(_) => "reference_invalid",
            Self::DigestMissing(_) => "digest_missing",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::Read { .. } | Self::Http { .. } | Self::TooSlow { .. } => "fetch_failed",
            Self::TooLarge { .. } => "file_too_large",
        }
    }
}

/// What a reference names.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) bytes: Bytes,
    /// Which file these were read from, if it can be told from what is written to it later.
    pub(crate) file: Option<FileIdentity>,
}

/// Returns the path of the file `reference` names, if it names one.
pub(crate) fn path(reference: &str) -> Option<&Path> {
    reference.strip_prefix(FILE).map(Path::new)
}

/// Reads what `reference` names. Servers are shown what `registries` knows for them.
pub(crate) async fn fetch(reference: &str, registries: &Registries) -> Result<Fetched, FetchError> {
    match tokio::time::timeout(FETCH_TIMEOUT, fetch_any(reference, registries)).await {
        Ok(fetched) => fetched,
        Err(_) => Err(FetchError::TooSlow { reference: reference.to_owned(), limit: FETCH_TIMEOUT }),
    }
}

/// Returns whether `reference` could be fetched, as far as can be told without asking anybody.
pub(crate) async fn is_within_reach(reference: &str) -> bool {
    match path(reference) {
        Some(path) => tokio::fs::metadata(path).await.is_ok_and(|file| file.is_file()),
        None => reference.starts_with("https://") && reference.contains(DIGEST),
    }
}

async fn fetch_any(reference: &str, registries: &Registries) -> Result<Fetched, FetchError> {
    if let Some(path) = path(reference) {
        let path = path.to_owned();
        let failed = |error: tokio::task::JoinError| FetchError::Read { path: path.clone(), error: error.into() };
        let reading = path.clone();
        return tokio::task::spawn_blocking(move || read_file(&reading)).await.map_err(failed)?;
    }
    if reference.starts_with("https://") {
        return Ok(Fetched { bytes: fetch_https(reference, registries).await?, file: None });
    }
    Err(FetchError::BadReference(reference.to_owned()))
}

fn read_file(path: &Path) -> Result<Fetched, FetchError> {
    let failed = |error| FetchError::Read { path: path.to_owned(), error };
    let fetched = try_read_file(path).map_err(failed)?;
    if fetched.bytes.len() as u64 > FILE_LEN_MAX {
        return Err(FetchError::TooLarge { reference: path.display().to_string(), limit: FILE_LEN_MAX });
    }
    Ok(fetched)
}

fn try_read_file(path: &Path) -> io::Result<Fetched> {
    // Opening a pipe would wait for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut file = File::open(path)?;
    let before = file.metadata()?;
    let expected = usize::try_from(before.len().min(FILE_LEN_MAX)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(expected + 1);
    (&mut file).take(FILE_LEN_MAX + 1).read_to_end(&mut bytes)?;
    let file = FileIdentity::settled(&before, &file.metadata()?, SystemTime::now());
    Ok(Fetched { bytes: bytes.into(), file })
}

async fn fetch_https(reference: &str, registries: &Registries) -> Result<Bytes, FetchError> {
    let (url, expected) =
        reference.split_once(DIGEST).ok_or_else(|| FetchError::DigestMissing(reference.to_owned()))?;
    let bytes = download(url, registries).await?;
    let hashed = bytes.clone();
    let found = tokio::task::spawn_blocking(move || hex(&Sha256::digest(&hashed))).await;
    let found = found.map_err(|error| FetchError::Http { url: url.to_owned(), message: error.to_string() })?;
    if !found.eq_ignore_ascii_case(expected) {
        return Err(FetchError::DigestMismatch { reference: url.to_owned(), expected: expected.to_owned(), found });
    }
    Ok(bytes)
}

async fn download(url: &str, registries: &Registries) -> Result<Bytes, FetchError> {
    let failed = |message: String| FetchError::Http { url: url.to_owned(), message };
    let target = reqwest::Url::parse(url).map_err(|_| FetchError::BadReference(url.to_owned()))?;
    let client = crate::http::client().map_err(failed)?;
    // A redirect to another server takes no credential along: the client drops it.
    let request = registries.show(client.get(target.clone()), &target);
    let response = request.send().await.map_err(|error| failed(chain(&error)))?;
    let mut response = response.error_for_status().map_err(|error| failed(error.without_url().to_string()))?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(chain(&error)))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > FILE_LEN_MAX {
            return Err(FetchError::TooLarge { reference: url.to_owned(), limit: FILE_LEN_MAX });
        }
    }
    Ok(bytes.into())
}

/// Joins an error and its sources: the last one is usually the one that helps.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_bad_reference_has_its_name() {
        let code = async |reference: &str| fetch(reference, &Registries::default()).await.unwrap_err().code();
        assert_eq!(code("module.wasm").await, "reference_invalid");
        assert_eq!(code("http://example.org/x#sha256=00").await, "reference_invalid");
        assert_eq!(code("https://example.org/x").await, "digest_missing");
        assert_eq!(code("file:///nonexistent/module.wasm").await, "fetch_failed");
    }

    #[tokio::test]
    async fn a_file_is_read_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"bytes").unwrap();
        let reference = format!("file://{}", file.path().display());
        assert_eq!(fetch(&reference, &Registries::default()).await.unwrap().bytes, "bytes");
        assert!(is_within_reach(&reference).await);
    }

    #[tokio::test]
    async fn what_cannot_be_fetched_anyway_is_out_of_reach() {
        assert!(is_within_reach("https://example.org/x#sha256=00").await);
        for far in [
            "https://example.org/x",
            "http://example.org/x#sha256=00",
            "ghcr.io/x:1",
            "file:///nonexistent",
            "file:///",
        ] {
            assert!(!is_within_reach(far).await, "{far}");
        }
    }
}
