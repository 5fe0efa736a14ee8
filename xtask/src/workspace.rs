//! Where things are in a checkout.

use std::path::{Path, PathBuf};

/// A checkout of the repository.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Returns the checkout this program was built from.
    pub(crate) fn here() -> Self {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: xtask.parent().unwrap_or(xtask).to_owned() }
    }

    /// Returns the top folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the guests' cargo workspace.
    pub(crate) fn guests(&self) -> PathBuf {
        self.root.join("actors")
    }

    /// Returns where finished modules go. Tests look here, unless `WATTLE_ACTORS_DIR` names another folder.
    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("target/actors")
    }

    /// Returns where cargo puts what it builds.
    pub(crate) fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from)
    }

    /// Returns where tasks keep what they found, made and fetched.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("target/xtask")
    }

    /// Returns the folder of programs that were brought and are not on `PATH`.
    pub(crate) fn programs(&self) -> PathBuf {
        self.state().join("bin")
    }
}
