//! A real `redis-server`, alone on a free port of the loopback, with nothing in it.

use std::{net::TcpListener, path::Path, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// How often a port is tried that was free a moment ago.
const PORTS: usize = 5;

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl RedisServer {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When there is no `redis-server` on the path, or it does not come up.
    pub async fn start() -> Self {
        for _ in 0..PORTS {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if let Some(server) = Self::start_at(port).await {
                return server;
            }
        }
        panic!("redis-server did not come up on any of {PORTS} free ports");
    }

    /// Starts one on this port; `None` when it ends at once, as it does when the port is taken.
    ///
    /// # Panics
    /// When there is no `redis-server` on the path, or it is not ready in ten seconds.
    pub async fn start_at(port: u16) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--daemonize", "no", "--enable-debug-command", "yes"])
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "redis-server cannot be started ({error}): this test needs one on the path. \
                     Install it with `cargo xtask setup`, or with your package manager (Debian: apt-get install redis-server)"
                )
            });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("Ready to accept connections") {
                    return true;
                }
            }
            false
        };
        let ready = tokio::time::timeout(Duration::from_secs(10), ready).await.expect("redis-server is not ready");
        // The pipe may close now: the server has nothing more to say at its log level but is not hurt by trying.
        ready.then_some(Self { child, port, directory })
    }

    /// Returns the port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder it saves to.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Ends the server as a crash would, and waits until it is gone.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
