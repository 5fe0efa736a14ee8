//! Guests and tools of others, run unmodified.

#[cfg(test)]
mod control_client;
#[cfg(test)]
mod counters;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod guests;
#[cfg(test)]
mod process_examples;
#[cfg(test)]
mod process_provider;
#[cfg(test)]
mod rig;
