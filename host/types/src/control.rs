//! The control interface: JSON over `wasmbus.ctl.v1.{lattice}`.
//!
//! Most is wasmCloud's control interface v1, field for field. Under the verbs `wattle.*` there are [`Command`]s of our
//! own, answered by a *stream* of [`Progress`] on the reply subject, of which the last is final.

mod auction;
mod command;
mod inventory;
mod label;
mod load;
mod progress;
mod registry;
mod request;

use serde::{Deserialize, Serialize};

pub use auction::{ComponentAuction, ComponentBid, ProviderAuction, ProviderBid};
pub use command::{Canary, Command, Scale, SpreadGroup};
pub use inventory::{ActorDescription, ActorDetails, Host, HostInventory, ProviderDescription, ProviderDetails};
pub use label::{DeleteLabel, PutLabel};
pub use load::{HostLoad, SlotLoad};
pub use progress::{CallResult, Declaration, Measurement, ObservedInvocation, Progress, Reading, Standing};
pub use registry::RegistryCredential;
pub use request::{DeleteLink, Link, ScaleComponent, StartProvider, StopHost, StopProvider, UpdateComponent};

/// Every reply of control interface v1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply<T> {
    /// Whether the request was accepted.
    pub success: bool,
    /// Why not, or a remark.
    pub message: String,
    /// What was asked for.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub response: Option<T>,
}

impl<T> Reply<T> {
    /// Makes a reply that carries an answer.
    #[must_use]
    pub const fn ok(response: T) -> Self {
        Self { success: true, message: String::new(), response: Some(response) }
    }

    /// Makes an acknowledgement without an answer.
    #[must_use]
    pub fn ack(message: impl Into<String>) -> Self {
        Self { success: true, message: message.into(), response: None }
    }

    /// Makes a refusal.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self { success: false, message: message.into(), response: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_have_the_control_interface_s_shape() {
        assert_eq!(serde_json::to_string(&Reply::<()>::ack("ok")).unwrap(), r#"{"success":true,"message":"ok"}"#);
        let reply: Reply<Vec<u8>> = serde_json::from_str(r#"{"success":false,"message":"no"}"#).unwrap();
        assert_eq!(reply, Reply::error("no"));
    }
}
