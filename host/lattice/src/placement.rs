//! Which hosts run what.

use std::collections::{BTreeMap, BTreeSet};

use wattle_types::HostId;

use crate::spec::Spread;

/// A host, as far as placement cares.
#[derive(Debug, Clone, Copy)]
pub struct HostView<'a> {
    /// Which one.
    pub id: HostId,
    /// What it says of itself.
    pub labels: &'a BTreeMap<String, String>,
    /// It takes nothing new, and what it has moves away.
    pub draining: bool,
    /// How much it runs: the less, the sooner it gets more.
    pub load: usize,
    /// It runs what is placed already.
    pub runs: bool,
}

/// Where replicas are to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// One replica on each.
    pub hosts: BTreeSet<HostId>,
    /// What could not be placed as asked, in words.
    pub shortages: Vec<String>,
}

/// Places `replicas`, one to a host at most, on hosts that have all labels of `constraints` and do not drain.
///
/// Groups of `spread` get shares by weight (largest remainder). What does not fit in its group goes to hosts of the
/// other groups and is told as a shortage: a scale is worth more than a spread. Hosts that run it already come first,
/// then the least loaded, then in order, so that the same state gives the same placement and little moves.
#[must_use]
pub fn place(
    replicas: u32,
    spread: &[Spread],
    constraints: &BTreeMap<String, String>,
    hosts: &[HostView<'_>],
) -> Placement {
    let mut eligible: Vec<&HostView<'_>> =
        hosts.iter().filter(|host| !host.draining && has(host.labels, constraints)).collect();
    eligible.sort_by_key(|host| (!host.runs, host.load, host.id));
    let mut placement = Placement::default();
    if spread.is_empty() {
        fill(&mut placement.hosts, &eligible, replicas as usize);
    } else {
        place_groups(replicas, spread, &eligible, &mut placement);
    }
    let placed = placement.hosts.len();
    if placed < replicas as usize {
        let able = hosts.iter().filter(|host| has(host.labels, constraints)).count();
        placement.shortages.push(match able {
            0 if !constraints.is_empty() => format!("no host has {}", in_words(constraints)),
            _ => format!("{replicas} replicas are asked for, {placed} hosts can have one"),
        });
    }
    placement
}

fn place_groups(replicas: u32, spread: &[Spread], eligible: &[&HostView<'_>], placement: &mut Placement) {
    let in_group = |group: &Spread| {
        let hosts = eligible.iter().filter(|host| has(host.labels, &group.labels));
        hosts.copied().collect::<Vec<_>>()
    };
    let mut groups: Vec<_> =
        spread.iter().zip(shares(replicas, spread)).map(|(group, share)| (group, share, in_group(group))).collect();
    // A host may be in several groups: those with the fewest hosts choose first.
    groups.sort_by_key(|(_, _, hosts)| hosts.len());
    let mut any: Vec<&HostView<'_>> = Vec::new();
    for (index, (group, share, hosts)) in groups.iter().enumerate() {
        let placed = fill(&mut placement.hosts, hosts, *share);
        if placed < *share {
            let name = group.name.clone().unwrap_or_else(|| describe(&group.labels, index));
            placement.shortages.push(format!("{name} is to have {share} replicas and has hosts for {placed}"));
        }
        if group.weight > 0 {
            any.extend(hosts.iter().copied());
        }
    }
    any.sort_by_key(|host| (!host.runs, host.load, host.id));
    let missing = (replicas as usize).saturating_sub(placement.hosts.len());
    fill(&mut placement.hosts, &any, missing);
}

/// Takes the first hosts that are not taken; returns how many.
fn fill(taken: &mut BTreeSet<HostId>, hosts: &[&HostView<'_>], count: usize) -> usize {
    let free: Vec<HostId> = hosts.iter().map(|host| host.id).filter(|host| !taken.contains(host)).collect();
    let before = taken.len();
    for host in free {
        if taken.len() - before == count {
            break;
        }
        taken.insert(host);
    }
    taken.len() - before
}

/// Shares out by weight: each gets the whole part, and the largest remainders one more.
fn shares(replicas: u32, spread: &[Spread]) -> Vec<usize> {
    let total: u64 = spread.iter().map(|group| u64::from(group.weight)).sum::<u64>().max(1);
    let exact = |group: &Spread| u64::from(replicas) * u64::from(group.weight);
    let mut shares: Vec<u64> = spread.iter().map(|group| exact(group) / total).collect();
    let mut by_remainder: Vec<usize> = (0..spread.len()).collect();
    by_remainder.sort_by_key(|index| std::cmp::Reverse(spread.get(*index).map_or(0, |group| exact(group) % total)));
    let given: u64 = shares.iter().sum();
    let left = usize::try_from(u64::from(replicas).saturating_sub(given)).unwrap_or(usize::MAX);
    for index in by_remainder.into_iter().take(left) {
        if let Some(share) = shares.get_mut(index) {
            *share += 1;
        }
    }
    shares.into_iter().map(|share| usize::try_from(share).unwrap_or(usize::MAX)).collect()
}

fn has(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn describe(labels: &BTreeMap<String, String>, index: usize) -> String {
    if labels.is_empty() {
        return format!("group {index}");
    }
    in_words(labels)
}

fn in_words(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
