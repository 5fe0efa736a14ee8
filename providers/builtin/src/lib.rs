//! The logging and number-generation capabilities every host has.

mod logging;
mod numbergen;
mod provider;

pub use logging::HostLog;
pub use numbergen::HostNumbers;
pub use provider::{Builtin, BuiltinFactory};
