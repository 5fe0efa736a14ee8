//! Why a call failed: typed, with a stable code, and telling who must act.

use std::sync::Arc;

use crate::{ActorId, ContractId, HostId, IdError, LinkKey, ProviderId};

/// Who must act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The caller: the request is wrong.
    Caller,
    /// An operator: policy or claims refuse it.
    Denied,
    /// Nobody or an operator: a part is missing, busy or slow. The only kind worth a retry.
    Unavailable,
    /// The actor's or provider's author: it failed at its work.
    Guest,
    /// Us.
    Internal,
}

/// Why an invocation got no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// No actor with this id or call alias runs here.
    #[error("no actor {target} runs on this host")]
    ActorNotFound {
        /// Id or call alias, as the caller gave it.
        target: String,
    },
    /// The actor's claims do not name the contract.
    #[error("actor {actor} may not use {contract}: its claims do not name that capability; it claims {claimed}")]
    CapabilityNotClaimed {
        /// Who called.
        actor: ActorId,
        /// What it asked for.
        contract: ContractId,
        /// What the claims do name, so that a mistyped contract is seen.
        claimed: String,
    },
    /// The actor names what cannot exist: a link or a contract by a name that none can have.
    #[error("actor {actor} asks for what cannot exist: {error}")]
    NameInvalid {
        /// Who called.
        actor: ActorId,
        /// What it named, and what such a name may have.
        error: IdError,
    },
    /// The actor has no such link.
    #[error("actor {} has no link {:?} for {}", .link.actor, .link.link_name.as_str(), .link.contract)]
    LinkNotFound {
        /// The link that was looked for.
        link: LinkKey,
    },
    /// The link exists, but the provider it names does not run.
    #[error("provider {provider} is not running; it serves link {:?} for {}", .link.link_name.as_str(), .link.contract)]
    ProviderUnavailable {
        /// The link.
        link: LinkKey,
        /// Who should serve it.
        provider: ProviderId,
    },
    /// The provider answered with an error.
    #[error("provider {provider} failed at {operation}: {error}")]
    ProviderFailed {
        /// The link the call went over.
        link: LinkKey,
        /// Who failed.
        provider: ProviderId,
        /// At what.
        operation: String,
        /// How.
        #[source]
        error: ProviderError,
    },
    /// The answer did not come in time.
    #[error("{target} did not answer before the deadline")]
    DeadlineExceeded {
        /// Who was asked.
        target: String,
    },
    /// The call was ended because its target is being stopped or replaced and took too long to finish.
    #[error("{target} was stopped before it had answered")]
    Interrupted {
        /// Who was asked.
        target: String,
    },
    /// Too many calls are running and waiting already.
    #[error("{target} is overloaded: {limit} calls are running or waiting")]
    Overloaded {
        /// Who was asked.
        target: String,
        /// How many calls may run and wait.
        limit: usize,
    },
    /// Request or response is larger than allowed.
    #[error("a payload of {size} bytes exceeds the limit of {limit}")]
    PayloadTooLarge {
        /// Bytes found.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Actors called each other too often in one chain.
    #[error("actors called each other more than {limit} times in one chain")]
    CallDepthExceeded {
        /// Hops allowed.
        limit: u8,
    },
    /// The guest broke its sandbox's rules and was ended.
    #[error("actor {actor} was stopped: {message}")]
    GuestTrapped {
        /// Which actor.
        actor: ActorId,
        /// The engine's name for it, such as `guest_trapped` or `guest_memory_exceeded`.
        code: &'static str,
        /// What happened.
        message: String,
    },
    /// The guest answered with an error of its own.
    #[error("actor {actor} answered with an error: {message}")]
    GuestFailed {
        /// Which actor.
        actor: ActorId,
        /// Its words.
        message: String,
        /// The last host call that failed while it worked on this, which is often why.
        cause: Option<Arc<InvokeError>>,
    },
    /// Another host was asked, and the call failed there or on its way.
    #[error("{target} on host {host}: {message}")]
    Remote {
        /// Who was called.
        target: String,
        /// The host that was asked last.
        host: HostId,
        /// What the other host calls it, if this version knows the name; see [`InvokeError::known_code`].
        code: Option<&'static str>,
        /// Who must act.
        kind: ErrorKind,
        /// What happened.
        message: String,
    },
    /// The host is shutting down and takes no new work.
    #[error("the host is draining")]
    Draining,
    /// The claims of the target, or the trust in who signed them, have ended while it ran, or have not begun by the
    /// host's clock.
    #[error("{target} may not be called: {message}")]
    ClaimsLapsed {
        /// Who was called.
        target: String,
        /// `claims_expired`, `claims_not_yet_valid` or `issuer_not_trusted`.
        code: &'static str,
        /// Since when, or from when.
        message: String,
    },
    /// The host was cut off from its lattice a moment ago and takes no calls of others yet.
    #[error("the host was cut off from the lattice and has not heard again who runs what")]
    CutOff,
    /// A fault of ours.
    #[error("internal error: {message}")]
    Internal {
        /// For the log.
        message: String,
    },
}

/// Names other hosts may give their errors.
const KNOWN_CODES: [&str; 36] = [
    "actor_not_found",
    "backend_unavailable",
    "bus_disconnected",
    "call_depth_exceeded",
    "capability_not_claimed",
    "claims_expired",
    "claims_not_yet_valid",
    "config_invalid",
    "deadline_exceeded",
    "draining",
    "guest_bad_pointer",
    "guest_bad_text",
    "guest_exited",
    "guest_failed",
    "guest_host_calls_exceeded",
    "guest_memory_exceeded",
    "guest_name_too_long",
    "guest_table_exceeded",
    "guest_trapped",
    "host_cut_off",
    "id_invalid",
    "internal",
    "interrupted",
    "issuer_not_trusted",
    "link_not_found",
    "no_responders",
    "operation_unknown",
    "outcome_unknown",
    "overloaded",
    "payload_too_large",
    "process_exited",
    "process_not_ready",
    "provider_failed",
    "provider_unavailable",
    "request_invalid",
    "session_refused",
];

impl InvokeError {
    /// Returns the stable name of this error, the same on wires, in logs, in tools and in `docs/errors/`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ActorNotFound { .. } => "actor_not_found",
            Self::CapabilityNotClaimed { .. } => "capability_not_claimed",
            Self::NameInvalid { error, .. } => error.code(),
            Self::LinkNotFound { .. } => "link_not_found",
            Self::ProviderUnavailable { .. } => "provider_unavailable",
            Self::ProviderFailed { error, .. } => error.code(),
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::Interrupted { .. } => "interrupted",
            Self::Overloaded { .. } => "overloaded",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::CallDepthExceeded { .. } => "call_depth_exceeded",
            Self::GuestTrapped { code, .. } => code,
            Self::GuestFailed { .. } => "guest_failed",
            Self::Remote { code: Some(code), .. } => code,
            Self::Remote { code: None, .. } => "remote_failed",
            Self::Draining => "draining",
            Self::CutOff => "host_cut_off",
            Self::ClaimsLapsed { code, .. } => code,
            Self::Internal { .. } => "internal",
        }
    }

    /// Returns who must act.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::PayloadTooLarge { .. } => ErrorKind::Caller,
            Self::CapabilityNotClaimed { .. } | Self::ClaimsLapsed { .. } => ErrorKind::Denied,
            Self::ActorNotFound { .. }
            | Self::LinkNotFound { .. }
            | Self::ProviderUnavailable { .. }
            | Self::DeadlineExceeded { .. }
            | Self::Interrupted { .. }
            | Self::Overloaded { .. }
            | Self::Draining
            | Self::CutOff => ErrorKind::Unavailable,
            Self::ProviderFailed { error, .. } => error.kind(),
            Self::Remote { kind, .. } => *kind,
            Self::NameInvalid { .. }
            | Self::CallDepthExceeded { .. }
            | Self::GuestTrapped { .. }
            | Self::GuestFailed { .. } => ErrorKind::Guest,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    /// Returns the stable name an error of another host has here, if this version knows it.
    #[must_use]
    pub fn known_code(code: &str) -> Option<&'static str> {
        KNOWN_CODES.into_iter().find(|known| *known == code)
    }

    /// Returns the error that made this one happen, as far as it is known: what an operator should look at.
    #[must_use]
    pub fn root(&self) -> &Self {
        let mut error = self;
        while let Self::GuestFailed { cause: Some(cause), .. } = error {
            error = cause;
        }
        error
    }

    /// Returns the link this error is about.
    #[must_use]
    pub const fn link(&self) -> Option<&LinkKey> {
        match self {
            Self::LinkNotFound { link }
            | Self::ProviderUnavailable { link, .. }
            | Self::ProviderFailed { link, .. } => Some(link),
            _ => None,
        }
    }

    /// Returns what an operator can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::ActorNotFound { target } => {
                Some(format!("start it: wattle start actor FILE (and check {target} with: wattle get inventory)"))
            }
            Self::CapabilityNotClaimed { contract, .. } => Some(format!(
                "check the contract's spelling, or sign the module with the claim: \
                 wattle claims sign MODULE.wasm --cap {contract}"
            )),
            Self::NameInvalid { .. } => {
                Some("it is a mistake in the actor: mend the name it passes to the host".into())
            }
            Self::LinkNotFound { link } => Some(format!(
                "link it: wattle link put {} PROVIDER {} --link-name {}",
                link.actor, link.contract, link.link_name
            )),
            Self::ProviderUnavailable { link, provider } => Some(format!(
                "start the provider: wattle start provider REFERENCE --id {provider}; or link another: \
                 wattle link put {} PROVIDER {} --link-name {} --replace",
                link.actor, link.contract, link.link_name
            )),
            Self::ProviderFailed { link, provider, error, .. } => provider_remedy(link, provider, error),
            Self::GuestFailed { cause, .. } => {
                let remedy = cause.as_ref().and_then(|cause| cause.remedy());
                Some(remedy.unwrap_or_else(|| OWN_WORDS.into()))
            }
            Self::GuestTrapped { code, .. } => {
                Some(format!("see the actor's last lines in the host's log, and: wattle explain {code}"))
            }
            Self::DeadlineExceeded { .. } => Some(SLOW.into()),
            Self::Overloaded { .. } => Some("try again later, or start the actor with a higher --max-in-flight".into()),
            Self::Remote { host, .. } => {
                Some(format!("see the log of host {host}, and what runs where: wattle get hosts"))
            }
            Self::Draining => Some("send the request to another host".into()),
            Self::ClaimsLapsed { code: "issuer_not_trusted", .. } => Some(
                "start the host with a newer word for that account: wattle claims token account, then \
                 wattle up --account-token FILE"
                    .into(),
            ),
            Self::ClaimsLapsed { .. } => Some(
                "sign it anew and update it: wattle update actor ACTOR MODULE.wasm; or set the host's clock".into(),
            ),
            Self::CutOff => Some("try again in a second, or send the request to another host".into()),
            _ => None,
        }
    }
}

/// What to do about an answer that comes too late.
const SLOW: &str = "see what is slow with: wattle spy; or give it longer: timeout_ms=MS on the HTTP link, \
                    wattle call --timeout-ms MS, or wattle up --call-timeout-ms MS";

/// What to do about an actor that fails for no reason of ours.
const OWN_WORDS: &str = "the words are the actor's own: see its lines in the host's log, or watch what it calls \
                         with: wattle spy";

fn provider_remedy(link: &LinkKey, provider: &ProviderId, error: &ProviderError) -> Option<String> {
    let LinkKey { actor, contract, link_name } = link;
    match error {
        ProviderError::BackendUnavailable(_) => Some(format!(
            "check that the back end which link {:?} for {contract} names runs and can be reached from the host; \
             provider {provider} connects again by itself",
            link_name.as_str()
        )),
        ProviderError::BadConfig(_) => Some(format!(
            "put the link with other values: wattle link put {actor} {provider} {contract} KEY=VALUE \
             --link-name {link_name}"
        )),
        ProviderError::DeadlineExceeded => Some(SLOW.into()),
        ProviderError::Overloaded => Some("try again later".into()),
        _ => None,
    }
}

/// Why a provider could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The contract, in this dialect, has no such operation.
    #[error("{contract} has no operation {operation:?}")]
    UnknownOperation {
        /// The contract.
        contract: String,
        /// The operation asked for.
        operation: String,
    },
    /// The request's bytes are not what the operation takes.
    #[error("the request cannot be read: {0}")]
    BadRequest(String),
    /// The link's or provider's configuration is wrong.
    #[error("configuration: {0}")]
    BadConfig(String),
    /// What is behind the provider (a database, a socket) cannot be reached.
    #[error("{0}")]
    BackendUnavailable(String),
    /// The work did not end in time.
    #[error("the provider did not answer before the deadline")]
    DeadlineExceeded,
    /// Too many calls are waiting for the back end.
    #[error("the provider is overloaded")]
    Overloaded,
    /// Request or response is larger than what carries it.
    #[error("a message of {size} bytes exceeds the limit of {limit}")]
    PayloadTooLarge {
        /// Bytes found.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The process that is the provider ended when it should have started.
    #[error("the provider's process ended: {0}")]
    ProcessExited(String),
    /// The process that is the provider runs, but did not answer in time.
    #[error("the provider's process did not answer: {0}")]
    ProcessNotReady(String),
    /// The operation itself failed, for example on a value of another type.
    #[error("{0}")]
    Failed(String),
}

impl ProviderError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownOperation { .. } => "operation_unknown",
            Self::BadRequest(_) => "request_invalid",
            Self::BadConfig(_) => "config_invalid",
            Self::BackendUnavailable(_) => "backend_unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Overloaded => "overloaded",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::ProcessExited(_) => "process_exited",
            Self::ProcessNotReady(_) => "process_not_ready",
            Self::Failed(_) => "provider_failed",
        }
    }

    /// Returns who must act.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownOperation { .. } | Self::BadRequest(_) | Self::PayloadTooLarge { .. } => ErrorKind::Caller,
            Self::BadConfig(_) => ErrorKind::Denied,
            Self::BackendUnavailable(_)
            | Self::DeadlineExceeded
            | Self::Overloaded
            | Self::ProcessExited(_)
            | Self::ProcessNotReady(_) => ErrorKind::Unavailable,
            Self::Failed(_) => ErrorKind::Guest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_a_failed_guest_is_the_missing_provider() {
        let link = LinkKey {
            actor: "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP".parse().unwrap(),
            contract: "wasmcloud:keyvalue".parse().unwrap(),
            link_name: crate::LinkName::default(),
        };
        let missing = InvokeError::ProviderUnavailable { link: link.clone(), provider: "kv".parse().unwrap() };
        let failed =
            InvokeError::GuestFailed { actor: link.actor, message: "no".into(), cause: Some(Arc::new(missing)) };
        assert_eq!(failed.code(), "guest_failed");
        assert_eq!(failed.root().code(), "provider_unavailable");
        assert_eq!(failed.root().link(), Some(&link));
        assert!(failed.root().remedy().unwrap().contains("wattle start provider"));
    }

    #[test]
    fn a_failed_guest_is_mended_where_its_cause_is() {
        let actor = "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP".parse().unwrap();
        let contract = "wasmcloud:keyvalu".parse().unwrap();
        let denied = InvokeError::CapabilityNotClaimed { actor, contract, claimed: "wasmcloud:keyvalue".into() };
        assert!(
            denied.to_string().ends_with("its claims do not name that capability; it claims wasmcloud:keyvalue"),
            "{denied}"
        );
        let failed = |cause| InvokeError::GuestFailed { actor, message: "no".into(), cause };
        assert_eq!(failed(None).remedy().as_deref(), Some(OWN_WORDS));
        assert_eq!(failed(Some(Arc::new(denied.clone()))).remedy(), denied.remedy());
        let fault = InvokeError::Internal { message: String::new() };
        assert_eq!(failed(Some(Arc::new(fault))).remedy().as_deref(), Some(OWN_WORDS));
    }
}
