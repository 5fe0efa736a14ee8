//! Why the host refused or failed to change what it runs.

use wattle_bus::BusError;
use wattle_lattice::node::SharedError;
use wattle_runtime::EngineError;
use wattle_types::{
    ActorId, ActorName, ContractId, ErrorKind, IdError, InvokeError, LinkKey, ProviderError, ProviderId,
    wascap::ClaimsError,
};

use crate::{configs::ConfigError, control::PermitError, fetch::FetchError, labels::LabelError, links::LinkError};

/// Why the host did not do what it was told. What ran before still runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// No such actor runs here.
    #[error("no actor {target} runs on this host")]
    ActorNotFound {
        /// Id, call alias or name.
        target: String,
    },
    /// Several running actors have this name.
    #[error("{target:?} is the name of {count} actors: use the id or call alias")]
    ActorAmbiguous {
        /// The name.
        target: String,
        /// How many have it.
        count: usize,
    },
    /// A later process with the same host key has taken this one's place.
    #[error("another process was started with this host's key, and takes its place")]
    Replaced,
    /// NATS does not let the host listen.
    #[error("the host cannot listen for {what}: {error}")]
    Listen {
        /// What it wants to hear.
        what: &'static str,
        /// Why not.
        #[source]
        error: BusError,
    },
    /// No version of the actor is on trial.
    #[error("no new version of actor {actor} is on trial")]
    NoTrial {
        /// Which.
        actor: ActorId,
    },
    /// The actor runs already.
    #[error("actor {actor} runs already")]
    ActorRunning {
        /// Which.
        actor: ActorId,
    },
    /// The call alias could be taken for something else.
    #[error("{alias:?} cannot be a call alias: it is empty, too long, has a colon like a contract, or is a key")]
    AliasInvalid {
        /// The alias, shortened.
        alias: String,
    },
    /// Another actor has the call alias.
    #[error("the call alias {alias:?} belongs to actor {holder}")]
    AliasTaken {
        /// The alias.
        alias: String,
        /// Who has it.
        holder: ActorId,
    },
    /// Another actor, which runs somewhere, goes by the name.
    #[error("{name:?} is the name of actor {holder}, which runs: the module is actor {found}")]
    NameTaken {
        /// The name.
        name: ActorName,
        /// Who has it.
        holder: ActorId,
        /// What the module is.
        found: ActorId,
    },
    /// The actor, which runs somewhere, goes by another name.
    #[error("actor {actor} runs as {name:?} and has one name in a lattice: it cannot be {asked:?}, too")]
    NamedOtherwise {
        /// Which.
        actor: ActorId,
        /// Its name.
        name: ActorName,
        /// The one it was to have.
        asked: ActorName,
    },
    /// The new module is another actor.
    #[error("the module is actor {found}, not {running}")]
    SubjectChanged {
        /// The running actor.
        running: ActorId,
        /// What the module is.
        found: ActorId,
    },
    /// The archive is another provider.
    #[error("the archive is provider {found}, not {running}")]
    ProviderChanged {
        /// The provider that was named or runs.
        running: ProviderId,
        /// What the archive is.
        found: ProviderId,
    },
    /// The new module or archive is older than the running one.
    #[error("the new version has revision {found}, the running one {running}")]
    RevisionTooLow {
        /// The running revision.
        running: i32,
        /// The new one's.
        found: i32,
    },
    /// A label the host is to start with is refused.
    #[error("the label {key:?} is refused: {error}")]
    Label {
        /// Its name.
        key: String,
        /// Why.
        error: LabelError,
    },
    /// The module's claims are refused.
    #[error("the module's claims are refused: {0}")]
    Claims(#[from] ClaimsError),
    /// A name or key in the claims cannot be used.
    #[error("the module's claims cannot be used: {0}")]
    Id(#[from] IdError),
    /// The engine refuses the module.
    #[error("the module cannot run: {0}")]
    Engine(#[from] EngineError),
    /// No such provider runs here.
    #[error("no provider {provider} runs on this host")]
    ProviderNotFound {
        /// Which.
        provider: ProviderId,
    },
    /// The provider runs already.
    #[error("provider {provider} runs already")]
    ProviderRunning {
        /// Which.
        provider: ProviderId,
    },
    /// The reference names no provider this host knows.
    #[error("{reference:?} names no provider; this host has {known}")]
    ProviderUnknown {
        /// The reference.
        reference: String,
        /// What it could have been.
        known: String,
    },
    /// A provider archive is refused.
    #[error("the provider archive {reference} is refused: {error}")]
    Archive {
        /// Which.
        reference: String,
        /// Why.
        #[source]
        error: ClaimsError,
    },
    /// A provider archive has no program for this machine.
    #[error("the provider archive {reference} has no program for {target}; it has {has}")]
    NoBinary {
        /// Which.
        reference: String,
        /// This machine's platform.
        target: String,
        /// The platforms it has programs for.
        has: String,
    },
    /// A provider's program cannot be kept on disk.
    #[error("a provider's program cannot be stored in {}: {error}", .folder.display())]
    BinaryNotStored {
        /// Where.
        folder: std::path::PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A provider that is a process needs a lattice.
    #[error("{reference} is a provider process, which needs NATS; this host has no connection it could hand over")]
    ProviderNeedsBus {
        /// The reference.
        reference: String,
    },
    /// The provider does not serve the contract.
    #[error("provider {provider} does not serve {contract}; it serves {served}")]
    ContractNotServed {
        /// Which provider.
        provider: ProviderId,
        /// The link's contract.
        contract: ContractId,
        /// What it serves.
        served: String,
    },
    /// The provider failed.
    #[error("provider {provider}: {error}")]
    Provider {
        /// Which.
        provider: ProviderId,
        /// How.
        #[source]
        error: ProviderError,
    },
    /// The actor's claims do not name the contract it is to be linked to.
    #[error("actor {actor} may not use {contract}: its claims do not name that capability; it claims {claimed}")]
    CapabilityNotClaimed {
        /// Which actor.
        actor: ActorId,
        /// The contract.
        contract: ContractId,
        /// What the claims do name, so that a mistyped contract is seen.
        claimed: String,
    },
    /// The new version does not claim what one of its links needs.
    #[error(
        "the new version of actor {} does not claim {}, which its link {:?} to provider {provider} needs; it claims \
         {claimed}", .link.actor, .link.contract, .link.link_name.as_str()
    )]
    ClaimDropped {
        /// The link.
        link: LinkKey,
        /// Where it leads.
        provider: ProviderId,
        /// What the new version does claim.
        claimed: String,
    },
    /// The new version does not serve what one of its links is for.
    #[error(
        "the new version of provider {provider} does not serve {}, which link {:?} of actor {} needs; it serves \
         {served}", .link.contract, .link.link_name.as_str(), .link.actor
    )]
    ContractDropped {
        /// Which provider.
        provider: ProviderId,
        /// The link.
        link: LinkKey,
        /// What the new version does serve.
        served: String,
    },
    /// Running actors need the provider.
    #[error("provider {provider} is in use, and runs nowhere else: {users}")]
    ProviderInUse {
        /// Which provider.
        provider: ProviderId,
        /// What needs it, in words.
        users: String,
    },
    /// The link cannot be put or is not there.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The host is on no lattice.
    #[error("this host is on no lattice")]
    NoLattice,
    /// What was declared does not run everywhere yet.
    #[error("{target} runs on {running} of {wanted} hosts as declared; it stays declared{}", because(.why))]
    NotScaled {
        /// Actor or provider.
        target: String,
        /// On how many it is to run.
        wanted: usize,
        /// On how many it does.
        running: usize,
        /// Why, as far as the host that leads knows.
        why: Vec<String>,
    },
    /// Another rollout of the same actor or provider goes on.
    #[error("a rollout of {target} is under way")]
    RolloutActive {
        /// Actor or provider.
        target: String,
    },
    /// A rollout went back.
    #[error("{target} went back to the version before: {reason}")]
    RolledBack {
        /// Actor or provider.
        target: String,
        /// Why.
        reason: String,
    },
    /// There was no version before.
    #[error("no rollout of {target} is known, so there is nothing to go back to")]
    NothingToRollBack {
        /// Actor or provider.
        target: String,
    },
    /// Providers are not tried on a share of their calls.
    #[error("a provider cannot be tried on a share of its calls")]
    NoCanary,
    /// An order of a leader that has been followed by another.
    #[error("the order is of a former leader; the term seen last is {seen}")]
    TermOutdated {
        /// The later term.
        seen: u64,
    },
    /// Whoever asks may not, or does not prove that it may.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// A named configuration cannot be had.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The lattice's shared state was not changed.
    #[error(transparent)]
    Shared(#[from] SharedError),
    /// The reference cannot be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A call's payload is not base64.
    #[error("the payload is not base64")]
    BadPayload,
    /// A call failed.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// The host is shutting down.
    #[error("the host is draining")]
    Draining,
    /// A fault of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl HostError {
    /// Returns the stable name of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ActorNotFound { .. } => "actor_not_found",
            Self::ActorAmbiguous { .. } => "actor_ambiguous",
            Self::ActorRunning { .. } => "actor_running",
            Self::Replaced => "host_replaced",
            Self::Listen { error, .. } => error.code(),
            Self::NoTrial { .. } => "no_trial",
            Self::AliasInvalid { .. } => "alias_invalid",
            Self::AliasTaken { .. } => "alias_taken",
            Self::NameTaken { .. } | Self::NamedOtherwise { .. } => "actor_name_taken",
            Self::SubjectChanged { .. } | Self::ProviderChanged { .. } => "subject_changed",
            Self::RevisionTooLow { .. } => "revision_too_low",
            Self::Label { error, .. } => error.code(),
            Self::Claims(error) => error.code(),
            Self::Id(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::ProviderNotFound { .. } => "provider_not_found",
            Self::ProviderRunning { .. } => "provider_running",
            Self::ProviderUnknown { .. } => "provider_unknown",
            Self::Archive { error, .. } => error.code(),
            Self::NoBinary { .. } => "target_missing",
            Self::BinaryNotStored { .. } => "binary_not_stored",
            Self::ProviderNeedsBus { .. } => "provider_needs_bus",
            Self::ContractNotServed { .. } | Self::ContractDropped { .. } => "contract_not_served",
            Self::ProviderInUse { .. } => "provider_in_use",
            Self::Provider { error, .. } => error.code(),
            Self::CapabilityNotClaimed { .. } | Self::ClaimDropped { .. } => "capability_not_claimed",
            Self::Link(error) => error.code(),
            Self::NoLattice => "no_lattice",
            Self::NotScaled { .. } => "not_scaled",
            Self::RolloutActive { .. } => "rollout_active",
            Self::RolledBack { .. } => "rolled_back",
            Self::NothingToRollBack { .. } => "nothing_to_roll_back",
            Self::NoCanary => "no_canary",
            Self::TermOutdated { .. } => "term_outdated",
            Self::Permit(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::Shared(error) => error.code(),
            Self::Fetch(error) => error.code(),
            Self::Invoke(error) => error.code(),
            Self::BadPayload => "request_invalid",
            Self::Draining => "draining",
            Self::Internal(_) => "internal",
        }
    }

    /// Returns who must act.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Claims(_)
            | Self::Archive { .. }
            | Self::RevisionTooLow { .. }
            | Self::Permit(_)
            | Self::CapabilityNotClaimed { .. }
            | Self::ClaimDropped { .. } => ErrorKind::Denied,
            Self::Provider { error, .. } => error.kind(),
            Self::Invoke(error) => error.kind(),
            Self::Listen { error: BusError::NotAllowed { .. }, .. } => ErrorKind::Denied,
            Self::Draining | Self::Listen { .. } | Self::Shared(SharedError::Store(_)) => ErrorKind::Unavailable,
            Self::Internal(_) => ErrorKind::Internal,
            _ => ErrorKind::Caller,
        }
    }

    /// Returns what to do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::ActorNotFound { .. } => "see what runs with: wattle get inventory".into(),
            Self::ActorAmbiguous { .. } => "see their ids with: wattle get inventory".into(),
            Self::ActorRunning { actor } => format!("replace it live with: wattle update actor {actor} MODULE.wasm"),
            Self::Replaced => {
                "run one process for each host key; to run another host beside it, give that one a key of its own: \
                 wattle up --host-key KEY"
                    .into()
            }
            Self::Listen { error: BusError::NotAllowed { subject }, .. } => {
                format!("give the host a NATS user that may subscribe to {subject}: docs/security.md, or deploy/nats")
            }
            Self::Listen { .. } => "see that NATS runs and can be reached, and try again".into(),
            Self::NoTrial { actor } => format!("begin one with: wattle update actor {actor} MODULE.wasm --canary 10"),
            Self::AliasTaken { alias, .. } => {
                format!("sign the module with another --call-alias than {alias:?}, or stop that actor")
            }
            Self::NameTaken { holder, .. } => {
                format!("give it another name, sign the module with the key of {holder}, or stop that one first")
            }
            Self::NamedOtherwise { name, .. } => {
                format!("use {name:?}, stop it under that name first, or sign the module with a key of its own")
            }
            Self::SubjectChanged { running, .. } => {
                format!("sign the module with the subject key of {running}, or start it as an actor of its own")
            }
            Self::RevisionTooLow { running, .. } => {
                format!("sign it with --rev {}, or update with --force", running.saturating_add(1))
            }
            Self::ProviderNotFound { .. } => "see what runs with: wattle get inventory".into(),
            Self::ProviderRunning { provider } => {
                format!("replace it live with: wattle update provider {provider} REFERENCE; or give another --id")
            }
            Self::CapabilityNotClaimed { contract, .. } => {
                format!(
                    "check the contract's spelling, or sign the module with the claim: \
                     wattle claims sign MODULE.wasm --cap {contract}"
                )
            }
            Self::ProviderUnknown { .. } => {
                "use one of those, or the path of a provider archive (.par, .par.gz)".into()
            }
            Self::ContractNotServed { contract, .. } => {
                format!("link it to a provider that serves {contract}: wattle get inventory lists what each serves")
            }
            Self::ClaimDropped { link: LinkKey { actor, contract, link_name }, .. } => format!(
                "sign it with the claim: wattle claims sign MODULE.wasm --cap {contract}; or delete the link: \
                 wattle link del {actor} {contract} --link-name {link_name}; or put it live all the same with --force"
            ),
            Self::ContractDropped { link: LinkKey { actor, contract, link_name }, .. } => format!(
                "delete the link first: wattle link del {actor} {contract} --link-name {link_name}; or do it all the same \
                 with --force"
            ),
            Self::ProviderInUse { .. } => {
                "link those actors to another provider: wattle link put ... --replace; or end it all the same with --force"
                    .into()
            }
            Self::Config(ConfigError::InUse { .. }) => {
                "change it: wattle config put NAME KEY=VALUE; or delete it all the same with --force".into()
            }
            Self::Link(LinkError::Conflict { .. }) => "replace it with: wattle link put ... --replace".into(),
            Self::Link(LinkError::NotFound { .. }) => "see the links with: wattle link query".into(),
            Self::Permit(error) => error.remedy(),
            Self::NoLattice => "start the host with NATS: wattle up".into(),
            Self::NotScaled { .. } => "see what runs where, and why: wattle get declared; declare it otherwise, or end it with \
                                       --replicas 0"
                .into(),
            Self::RolloutActive { target } => {
                format!("wait for it: wattle rollout follow {target}; or: wattle rollout back {target}")
            }
            Self::RolledBack { .. } => {
                "mend the new version, sign it with a higher --rev, and roll it out again".into()
            }
            Self::NoCanary => "roll it out without --canary".into(),
            Self::Shared(SharedError::Store(_)) => {
                "see that NATS runs, with JetStream (nats-server -js), and try again".into()
            }
            Self::NoBinary { target, .. } => format!("get or build an archive with a program for {target}"),
            Self::BinaryNotStored { .. } => "check that the folder is yours and has room".into(),
            Self::ProviderNeedsBus { .. } => {
                "start the host with NATS: wattle up, or --nats-url nats://HOST:PORT".into()
            }
            Self::Archive { error, .. } => return archive_remedy(error),
            Self::Provider { error: ProviderError::ProcessExited(_) | ProviderError::ProcessNotReady(_), .. } => {
                "see what the process wrote: it is in the host's log, under wattle::provider".into()
            }
            Self::Provider { error: ProviderError::BadConfig(_), .. } => {
                "give the values again as KEY=VALUE; their names, forms and defaults are in docs/providers.md".into()
            }
            Self::Provider { error: ProviderError::BackendUnavailable(_), .. } => {
                "check that it runs and can be reached from the host (an address to listen on: that it is free), then \
                 try again"
                    .into()
            }
            Self::Engine(error) => return engine_remedy(error),
            Self::Claims(error) => return claims_remedy(error),
            Self::Invoke(error) => return error.remedy(),
            _ => return None,
        })
    }
}

/// Writes why something is so after what is so.
fn because(why: &[String]) -> String {
    if why.is_empty() { String::new() } else { format!(": {}", why.join("; ")) }
}

fn claims_remedy(error: &ClaimsError) -> Option<String> {
    match error.code() {
        "claims_missing" => Some("sign the module with: wattle claims sign MODULE.wasm --cap CONTRACT".into()),
        "issuer_not_trusted" => Some("start the host with --trust and that issuer, if you do trust it".into()),
        "claims_expired" => Some("sign the module again with: wattle claims sign MODULE.wasm".into()),
        "module_hash_mismatch" | "signature_invalid" => {
            Some("the file was changed after it was signed: get it again from its issuer".into())
        }
        "wasm_malformed" => Some(NO_MODULE.into()),
        _ => None,
    }
}

/// What to do about a file that is no module.
const NO_MODULE: &str = "check that it is the whole file, built as a core module: \
                         cargo build --release --target wasm32-unknown-unknown";

fn engine_remedy(error: &EngineError) -> Option<String> {
    Some(match error {
        EngineError::WasmMalformed(_) => NO_MODULE.into(),
        EngineError::ImportUnknown { .. } => {
            "leave out the crate or feature that needs it; docs/actors.md lists what an actor may import".into()
        }
        EngineError::Component | EngineError::ExportMissing { .. } => {
            "build it with an actor SDK, in Rust as a cdylib with #[wattle_actor::handler(...)]: docs/actors.md".into()
        }
        EngineError::ProbeFailed(_) => {
            "mend its start section or data; if a tool rewrote the module after the compiler, try it without".into()
        }
        _ => return None,
    })
}

fn archive_remedy(error: &ClaimsError) -> Option<String> {
    match error.code() {
        "issuer_not_trusted" => Some("start the host with --trust and that issuer, if you do trust it".into()),
        "signature_invalid" | "target_hash_mismatch" => {
            Some("the file was changed after it was signed: get it again from its issuer".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_meets_first_has_a_remedy() {
        let provider = || "store".parse::<ProviderId>().unwrap();
        let failed = |error| HostError::Provider { provider: provider(), error };
        let contract = "wasmcloud:keyvalue".parse().unwrap();
        let import = || "env".to_owned();
        for (error, words) in [
            (HostError::ProviderUnknown { reference: "kv".into(), known: "builtin:kv".into() }, ".par"),
            (HostError::ContractNotServed { provider: provider(), contract, served: "a:b".into() }, "keyvalue"),
            (failed(ProviderError::BadConfig("url".into())), "KEY=VALUE"),
            (failed(ProviderError::BackendUnavailable("refused".into())), "reached"),
            (EngineError::WasmMalformed("cut".into()).into(), "wasm32-unknown-unknown"),
            (EngineError::Component.into(), "docs/actors.md"),
            (ClaimsError::WasmMalformed { what: "cut", offset: 0 }.into(), "wasm32-unknown-unknown"),
            (EngineError::ExportMissing { name: "memory", expected: "a memory" }.into(), "cdylib"),
            (EngineError::ImportUnknown { module: import(), name: import(), reason: import() }.into(), "import"),
        ] {
            let remedy = error.remedy().unwrap_or_default();
            assert!(remedy.contains(words), "{}: {remedy:?}", error.code());
        }
    }
}
