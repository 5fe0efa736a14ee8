//! The guest SDK: write actors in Rust.
//!
//! An actor is a set of functions, one for each operation. Every call runs in a fresh sandbox, so there is nothing to
//! initialize and no state to guard: what must last goes to a provider.
//!
//! ```
//! use wattle_actor::http::{self, Request, Response};
//!
//! #[wattle_actor::handler(http::HANDLE_REQUEST)]
//! fn hello(request: Request) -> Response {
//!     Response::text(format!("hello from {}\n", request.path))
//! }
//! ```
//!
//! A handler takes one argument and returns a value, or a [`Result`] of one. Arguments and values are what implements
//! [`FromPayload`] and [`IntoPayload`]: the contracts' structs, numbers, texts, lists, structs made with [`message!`],
//! [`Raw`] for bytes in any other format, and `()`. Several operations go into one [`actor!`] list.
//! `Actor.HealthRequest` is answered for you. Natively, handlers run under [`testing::with_host`].

mod actor;
mod error;
mod guest;
pub mod health;
mod host;
pub mod http;
mod keyvalue;
pub mod logging;
pub mod msgpack;
pub mod numbergen;
mod payload;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

/// Runs the examples of the page on the SDK's types.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/sdk.md")]
struct Page;

pub use actor::{Link, call};
pub use error::{Error, Result};
#[doc(hidden)]
pub use guest::{prepare, run, serve};
pub use host::log;
pub use keyvalue::KeyValue;
pub use payload::{FromPayload, IntoPayload, Raw};
pub use wattle_actor_macros::handler;
