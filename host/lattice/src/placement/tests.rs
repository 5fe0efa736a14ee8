use super::*;
use crate::{directory::mix, fixtures::host};

type Labels = BTreeMap<String, String>;

fn labels(text: &str) -> Labels {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn group(text: &str, weight: u32) -> Spread {
    Spread { name: None, labels: labels(text), weight }
}

/// Hosts `1..` with these labels; those in `runs` run it.
fn placed(replicas: u32, spread: &[Spread], constraints: &str, hosts: &[&str], runs: &[u8]) -> (Vec<u8>, usize) {
    let all: Vec<Labels> = hosts.iter().map(|text| labels(text)).collect();
    let numbered = all.iter().zip(1..);
    let views: Vec<_> = numbered
        .map(|(labels, n)| HostView {
            id: host(n),
            labels,
            draining: labels.contains_key("draining"),
            load: labels.get("load").map_or(0, |load| load.parse().unwrap()),
            runs: runs.contains(&n),
        })
        .collect();
    let placement = place(replicas, spread, &labels(constraints), &views);
    let numbers = (1..=u8::try_from(hosts.len()).unwrap()).filter(|n| placement.hosts.contains(&host(*n)));
    (numbers.collect(), placement.shortages.len())
}

#[test]
fn replicas_go_where_they_run_then_where_least_runs() {
    assert_eq!(placed(2, &[], "", &["load=3", "load=1", "load=2"], &[]), (vec![2, 3], 0));
    assert_eq!(placed(2, &[], "", &["load=9", "load=1", "load=2"], &[1]), (vec![1, 2], 0));
    assert_eq!(placed(0, &[], "", &["", ""], &[1]), (vec![], 0));
}

#[test]
fn constraints_and_draining_rule_hosts_out_and_shortages_are_named() {
    assert_eq!(placed(2, &[], "arch=arm", &["arch=x86", "arch=arm", ""], &[1]), (vec![2], 1));
    assert_eq!(placed(1, &[], "", &["draining=1", ""], &[1]), (vec![2], 0));
    assert_eq!(placed(9, &[], "", &["", ""], &[]), (vec![1, 2], 1));
}

#[test]
fn shares_follow_weights_by_largest_remainder() {
    let spread = [group("zone=a", 2), group("zone=b", 1)];
    for (replicas, expected) in [(0, [0, 0]), (1, [1, 0]), (2, [1, 1]), (3, [2, 1]), (4, [3, 1]), (5, [3, 2])] {
        assert_eq!(shares(replicas, &spread), expected, "{replicas}");
    }
    assert_eq!(shares(u32::MAX, &[group("", u32::MAX)]), [u32::MAX as usize]);
}

#[test]
fn groups_get_their_share_and_others_help_out() {
    let spread = [group("zone=a", 2), group("zone=b", 1)];
    let zones = ["zone=a", "zone=a", "zone=a", "zone=b", "zone=b"];
    assert_eq!(placed(3, &spread, "", &zones, &[5]), (vec![1, 2, 5], 0));
    assert_eq!(placed(3, &spread, "", &["zone=a", "zone=a", "zone=a"], &[]), (vec![1, 2, 3], 1));
    // A host of two groups is left to the one that has no other.
    assert_eq!(placed(2, &[group("", 1), group("zone=a", 1)], "", &["zone=a", ""], &[]), (vec![1, 2], 0));
}

#[test]
fn random_states_keep_the_rules() {
    for seed in 0..2_000_u64 {
        let random = |n: u64, below: u64| mix(seed * 1_000 + n) % below;
        let count = 1 + random(0, 8);
        let all: Vec<Labels> =
            (0..count).map(|n| labels(&format!("zone={},disk={}", random(10 + n, 3), random(30 + n, 2)))).collect();
        let numbered = all.iter().zip(1_u8..);
        let views: Vec<_> = numbered
            .map(|(labels, n)| HostView {
                id: host(n),
                labels,
                draining: random(50 + u64::from(n), 4) == 0,
                load: usize::from(n) % 3,
                runs: random(70 + u64::from(n), 2) == 0,
            })
            .collect();
        let replicas = u32::try_from(random(1, 8)).unwrap();
        let spread =
            if random(2, 2) == 0 { vec![] } else { vec![group("zone=0", 2), group("zone=1", 1), group("", 1)] };
        let constraints = if random(3, 3) == 0 { labels("disk=1") } else { Labels::new() };
        let placement = place(replicas, &spread, &constraints, &views);
        let eligible = |view: &&HostView<'_>| !view.draining && has(view.labels, &constraints);
        let possible = views.iter().filter(eligible).count();
        assert_eq!(placement.hosts.len(), possible.min(replicas as usize), "seed {seed}: all that is possible");
        for view in &views {
            assert!(!placement.hosts.contains(&view.id) || eligible(&view), "seed {seed}: an ineligible host");
        }
        // What is placed so stays so.
        let settled: Vec<_> =
            views.iter().map(|view| HostView { runs: placement.hosts.contains(&view.id), ..*view }).collect();
        assert_eq!(place(replicas, &spread, &constraints, &settled), placement, "seed {seed}: it is stable");
    }
}
