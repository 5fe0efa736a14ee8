//! Capability contracts, their dialects, and what a provider needs to fulfil them.
//!
//! A *contract* is one trait here ([`KeyValue`], [`Logging`], [`NumberGen`]) or a pair of types ([`HttpRequest`],
//! [`HttpResponse`]). A *dialect* is how one generation of guests spells a contract: names of operations and bytes of
//! their arguments. A back end fulfils a trait and serves every dialect; a new dialect is a module under `dialect` and
//! changes no back end. Knows no host, no engine and no concrete back end.

mod answer;
mod codec;
mod contract;
mod dialect;
mod http;
mod keyvalue;
mod keyvalue_provider;
mod logging;
mod numbergen;
#[cfg(test)]
mod scripted;
mod settings;

pub use answer::AnswerRoom;
pub use contract::{Contract, Dialect, HTTP_SERVER, KEYVALUE, LOGGING, NUMBERGEN};
pub use dialect::{HttpCodec, handle_keyvalue, handle_logging, handle_numbergen};
pub use http::{HttpRequest, HttpResponse};
pub use keyvalue::{KeyValue, KeyValueError, ValueKind, list_window, parse_counter};
pub use keyvalue_provider::{KeyValueFactory, KeyValueKind};
pub use logging::{LogEntry, LogLevel, Logging};
pub use numbergen::NumberGen;
pub use settings::Settings;
