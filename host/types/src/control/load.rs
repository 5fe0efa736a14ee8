//! How busy a host is: counts that only grow, for whoever looks at them twice.

use serde::{Deserialize, Serialize};

/// What `get_load` answers. Counting begins with the first question and ends a while after the last one, so rates
/// follow from two answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLoad {
    /// `N...`.
    pub host_id: String,
    /// A name for people.
    pub friendly_name: String,
    /// Milliseconds since the host started, when this was read.
    pub at_ms: u64,
    /// Bytes of memory that are resident, where the platform tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// Actors, the most called first.
    pub actors: Vec<SlotLoad>,
    /// Providers, the most called first.
    pub providers: Vec<SlotLoad>,
    /// How many more there are: an answer is bounded.
    #[serde(default)]
    pub left_out: u64,
}

/// How busy one actor or provider is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotLoad {
    /// `M...`, or the provider's id.
    pub id: String,
    /// From its claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many versions it has had, this one included: every live update adds one.
    pub generation: u64,
    /// Calls inside now.
    pub in_flight: u64,
    /// Calls that wait for their turn.
    #[serde(default)]
    pub waiting: u64,
    /// Calls that ended while somebody looked.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Pairs of microseconds and how many calls took no longer than that, but longer than the pair before says. Only
    /// pairs with calls, ascending.
    pub latency: Vec<(u64, u64)>,
}
