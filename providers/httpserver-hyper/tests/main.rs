//! The HTTP server over real sockets on this machine, with an actor played by a closure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod drain;
mod failures;
mod harness;
mod limits;
mod messages;
mod protocols;
mod routing;
mod swap;
mod tls;
