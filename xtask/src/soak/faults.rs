//! What may happen to the lattice.

use std::{fmt, time::Duration};

use super::chance::Chance;

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A host is killed, and started again.
    Kill(&'static str),
    /// A host stands still for a while.
    Freeze(&'static str, Duration),
    /// A host is drained, and started again.
    Drain(&'static str),
    /// NATS is killed, and started again after a while.
    NatsGone(Duration),
    /// The actor goes to its other version, over all hosts.
    Swap,
    /// A version that fails is tried, and goes back.
    BadSwap,
    /// The HTTP server is replaced while it serves.
    SwapServer,
}

/// Hosts that may fail; the one with the HTTP server is the client's.
pub(super) const WORK: [&str; 2] = ["work-1", "work-2"];

impl Fault {
    /// Chooses one: half of them swaps, as these are what happens all day.
    pub(super) fn by(chance: &mut Chance) -> Self {
        let which = chance.below(16);
        let host = if chance.below(2) == 0 { "work-1" } else { "work-2" };
        let span = Duration::from_millis(500 + chance.below(4500));
        match which {
            0 | 1 => Self::Kill(host),
            2 => Self::Freeze(host, span),
            3 | 4 => Self::Drain(host),
            5 | 6 => Self::NatsGone(span),
            7 => Self::BadSwap,
            8 | 9 => Self::SwapServer,
            _ => Self::Swap,
        }
    }

    /// Returns the kind, for counting.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Kill(_) => "host killed",
            Self::Freeze(..) => "host frozen",
            Self::Drain(_) => "host drained",
            Self::NatsGone(_) => "NATS killed",
            Self::Swap => "rolling swap",
            Self::BadSwap => "bad swap, rolled back",
            Self::SwapServer => "HTTP server swapped",
        }
    }

    /// Returns whether nobody may notice.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self, Self::Drain(_) | Self::Swap | Self::SwapServer)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Self::Kill(host) | Self::Drain(host) => write!(f, ": {host}"),
            Self::Freeze(host, span) => write!(f, ": {host} for {span:?}"),
            Self::NatsGone(span) => write!(f, " for {span:?}"),
            Self::Swap | Self::BadSwap | Self::SwapServer => Ok(()),
        }
    }
}
