//! Carrying out calls, of other hosts or of this one.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::sleep;
use wattle_lattice::{
    rpc::{Origin, Refusal, RemoteCall, Target},
    spec::Bucket,
};
use wattle_types::{ErrorKind, LinkKey, ProviderId};

use super::SimHost;
use crate::{Planted, model::Place, names::Version, witness::Called};

impl SimHost {
    /// Carries out one call as the host would: over a link that it knows of, by a version that runs here.
    pub(crate) async fn take_call(self: Arc<Self>, call: RemoteCall) -> Result<Bytes, Refusal> {
        if self.dead.is_cancelled() {
            return std::future::pending().await;
        }
        if self.model().closing {
            return Err(refused("draining", "the host is draining"));
        }
        if let Some((link, provider)) = link_of(&call) {
            let is_planted = self.world.planted == Some(Planted::NoLinks);
            let linked = self.node.shared().read(|data| data.link(&link).map(|link| link.definition.provider.clone()));
            if linked.as_ref() != Some(&provider) && !is_planted {
                return Err(refused("link_not_found", "there is no such link"));
            }
            self.check_link(&link, &provider);
        }
        let place = Place::of(&call.target);
        let id = called(&call).ok_or_else(|| refused("request_invalid", "the call has no number"))?;
        let reference = self.admit(&place)?;
        self.world.witness.runs(id, self.id);
        self.world.witness.version_called(self.id, &reference);
        let running = Running { host: &self, place: &place };
        let (takes, fails) = Version::parse(&reference).map_or_else(Default::default, |it| it.behave(&self.chance));
        let slept = self.dead.clone().run_until_cancelled_owned(sleep(takes)).await;
        drop(running);
        if slept.is_none() {
            return std::future::pending().await;
        }
        if let Some(slot) = self.model().slots.get_mut(&place) {
            slot.record(&reference, takes, fails);
        }
        if fails {
            let (kind, message) = (ErrorKind::Guest, "the version fails".to_owned());
            return Err(Refusal { code: "guest_failed".into(), kind, message, executed: true });
        }
        Ok(self.id.to_string().into())
    }

    /// Returns the version that is to take a call, which is counted as running.
    fn admit(&self, place: &Place) -> Result<String, Refusal> {
        let mut model = self.model();
        let Some(slot) = model.slots.get_mut(place) else {
            let code = if matches!(place, Place::Actor(_)) { "actor_not_found" } else { "provider_unavailable" };
            return Err(refused(code, "it does not run here"));
        };
        if slot.running >= slot.max_in_flight {
            return Err(refused("overloaded", "too many calls at once"));
        }
        slot.running += 1;
        Ok(slot.choose(self.chance.below(100)).to_owned())
    }

    /// Has the witness look whether a link is in the entries that this host has, as they were written.
    fn check_link(&self, link: &LinkKey, provider: &ProviderId) {
        let keys =
            [link.actor.to_string(), provider.to_string()].map(|source| wattle_lattice::spec::component_key(&source));
        let entries = self.node.shared().read(|data| {
            let stored = keys.iter().filter_map(|key| data.stored(Bucket::Lattice, key).map(|(bytes, _)| (key, bytes)));
            stored.map(|(key, bytes)| (key.clone(), bytes.clone())).collect::<Vec<_>>()
        });
        let holds = |(key, bytes): &(String, Bytes)| crate::auditor::holds(key, bytes, link, provider);
        if !entries.iter().any(holds) {
            let contract = &link.contract;
            self.world.witness.complain(&format!(
                "{} lets {provider} and {} call each other for {contract} without a link",
                self.id, link.actor
            ));
        }
    }
}

/// One call under way; counted until dropped.
struct Running<'a> {
    host: &'a SimHost,
    place: &'a Place,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.host.model().slots.get_mut(self.place) {
            slot.running = slot.running.saturating_sub(1);
        }
    }
}

fn refused(code: &'static str, why: &str) -> Refusal {
    Refusal::not_run(code, ErrorKind::Unavailable, why)
}

/// Returns the link that a call needs, and its provider.
fn link_of(call: &RemoteCall) -> Option<(LinkKey, ProviderId)> {
    match (&call.origin, &call.target) {
        (_, Target::Provider { link, provider }) => Some((link.clone(), provider.clone())),
        (Origin::Provider(provider), Target::Actor { link: Some(link), .. }) => Some((link.clone(), provider.clone())),
        _ => None,
    }
}

fn called(call: &RemoteCall) -> Option<Called> {
    Some(Called(u64::from_be_bytes(call.payload.as_ref().try_into().ok()?)))
}
