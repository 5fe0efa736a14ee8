//! Whether a host bids in an auction: decided from what it is and runs, without doing anything.

use std::collections::BTreeMap;

/// What a host would have to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    /// What the host says of itself.
    pub(crate) labels: &'a BTreeMap<String, String>,
    /// It is ending.
    pub(crate) is_draining: bool,
    /// Something with the same id runs here.
    pub(crate) runs_here: bool,
    /// The reference leads to something this host can start, as far as that is known without starting it.
    pub(crate) is_within_reach: bool,
}

/// What a host does in an auction, and why it is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Bid,
    Draining,
    RunsHere,
    OtherLabels,
    OutOfReach,
}

/// Decides whether to bid for something that may only run where all `constraints` are labels.
pub(crate) fn answer(constraints: &BTreeMap<String, String>, situation: Situation<'_>) -> Answer {
    let is_labelled = constraints.iter().all(|(key, value)| situation.labels.get(key) == Some(value));
    match situation {
        Situation { is_draining: true, .. } => Answer::Draining,
        Situation { runs_here: true, .. } => Answer::RunsHere,
        _ if !is_labelled => Answer::OtherLabels,
        Situation { is_within_reach: false, .. } => Answer::OutOfReach,
        _ => Answer::Bid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_host_bids_only_for_what_it_could_run() {
        let labels = map(&[("zone", "a"), ("disk", "ssd"), ("empty", "")]);
        let free = Situation { labels: &labels, is_draining: false, runs_here: false, is_within_reach: true };
        let draining = Situation { is_draining: true, ..free };
        let taken = Situation { runs_here: true, ..free };
        let unknown = Situation { is_within_reach: false, ..free };
        for (constraints, situation, expected) in [
            (&[][..], free, Answer::Bid),
            (&[("zone", "a")], free, Answer::Bid),
            (&[("zone", "a"), ("disk", "ssd")], free, Answer::Bid),
            (&[("empty", "")], free, Answer::Bid),
            (&[("zone", "b")], free, Answer::OtherLabels),
            (&[("zone", "a"), ("disk", "hdd")], free, Answer::OtherLabels),
            (&[("gpu", "")], free, Answer::OtherLabels),
            (&[], draining, Answer::Draining),
            (&[], taken, Answer::RunsHere),
            (&[], unknown, Answer::OutOfReach),
            (&[("zone", "b")], unknown, Answer::OtherLabels),
        ] {
            assert_eq!(answer(&map(constraints), situation), expected, "{constraints:?} {situation:?}");
        }
    }
}
