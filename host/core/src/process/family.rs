//! All processes of a provider: the one we started, and what it started itself.
//!
//! Those of its group are found by the group, those that made a group or a session of their own by a mark in their
//! environment, which children inherit. One that left the group *and* took another environment is not found, nor is one
//! that became another user's. Where processes cannot be looked at (anywhere but on Linux), only the group is.

/// The environment variable with the mark.
const MARK: &str = "WATTLE_PROVIDER_PROCESS";

/// The processes of one run of a provider's program.
#[derive(Debug, Clone)]
pub(super) struct Family {
    mark: String,
    /// The first process, which leads the group.
    leader: Option<u32>,
}

impl Family {
    pub(super) fn new() -> Self {
        Self { mark: uuid::Uuid::new_v4().to_string(), leader: None }
    }

    /// Returns name and value of the environment variable by which its processes are known.
    pub(super) fn mark(&self) -> (&'static str, &str) {
        (MARK, &self.mark)
    }

    pub(super) fn set_leader(&mut self, pid: Option<u32>) {
        self.leader = pid;
    }

    /// Kills all that are left. Blocks for some milliseconds.
    pub(super) fn end(&self) {
        #[cfg(target_os = "linux")]
        linux::end(self);
        #[cfg(all(unix, not(target_os = "linux")))]
        if let Some(leader) = self.leader.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            // An error means that nobody is left.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, path::Path};

    use rustix::process::{Pid, Signal, kill_process};

    use super::{Family, MARK};

    /// How often is looked for more: whoever is killed may have started another just before.
    const LOOKS: usize = 20;

    pub(super) fn end(family: &Family) {
        let mark = format!("{MARK}={}", family.mark);
        for _ in 0..LOOKS {
            let found = find(family.leader, mark.as_bytes());
            if found.is_empty() {
                return;
            }
            for pid in found {
                // It ended in between, or is another user's.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        tracing::warn!("something that a provider's process started cannot be ended");
    }

    fn find(leader: Option<u32>, mark: &[u8]) -> Vec<Pid> {
        // While members of a group are left, its number is nobody else's: a process of this number is the leader, or
        // the group is gone.
        let group = leader.filter(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let ours = pids.filter(|pid| is_marked(*pid, mark) || group.is_some_and(|group| is_of_group(*pid, group)));
        ours.filter_map(|pid| Pid::from_raw(pid.cast_signed())).collect()
    }

    /// A process that has ended has no environment any more.
    fn is_marked(pid: u32, mark: &[u8]) -> bool {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark)
    }

    /// Reads its state and its group, which stand behind its name in brackets.
    fn is_of_group(pid: u32, group: u32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let is_alive = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
        is_alive && fields.nth(1).and_then(|field| field.parse().ok()) == Some(group)
    }
}
