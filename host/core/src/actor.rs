//! A running actor: what is known of its module, and its slot.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use wattle_runtime::{Interrupt, Prepared};
use wattle_types::{ActorId, ContractId, InvokeError, IssuerId, control::Reading};

use crate::{admission::Admission, deployer, load::Counted, meter::Meter, slot::Slot, validity::Validity};

/// What the claims of a verified module say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorFacts {
    /// Its identity.
    pub id: ActorId,
    /// Who signed it.
    pub issuer: IssuerId,
    /// Its name for people.
    pub name: Option<String>,
    /// Its place in the order of versions.
    pub revision: i32,
    /// Its version for people.
    pub version: Option<String>,
    /// The name other actors may call it by.
    pub call_alias: Option<String>,
    /// The contracts it may use and serve.
    pub capabilities: Vec<ContractId>,
}

impl ActorFacts {
    /// Returns whether the claims name `contract`.
    #[must_use]
    pub fn claims(&self, contract: &str) -> bool {
        self.capabilities.iter().any(|claimed| claimed.as_str() == contract)
    }

    /// Lists what the claims name, for messages: of very many, the first.
    pub(crate) fn claimed(&self) -> String {
        const SHOWN_MAX: usize = 16;
        if self.capabilities.is_empty() {
            return "none".into();
        }
        let names: Vec<_> = self.capabilities.iter().take(SHOWN_MAX).map(ContractId::as_str).collect();
        match self.capabilities.len().saturating_sub(SHOWN_MAX) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    /// Says that the claims do not name `contract`.
    pub(crate) fn not_claimed(&self, contract: ContractId) -> InvokeError {
        InvokeError::CapabilityNotClaimed { actor: self.id, contract, claimed: self.claimed() }
    }
}

/// One version of an actor.
#[derive(Debug)]
pub(crate) struct ActorModule {
    pub(crate) facts: ActorFacts,
    /// Where the module came from.
    pub(crate) reference: String,
    pub(crate) prepared: Prepared,
    /// Ends all calls of this version, when draining takes too long.
    pub(crate) interrupt: Interrupt,
    /// How its calls did, while somebody wants to know.
    pub(crate) meter: Meter,
    pub(crate) validity: Validity,
}

/// An actor's place on this host.
#[derive(Debug)]
pub(crate) struct ActorSlot {
    pub(crate) id: ActorId,
    pub(crate) slot: Slot<ActorModule>,
    pub(crate) admission: ArcSwap<Admission>,
    pub(crate) annotations: ArcSwap<BTreeMap<String, String>>,
    /// The scaler of a deployer that asked last for it to run, which may be for a version that does not run yet.
    pub(crate) held_by: ArcSwapOption<String>,
    /// Started because it is declared, not by hand.
    pub(crate) declared: bool,
    /// Set once a trial or rollout began: until then no call is counted.
    pub(crate) metered: AtomicBool,
    /// How the version did that was replaced last.
    pub(crate) replaced: Mutex<Option<Reading>>,
    /// How all versions together do, while somebody looks.
    pub(crate) counted: Counted,
}

impl ActorSlot {
    pub(crate) fn new(
        module: ActorModule,
        admission: Admission,
        annotations: BTreeMap<String, String>,
        declared: bool,
    ) -> Arc<Self> {
        let held_by = deployer::scaler(&annotations).map(|scaler| Arc::new(scaler.to_owned()));
        Arc::new(Self {
            id: module.facts.id,
            held_by: ArcSwapOption::new(held_by),
            slot: Slot::new(module),
            admission: ArcSwap::from_pointee(admission),
            annotations: ArcSwap::from_pointee(annotations),
            declared,
            metered: AtomicBool::new(false),
            replaced: Mutex::new(None),
            counted: Counted::default(),
        })
    }
}
