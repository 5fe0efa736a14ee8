//! What each act must have kept.

use super::story::{Act, Kind};

/// A refusal that takes longer is no decent answer.
const REFUSAL_US_MAX: u32 = 100_000;

/// Returns the promises that were broken, in words.
pub(super) fn broken(acts: &[Act]) -> Vec<String> {
    let steady_p99 = acts.iter().find(|act| act.kind == Kind::Steady).map_or(0, |act| act.seen.p99_us);
    acts.iter().flat_map(|act| broken_by(act, steady_p99)).collect()
}

fn broken_by(act: &Act, steady_p99: u32) -> Vec<String> {
    let mut broken: Vec<String> = act
        .checks
        .iter()
        .filter(|(_, kept)| !kept)
        .map(|(what, _)| format!("{}: not true: {what}", act.name))
        .collect();
    let mut promise = |kept: bool, what: String| {
        if !kept {
            broken.push(format!("{}: {what}", act.name));
        }
    };
    match act.kind {
        Kind::Steady => promise(act.seen.failed() == 0, format!("{} failed: {:?}", act.seen.failed(), act.seen.others)),
        Kind::Live => {
            promise(act.seen.failed() == 0, format!("{} failed: {:?}", act.seen.failed(), act.seen.others));
            let limit = steady_p99.saturating_mul(2);
            let p99 = act.second.p99_us;
            promise(p99 <= limit, format!("p99 in the second of the change {p99} us, more than 2x {steady_p99} us"));
        }
        Kind::Refusing => {
            let refused = act.after.others.get("status 503").copied().unwrap_or(0);
            let all = act.after.requests;
            promise(all > 0 && refused == all, format!("{refused} of {all} were refused: {:?}", act.after.others));
            let only_503 = act.seen.others.keys().all(|what| what == "status 503");
            promise(only_503, format!("something else than a 503: {:?}", act.seen.others));
            let slowest = act.after.max_us;
            promise(slowest <= REFUSAL_US_MAX, format!("a refusal took {slowest} us"));
        }
        Kind::Restored => {
            let failed = act.after.failed();
            promise(act.after.requests > 0 && failed == 0, format!("{failed} failed: {:?}", act.after.others));
            let only_503 = act.seen.others.keys().all(|what| what == "status 503");
            promise(only_503, format!("something else than a 503: {:?}", act.seen.others));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Summary;

    fn act(kind: Kind) -> Act {
        let summary = || Summary { requests: 10, counted: 10, p99_us: 100, ..Summary::default() };
        Act {
            name: "act".into(),
            kind,
            seen: summary(),
            second: summary(),
            after: summary(),
            checks: vec![("holds".into(), true)],
        }
    }

    #[test]
    fn a_kept_promise_is_not_reported() {
        assert!(broken(&[act(Kind::Steady), act(Kind::Live), act(Kind::Restored)]).is_empty());
    }

    #[test]
    fn each_broken_promise_is() {
        let mut live = act(Kind::Live);
        live.seen.counted = 9;
        live.second.p99_us = 201;
        live.checks.push(("false".into(), false));
        assert_eq!(broken(&[act(Kind::Steady), live]).len(), 3);
        // Nobody was refused although the store is gone.
        assert_eq!(broken(&[act(Kind::Refusing)]).len(), 1);
    }
}
