//! What became of requests that put one number after the other.

use std::collections::BTreeSet;

use super::Witness;

/// What was seen of them.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The last number of which a host has said that it is kept.
    confirmed: u64,
    kept: BTreeSet<u64>,
    /// The revision of what was seen last: a watch that begins anew shows it again.
    revision: u64,
}

impl Witness {
    /// Takes in that whoever asked knows that a number is kept.
    pub(crate) fn confirmed(&self, number: u64) {
        self.seen().requests.confirmed = number;
    }

    /// Takes in that a number is kept.
    pub(crate) fn kept(&self, number: u64, revision: u64) {
        let mut seen = self.seen();
        if revision <= seen.requests.revision {
            return;
        }
        seen.requests.revision = revision;
        let confirmed = seen.requests.confirmed;
        if number < confirmed {
            seen.complain(&format!("request {number} is carried out over {confirmed}, which was confirmed"));
        }
        if !seen.requests.kept.insert(number) {
            seen.complain(&format!("request {number} is carried out twice"));
        }
    }
}
