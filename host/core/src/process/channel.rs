//! What the host asks and tells one process: health, links, calls, shutdown.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wattle_bus::BusError;
use wattle_types::{
    LinkDefinition, LinkName, ProviderCall, ProviderError, ProviderId,
    rpc::{Entity, Invocation, InvocationResponse},
    subject,
    wascap::{InvocationFacts, sign_invocation},
};

use super::{Processes, host_data::WireLink, unix_now};

/// How long a process may take to confirm that it is told to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one answer about its health may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// What a token is valid for beyond its call's deadline: whole seconds are rounded down.
const TOKEN_GRACE_SECS: u64 = 5;
/// How a process says that it has not worked on its link yet.
const UNLINKED: &str = "unlinked actor";
/// Attempts at a call that came before its link; the pauses between them double from 10 ms.
const LINK_ATTEMPTS: u32 = 7;

/// One process's subjects.
pub(super) struct Channel {
    pub(super) processes: Arc<Processes>,
    /// The key it goes by on the lattice (`V...`).
    pub(super) key: ProviderId,
    /// What tells its subjects from those of other processes with this key.
    pub(super) name: LinkName,
    subject: String,
}

#[derive(Serialize, Deserialize)]
struct Health {
    #[serde(default)]
    healthy: bool,
    #[serde(default)]
    message: Option<String>,
}

impl Channel {
    pub(super) fn new(processes: Arc<Processes>, key: ProviderId, name: LinkName) -> Self {
        let subject = subject::rpc_provider(&processes.lattice, &key, &name);
        Self { processes, key, name, subject }
    }

    /// Asks whether it is well. An answer of any form means that it is there.
    pub(super) async fn health(&self) -> Result<(), ProviderError> {
        // An empty map, as MessagePack.
        let nothing = Bytes::from_static(&[0x80]);
        let answer = self.request(&format!("{}.health", self.subject), nothing, HEALTH_TIMEOUT).await?;
        match decode(&answer.payload) {
            Ok(Health { healthy: false, message }) => {
                let reason = message.unwrap_or_else(|| "it says it is not well".into());
                Err(ProviderError::Failed(reason.chars().take(500).collect()))
            }
            Ok(Health { healthy: true, .. }) | Err(_) => Ok(()),
        }
    }

    /// Tells it about a link. Nothing tells whether it accepts it, only that it has had the time to look.
    pub(super) async fn put_link(&self, link: &LinkDefinition) -> Result<(), ProviderError> {
        self.tell_link("put", link).await
    }

    /// Tells it to forget a link.
    pub(super) async fn delete_link(&self, link: &LinkDefinition) -> Result<(), ProviderError> {
        self.tell_link("del", link).await
    }

    async fn tell_link(&self, verb: &str, link: &LinkDefinition) -> Result<(), ProviderError> {
        let bytes = encode(&WireLink::new(link, self.key.as_str()))?;
        let subject = format!("{}.linkdefs.{verb}", self.subject);
        self.processes.bus.publish(&subject, None, &[], bytes).await.map_err(bus_error)?;
        // It takes puts and deletes from two subscriptions, in no order. Health comes after what was sent before.
        match self.health().await {
            Ok(()) | Err(ProviderError::Failed(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Tells it to end.
    pub(super) async fn shutdown(&self) {
        let request = json!({ "host_id": self.processes.host }).to_string();
        let subject = format!("{}.shutdown", self.subject);
        if let Err(error) = self.request(&subject, request.into(), SHUTDOWN_TIMEOUT).await {
            tracing::debug!(provider = %self.key, %error, "a provider's process did not confirm its end");
        }
    }

    /// Carries one call of an actor.
    pub(super) async fn invoke(&self, call: &ProviderCall) -> Result<Bytes, ProviderError> {
        let mut pause = Duration::from_millis(10);
        for _ in 1..LINK_ATTEMPTS {
            match self.try_invoke(call).await {
                Err(ProviderError::Failed(message)) if message.contains(UNLINKED) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
        self.try_invoke(call).await
    }

    async fn try_invoke(&self, call: &ProviderCall) -> Result<Bytes, ProviderError> {
        let remaining = call.context.deadline.remaining(crate::dispatch::now());
        if remaining.is_zero() {
            return Err(ProviderError::DeadlineExceeded);
        }
        let invocation = self.sign(call, remaining)?;
        let bytes = encode(&invocation)?;
        let traceparent = call.context.traceparent.as_ref();
        let headers: Vec<_> =
            traceparent.map(|trace| ("traceparent".to_owned(), trace.to_string())).into_iter().collect();
        let answer = self.processes.bus.request(&self.subject, &headers, bytes, remaining).await.map_err(bus_error)?;
        read_response(&answer.payload, &invocation.id)
    }

    fn sign(&self, call: &ProviderCall, remaining: Duration) -> Result<Invocation, ProviderError> {
        let key = &call.link.key;
        let origin = Entity { public_key: key.actor.to_string(), ..Entity::default() };
        let target = Entity {
            public_key: self.key.to_string(),
            link_name: key.link_name.to_string(),
            contract_id: key.contract.to_string(),
        };
        let id = uuid::Uuid::new_v4().simple().to_string();
        let (origin_url, target_url) = (origin.url(), target.url());
        let facts = InvocationFacts {
            origin_url: &origin_url,
            target_url: &target_url,
            operation: &call.operation,
            message: &call.payload,
        };
        let valid_secs = remaining.as_secs().saturating_add(TOKEN_GRACE_SECS);
        let encoded_claims = sign_invocation(&id, &facts, &self.processes.cluster, unix_now(), valid_secs)
            .map_err(|error| ProviderError::Failed(format!("the call cannot be signed: {error}")))?;
        Ok(Invocation {
            origin,
            target,
            operation: call.operation.to_string(),
            msg: call.payload.to_vec(),
            id,
            encoded_claims,
            host_id: self.processes.host.to_string(),
            content_length: Some(call.payload.len() as u64),
            trace_context: None,
        })
    }

    async fn request(
        &self,
        subject: &str,
        payload: Bytes,
        wait: Duration,
    ) -> Result<wattle_bus::Message, ProviderError> {
        self.processes.bus.request(subject, &[], payload, wait).await.map_err(bus_error)
    }
}

fn read_response(bytes: &[u8], id: &str) -> Result<Bytes, ProviderError> {
    let response: InvocationResponse =
        decode(bytes).map_err(|error| ProviderError::Failed(format!("its answer cannot be read: {error}")))?;
    if let Some(error) = response.error {
        return Err(ProviderError::Failed(error));
    }
    if !response.invocation_id.is_empty() && response.invocation_id != id {
        return Err(ProviderError::Failed("it answered another invocation".into()));
    }
    check_unchunked(&response.msg, response.content_length)?;
    Ok(response.msg.into())
}

/// Refuses a message that travels elsewhere, in parts: it is larger than a message may be.
pub(super) fn check_unchunked(message: &[u8], content_length: Option<u64>) -> Result<(), ProviderError> {
    let said = usize::try_from(content_length.unwrap_or_default()).unwrap_or(usize::MAX);
    if said > message.len() {
        return Err(ProviderError::PayloadTooLarge { size: said, limit: CHUNK_LEN });
    }
    Ok(())
}

/// Messages longer than this are sent in parts by published providers, which is not spoken here.
const CHUNK_LEN: usize = 900 * 1024;

/// How deep a message may be nested. Invocations need three levels; the library's own limit of 1024 is more than the
/// stack of a guest's fiber holds, on which answers are read.
const DEPTH_MAX: usize = 16;

/// Reads what a process sent.
pub(super) fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(DEPTH_MAX);
    T::deserialize(&mut deserializer)
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Bytes, ProviderError> {
    let bytes = rmp_serde::to_vec_named(value);
    bytes.map(Bytes::from).map_err(|error| ProviderError::Failed(format!("cannot be written: {error}")))
}

pub(super) fn bus_error(error: BusError) -> ProviderError {
    match error {
        BusError::NoResponders { .. } => {
            ProviderError::BackendUnavailable("the provider's process is not listening".into())
        }
        BusError::TimedOut { .. } => ProviderError::DeadlineExceeded,
        BusError::TooLarge { size, limit } => ProviderError::PayloadTooLarge { size, limit },
        error => ProviderError::BackendUnavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(response: &InvocationResponse) -> &'static str {
        read_response(&encode(response).unwrap(), "1").unwrap_err().code()
    }

    #[test]
    fn an_answer_is_taken_whole_and_for_its_own_call_only() {
        let answer = InvocationResponse { msg: b"yes".to_vec(), invocation_id: "1".into(), ..Default::default() };
        assert_eq!(read_response(&encode(&answer).unwrap(), "1").unwrap(), "yes");
        assert_eq!(code(&InvocationResponse { invocation_id: "2".into(), ..answer.clone() }), "provider_failed");
        assert_eq!(code(&InvocationResponse { content_length: Some(4), ..answer.clone() }), "payload_too_large");
        assert_eq!(code(&InvocationResponse { error: Some("no".into()), ..answer }), "provider_failed");
        assert_eq!(read_response(b"\xc1", "1").unwrap_err().code(), "provider_failed");
    }

    #[test]
    fn a_message_is_nested_only_so_deep() {
        #[derive(Debug)]
        struct Depth(usize);

        impl<'de> Deserialize<'de> for Depth {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let inner = Option::<[Depth; 1]>::deserialize(deserializer)?;
                Ok(Self(inner.map_or(0, |[Depth(inner)]| inner + 1)))
            }
        }

        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert_eq!(decode::<Depth>(&nested(4)).unwrap().0, 4);
        assert!(matches!(decode::<Depth>(&nested(100)), Err(rmp_serde::decode::Error::DepthLimitExceeded)));
        // In a field nobody knows, which is skipped.
        let response = [b"\x81\xa1x".as_slice(), &nested(100)].concat();
        assert_eq!(read_response(&response, "1").unwrap_err().code(), "provider_failed");
    }

    #[test]
    fn each_failure_of_the_bus_has_its_name() {
        let subject = String::new();
        assert_eq!(bus_error(BusError::NoResponders { subject: subject.clone() }).code(), "backend_unavailable");
        assert_eq!(bus_error(BusError::TimedOut { subject, waited: Duration::ZERO }).code(), "deadline_exceeded");
        assert_eq!(bus_error(BusError::TooLarge { size: 2, limit: 1 }).code(), "payload_too_large");
    }
}
