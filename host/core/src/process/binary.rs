//! A provider's program on disk: in a private folder, named by its hash, looked at again before each start.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use wattle_types::wascap::Digest;

/// A program whose bytes were verified when it was stored.
#[derive(Debug, Clone)]
pub(super) struct Binary {
    path: PathBuf,
    digest: Digest,
}

impl Binary {
    /// Stores `bytes` unless they are there already.
    pub(super) async fn store(folder: &Path, bytes: &Arc<[u8]>) -> io::Result<Self> {
        make_private(folder).await?;
        let digest = digest(Arc::clone(bytes)).await?;
        let binary = Self { path: folder.join(format!("{digest}{}", std::env::consts::EXE_SUFFIX)), digest };
        if binary.verified().await.is_err() {
            write_program(&binary.path, bytes).await?;
        }
        Ok(binary)
    }

    /// Returns its path if the file still is what was verified.
    pub(super) async fn verified(&self) -> io::Result<&Path> {
        let bytes = tokio::fs::read(&self.path).await?;
        if digest(bytes).await? == self.digest {
            return Ok(&self.path);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the provider's binary was changed after it was verified"))
    }
}

/// Hashes a whole program, which takes too long for a thread that others wait for.
async fn digest(bytes: impl AsRef<[u8]> + Send + 'static) -> io::Result<Digest> {
    Ok(tokio::task::spawn_blocking(move || Digest::of(bytes.as_ref())).await?)
}

async fn make_private(folder: &Path) -> io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        tokio::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).await?;
    }
    Ok(())
}

/// Writes beside the place and moves it there: nobody sees half a program.
async fn write_program(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(uuid::Uuid::new_v4().simple().to_string());
    let written = write_draft(&draft, path, bytes).await;
    if written.is_err() {
        // A full disk has no room for half a program either.
        let _ = tokio::fs::remove_file(&draft).await;
    }
    written
}

async fn write_draft(draft: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    tokio::fs::write(draft, bytes).await?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        tokio::fs::set_permissions(draft, std::fs::Permissions::from_mode(0o700)).await?;
    }
    tokio::fs::rename(draft, path).await
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_changed_file_is_refused_and_stored_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("binaries");
        let program: Arc<[u8]> = Arc::from(&b"program"[..]);
        let binary = Binary::store(&folder, &program).await.unwrap();
        let path = binary.verified().await.unwrap().to_owned();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o700));
        std::fs::write(&path, b"another").unwrap();
        assert_eq!(binary.verified().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        Binary::store(&folder, &program).await.unwrap();
        assert_eq!(std::fs::read(binary.verified().await.unwrap()).unwrap(), b"program");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(Binary::store(&folder, &program).await.is_err());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing half-written is left");
    }
}
