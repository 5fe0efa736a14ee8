//! What can be set about a host. Every value has a default that suits a machine of a few cores.

use std::{collections::BTreeMap, time::Duration};

use wattle_runtime::Limits;
use wattle_types::{LatticeId, wascap::PublicKey};

/// Settings of a host.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// A name for people.
    pub friendly_name: String,
    /// What the host says of itself to begin with, beside `hostcore.*`, which it finds out by itself.
    pub labels: BTreeMap<String, String>,
    /// The mesh it belongs to.
    pub lattice: LatticeId,
    /// How long a call may take when its caller does not say.
    pub call_timeout: Duration,
    /// How long calls in flight may take to end when what serves them is replaced or stopped.
    pub drain_timeout: Duration,
    /// How many calls of one actor may run at once, when its start does not say.
    pub max_in_flight: usize,
    /// How many more may wait for their turn.
    pub max_queued: usize,
    /// What one call of a guest may use.
    pub limits: Limits,
    /// How often providers are asked whether they are well.
    pub health_interval: Duration,
    /// How often the host tells the lattice what it runs, by the event `host_heartbeat`.
    pub heartbeat_interval: Duration,
    /// Whether requests over the control interface that change something must be signed.
    pub require_signed: bool,
    /// Whose signed requests are carried out, beside those of hosts of the same cluster.
    pub controllers: Vec<PublicKey>,
    /// Longest pause between two notices to other hosts of what runs here; changes are told at once.
    pub beat_interval: Duration,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            friendly_name: "wattle".into(),
            labels: BTreeMap::new(),
            lattice: LatticeId::default(),
            call_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            max_in_flight: 256,
            max_queued: 4096,
            limits: Limits::default(),
            health_interval: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(30),
            require_signed: false,
            controllers: Vec::new(),
            beat_interval: Duration::from_millis(500),
        }
    }
}

#[cfg(test)]
mod tests {
    use wattle_types::MAX_CALL_DEPTH;

    use super::*;

    /// Returns the row of the table of limits in `docs/actors.md` that begins so.
    fn row(limit: &str) -> &'static str {
        let beginning = format!("| {limit} |");
        let page = include_str!("../../../docs/actors.md");
        page.lines().find(|line| line.starts_with(&beginning)).unwrap_or_else(|| panic!("no row {limit}"))
    }

    #[test]
    fn the_limits_of_a_host_are_as_documented() {
        let config = HostConfig::default();
        let at_once = format!("{}, and {} that wait", config.max_in_flight, config.max_queued);
        assert!(row("calls of one actor at once").contains(&at_once), "{at_once}");
        let time = format!("otherwise {} s", config.call_timeout.as_secs());
        assert!(row("time").contains(&time), "{time}");
        let depth = format!("{MAX_CALL_DEPTH} in one chain");
        assert!(row("actors calling actors").contains(&depth), "{depth}");
        let overloaded = format!("{} running and {} waiting calls", config.max_in_flight, config.max_queued);
        assert!(include_str!("../../../docs/errors/overloaded.md").contains(&overloaded), "{overloaded}");
    }
}
