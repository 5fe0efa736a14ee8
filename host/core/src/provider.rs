//! A running provider and its slot.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use arc_swap::ArcSwapOption;
use wattle_types::{LinkDefinition, LinkKey, Provider, ProviderId};

use crate::{load::Counted, slot::Slot, validity::Validity};

/// One version of a provider.
pub(crate) struct RunningProvider {
    pub(crate) provider: Arc<dyn Provider>,
    /// What it is: a built-in kind, or an archive's key (`V...`).
    pub(crate) kind: ProviderId,
    /// Where it came from.
    pub(crate) reference: String,
    pub(crate) settings: Settings,
    /// The place of an archive in the order of its versions; built-in kinds have none.
    pub(crate) revision: Option<i32>,
    pub(crate) validity: Validity,
}

/// Configuration for all links of a provider. May hold secrets.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// Named configurations of the lattice, the later ones winning.
    pub(crate) names: Vec<String>,
    /// What was given beside them: wins over them.
    pub(crate) own: BTreeMap<String, String>,
    /// All of it, as the provider was made with it.
    pub(crate) values: BTreeMap<String, String>,
}

impl Settings {
    /// Settings that name no configuration of the lattice.
    pub(crate) fn of(own: BTreeMap<String, String>) -> Self {
        Self { names: Vec::new(), values: own.clone(), own }
    }

    /// The same with what the names stand for now.
    pub(crate) fn with_named(self, mut named: BTreeMap<String, String>) -> Self {
        named.extend(self.own.clone());
        Self { values: named, ..self }
    }
}

impl fmt::Debug for RunningProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningProvider").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// How a provider came to this host.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    pub(crate) annotations: BTreeMap<String, String>,
    /// When it was started, counted over the host's life: the newest is stopped first.
    pub(crate) order: u64,
    /// Started because it is declared, not by hand.
    pub(crate) declared: bool,
}

/// Links a provider has accepted, as it has them.
pub(crate) type Links = BTreeMap<LinkKey, Arc<LinkDefinition>>;

/// A provider's place on this host.
#[derive(Debug)]
pub(crate) struct ProviderSlot {
    pub(crate) id: ProviderId,
    pub(crate) slot: Slot<RunningProvider>,
    pub(crate) origin: Origin,
    /// Whether it was ever asked how it is.
    pub(crate) checked: AtomicBool,
    /// Why its last health check failed.
    pub(crate) unhealthy: ArcSwapOption<String>,
    /// How all versions together do, while somebody looks.
    pub(crate) counted: Counted,
    accepted: Mutex<Links>,
}

impl ProviderSlot {
    pub(crate) fn new(id: ProviderId, running: RunningProvider, origin: Origin, links: Links) -> Arc<Self> {
        Arc::new(Self {
            id,
            slot: Slot::new(running),
            origin,
            checked: AtomicBool::new(false),
            unhealthy: ArcSwapOption::empty(),
            counted: Counted::default(),
            accepted: Mutex::new(links),
        })
    }

    /// Returns whether it has a link just so. What it is to have and has not is tried again.
    pub(crate) fn has(&self, link: &Arc<LinkDefinition>) -> bool {
        self.accepted().get(&link.key) == Some(link)
    }

    /// Returns the links it has accepted.
    pub(crate) fn accepted(&self) -> MutexGuard<'_, Links> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
