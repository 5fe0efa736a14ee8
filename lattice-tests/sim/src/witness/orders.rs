//! Leaders: one at a time, and no host obeys an earlier one after a later one.

use std::collections::BTreeMap;

use wattle_types::HostId;

use super::Witness;

/// One start of a host.
type Process = (HostId, u32);

#[derive(Debug, Default)]
pub(super) struct Orders {
    /// The latest term whose order a process carried out.
    obeyed: BTreeMap<Process, u64>,
    /// Who led as each term.
    terms: BTreeMap<u64, Process>,
    /// The shared state was lost at least once.
    is_lost: bool,
}

impl Witness {
    /// Takes in that a host carries out an order of a term.
    pub(crate) fn obeys(&self, host: HostId, start: u32, term: u64, what: &str) {
        let mut seen = self.seen();
        seen.count("orders");
        seen.log.add(&format!("{host} obeys term {term}: {what}"));
        let highest = seen.orders.obeyed.entry((host, start)).or_default();
        if term < *highest {
            let highest = *highest;
            seen.complain(&format!("{host} carries out an order of term {term} after one of term {highest}: {what}"));
        } else {
            *highest = term;
        }
    }

    /// Takes in who leads at this very moment.
    pub(crate) fn lead(&self, leaders: &[(HostId, u32, u64)]) {
        let mut seen = self.seen();
        if leaders.len() > 1 {
            seen.complain(&format!("several hosts lead at once: {leaders:?}"));
        }
        for (host, start, term) in leaders {
            let process = (*host, *start);
            match seen.orders.terms.get(term).copied() {
                None => {
                    seen.orders.terms.insert(*term, process);
                    seen.count("leaderships");
                    seen.log.add(&format!("{host} leads as term {term}"));
                }
                // Where what was stored is lost, new hosts count terms from the beginning: fences are what is left.
                Some(known) if known != process && !seen.orders.is_lost => {
                    seen.orders.terms.insert(*term, process);
                    seen.complain(&format!("{process:?} leads as term {term}, as {known:?} has before"));
                }
                Some(_) => {}
            }
        }
    }

    /// Takes in that the shared state was lost, and with it which terms there were.
    pub(crate) fn terms_lost(&self) {
        self.seen().orders.is_lost = true;
    }
}
