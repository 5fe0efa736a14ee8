//! What is to run, wherever it runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Extra, LatticeData};

/// Most groups of a spread.
const GROUPS_MAX: usize = 64;

/// One group of hosts that gets its share of the replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels its hosts have, all of them.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its share is this of the sum of all weights.
    #[serde(default = "one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

/// The entry `WATTLE_ACTOR_{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeclaredActor {
    /// Where its module is.
    pub reference: String,
    /// How many hosts run it.
    pub replicas: u32,
    /// Most calls at once on each host; the host's default otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// How replicas are shared out; all over the lattice when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<Spread>,
    /// Labels every host that runs it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub constraints: BTreeMap<String, String>,
    /// Kept in inventories.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What it was before the last rollout: where one command goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// What newer programs wrote.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The entry `WATTLE_PROVIDER_{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeclaredProvider {
    /// Where it is.
    pub reference: String,
    /// How many hosts run it.
    pub replicas: u32,
    /// Configuration for all its links; wins over `configs`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// Names of configurations, the later ones winning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configs: Vec<String>,
    /// How replicas are shared out; all over the lattice when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<Spread>,
    /// Labels every host that runs it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub constraints: BTreeMap<String, String>,
    /// Kept in inventories.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What it was before the last rollout: where one command goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// What newer programs wrote.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is declared of an actor or provider, whatever else is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions<'a> {
    /// Where it is.
    pub reference: &'a str,
    /// What it was before the last rollout.
    pub previous: Option<&'a str>,
}

impl DeclaredActor {
    /// Makes this the declaration that follows the one that is `stored`, if one is: it tells what it was before, and
    /// what newer programs wrote stays.
    #[must_use]
    pub fn over(self, stored: Option<&[u8]>) -> Self {
        let before: Self = read(stored);
        let previous = previous(before.reference, before.previous, &self.reference);
        Self { previous, extra: before.extra, ..self }
    }

    pub(super) fn versions(&self) -> Versions<'_> {
        Versions { reference: &self.reference, previous: self.previous.as_deref() }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        check(&self.reference, &self.spread)
    }
}

impl DeclaredProvider {
    /// Returns its whole configuration: the named ones in order, and its own over them.
    ///
    /// # Errors
    /// The name of a configuration that is not there.
    pub fn values(&self, data: &LatticeData) -> Result<BTreeMap<String, String>, String> {
        let mut values = BTreeMap::new();
        for name in &self.configs {
            values.extend(data.config(name).ok_or_else(|| name.clone())?.clone());
        }
        values.extend(self.config.clone());
        Ok(values)
    }

    /// As of actors.
    #[must_use]
    pub fn over(self, stored: Option<&[u8]>) -> Self {
        let before: Self = read(stored);
        let previous = previous(before.reference, before.previous, &self.reference);
        Self { previous, extra: before.extra, ..self }
    }

    pub(super) fn versions(&self) -> Versions<'_> {
        Versions { reference: &self.reference, previous: self.previous.as_deref() }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        check(&self.reference, &self.spread)
    }
}

/// A declaration that cannot be read is written anew.
fn read<T: Default + DeserializeOwned>(stored: Option<&[u8]>) -> T {
    stored.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
}

fn previous(reference: String, previous: Option<String>, next: &str) -> Option<String> {
    if reference.is_empty() || reference == next { previous } else { Some(reference) }
}

fn check(reference: &str, spread: &[Spread]) -> Result<(), String> {
    if reference.is_empty() {
        return Err("the reference is empty".into());
    }
    if spread.len() > GROUPS_MAX {
        return Err(format!("{} groups are more than {GROUPS_MAX}", spread.len()));
    }
    if !spread.is_empty() && spread.iter().all(|group| group.weight == 0) {
        return Err("no group of the spread has a weight".into());
    }
    Ok(())
}
