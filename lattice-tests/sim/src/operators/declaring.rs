//! Declaring what runs, and at which scale.

use std::{collections::BTreeMap, sync::Arc, sync::atomic::Ordering};

use wattle_lattice::{
    rollout::Rollout,
    spec::{Bucket, DeclaredActor, DeclaredProvider, Edit, Spread, Target, to_bytes},
};

use super::{Failed, Operators};
use crate::{
    host::SimHost,
    names::{self, Quality, Version},
};

impl Operators {
    /// Declares an actor or a provider: new, at another scale, or not any more.
    pub(super) async fn declare(self: &Arc<Self>, host: &SimHost) -> Result<String, Failed> {
        let Some(target) = self.target() else { return Err(Failed::Refused("there is nothing to declare".into())) };
        let shared = host.node.shared();
        if shared.read(|data| data.rollout(&target).is_some_and(Rollout::is_active)) {
            return Err(Failed::Refused("a rollout is under way".into()));
        }
        let replicas = match self.chance.below(10) {
            0 => 0,
            1..=7 => u32::try_from(1 + self.chance.below(usize::from(self.world.plan.hosts))).unwrap_or(1),
            _ => 1,
        };
        let key = target.declared_key();
        if replicas == 0 {
            shared.delete(Bucket::Lattice, &key).await?;
            return Ok(format!("{target} is not declared any more"));
        }
        let reference = self.declared_reference(host, &target);
        let constraints = self.constraints();
        let spread = self.spread();
        let max_in_flight = self.chance.happens(300).then(|| u32::try_from(20 + self.chance.below(80)).unwrap_or(20));
        let edit = |current: Option<&[u8]>| match &target {
            Target::Actor(_) => to_bytes(
                &DeclaredActor {
                    reference: reference.clone(),
                    replicas,
                    max_in_flight,
                    spread: spread.clone(),
                    constraints: constraints.clone(),
                    ..DeclaredActor::default()
                }
                .over(current),
            )
            .map(Edit::Write),
            Target::Provider(_) => to_bytes(
                &DeclaredProvider {
                    reference: reference.clone(),
                    replicas,
                    spread: spread.clone(),
                    constraints: constraints.clone(),
                    ..DeclaredProvider::default()
                }
                .over(current),
            )
            .map(Edit::Write),
        };
        shared.edit(Bucket::Lattice, &key, edit).await?;
        Ok(format!("{target} from {reference} runs {replicas} times"))
    }

    pub(super) fn target(&self) -> Option<Target> {
        if self.chance.happens(600) {
            self.chance.pick(&names::actors()).copied().map(Target::Actor)
        } else {
            self.chance.pick(&names::providers()).cloned().map(Target::Provider)
        }
    }

    /// Returns the reference of a version that nobody has used yet.
    pub(super) fn new_version(&self, target: &Target, quality: Quality) -> String {
        let number = self.versions.fetch_add(1, Ordering::Relaxed);
        format!("{target}/{}", Version { number, quality })
    }

    /// What is declared stays; something new is of a good version.
    fn declared_reference(&self, host: &SimHost, target: &Target) -> String {
        let declared = reference_of(host, target);
        declared.unwrap_or_else(|| self.new_version(target, Quality::Good))
    }

    fn constraints(&self) -> BTreeMap<String, String> {
        if self.chance.happens(150) { zone(self.chance.happens(500)) } else { BTreeMap::new() }
    }

    fn spread(&self) -> Vec<Spread> {
        if !self.chance.happens(150) {
            return Vec::new();
        }
        let group = |is_even| Spread { name: None, labels: zone(is_even), weight: if is_even { 2 } else { 1 } };
        vec![group(true), group(false)]
    }
}

fn zone(is_even: bool) -> BTreeMap<String, String> {
    [("zone".to_owned(), if is_even { "even" } else { "odd" }.to_owned())].into()
}

/// Returns the reference that is declared, as a host knows it.
pub(super) fn reference_of(host: &SimHost, target: &Target) -> Option<String> {
    host.node.shared().read(|data| data.declared(target).map(|declared| declared.reference.to_owned()))
}
