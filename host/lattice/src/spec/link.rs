//! A link as it was put: with names of configurations that are still to be looked up.

use std::collections::BTreeMap;

use wattle_types::{ActorId, ActorName, ContractId, LinkDefinition, LinkKey, control::Link};

/// A link between an actor and a provider, before its configurations are resolved.
///
/// On the wire a link has a source that calls and a target that is called. Where a provider calls actors (HTTP,
/// messaging), other tools make the provider the source; ours always make the actor the source. Both are read, and a
/// link stays as it was put. If both were put for one [`LinkKey`], the one stored with the actor holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSpec {
    /// The link, with the values that stand in it.
    pub definition: LinkDefinition,
    /// Named configurations for the provider, the later ones winning.
    pub configs: Vec<String>,
    /// Named configurations for the actor. Kept for others; actors of ours have no configuration.
    pub actor_configs: Vec<String>,
    /// Interfaces of the package.
    pub interfaces: Vec<String>,
    /// Whether it was put with the provider as its source.
    pub provider_is_source: bool,
    /// The name by which it was put for the actor.
    pub actor_name: Option<ActorName>,
}

impl LinkSpec {
    /// Makes the link our own tools put.
    #[must_use]
    pub fn new(definition: LinkDefinition) -> Self {
        let package = split(&definition.key.contract).1.to_owned();
        Self {
            definition,
            configs: vec![],
            actor_configs: vec![],
            interfaces: vec![package],
            provider_is_source: false,
            actor_name: None,
        }
    }

    /// Reads a link of the control interface; `None` if it does not join an actor (`M...`) and a provider.
    #[must_use]
    pub fn from_wire(link: &Link) -> Option<Self> {
        Self::from_wire_named(link, |_| None)
    }

    /// Does the same, with the actors that `named` knows by name.
    pub fn from_wire_named(link: &Link, named: impl Fn(&str) -> Option<ActorId>) -> Option<Self> {
        let contract = join(&link.wit_namespace, &link.wit_package).parse().ok()?;
        let end = |id: &str| id.parse::<ActorId>().ok().or_else(|| named(id));
        let (actor, provider, provider_is_source) = match (end(&link.source_id), end(&link.target)) {
            (Some(actor), None) => (actor, &link.target, false),
            (None, Some(actor)) => (actor, &link.source_id, true),
            _ => return None,
        };
        let called = if provider_is_source { &link.target } else { &link.source_id };
        let actor_name = if called.parse::<ActorId>().is_ok() { None } else { called.parse().ok() };
        let (mut configs, mut actor_configs) = (link.target_config.clone(), link.source_config.clone());
        if provider_is_source {
            std::mem::swap(&mut configs, &mut actor_configs);
        }
        let key = LinkKey { actor, contract, link_name: link.name.parse().ok()? };
        let definition = LinkDefinition { key, provider: provider.parse().ok()?, values: BTreeMap::new() };
        let interfaces = link.interfaces.clone();
        Some(Self { definition, configs, actor_configs, interfaces, provider_is_source, actor_name })
    }

    /// Returns the link as the control interface shows it: without values.
    #[must_use]
    pub fn to_wire(&self) -> Link {
        let key = &self.definition.key;
        let (namespace, package) = split(&key.contract);
        let actor = (self.called(), self.actor_configs.clone());
        let provider = (self.definition.provider.to_string(), self.configs.clone());
        let (source, target) = if self.provider_is_source { (provider, actor) } else { (actor, provider) };
        Link {
            source_id: source.0,
            target: target.0,
            name: key.link_name.to_string(),
            wit_namespace: namespace.to_owned(),
            wit_package: package.to_owned(),
            interfaces: self.interfaces.clone(),
            source_config: source.1,
            target_config: target.1,
        }
    }

    /// Returns the key of the entry that holds it.
    #[must_use]
    pub fn entry_key(&self) -> String {
        if self.provider_is_source {
            super::component_key(self.definition.provider.as_str())
        } else {
            super::component_key(&self.called())
        }
    }

    /// Returns what the link calls its actor.
    fn called(&self) -> String {
        self.actor_name.as_ref().map_or_else(|| self.definition.key.actor.to_string(), ToString::to_string)
    }

    pub(super) fn with_values(mut self, values: BTreeMap<String, String>) -> Self {
        self.definition.values = values;
        self
    }
}

/// A link with what its configurations say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The link, ready for the provider.
    pub definition: LinkDefinition,
    /// Named configurations that are not there (yet). With any missing, the link should not be given to a provider: it
    /// would work with less than was asked for.
    pub missing: Vec<String>,
}

/// Looks up a link's configurations. Later ones win over earlier ones, values in the link over all.
pub fn resolve<'a>(link: &LinkSpec, configs: impl Fn(&str) -> Option<&'a BTreeMap<String, String>>) -> Resolved {
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for name in &link.configs {
        match configs(name) {
            Some(config) => values.extend(config.clone()),
            None => missing.push(name.clone()),
        }
    }
    values.extend(link.definition.values.clone());
    Resolved { definition: LinkDefinition { values, ..link.definition.clone() }, missing }
}

fn join(namespace: &str, package: &str) -> String {
    if namespace.is_empty() { package.to_owned() } else { format!("{namespace}:{package}") }
}

fn split(contract: &ContractId) -> (&str, &str) {
    contract.as_str().split_once(':').unwrap_or(("", contract.as_str()))
}
