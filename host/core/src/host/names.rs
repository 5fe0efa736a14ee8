//! Names that tools of others choose for actors: the lattice keeps them, so that links find their actor on every host.

use std::time::Duration;

use wattle_types::{ActorId, ActorName, HostId};

use super::Host;
use crate::error::HostError;

/// Longest wait for what all hosts run: a little longer than it takes a host that has just come.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

impl Host {
    /// Returns the actor that goes by an id or name, whether or not it runs.
    pub(crate) fn actor_called(&self, called: &str) -> Option<ActorId> {
        called.parse().ok().or_else(|| self.node()?.shared().read(|data| data.actor_named(called)))
    }

    /// Returns what an actor is called in inventories and events: its name, or else its id.
    pub(crate) fn called(&self, actor: &ActorId) -> String {
        let name = self.node().and_then(|node| node.shared().read(|data| data.name_of(actor).cloned()));
        name.map_or_else(|| actor.to_string(), |name| name.to_string())
    }

    /// Has an actor go by a name, everywhere and for good.
    ///
    /// # Errors
    /// [`HostError::NameTaken`] and [`HostError::NamedOtherwise`] while what is in the way runs somewhere, or when the
    /// lattice does not keep it.
    pub(super) async fn name_actor(&self, name: &ActorName, actor: ActorId) -> Result<(), HostError> {
        let node = self.lattice()?;
        let read = node.shared().read(|data| (data.actor_named(name.as_str()), data.name_of(&actor).cloned()));
        let (holder, known) = (read.0.filter(|holder| *holder != actor), read.1.filter(|known| known != name));
        if holder.is_some() || known.is_some() {
            // Before all hosts were heard, what they run may only not be known.
            self.until(HEARD_WITHIN, || node.has_heard_all()).await;
        }
        if let Some(holder) = holder.filter(|holder| self.runs_anywhere(holder)) {
            return Err(HostError::NameTaken { name: name.clone(), holder, found: actor });
        }
        if let Some(known) = known.filter(|_| self.runs_anywhere(&actor)) {
            return Err(HostError::NamedOtherwise { actor, name: known, asked: name.clone() });
        }
        Ok(node.shared().name_actor(name, actor).await?)
    }

    fn runs_anywhere(&self, actor: &ActorId) -> bool {
        // What the directory shows of this host itself may be a moment old.
        let is_other = |host: &HostId| *host != self.id();
        let elsewhere = self.node().is_some_and(|node| node.directory().actor_hosts(actor).iter().any(is_other));
        elsewhere || self.actor_slot(*actor).is_ok()
    }
}
