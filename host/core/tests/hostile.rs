//! Guests and files that misbehave, in a process of its own: it measures the process's memory.

#[cfg(test)]
#[path = "hostile/attack.rs"]
mod attack;
#[cfg(test)]
#[expect(dead_code, reason = "shared with the other test binary")]
mod support;
