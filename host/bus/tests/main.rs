//! Every bus keeps the same promises: `conformance` and `kv` state them once, over all implementations.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod kv;
#[cfg(test)]
mod leaf;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod nats;
#[cfg(test)]
mod nats_kv;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sim;
