//! What each act must have kept.

use super::story::{Act, Kind};

/// Returns the promises that were broken, in words. `in_flight`: requests at any time.
pub(super) fn broken(acts: &[Act], in_flight: usize) -> Vec<String> {
    acts.iter().flat_map(|act| broken_by(act, in_flight)).collect()
}

fn broken_by(act: &Act, in_flight: usize) -> Vec<String> {
    let wrong = act.checks.iter().filter(|(_, kept)| !kept).map(|(what, _)| format!("{}: not true: {what}", act.name));
    let mut broken: Vec<String> = wrong.collect();
    let (allowed, most): (&[&str], usize) = match act.kind {
        Kind::Live => (&[], 0),
        Kind::Killed => (&["503 outcome_unknown", "504 outcome_unknown", "502 outcome_unknown"], in_flight),
        // A tenth of the calls, and only on one host of two.
        Kind::Bad => (&["500 guest_failed"], act.seen.requests / 10),
    };
    let failed = act.seen.failed();
    if act.seen.counted == 0 {
        broken.push(format!("{}: nothing was answered", act.name));
    }
    if failed > most {
        broken.push(format!("{}: {failed} failed, {most} may: {:?}", act.name, act.seen.named));
    }
    if !act.seen.named.keys().all(|name| allowed.contains(&name.as_str())) {
        broken.push(format!("{}: failures that the design does not allow: {:?}", act.name, act.seen.named));
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Summary;

    fn act(kind: Kind, failed: usize, name: &str) -> Act {
        let named = [(name.to_owned(), failed)].into_iter().filter(|(_, count)| *count > 0).collect();
        let seen = Summary { requests: 100 + failed, counted: 100, named, ..Summary::default() };
        Act { name: "act".into(), kind, seen, notes: vec![], checks: vec![("holds".into(), true)] }
    }

    #[test]
    fn failures_are_allowed_by_name_and_number_only() {
        assert!(broken(&[act(Kind::Live, 0, "")], 8).is_empty());
        assert_eq!(broken(&[act(Kind::Live, 1, "503 overloaded")], 8).len(), 2);
        assert!(broken(&[act(Kind::Killed, 8, "503 outcome_unknown")], 8).is_empty());
        assert_eq!(broken(&[act(Kind::Killed, 9, "503 outcome_unknown")], 8).len(), 1);
        assert_eq!(broken(&[act(Kind::Killed, 8, "500 internal")], 8).len(), 1);
        assert!(broken(&[act(Kind::Bad, 9, "500 guest_failed")], 8).is_empty());
    }

    #[test]
    fn what_is_not_true_is_told() {
        let mut wrong = act(Kind::Live, 0, "");
        wrong.checks.push(("does not hold".into(), false));
        wrong.seen.counted = 0;
        wrong.seen.requests = 0;
        assert_eq!(broken(&[wrong], 8).len(), 2);
    }
}
