//! Putting and deleting links, from several hosts at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::Instant;
use wattle_lattice::{
    node::SharedError,
    spec::{EditError, LinkSpec},
};
use wattle_types::{LinkDefinition, LinkKey, ProviderId};

use super::{Failed, Operators};
use crate::{auditor::Auditor, host::SimHost, names, world::World};

/// One wish, from when it was uttered until it was answered for certain (`None`: never).
#[derive(Debug)]
struct Spoken {
    from: Instant,
    until: Option<Instant>,
    /// Where the link is to lead; `None` to delete it.
    wanted: Option<ProviderId>,
    is_refused: bool,
}

/// What was wished for each link.
#[derive(Debug, Default)]
pub(super) struct Wishes(Mutex<BTreeMap<LinkKey, Vec<Spoken>>>, Mutex<Option<Instant>>);

impl Wishes {
    fn begin(&self, key: &LinkKey, wanted: Option<ProviderId>) -> usize {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_link = wishes.entry(key.clone()).or_default();
        of_link.push(Spoken { from: Instant::now(), until: None, wanted, is_refused: false });
        of_link.len() - 1
    }

    fn end<T>(&self, key: &LinkKey, index: usize, result: &Result<T, Failed>) {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(spoken) = wishes.get_mut(key).and_then(|of_link| of_link.get_mut(index)) else { return };
        match result {
            Ok(_) => spoken.until = Some(Instant::now()),
            Err(Failed::Refused(_)) => spoken.is_refused = true,
            Err(Failed::Unknown(_)) => {}
        }
    }

    /// What was wished before the shared state was lost need not hold: those who knew of it may be gone.
    pub(super) fn forget(&self) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the last wish for a link was this, and was fulfilled before `since` like all others.
    pub(super) fn is_quiet(&self, key: &LinkKey, wanted: Option<&ProviderId>, since: Instant) -> bool {
        let wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_link = wishes.get(key).into_iter().flatten().filter(|spoken| !spoken.is_refused);
        let is_over = of_link.clone().all(|spoken| spoken.until.is_some_and(|until| until < since));
        let last = of_link.max_by_key(|spoken| spoken.from);
        is_over && last.is_some_and(|last| last.wanted.as_ref() == wanted)
    }

    /// Compares what is stored with each link's last wish, where no other went on at the same time or later.
    pub(super) fn check(&self, world: &World, auditor: &Auditor) {
        let lost = *self.1.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, of_link) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let wishes: Vec<_> = of_link.iter().filter(|spoken| !spoken.is_refused).collect();
            let Some(last) = wishes.iter().max_by_key(|spoken| spoken.from) else { continue };
            let is_alone = last.until.is_some()
                && lost.is_none_or(|lost| last.from > lost)
                && wishes
                    .iter()
                    .filter(|other| other.from != last.from)
                    .all(|other| other.until.is_some_and(|end| end < last.from))
                && wishes.iter().filter(|other| other.from == last.from).count() == 1;
            let stored = auditor.read(|data| data.link(key).map(|link| link.definition.provider.clone()));
            if is_alone && stored != last.wanted {
                world.witness.complain(&format!(
                    "the link of {} for {} is to lead to {:?} and leads to {stored:?}",
                    key.actor, key.contract, last.wanted
                ));
            }
        }
    }
}

impl Operators {
    pub(super) async fn put_link(self: &Arc<Self>, host: &SimHost) -> Result<String, Failed> {
        let (Some(key), Some(provider)) =
            (self.chance.pick(&names::links()).cloned(), self.chance.pick(&names::providers()).cloned())
        else {
            return Err(Failed::Refused("there is nothing to link".into()));
        };
        let definition = LinkDefinition { key: key.clone(), provider: provider.clone(), values: BTreeMap::new() };
        let mut link = LinkSpec::new(definition);
        link.provider_is_source = self.chance.happens(200);
        // A provider as the source may have one target under a name: to replace that would take another's link.
        let replace = !link.provider_is_source && self.chance.happens(700);
        let (others, begun) = (self.others(&link), Instant::now());
        let index = self.linking.begin(&key, Some(provider.clone()));
        let result = host.node.shared().put_link(&link, replace).await.map_err(|error| match error {
            SharedError::Edit(EditError::Conflict { .. } | EditError::TooMany { .. }) => {
                Failed::Refused(error.to_string())
            }
            // It may be in its own entry and in another, too.
            error => Failed::Unknown(error.to_string()),
        });
        self.linking.end(&key, index, &result);
        if result.is_ok() {
            self.check_kept(&link, &others, begun).await;
        }
        result.map(|()| format!("{} {} -> {provider}", key.actor, key.contract))
    }

    pub(super) async fn delete_link(self: &Arc<Self>, host: &SimHost) -> Result<String, Failed> {
        let Some(key) = self.chance.pick(&names::links()).cloned() else {
            return Err(Failed::Refused("there is no link".into()));
        };
        let index = self.linking.begin(&key, None);
        let result = match host.node.shared().delete_link(&key).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failed::Refused("there is no such link".into())),
            // It may be out of one entry and not of another.
            Err(error) => Err(Failed::Unknown(error.to_string())),
        };
        self.linking.end(&key, index, &result);
        result.map(|()| format!("{} {}", key.actor, key.contract))
    }
}
