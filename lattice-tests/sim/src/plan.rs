//! What one seed stands for: how many hosts, how long, and what goes wrong.

use std::time::Duration;

use wattle_bus::sim::Faults;

use crate::chance::Chance;

/// The kind of a run. Each has checks of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// The network is good and no host dies: then no call may fail that some host can serve.
    Calm,
    /// Everything goes wrong now and then.
    Stormy,
    /// As stormy, and the shared state may be lost too.
    Amnesic,
}

/// What a run is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) mood: Mood,
    pub(crate) hosts: u8,
    /// How long things go wrong.
    pub(crate) storm: Duration,
    /// Longest pause between two faults.
    pub(crate) fault_every_ms: u64,
    /// Longest pause between two actions of operators.
    pub(crate) action_every_ms: u64,
    /// Longest pause between two calls.
    pub(crate) call_every_ms: u64,
    /// How many of 1000 orders fail on a host.
    pub(crate) trouble: u32,
    /// Longest time that an order takes on a host.
    pub(crate) order_ms: u64,
}

impl Plan {
    pub(crate) fn of(chance: &Chance) -> Self {
        let mood = match chance.below(10) {
            0..=2 => Mood::Calm,
            3 | 4 => Mood::Amnesic,
            _ => Mood::Stormy,
        };
        let pace = |of: [u64; 3]| chance.pick(&of).copied().unwrap_or(1000);
        Self {
            mood,
            hosts: 2 + u8::try_from(chance.below(6)).unwrap_or_default(),
            storm: chance.millis(30_000..=90_000),
            fault_every_ms: pace([3_000, 8_000, 20_000]),
            action_every_ms: pace([800, 3_000, 8_000]),
            call_every_ms: pace([40, 100, 300]),
            trouble: if mood == Mood::Calm { 0 } else { u32::try_from(pace([0, 20, 150])).unwrap_or_default() },
            order_ms: pace([50, 500, 3_000]),
        }
    }
}

/// Draws what a bad connection does to messages.
pub(crate) fn weather(chance: &Chance) -> Faults {
    let slowest = chance.pick(&[5, 50, 400]).copied().unwrap_or(5);
    Faults {
        delay: Duration::ZERO..=Duration::from_millis(slowest),
        loss: chance.pick(&[0, 0, 20, 100]).copied().unwrap_or_default(),
        duplication: chance.pick(&[0, 0, 30, 200]).copied().unwrap_or_default(),
        reorder: chance.happens(500),
        buffer: chance.pick(&[128, 512, 4096]).copied().unwrap_or(4096),
    }
}

/// A connection that stands still: all that is sent arrives much later.
pub(crate) fn standstill(chance: &Chance) -> Faults {
    let delay = chance.millis(1_500..=5_000);
    Faults { delay: delay..=delay, ..Faults::default() }
}
