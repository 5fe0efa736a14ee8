//! Guests that others published; guests, a provider and a client that are written against what others published.
//!
//! Each is made by the ordinary client of its registry from a small project below `third-party/`, whose lock file is
//! committed, and ends as `target/third-party/NAME.wasm`, provider and client as programs. Nothing is patched. What is
//! up to date is left alone.

mod command;
mod npm;
mod python;
mod rust;
mod stamp;

use std::{
    env::consts::EXE_EXTENSION,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use stamp::Stamp;

/// One guest of somebody else's making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guest {
    /// `rust_echo_string.wasm` inside the npm package `@wapc/host`.
    WapcHostEcho,
    /// `rust_host_call.wasm` inside the npm package `@wapc/host`.
    WapcHostCall,
    /// Made with the npm packages `assemblyscript` and `@wapc/as-guest`.
    AssemblyScript,
    /// Made with the crate `wapc-guest` 1.2.
    WapcGuest1,
    /// Made with the crate `wapc-guest` 0.4.
    WapcGuest0,
    /// A counter made with `wasmbus-rpc` and the `wasmcloud-interface-*` crates.
    WasmbusCounter,
    /// A counter made with `wascc-actor`.
    WasccCounter,
    /// The signed logging actor inside the crate `wascap`.
    Logger,
    /// A signed module inside the crate `wascap` that is no waPC guest.
    SignedLoop,
    /// A signed WASI component inside the crate `wascap`.
    SignedComponent,
}

impl Guest {
    /// Returns every guest.
    #[must_use]
    pub const fn all() -> [Self; 10] {
        [
            Self::WapcHostEcho,
            Self::WapcHostCall,
            Self::AssemblyScript,
            Self::WapcGuest1,
            Self::WapcGuest0,
            Self::WasmbusCounter,
            Self::WasccCounter,
            Self::Logger,
            Self::SignedLoop,
            Self::SignedComponent,
        ]
    }

    /// Returns the name of its file, without `.wasm`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WapcHostEcho => "wapc-host-echo",
            Self::WapcHostCall => "wapc-host-call",
            Self::AssemblyScript => "assemblyscript",
            Self::WapcGuest1 => "wapc-guest-1",
            Self::WapcGuest0 => "wapc-guest-0",
            Self::WasmbusCounter => "wasmbus-counter",
            Self::WasccCounter => "wascc-counter",
            Self::Logger => "wascap-logger",
            Self::SignedLoop => "wascap-signed-loop",
            Self::SignedComponent => "wascap-component",
        }
    }

    /// Returns the project below `third-party/` it is made from.
    const fn project(self) -> &'static str {
        match self {
            Self::WapcHostEcho | Self::WapcHostCall | Self::AssemblyScript => "npm",
            Self::WapcGuest1 => "wapc-guest-1",
            Self::WapcGuest0 => "wapc-guest-0",
            Self::WasmbusCounter => "wasmbus-counter",
            Self::WasccCounter => "wascc-counter",
            Self::Logger | Self::SignedLoop | Self::SignedComponent => "wascap-files",
        }
    }
}

/// The projects of the provider and the control client, and their programs' names.
const PROVIDER: &str = "wasmbus-keyvalue";
const CONTROL_CLIENT: &str = "control-client";

/// Where third-party guests are made and found.
#[derive(Debug, Clone)]
pub struct ThirdParty {
    projects: PathBuf,
    target: PathBuf,
}

impl ThirdParty {
    /// Returns the folders of the checkout this code was built from.
    #[must_use]
    pub fn here() -> Self {
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = crate_dir.parent().unwrap_or(crate_dir);
        Self { projects: crate_dir.join("third-party"), target: root.join("target/third-party") }
    }

    /// Makes the guest if it is missing or out of date, and returns its file. `say` is told of every step that takes
    /// time.
    ///
    /// Waits while another process makes one.
    ///
    /// # Errors
    /// When a compiler or client is missing, a download fails, or the guest does not build.
    pub fn bring(&self, guest: Guest, say: &dyn Fn(&str)) -> Result<PathBuf> {
        let file = self.target.join(guest.name()).with_extension("wasm");
        self.bring_file(guest.project(), file, say, &|| self.make(guest))
    }

    /// Does the same for the key-value provider made with `wasmbus-rpc`: a program for this machine.
    ///
    /// # Errors
    /// As [`bring`](Self::bring).
    pub fn bring_provider(&self, say: &dyn Fn(&str)) -> Result<PathBuf> {
        self.bring_program(PROVIDER, say)
    }

    /// Does the same for the program that drives `wasmcloud-control-interface` and reads events with `wadm`.
    ///
    /// # Errors
    /// As [`bring`](Self::bring).
    pub fn bring_control_client(&self, say: &dyn Fn(&str)) -> Result<PathBuf> {
        self.bring_program(CONTROL_CLIENT, say)
    }

    /// Does the same for the Python packages of `providers/examples`, and returns the folder they are in.
    ///
    /// # Errors
    /// As [`bring`](Self::bring).
    pub fn bring_python_packages(&self, say: &dyn Fn(&str)) -> Result<PathBuf> {
        let project = self.projects.join("../../providers/examples");
        let packages = self.target.join(python::FOLDER);
        let mark = packages.join("nats/__init__.py");
        self.bring_from(&project, python::FOLDER, mark, say, &|| python::install(&project, &packages))?;
        Ok(packages)
    }

    fn bring_program(&self, project: &str, say: &dyn Fn(&str)) -> Result<PathBuf> {
        let file = self.target.join(project).with_extension(EXE_EXTENSION);
        let make = || rust::build_program(&self.projects.join(project), &self.target, &file);
        self.bring_file(project, file.clone(), say, &make)
    }

    fn bring_file(
        &self,
        project: &str,
        file: PathBuf,
        say: &dyn Fn(&str),
        make: &dyn Fn() -> Result<()>,
    ) -> Result<PathBuf> {
        self.bring_from(&self.projects.join(project), project, file, say, make)
    }

    /// Makes `file` of the project in `folder`, called `name`, unless it is up to date.
    fn bring_from(
        &self,
        folder: &Path,
        name: &str,
        file: PathBuf,
        say: &dyn Fn(&str),
        make: &dyn Fn() -> Result<()>,
    ) -> Result<PathBuf> {
        fs::create_dir_all(&self.target)?;
        let lock = File::create(self.target.join(".lock"))?;
        lock.lock().context("another build of third-party guests cannot be waited for")?;

        let stamp = Stamp::of(folder, &self.target.join(name))?;
        if stamp.is_current() && file.is_file() {
            return Ok(file);
        }
        say(&format!("third party: {name} has changed or was never built"));
        make().with_context(|| format!("third party: {} was not made", file.display()))?;
        stamp.write()?;
        Ok(file)
    }

    fn make(&self, guest: Guest) -> Result<()> {
        let project = self.projects.join(guest.project());
        match guest {
            Guest::WapcHostEcho | Guest::WapcHostCall | Guest::AssemblyScript => npm::build(&project, &self.target),
            Guest::WapcGuest1 | Guest::WapcGuest0 | Guest::WasmbusCounter | Guest::WasccCounter => {
                rust::build(&project, &self.target, guest.name())
            }
            Guest::Logger | Guest::SignedLoop | Guest::SignedComponent => {
                rust::copy_from_wascap(&project, &self.target)
            }
        }
    }
}
