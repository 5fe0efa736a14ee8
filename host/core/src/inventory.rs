//! What runs here, in the words of the control interface and its events.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use wattle_types::{ActorId, ProviderId, control};

use crate::{
    actor::ActorSlot,
    deployer,
    host::{Host, StartProvider},
    provider::ProviderSlot,
};

/// The host, as it answers `host.ping`.
pub(crate) fn describe_host(host: &Host) -> control::Host {
    let config = host.config();
    control::Host {
        id: host.id().to_string(),
        friendly_name: config.friendly_name.clone(),
        labels: host.labels(),
        lattice: config.lattice.to_string(),
        uptime_seconds: host.uptime().as_secs(),
        uptime_human: Some(in_words(host.uptime().as_secs())),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
    }
}

impl Host {
    /// Returns what runs here.
    #[must_use]
    pub fn inventory(&self) -> control::HostInventory {
        let host = describe_host(self);
        let state = self.state();
        control::HostInventory {
            host_id: host.id,
            friendly_name: host.friendly_name,
            labels: host.labels,
            version: host.version.unwrap_or_default(),
            uptime_human: host.uptime_human.unwrap_or_default(),
            uptime_seconds: host.uptime_seconds,
            components: state.actors.in_order().into_iter().map(|slot| describe_actor(self, slot)).collect(),
            providers: state
                .providers
                .values()
                .map(|slot| describe_provider(slot, state.links.of_provider(&slot.id).len()))
                .collect(),
        }
    }

    /// Returns the claims of running actors, as `claims.get` answers them: every value a text.
    #[must_use]
    pub fn claims(&self) -> Vec<BTreeMap<String, String>> {
        let state = self.state();
        state.actors.in_order().into_iter().map(|slot| claims(slot)).collect()
    }

    /// Returns the claims of one of them.
    pub(crate) fn claims_of(&self, id: &ActorId) -> Option<BTreeMap<String, String>> {
        self.state().actors.get(id).map(|slot| claims(slot))
    }
}

fn claims(slot: &ActorSlot) -> BTreeMap<String, String> {
    let module = slot.slot.current();
    let facts = &module.facts;
    let caps: Vec<_> = facts.capabilities.iter().map(ToString::to_string).collect();
    let fields = [
        ("sub", facts.id.to_string()),
        ("iss", facts.issuer.to_string()),
        ("name", facts.name.clone().unwrap_or_default()),
        ("rev", facts.revision.to_string()),
        ("version", facts.version.clone().unwrap_or_default()),
        ("call_alias", facts.call_alias.clone().unwrap_or_default()),
        ("caps", caps.join(",")),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn describe_actor(host: &Host, slot: &Arc<ActorSlot>) -> control::ActorDescription {
    let module = slot.slot.current();
    let (facts, id, actor) = (&module.facts, host.called(&slot.id), slot.id.to_string());
    control::ActorDescription {
        id: id.clone(),
        image_ref: module.reference.clone(),
        name: facts.name.clone(),
        annotations: Some(BTreeMap::clone(&slot.annotations.load())).filter(|annotations| !annotations.is_empty()),
        revision: facts.revision,
        max_instances: u32::try_from(slot.admission.load().max_running()).unwrap_or(u32::MAX),
        wattle: Some(control::ActorDetails {
            actor: (id != actor).then_some(actor),
            generation: module.number(),
            version: facts.version.clone(),
            call_alias: facts.call_alias.clone(),
            issuer: facts.issuer.to_string(),
            capabilities: facts.capabilities.iter().map(ToString::to_string).collect(),
            in_flight: module.in_flight() as u64,
            expires: module.validity.expires(),
            lapsed: module.validity.why_not(),
        }),
    }
}

fn describe_provider(slot: &Arc<ProviderSlot>, links: usize) -> control::ProviderDescription {
    let running = slot.slot.current();
    control::ProviderDescription {
        id: slot.id.to_string(),
        image_ref: Some(running.reference.clone()),
        name: None,
        annotations: Some(slot.origin.annotations.clone()).filter(|annotations| !annotations.is_empty()),
        revision: running.revision.unwrap_or(0),
        wattle: Some(control::ProviderDetails {
            generation: running.number(),
            contracts: running.provider.contracts().iter().map(ToString::to_string).collect(),
            links,
            in_flight: running.in_flight() as u64,
            unhealthy: running
                .validity
                .why_not()
                .or_else(|| slot.unhealthy.load_full().map(|reason| reason.to_string())),
            expires: running.validity.expires(),
        }),
    }
}

pub(crate) fn host_started(host: &Host) -> Value {
    let described = describe_host(host);
    json!({
        "labels": described.labels, "friendly_name": described.friendly_name,
        "uptime_seconds": described.uptime_seconds, "version": described.version,
    })
}

/// What `component_scaled` tells of an actor that runs.
pub(crate) fn component_scaled(host: &Host, slot: &Arc<ActorSlot>) -> Value {
    let max_instances = slot.admission.load().max_running();
    component(host, slot, max_instances)
}

/// What `component_scaled` tells of an actor that was stopped: scaled to none.
pub(crate) fn component_stopped(host: &Host, slot: &Arc<ActorSlot>) -> Value {
    component(host, slot, 0)
}

fn component(host: &Host, slot: &Arc<ActorSlot>, max_instances: usize) -> Value {
    let module = slot.slot.current();
    let facts = &module.facts;
    json!({
        "public_key": slot.id, "component_id": host.called(&slot.id), "host_id": host.id(), "image_ref": module.reference,
        "annotations": **slot.annotations.load(), "max_instances": max_instances,
        "claims": {
            "call_alias": facts.call_alias, "issuer": facts.issuer, "name": facts.name,
            // Others read no negative one.
            "revision": u32::try_from(facts.revision).ok(),
            "version": facts.version, "caps": facts.capabilities, "tags": [],
        },
    })
}

/// An actor that was not started, resized or replaced.
pub(crate) struct ScaleFailure<'a> {
    /// As far as it is known: who asked may not have said.
    pub(crate) actor: Option<ActorId>,
    /// How whoever asked calls the actor.
    pub(crate) component_id: Option<String>,
    pub(crate) reference: &'a str,
    pub(crate) annotations: &'a BTreeMap<String, String>,
    pub(crate) max_instances: usize,
}

impl ScaleFailure<'_> {
    /// What `component_scale_failed` tells.
    pub(crate) fn told(&self, host: &Host, error: &str) -> Value {
        let mut told = json!({
            "host_id": host.id(), "image_ref": self.reference, "annotations": self.annotations,
            "max_instances": self.max_instances, "error": error,
        });
        if let Some(fields) = told.as_object_mut() {
            fields.extend(self.actor.map(|actor| ("public_key".to_owned(), json!(actor))));
            fields.extend(self.component_id.as_ref().map(|id| ("component_id".to_owned(), json!(id))));
        }
        told
    }
}

/// What `provider_start_failed` tells. Without an id it is the kind, which the provider would have had.
pub(crate) fn provider_start_failed(host: &Host, options: &StartProvider, error: &str) -> Value {
    let given = options.id.as_ref().map(ProviderId::as_str);
    let id = given.or_else(|| options.reference.strip_prefix("builtin:"));
    json!({
        "host_id": host.id(), "provider_ref": options.reference, "provider_id": id.unwrap_or_default(),
        "link_name": "default", "error": error,
    })
}

pub(crate) fn provider_started(host: &Host, slot: &Arc<ProviderSlot>) -> Value {
    let running = slot.slot.current();
    let image_ref = deployer::told_reference(&running.reference, &slot.origin.annotations);
    json!({
        "host_id": host.id(), "image_ref": image_ref, "provider_id": slot.id,
        "annotations": slot.origin.annotations, "public_key": slot.id, "instance_id": slot.id, "link_name": "default",
    })
}

pub(crate) fn provider_stopped(host: &Host, slot: &Arc<ProviderSlot>, reason: &str) -> Value {
    json!({
        "host_id": host.id(), "provider_id": slot.id, "annotations": slot.origin.annotations, "reason": reason,
        "public_key": slot.id, "instance_id": slot.id, "link_name": "default",
    })
}

/// Writes a time span the way people say it: its two largest parts.
fn in_words(seconds: u64) -> String {
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(parts.len() - 1);
    let said: Vec<_> = parts.iter().skip(first).take(2).map(|(count, unit)| format!("{count}{unit}")).collect();
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn a_time_span_is_told_by_its_largest_parts() {
        assert_eq!(in_words(0), "0s");
        assert_eq!(in_words(61), "1m 1s");
        assert_eq!(in_words(2 * 86_400 + 3 * 3600 + 59), "2d 3h");
    }
}
