//! The nats-server that a killed host left behind.
//!
//! A host that ends takes its nats-server along; one that is killed cannot, and the port would stay taken. Only who
//! holds the run directory's lock may end what runs from it: then no host does. Where processes cannot be looked at
//! (anywhere but on Linux), there is nothing to be found.

use std::path::Path;

use crate::error::CliError;

/// Ends every nats-server that runs by this configuration, and returns whether there was one.
pub(super) async fn end(config: &Path) -> Result<bool, CliError> {
    #[cfg(target_os = "linux")]
    return linux::end(config).await;
    #[cfg(not(target_os = "linux"))]
    {
        let _nobody_can_tell = config;
        Ok(false)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, os::unix::ffi::OsStrExt as _, path::Path, time::Duration};

    use rustix::process::{Pid, Signal, kill_process};

    use crate::error::{CliError, Kind};

    /// Looks, between asking it to end and killing it.
    const LOOKS: u32 = 100;

    /// Pause between two looks.
    const POLL: Duration = Duration::from_millis(50);

    pub(super) async fn end(config: &Path) -> Result<bool, CliError> {
        if !signal(config, Signal::TERM)? {
            return Ok(false);
        }
        for _ in 0..LOOKS {
            tokio::time::sleep(POLL).await;
            if find(config).is_empty() {
                return Ok(true);
            }
        }
        signal(config, Signal::KILL)
    }

    fn signal(config: &Path, signal: Signal) -> Result<bool, CliError> {
        let found = find(config);
        for pid in &found {
            match kill_process(*pid, signal) {
                // It ended in between.
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => {
                    let process = pid.as_raw_nonzero();
                    let message = format!("the nats-server of a killed host (process {process}) cannot end: {error}");
                    return Err(CliError::new(Kind::Refused, "signal_failed", message)
                        .hint("run this as the user who started the host"));
                }
            }
        }
        Ok(!found.is_empty())
    }

    /// Returns the processes with this file behind `--config`.
    fn find(config: &Path) -> Vec<Pid> {
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let of_config = |path: &Path| {
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            let arguments: Vec<_> = line.split(|byte| *byte == 0).collect();
            arguments.windows(2).any(|pair| pair == [b"--config", config.as_os_str().as_bytes()])
        };
        let pid = |path: &Path| path.file_name()?.to_str()?.parse().ok().and_then(Pid::from_raw);
        processes.flatten().filter_map(|entry| pid(&entry.path()).filter(|_| of_config(&entry.path()))).collect()
    }
}
