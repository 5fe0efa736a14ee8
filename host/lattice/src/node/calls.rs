//! Calling what runs elsewhere: which host, and what if it does not take the call.

use bytes::Bytes;
use wattle_bus::watch;
use wattle_types::{Deadline, HostId, InvokeError};

use super::{Node, now};
use crate::{
    directory::DirectorySnapshot,
    rpc::{CallFailure, NotRun, RemoteCall, Target},
};

/// Hosts that are asked for one call, one after the other.
const ATTEMPTS_MAX: usize = 3;
/// The same, with those that do not prove who they are, and those that answer at once that they do not run the target
/// any more: while a scale goes down or a host drains, several may, and where it still runs is known.
const HOSTS_MAX: usize = 16;
/// How a host refuses what it does not run any more.
const MOVED: [&str; 3] = ["actor_not_found", "draining", "provider_unavailable"];

/// A host as it was when it was chosen.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    host: HostId,
    /// Which start of it; nothing when it is gone already.
    incarnation: Option<u64>,
}

impl Node {
    /// Calls an actor or provider on another host that runs it.
    ///
    /// Another host is asked when one certainly did not run the call; or, for a call that is `repeatable`, when one did
    /// not answer within its share of the time. Hosts that have proved who they are come first. At most three are
    /// asked; those that do not run it any more, or are none that answer, are not counted.
    ///
    /// # Errors
    /// [`InvokeError::ActorNotFound`] or [`InvokeError::ProviderUnavailable`] when no other host runs the target;
    /// otherwise [`InvokeError::Remote`] with what the last host said.
    pub async fn call(&self, call: RemoteCall, repeatable: bool) -> Result<Bytes, InvokeError> {
        let (mut tried, mut attempts) = (Vec::new(), 0);
        let mut failed = None;
        while attempts < ATTEMPTS_MAX && tried.len() < HOSTS_MAX {
            // Before the choice, so that no loss after it is missed.
            let losses = self.0.losses.subscribe();
            let Some(chosen) = self.choose(&call.target, &tried) else { break };
            let host = if self.0.rpc.has_session(&chosen) {
                chosen
            } else {
                self.proved_first(chosen, self.left_but(chosen, &call.target, &tried), &call).await
            };
            let chosen = Chosen { host, incarnation: self.incarnation(&host) };
            tried.push(host);
            let mut attempt = call.clone();
            if repeatable && attempts + 1 < ATTEMPTS_MAX && self.choose(&call.target, &tried).is_some() {
                let share = call.context.deadline.remaining(now()) / 2;
                attempt.context.deadline = Deadline::after(now(), share);
            }
            let failure = match self.ask(chosen, attempt, losses).await {
                Ok(answer) => {
                    self.answered(&host);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            self.note(host, &failure);
            attempts += usize::from(!costs_nothing(&failure));
            let is_worth_another =
                failure.may_try_another() || (repeatable && failure.may_repeat() && has_time(call.context.deadline));
            failed = Some((host, failure));
            if !is_worth_another {
                break;
            }
        }
        Err(failed.map_or_else(|| not_found(&call.target), |(host, failure)| explain(&call.target, host, failure)))
    }

    /// Asks one host, and gives up as soon as it is known to be gone, or the connection its answer would have come by:
    /// waiting for the deadline would help nobody.
    async fn ask(&self, chosen: Chosen, call: RemoteCall, losses: watch::Receiver<u64>) -> Result<Bytes, CallFailure> {
        let host = chosen.host;
        let begun = now();
        tokio::select! {
            biased;
            result = self.0.rpc.call(host, call) => result,
            why = self.gone(chosen, losses) => Err(CallFailure::Unknown {
                host,
                waited: now().saturating_duration_since(begun),
                why: why.into(),
            }),
        }
    }

    /// Waits until a host that is there is not there any more, or we are not where it sends its answers; returns which.
    async fn gone(&self, chosen: Chosen, mut losses: watch::Receiver<u64>) -> &'static str {
        let connection = self.0.bus.connections();
        while losses.changed().await.is_ok() {
            match self.incarnation(&chosen.host) {
                None => return "it is gone",
                incarnation if incarnation != chosen.incarnation => return "it was started again",
                Some(_) => {}
            }
            if !self.0.bus.is_connected() || self.0.bus.connections() != connection {
                return "the connection to NATS was lost meanwhile";
            }
        }
        std::future::pending().await
    }

    fn incarnation(&self, host: &HostId) -> Option<u64> {
        self.directory().hosts().get(host).map(|known| known.beat.incarnation)
    }

    /// Returns whether the provider of a target says that the operation may run twice.
    #[must_use]
    pub fn is_repeatable(&self, target: &Target, operation: &str) -> bool {
        let Target::Provider { provider, .. } = target else { return false };
        let directory = self.directory();
        let says = |host: &HostId| {
            let running = directory.hosts().get(host).and_then(|known| known.beat.providers.get(provider));
            running.is_some_and(|running| running.repeatable.contains(operation))
        };
        let hosts = directory.provider_hosts(provider);
        !hosts.is_empty() && hosts.iter().all(says)
    }

    /// Returns whether any other host runs `target`, as far as is known.
    #[must_use]
    pub fn can_reach(&self, target: &Target) -> bool {
        let directory = self.directory();
        hosts_of(&directory, target).iter().any(|host| *host != self.0.host)
    }

    fn choose(&self, target: &Target, tried: &[HostId]) -> Option<HostId> {
        let directory = self.directory();
        let hosts = hosts_of(&directory, target);
        let is_left = |host: &HostId| *host != self.0.host && !tried.contains(host);
        let outstanding = |host: &HostId| self.0.rpc.outstanding(host);
        if hosts.iter().all(is_left) {
            return directory.choose(hosts, now(), outstanding, self.next_turn());
        }
        let left: Vec<_> = hosts.iter().copied().filter(is_left).collect();
        directory.choose(&left, now(), outstanding, self.next_turn())
    }

    /// Returns the hosts that run a target, and have not been tried, but for one.
    fn left_but(&self, chosen: HostId, target: &Target, tried: &[HostId]) -> Vec<HostId> {
        let directory = self.directory();
        let hosts = hosts_of(&directory, target);
        let is_left = |host: &HostId| *host != self.0.host && *host != chosen && !tried.contains(host);
        hosts.iter().copied().filter(is_left).collect()
    }

    /// Remembers what a failure says about a host.
    fn note(&self, host: HostId, failure: &CallFailure) {
        match failure {
            CallFailure::NotRun { why: NotRun::NobodyListens, .. } => {
                self.lose(host);
            }
            CallFailure::Unknown { .. } | CallFailure::NotRun { why: NotRun::NoSession(_), .. } => {
                self.change_directory(|directory| directory.suspect(&host, now()));
            }
            CallFailure::NotRun { .. } | CallFailure::Answered(_) => {}
        }
    }

    /// Takes a host out of the directory, until it is heard again, and ends what waits for it.
    pub(super) fn lose(&self, host: HostId) {
        if self.change_directory(|directory| directory.lost(&host)) {
            tracing::warn!(%host, "a host is gone");
            self.lost_some();
        }
    }

    /// Has whoever waits for a host look whether it is still there.
    pub(super) fn lost_some(&self) {
        self.0.losses.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn answered(&self, host: &HostId) {
        if self.directory().is_suspect(host, now()) {
            self.change_directory(|directory| directory.trust(host));
        }
    }
}

/// Whether a host certainly does not run the target, or is none that answers: others may.
fn costs_nothing(failure: &CallFailure) -> bool {
    match failure {
        CallFailure::NotRun { why: NotRun::Refused(refusal), .. } => MOVED.contains(&&*refusal.code),
        CallFailure::NotRun { why: NotRun::NoSession(_), .. } => true,
        _ => false,
    }
}

fn hosts_of<'a>(directory: &'a DirectorySnapshot, target: &Target) -> &'a [HostId] {
    match target {
        Target::Actor { actor, .. } => directory.actor_hosts(actor),
        Target::Provider { provider, .. } => directory.provider_hosts(provider),
    }
}

fn has_time(deadline: Deadline) -> bool {
    !deadline.remaining(now()).is_zero()
}

fn not_found(target: &Target) -> InvokeError {
    match target {
        Target::Actor { actor, .. } => InvokeError::ActorNotFound { target: actor.to_string() },
        Target::Provider { link, provider } => {
            InvokeError::ProviderUnavailable { link: link.clone(), provider: provider.clone() }
        }
    }
}

fn explain(target: &Target, host: HostId, failure: CallFailure) -> InvokeError {
    let target = match target {
        Target::Actor { actor, .. } => format!("actor {actor}"),
        Target::Provider { provider, .. } => format!("provider {provider}"),
    };
    match failure {
        CallFailure::NotRun { why: NotRun::DeadlineExceeded, .. } => InvokeError::DeadlineExceeded { target },
        CallFailure::NotRun { why: NotRun::TooLarge { size, limit }, .. } => {
            InvokeError::PayloadTooLarge { size, limit }
        }
        failure => InvokeError::Remote {
            target,
            host,
            code: InvokeError::known_code(failure.code()),
            kind: failure.kind(),
            message: failure.to_string(),
        },
    }
}

#[cfg(test)]
mod tests;
