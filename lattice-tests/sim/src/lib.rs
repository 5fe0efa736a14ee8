//! Whole lattices in one thread, from a seed.
//!
//! A run has some hosts, each a real [`wattle_lattice::node::Node`] with a model where the engine would be, on the
//! simulated network of [`wattle_bus::sim`]. Operators, load and faults follow from the seed. A witness sees everything
//! and complains of what must not be; after all was mended, everything must come right within a bounded time. Two runs
//! of one seed are the same, to the byte: what chance decides comes from the seed alone.

mod auditor;
mod chance;
mod faults;
mod host;
mod load;
mod log;
mod model;
mod names;
mod operators;
mod plan;
mod requests;
mod run;
mod settle;
mod stranger;
mod surroundings;
mod witness;
mod world;

pub use plan::Mood;
pub use run::{Report, check, run};

/// A fault that is built in on purpose, so that a suite which sees nothing is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Hosts obey every leader, however old its orders.
    NoFence,
    /// Hosts let everybody call everybody, linked or not.
    NoLinks,
    /// Callers repeat calls that may have run.
    RetryUnknown,
    /// Hosts carry out requests that come after whoever asked has given up.
    LateRequests,
    /// Signed changes are sent to any host, and each host takes a request once.
    OnceByEach,
    /// Hosts take beats of everybody: a stranger's pass for proved.
    ForgedBeats,
    /// JetStream lets both of two writers win who expect the same revision, as clusters before 2.11 do.
    BothAccepted,
    /// JetStream says that everything was deleted when it was purged, so that nobody can tell what was lost.
    SilentPurge,
}

impl Planted {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 8] = [
        ("no-fence", Self::NoFence),
        ("no-links", Self::NoLinks),
        ("retry-unknown", Self::RetryUnknown),
        ("late-requests", Self::LateRequests),
        ("once-by-each", Self::OnceByEach),
        ("forged-beats", Self::ForgedBeats),
        ("both-accepted", Self::BothAccepted),
        ("silent-purge", Self::SilentPurge),
    ];

    /// Returns the one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, planted)| planted)
    }
}
