//! What a lattice knows by name, whether it runs or not: claims and links outlive what they are of.

use std::collections::{BTreeMap, BTreeSet};

use wattle_types::{ActorId, HostId, LinkDefinition, ProviderId, control::Command};

use super::{
    Client,
    resolve::{Candidate, actor_in},
};
use crate::{
    error::CliError,
    table::{is_base32, is_key},
};

/// Shortest beginning of a key that is taken for one: kind and a few more letters.
const BEGINNING_LEN_MIN: usize = 4;

/// Actors by id, with their names, and providers.
#[derive(Debug, Default)]
pub(crate) struct Known {
    actors: BTreeMap<String, Named>,
    providers: BTreeSet<String>,
}

/// What an actor is called.
#[derive(Debug, Default)]
struct Named {
    name: Option<String>,
    alias: Option<String>,
}

impl Client {
    /// Returns the lattice's links.
    pub(crate) async fn links(&self, host: &HostId) -> Result<Vec<LinkDefinition>, CliError> {
        let links = self.command(host, &Command::GetLinks, |_, _, _| {}).await?;
        serde_json::from_value(links)
            .map_err(|error| CliError::internal(format!("the host's links cannot be read: {error}")))
    }

    /// Returns what the lattice knows by name; a host is asked for the links.
    pub(crate) async fn known(&self, host: &HostId) -> Result<Known, CliError> {
        let mut known = self.named().await?;
        for link in self.links(host).await? {
            known.actors.entry(link.key.actor.to_string()).or_default();
            known.providers.insert(link.provider.to_string());
        }
        for running in self.fleet().await?.inventories() {
            known.providers.extend(running.providers.iter().map(|provider| provider.id.clone()));
        }
        Ok(known)
    }

    /// Returns the actors that the lattice has claims of.
    pub(crate) async fn named(&self) -> Result<Known, CliError> {
        let mut actors = BTreeMap::new();
        for mut claims in self.claims().await? {
            // Two spellings are in use.
            let Some(id) = claims.remove("sub").or_else(|| claims.remove("subject")) else { continue };
            let mut own = |field| claims.remove(field).filter(|text| !text.is_empty());
            actors.insert(id, Named { name: own("name"), alias: own("call_alias") });
        }
        Ok(Known { actors, providers: BTreeSet::new() })
    }
}

impl Known {
    /// Returns the actor meant by an id, unique prefix, call alias or name.
    pub(crate) fn actor(&self, wanted: &str) -> Result<ActorId, CliError> {
        let candidates: Vec<_> = self.actors.iter().map(|(id, named)| named.candidate(id)).collect();
        actor_in(&candidates, wanted, "is known in this lattice")
    }

    /// Returns the provider meant by an id, or by the unique beginning of one that is a key. Any other may come yet.
    pub(crate) fn provider(&self, wanted: ProviderId) -> Result<ProviderId, CliError> {
        if !is_beginning(&wanted) || self.providers.contains(wanted.as_str()) {
            return Ok(wanted);
        }
        let begins = |id: &&String| is_key(id) && id.starts_with(wanted.as_str());
        let found: Vec<_> = self.providers.iter().filter(begins).collect();
        match found.as_slice() {
            [] => Ok(wanted),
            [only] => Ok(only.parse()?),
            several => {
                let ids = several.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
                Err(CliError::usage(format!("\"{wanted}\" means {} providers", several.len()))
                    .hint(format!("give more of the id: {ids}")))
            }
        }
    }

    /// Returns what people call an actor: nothing for one that is not known.
    pub(crate) fn name(&self, id: &str) -> Option<&str> {
        self.actors.get(id)?.name.as_deref()
    }
}

impl Named {
    fn candidate<'a>(&'a self, id: &'a str) -> Candidate<'a> {
        Candidate { id, chosen: None, name: self.name.as_deref(), alias: self.alias.as_deref() }
    }
}

/// Returns whether an id may be the beginning of a key.
pub(crate) fn is_beginning(id: &ProviderId) -> bool {
    let text = id.as_str();
    (BEGINNING_LEN_MIN..56).contains(&text.len()) && text.starts_with('V') && is_base32(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 2] = [
        "VAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP",
        "VBLKCB57BTHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QNVW",
    ];

    #[test]
    fn a_provider_goes_by_the_beginning_of_its_key() {
        let providers = KEYS.iter().chain(&["store", "store2"]).map(ToString::to_string).collect();
        let known = Known { providers, ..Known::default() };
        let provider = |text: &str| known.provider(text.parse().unwrap()).map(|id| id.to_string());
        assert_eq!(provider("VAB2").unwrap(), KEYS[0]);
        assert_eq!(provider(&KEYS[1][..12]).unwrap(), KEYS[1]);
        for same in ["store", "stor", "VAB", "VZZZ", KEYS[0]] {
            assert_eq!(provider(same).unwrap(), same);
        }
    }

    #[test]
    fn one_beginning_of_two_providers_is_refused() {
        let twin = format!("{}A", &KEYS[0][..55]);
        let known = Known { providers: [KEYS[0].into(), twin].into(), ..Known::default() };
        let error = known.provider("VAB2CB57".parse().unwrap()).unwrap_err();
        assert!(error.message.contains("means 2 providers") && error.hints[0].contains(KEYS[0]), "{error:?}");
    }
}
