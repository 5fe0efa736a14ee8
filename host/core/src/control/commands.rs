//! Our own verbs: one JSON command, answered by a stream of progress messages of which the last is final.

use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};
use wattle_bus::{Bus, BusError, Message, is_inbox};
use wattle_lattice::spec::{DeclaredProvider, Spread};
use wattle_types::control::{CallResult, Command, ObservedInvocation, Progress};

use super::{Asker, PermitError, verbs};
use crate::{
    error::HostError,
    host::{Declaring, Host, StartActor, StartProvider},
    steps::{Step, Steps},
};

/// Before the verb of each command in its subject.
pub(super) const PREFIX: &str = "wattle.";
/// The command that asks one host what any can do.
pub(super) const ASK: &str = "ask";
/// The verb that keeps its place for long.
pub(super) const WATCH: &str = "wattle.watch";
/// Verbs that wait for what actors or other hosts do.
pub(super) const LASTING: [&str; 7] = [
    "wattle.call",
    "wattle.declare_actor",
    "wattle.declare_provider",
    "wattle.start_rollout",
    "wattle.follow_rollout",
    "wattle.roll_back",
    "wattle.drain_host",
];
/// Longest a call may take that is made over the control interface.
const CALL_MAX: Duration = Duration::from_secs(600);
/// Steps told of one command before a slow bus makes it miss some.
const STEPS_MAX: usize = 64;
/// Longest watch; a watcher that stays renews it.
const WATCH_MAX: Duration = Duration::from_secs(3600);

/// Refuses a command that lasts for want of a place.
pub(super) async fn refuse_lasting(bus: &dyn Bus, request: &Message, limit: usize) {
    let refusal = Progress::Failed {
        code: "overloaded".into(),
        message: format!("{limit} commands of that kind are being carried out"),
        remedy: Some("end another, such as `wattle spy` or `wattle rollout follow`, or try again later".into()),
    };
    send(bus, request, &refusal).await;
}

/// Refuses a command before it is read.
pub(super) async fn refuse(bus: &dyn Bus, request: &Message, error: PermitError) {
    let clock = matches!(error, PermitError::Late { .. }).then(super::clock);
    send_with(bus, request, &finish(Err(error.into())), clock.as_slice()).await;
}

/// Carries out one command, telling each step. `verb` is the subject's, by which NATS decides who may send it.
/// Only an order of a host of the cluster, which its signature proves, may say its term.
pub(super) async fn answer(host: &Host, bus: &dyn Bus, verb: &str, request: &Message, asker: Asker) {
    let begun = crate::dispatch::now();
    let (sender, mut steps) = mpsc::channel(STEPS_MAX);
    let work = async {
        let command = read(verb, &request.payload);
        let steps = Steps::to(sender);
        match command {
            Ok((command, None)) => finish(carry_out(host, bus, command, &steps).await),
            Ok((command, Some(term))) => match asker.may_lead() {
                Ok(()) => finish(host.obey(term, carry_out(host, bus, command, &steps)).await),
                Err(error) => finish(Err(error.into())),
            },
            Err(error) => Progress::Failed {
                code: "request_invalid".into(),
                message: format!("the command cannot be read: {error}"),
                remedy: Some("use a wattle program of the host's version".into()),
            },
        }
    };
    let tell = async {
        while let Some(step) = steps.recv().await {
            let elapsed = crate::dispatch::now().saturating_duration_since(begun);
            send(bus, request, &progress(step, elapsed)).await;
        }
    };
    // `tell` ends when `work` has dropped the sender, so all steps are told before the outcome.
    let (outcome, ()) = tokio::join!(work, tell);
    send(bus, request, &outcome).await;
}

/// Reads a command, which must be the one its subject names, and the term if a leader gives it.
fn read(verb: &str, payload: &[u8]) -> Result<(Command, Option<u64>), String> {
    let command: Value = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    let named = command.get("verb").and_then(Value::as_str).unwrap_or_default();
    if named != verb {
        return Err(format!("the subject names {verb:?}, the command {named:?}"));
    }
    let term = command.get("term").and_then(Value::as_u64);
    let command = serde_json::from_value(command).map_err(|error| error.to_string())?;
    match &command {
        Command::Watch { subject, .. } if !is_inbox(subject) => {
            Err(format!("{subject:?} is no subject of the asker's own: it must be an inbox, such as \"_INBOX.NAME\""))
        }
        _ => Ok((command, term)),
    }
}

async fn carry_out(host: &Host, bus: &dyn Bus, command: Command, steps: &Steps) -> Result<Value, HostError> {
    match command {
        Command::StartActor { reference, max_in_flight, annotations, declared } => {
            let max_in_flight = max_in_flight.map(|count| count as usize);
            let options = StartActor { max_in_flight, annotations, declared, ..StartActor::default() };
            let id = host.start_actor_from(&reference, options, steps).await?;
            Ok(describe_actor(host, id))
        }
        Command::UpdateActor { actor, reference, force } => {
            let id = host.find_actor(&actor)?;
            host.update_actor_from(id, &reference, force, steps).await?;
            Ok(describe_actor(host, id))
        }
        Command::ResizeActor { actor, max_in_flight } => {
            let id = host.find_actor(&actor)?;
            host.resize_actor(id, max_in_flight as usize)?;
            Ok(describe_actor(host, id))
        }
        Command::TryActor { actor, reference, percent, force } => {
            let id = host.find_actor(&actor)?;
            host.try_actor_from(id, &reference, percent, force, steps).await?;
            Ok(describe_actor(host, id))
        }
        Command::PromoteActor { actor } => {
            let id = host.find_actor(&actor)?;
            host.promote_actor(id, steps).await?;
            Ok(describe_actor(host, id))
        }
        Command::WithdrawActor { actor } => {
            let id = host.find_actor(&actor)?;
            host.withdraw_actor(id, steps).await?;
            Ok(describe_actor(host, id))
        }
        Command::MeasureActor { actor } => Ok(json!(host.measure_actor(host.find_actor(&actor)?)?)),
        Command::GetLoad => Ok(json!(host.load())),
        Command::StopActor { actor } => {
            let id = host.find_actor(&actor)?;
            host.stop_actor(id, steps).await?;
            Ok(json!({ "actor": id }))
        }
        Command::StartProvider { reference, provider, config, configs, annotations, declared } => {
            let options = StartProvider { reference, id: provider, config, configs, annotations, declared };
            let id = host.start_provider(options, steps).await?;
            Ok(json!({ "provider": id }))
        }
        Command::UpdateProvider { provider, reference, config, force } => {
            host.update_provider(&provider, &reference, config, force, steps).await?;
            Ok(json!({ "provider": provider }))
        }
        Command::StopProvider { provider, force } => {
            host.provider_slot(&provider)?;
            if !force {
                host.check_unneeded(&provider)?;
            }
            host.stop_provider(&provider, steps).await?;
            Ok(json!({ "provider": provider }))
        }
        Command::DeclareActor { reference, scale, max_in_flight, force, timeout_ms } => {
            let declaring = Declaring { force, timeout: timeout_ms.map(Duration::from_millis) };
            let id = host.declare_actor(&reference, scale, max_in_flight, declaring, steps).await?;
            Ok(json!({ "actor": id }))
        }
        Command::DeclareProvider { reference, provider, scale, config, configs, force, timeout_ms } => {
            let declaring = Declaring { force, timeout: timeout_ms.map(Duration::from_millis) };
            let groups = scale.spread.into_iter();
            let spread = groups.map(|group| Spread { name: None, labels: group.labels, weight: group.weight });
            let declared = DeclaredProvider {
                reference,
                replicas: scale.replicas,
                config,
                configs,
                spread: spread.collect(),
                constraints: scale.constraints,
                annotations: scale.annotations,
                ..DeclaredProvider::default()
            };
            Ok(json!({ "provider": host.declare_provider(declared, provider, declaring, steps).await? }))
        }
        Command::DeleteConfig { name, force } => {
            host.delete_config(&name, force).await?;
            Ok(json!({ "name": name }))
        }
        Command::GetDeclared => Ok(json!(host.declared().await?)),
        Command::GetStandings => Ok(json!(host.own_standings()?)),
        Command::StartRollout { target, reference, force, canary } => {
            let target = host.start_rollout(&target, &reference, force, canary).await?;
            host.follow_rollout(&target, steps).await?;
            Ok(json!({ "target": target.to_string() }))
        }
        Command::FollowRollout { target } => {
            let target = host.find_target(&target)?;
            host.follow_rollout(&target, steps).await?;
            Ok(json!({ "target": target.to_string() }))
        }
        Command::RollBack { target } => {
            let target = host.roll_back(&target).await?;
            match host.follow_rollout(&target, steps).await {
                // To go back is what was asked for.
                Ok(()) | Err(HostError::RolledBack { .. }) => Ok(json!({ "target": target.to_string() })),
                Err(error) => Err(error),
            }
        }
        Command::DrainHost { timeout_ms } => {
            host.leave(timeout_ms.map(Duration::from_millis), steps).await?;
            Ok(json!({}))
        }
        Command::PutLink { link, replace } => {
            let served = host.provider_slot(&link.provider).is_ok();
            host.put_link(link, replace).await?;
            Ok(json!({ "served": served }))
        }
        Command::DeleteLink { link } => {
            host.delete_link(&link).await?;
            Ok(json!({}))
        }
        Command::Ask { verb, body } => {
            // As JSON the body is what it was as text.
            let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
            let answer = verbs::for_one_of_all(host, &verb, &body).await;
            serde_json::from_slice(&answer).map_err(|error| HostError::Internal(error.to_string()))
        }
        Command::GetLinks => Ok(json!(host.links())),
        Command::Call { actor, operation, payload, timeout_ms } => {
            call(host, &actor, &operation, &payload, timeout_ms).await
        }
        Command::Watch { subject, seconds, actor } => {
            let wait = Duration::from_secs(u64::from(seconds)).min(WATCH_MAX);
            let actor = actor.map(|actor| actor.to_string());
            let seen = watch(host, bus, &subject, wait, actor.as_deref()).await;
            Ok(json!({ "seen": seen }))
        }
    }
}

fn describe_actor(host: &Host, id: wattle_types::ActorId) -> Value {
    let id = id.to_string();
    let actor = host.inventory().components.into_iter().find(|actor| actor.actor() == id);
    json!({ "actor": id, "running": actor })
}

async fn call(
    host: &Host,
    actor: &str,
    operation: &str,
    payload: &str,
    timeout_ms: Option<u64>,
) -> Result<Value, HostError> {
    let payload = BASE64.decode(payload.as_bytes()).map_err(|_| HostError::BadPayload)?;
    // What runs elsewhere is called there.
    let target = host.find_target(actor).map_or_else(|_| actor.to_owned(), |target| target.to_string());
    let begun = crate::dispatch::now();
    let answer = host
        .call(&target, operation, payload.into(), timeout_ms.map(|wait| Duration::from_millis(wait).min(CALL_MAX)))
        .await?;
    let elapsed = crate::dispatch::now().saturating_duration_since(begun);
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    Ok(json!(CallResult { payload: BASE64.encode(&answer), elapsed_us }))
}

/// Publishes what is invoked until the time is over or the host stops; returns how much was seen.
async fn watch(host: &Host, bus: &dyn Bus, subject: &str, wait: Duration, actor: Option<&str>) -> u64 {
    let mut watcher = host.watch();
    let over = tokio::time::sleep(wait);
    tokio::pin!(over);
    let mut seen = 0;
    loop {
        let observed = tokio::select! {
            biased;
            () = host.stopped().cancelled() => return seen,
            () = &mut over => return seen,
            observed = watcher.seen.recv() => observed,
        };
        match observed {
            Ok(observed) if is_about(&observed, actor) => {
                seen += 1;
                publish(bus, subject, &observed).await;
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return seen,
        }
    }
}

fn is_about(observed: &ObservedInvocation, actor: Option<&str>) -> bool {
    actor.is_none_or(|actor| observed.origin == actor || observed.target == actor)
}

/// Publishes one observation; what cannot be sent is not seen, which is all a watcher is promised.
async fn publish(bus: &dyn Bus, subject: &str, observed: &ObservedInvocation) {
    if let Ok(bytes) = serde_json::to_vec(observed)
        && let Err(error) = bus.publish(subject, None, &[], bytes.into()).await
    {
        tracing::debug!(%error, "an observation was not published");
    }
}

fn progress(step: Step, elapsed: Duration) -> Progress {
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Progress::Step { step: step.name.to_owned(), detail: step.detail, elapsed_ms }
}

fn finish(result: Result<Value, HostError>) -> Progress {
    match result {
        Ok(result) => Progress::Done { result },
        Err(error) => {
            tracing::info!(code = error.code(), %error, "a command failed");
            Progress::Failed { code: error.code().to_owned(), message: error.to_string(), remedy: error.remedy() }
        }
    }
}

async fn send(bus: &dyn Bus, request: &Message, progress: &Progress) {
    send_with(bus, request, progress, &[]).await;
}

async fn send_with(bus: &dyn Bus, request: &Message, progress: &Progress, headers: &[(String, String)]) {
    let Some(reply) = &request.reply else { return };
    let sent = match publish_progress(bus, reply, progress, headers).await {
        Err(error @ BusError::TooLarge { .. }) => publish_progress(bus, reply, &too_large(&error), headers).await,
        sent => sent,
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "progress was not sent");
    }
}

async fn publish_progress(
    bus: &dyn Bus,
    reply: &str,
    progress: &Progress,
    headers: &[(String, String)],
) -> Result<(), BusError> {
    match serde_json::to_vec(progress) {
        Ok(bytes) => bus.publish(reply, None, headers, bytes.into()).await,
        Err(error) => {
            tracing::error!(%error, "progress cannot be written as JSON");
            Ok(())
        }
    }
}

/// Says of what was done that its result does not fit a message.
fn too_large(error: &BusError) -> Progress {
    Progress::Failed {
        code: error.code().into(),
        message: format!("it was done, but its result cannot be sent: {error}"),
        remedy: Some("raise max_payload of your NATS server; do not repeat what may not be done twice".into()),
    }
}

#[cfg(test)]
mod tests {
    use wattle_bus::MemoryBus;

    use super::*;

    #[tokio::test]
    async fn a_result_that_fits_no_message_is_told_to_be_too_large() {
        let bus = MemoryBus::new();
        let inbox = bus.new_inbox();
        let mut answers = bus.subscribe(&inbox, None).await.unwrap();
        let request =
            Message { subject: "verb".into(), reply: Some(inbox), payload: Default::default(), headers: Vec::new() };
        send(&bus, &request, &Progress::Done { result: json!("x".repeat(9 << 20)) }).await;
        let answer = serde_json::from_slice(&answers.next().await.unwrap().payload).unwrap();
        let Progress::Failed { code, message, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(code, "payload_too_large");
        assert!(message.starts_with("it was done, but"), "{message}");
    }
}
