//! The commands of the wattle program.
//!
//! Owns the command line, the keys directory and the run directory; talks to hosts over the bus, by the control
//! interface. Knows no host and no engine: the program hands in how to run one ([`HostRunner`]).

mod args;
mod call_payload;
mod commands;
mod context;
mod control;
mod error;
mod host_runner;
mod keystore;
mod output;
mod reference;
mod run_dir;
mod spelling;
mod table;

pub use context::run;
pub use host_runner::{HostError, HostOptions, HostRunner, HostSignals, LogFormat, LogOptions, NatsAccess, Ready};

#[cfg(test)]
mod tests;
