//! What a leader orders, and what it writes, for each thing that was decided.

use std::time::Duration;

use serde_json::Value;
use wattle_types::{
    HostId, ProviderId,
    control::{Command, Measurement},
};

use super::super::{Node, orders::Failed};
use crate::{
    reconcile::{Action, Work},
    rollout::RolloutAction,
    spec::{Bucket, DeclaredProvider, Edit, EditError, Target, to_bytes},
};

/// How long a host may take to carry out an order, fetching and compiling included.
const ORDER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take to answer a question.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Brings what is declared to a host.
pub(super) async fn reconcile(node: &Node, action: &Action, term: u64) -> Result<(), Failed> {
    let command = command(node, action)?;
    done_anyway(node.order(action.host, &command, term, ORDER_TIMEOUT).await)
}

/// Does one thing of a rollout: on a host, or to what is declared.
pub(super) async fn roll(node: &Node, target: &Target, action: &RolloutAction, term: u64) -> Result<(), Failed> {
    let actor = target.to_string();
    let (host, command) = match action {
        RolloutAction::Declare { .. } | RolloutAction::Undeclare { .. } => {
            let is_leader = || node.leads() == Some(term);
            let edit = |current: Option<&[u8]>| declared(current, action, is_leader());
            let result = node.0.shared.edit(Bucket::Lattice, &target.declared_key(), edit).await;
            return result.map(drop).map_err(|error| Failed::Silent(error.to_string()));
        }
        RolloutAction::StartCanary { reference, percent, force, host } => {
            let (reference, percent, force) = (reference.clone(), *percent, *force);
            (*host, Command::TryActor { actor, reference, percent, force })
        }
        RolloutAction::AbortCanary { host } => (*host, Command::WithdrawActor { actor }),
        RolloutAction::Promote { host } => (*host, Command::PromoteActor { actor }),
        RolloutAction::Update { host, reference, force } => (*host, update(target, reference, *force)),
    };
    node.order(host, &command, term, ORDER_TIMEOUT).await.map(drop)
}

/// Asks a host how the versions of an actor do.
pub(super) async fn measure(node: &Node, target: &Target, host: HostId, term: u64) -> Option<Measurement> {
    let command = Command::MeasureActor { actor: target.to_string() };
    let answer = node.order(host, &command, term, ASK_TIMEOUT).await.ok()?;
    serde_json::from_value(answer).ok()
}

/// Returns the name of what is done, for logs.
pub(super) const fn name_of(work: &Work) -> &'static str {
    match work {
        Work::StartActor { .. } | Work::StartProvider { .. } => "start",
        Work::Stop => "stop",
        Work::Resize { .. } => "resize",
        Work::Update { .. } => "update",
    }
}

fn command(node: &Node, action: &Action) -> Result<Command, Failed> {
    Ok(match (&action.work, &action.target) {
        (Work::StartActor { declared }, _) => Command::StartActor {
            reference: declared.reference.clone(),
            max_in_flight: declared.max_in_flight,
            annotations: declared.annotations.clone(),
            declared: true,
        },
        (Work::StartProvider { declared }, target) => {
            check_configs(node, declared)?;
            Command::StartProvider {
                reference: declared.reference.clone(),
                provider: provider_of(target),
                config: declared.config.clone(),
                configs: declared.configs.clone(),
                annotations: declared.annotations.clone(),
                declared: true,
            }
        }
        (Work::Stop, Target::Actor(actor)) => Command::StopActor { actor: actor.to_string() },
        (Work::Stop, Target::Provider(provider)) => Command::StopProvider { provider: provider.clone(), force: true },
        (Work::Resize { max_in_flight }, target) => {
            Command::ResizeActor { actor: target.to_string(), max_in_flight: *max_in_flight }
        }
        (Work::Update { reference }, target) => update(target, reference, true),
    })
}

/// Refuses here what a host would refuse, which would then be left alone for a while.
fn check_configs(node: &Node, declared: &DeclaredProvider) -> Result<(), Failed> {
    let values = node.0.shared.read(|data| declared.values(data));
    values.map(drop).map_err(|name| Failed::Silent(format!("there is no configuration {name:?}")))
}

fn update(target: &Target, reference: &str, force: bool) -> Command {
    let reference = reference.to_owned();
    match target {
        Target::Actor(actor) => Command::UpdateActor { actor: actor.to_string(), reference, force },
        Target::Provider(provider) => {
            Command::UpdateProvider { provider: provider.clone(), reference, config: None, force }
        }
    }
}

fn provider_of(target: &Target) -> Option<ProviderId> {
    match target {
        Target::Provider(provider) => Some(provider.clone()),
        Target::Actor(_) => None,
    }
}

/// What was to be reached is reached, if not by this order.
fn done_anyway(result: Result<Value, Failed>) -> Result<(), Failed> {
    match result {
        Ok(_) => Ok(()),
        Err(Failed::Refused { code, .. })
            if ["actor_running", "provider_running", "actor_not_found", "provider_not_found"]
                .contains(&code.as_str()) =>
        {
            Ok(())
        }
        Err(failed) => Err(failed),
    }
}

/// Returns what is declared from now on. Who does not lead any more, as after a long pause, declares nothing: its write
/// finds the entry changed, and asks here again.
fn declared(current: Option<&[u8]>, action: &RolloutAction, is_leader: bool) -> Result<Edit, EditError> {
    let Some(current) = current.filter(|_| is_leader) else { return Ok(Edit::Unchanged) };
    // Either kind of declaration has both fields; whatever else is in it stays.
    let unreadable = |error: serde_json::Error| EditError::Unreadable(error.to_string());
    let mut fields: serde_json::Map<String, Value> = serde_json::from_slice(current).map_err(unreadable)?;
    match action {
        RolloutAction::Declare { reference, previous } => {
            fields.insert("reference".into(), reference.as_str().into());
            fields.insert("previous".into(), previous.as_str().into());
        }
        // Written even if it stays as it is: an earlier leader's declaration that is on its way then comes to nothing.
        RolloutAction::Undeclare { reference, back_to } => {
            if fields.get("reference").and_then(Value::as_str) == Some(reference) {
                fields.insert("reference".into(), back_to.as_str().into());
            }
        }
        _ => return Ok(Edit::Unchanged),
    }
    to_bytes(&fields).map(Edit::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_leads_declares_and_taking_back_writes_in_any_case() {
        let declare = RolloutAction::Declare { reference: "v2".into(), previous: "v1".into() };
        let undeclare = RolloutAction::Undeclare { reference: "v2".into(), back_to: "v1".into() };
        let written = |stored: &[u8], action| match declared(Some(stored), action, true).unwrap() {
            Edit::Write(bytes) => serde_json::from_slice::<Value>(&bytes).unwrap(),
            Edit::Unchanged => Value::Null,
        };
        let stored =
            |reference: &str| serde_json::to_vec(&serde_json::json!({ "reference": reference, "x": 1 })).unwrap();
        let now = written(&stored("v1"), &declare);
        assert_eq!(now, serde_json::json!({ "reference": "v2", "previous": "v1", "x": 1 }));
        assert_eq!(declared(Some(&stored("v1")), &declare, false), Ok(Edit::Unchanged));
        assert_eq!(declared(None, &declare, true), Ok(Edit::Unchanged));
        for (before, after) in [("v1", "v1"), ("v2", "v1"), ("v3", "v3")] {
            assert_eq!(written(&stored(before), &undeclare)["reference"], after);
        }
    }
}
