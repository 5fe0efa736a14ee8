//! The HTTP server capability, on hyper.
//!
//! A link names an address and, if actors share it, a host and a path; requests that match become calls of the link's
//! actor in its dialect. All generations of a server share one [`front`](self): listening sockets, connections and the
//! routing tables between them. A successor puts its routes in front of its predecessor's, so that a swap moves
//! *requests*, one by one, and neither closes nor refuses a connection.
//!
//! Knows no host, no engine and no key-value store: an actor is a link and bytes.

mod access;
mod body;
mod budget;
mod clients;
mod connection;
mod failure;
mod front;
mod listener;
mod message;
mod router;
mod server;
mod service;
mod settings;
mod table;
mod tls;
mod watchdog;

pub use server::{HttpServer, HttpServerFactory};
pub use settings::{LINK_SETTINGS, PROVIDER_SETTINGS};
