//! Every bus keeps the same promises: `conformance` states them once, over all implementations.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod nats;
#[cfg(test)]
mod server;
