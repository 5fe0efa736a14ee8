//! What happened between two looks at all hosts.

use serde::Serialize;
use wattle_types::control::{HostLoad, SlotLoad};

/// One interval.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Snapshot {
    pub(super) hosts: Vec<HostRow>,
    /// Actors and providers, the busiest first.
    pub(super) rows: Vec<Row>,
}

/// A host.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct HostRow {
    pub(super) id: String,
    pub(super) name: String,
    /// Of its actors.
    pub(super) calls_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resident_bytes: Option<u64>,
    /// Actors and providers it did not tell of.
    pub(super) left_out: u64,
}

/// An actor or provider on one host.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) kind: &'static str,
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) host: String,
    pub(super) calls_per_second: f64,
    pub(super) failed_per_second: f64,
    /// None when nobody called.
    pub(super) p50_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
    pub(super) in_flight: u64,
    pub(super) waiting: u64,
    /// How often it was replaced while it worked.
    pub(super) swaps: u64,
}

impl Snapshot {
    /// Compares two looks. A host that was not there at the first, or was started again, has done nothing yet.
    pub(super) fn between(before: &[HostLoad], after: &[HostLoad]) -> Self {
        let mut hosts = Vec::new();
        let mut rows = Vec::new();
        for host in after {
            let earlier = before.iter().find(|earlier| earlier.host_id == host.host_id && earlier.at_ms < host.at_ms);
            let earlier = earlier.unwrap_or(host);
            let seconds = (host.at_ms - earlier.at_ms).max(1) as f64 / 1000.0;
            let row = |kind, slots: &[SlotLoad], slot: &SlotLoad| {
                let old = slots.iter().find(|old| old.id == slot.id);
                Row { kind, host: host.friendly_name.clone(), ..row(slot, old, earlier.left_out == 0, seconds) }
            };
            let actors: Vec<_> = host.actors.iter().map(|slot| row("actor", &earlier.actors, slot)).collect();
            hosts.push(HostRow {
                id: host.host_id.clone(),
                name: host.friendly_name.clone(),
                calls_per_second: actors.iter().map(|actor| actor.calls_per_second).sum(),
                resident_bytes: host.resident_bytes,
                left_out: host.left_out,
            });
            rows.extend(actors);
            rows.extend(host.providers.iter().map(|slot| row("provider", &earlier.providers, slot)));
        }
        rows.sort_by(|left, right| right.calls_per_second.total_cmp(&left.calls_per_second));
        Self { hosts, rows }
    }
}

/// `old` is the slot as it was before; if all were told of then and this one was not, it is new.
fn row(slot: &SlotLoad, old: Option<&SlotLoad>, all_told: bool, seconds: f64) -> Row {
    let nothing = SlotLoad { calls: 0, failed: 0, latency: Vec::new(), ..slot.clone() };
    let old = old.unwrap_or(if all_told { &nothing } else { slot });
    let latency = newer(&slot.latency, &old.latency);
    Row {
        kind: "",
        id: slot.id.clone(),
        name: slot.name.clone(),
        host: String::new(),
        calls_per_second: slot.calls.saturating_sub(old.calls) as f64 / seconds,
        failed_per_second: slot.failed.saturating_sub(old.failed) as f64 / seconds,
        p50_us: percentile(&latency, 50),
        p99_us: percentile(&latency, 99),
        in_flight: slot.in_flight,
        waiting: slot.waiting,
        swaps: slot.generation.saturating_sub(1),
    }
}

/// Returns the calls that came since, by how long they took.
fn newer(now: &[(u64, u64)], before: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let counted = |us: u64| before.iter().find(|(old, _)| *old == us).map_or(0, |(_, count)| *count);
    now.iter().map(|(us, count)| (*us, count.saturating_sub(counted(*us)))).collect()
}

/// Returns the time that so many of 100 calls did not exceed.
fn percentile(latency: &[(u64, u64)], percent: u64) -> Option<u64> {
    let all: u64 = latency.iter().map(|(_, count)| count).sum();
    let wanted = (all * percent).div_ceil(100);
    let mut seen = 0;
    latency.iter().filter(|(_, count)| *count > 0).find_map(|(us, count)| {
        seen += count;
        (seen >= wanted).then_some(*us)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(id: &str, calls: u64, latency: &[(u64, u64)]) -> SlotLoad {
        SlotLoad {
            id: id.into(),
            name: None,
            generation: 3,
            in_flight: 2,
            waiting: 1,
            calls,
            failed: calls / 10,
            latency: latency.to_vec(),
        }
    }

    fn host(at_ms: u64, actors: Vec<SlotLoad>) -> HostLoad {
        HostLoad {
            host_id: "N".into(),
            friendly_name: "reed".into(),
            at_ms,
            resident_bytes: Some(1 << 20),
            actors,
            providers: Vec::new(),
            left_out: 0,
        }
    }

    #[test]
    fn rates_and_latencies_are_those_of_the_interval() {
        let before = [host(1000, vec![slot("a", 100, &[(100, 100)]), slot("b", 0, &[])])];
        let after = [host(3000, vec![slot("a", 300, &[(100, 200), (900, 100)]), slot("c", 1000, &[(5, 1000)])])];
        let seen = Snapshot::between(&before, &after);
        assert_eq!(seen.hosts[0].calls_per_second, 600.0);
        let [first, second] = &seen.rows[..] else { panic!("{seen:?}") };
        assert_eq!((first.id.as_str(), first.calls_per_second), ("c", 500.0));
        assert_eq!((second.calls_per_second, second.failed_per_second), (100.0, 10.0));
        assert_eq!((second.p50_us, second.p99_us, second.swaps), (Some(100), Some(900), 2));
    }

    #[test]
    fn a_host_that_was_started_again_has_done_nothing_yet() {
        let before = [host(60_000, vec![slot("a", 5000, &[(100, 5000)])])];
        let seen = Snapshot::between(&before, &[host(500, vec![slot("a", 10, &[(100, 10)])])]);
        assert_eq!((seen.rows[0].calls_per_second, seen.rows[0].p99_us), (0.0, None));
    }
}
