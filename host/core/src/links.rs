//! The links of one host: what is decided about them, without doing any of it.

use std::{collections::BTreeMap, sync::Arc};

use wattle_types::{LinkDefinition, LinkKey, ProviderId};

/// Why a link was not put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The actor already has this link, to another provider.
    #[error(
        "actor {} already has link {:?} for {} to provider {existing}",
        .key.actor, .key.link_name.as_str(), .key.contract
    )]
    Conflict {
        /// The link.
        key: LinkKey,
        /// The provider it leads to.
        existing: ProviderId,
    },
    /// There is no such link.
    #[error("actor {} has no link {:?} for {}", .key.actor, .key.link_name.as_str(), .key.contract)]
    NotFound {
        /// The link.
        key: LinkKey,
    },
    /// As many links as a host keeps.
    #[error("this host keeps at most {limit} links")]
    TooMany {
        /// How many.
        limit: usize,
    },
}

impl LinkError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "link_conflict",
            Self::NotFound { .. } => "link_not_found",
            Self::TooMany { .. } => "link_limit",
        }
    }
}

/// What putting a link means for the providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Put {
    /// The link is there already, with the same values.
    Unchanged,
    /// The link's provider must accept it.
    Accept,
    /// The link's provider must accept it; the former one then forgets it.
    Move,
}

/// Most links of a host: enough for ten thousand actors with ten each, small enough to copy in a moment.
const LINKS_MAX: usize = 100_000;

/// All links, by actor.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkTable {
    links: BTreeMap<LinkKey, Arc<LinkDefinition>>,
}

impl LinkTable {
    /// Decides what putting `link` takes, and changes nothing.
    pub(crate) fn plan_put(&self, link: &LinkDefinition, replace: bool) -> Result<Put, LinkError> {
        match self.links.get(&link.key) {
            None if self.links.len() >= LINKS_MAX => Err(LinkError::TooMany { limit: LINKS_MAX }),
            None => Ok(Put::Accept),
            Some(existing) if **existing == *link => Ok(Put::Unchanged),
            Some(existing) if existing.provider == link.provider => Ok(Put::Accept),
            Some(_) if replace => Ok(Put::Move),
            Some(existing) => Err(LinkError::Conflict { key: link.key.clone(), existing: existing.provider.clone() }),
        }
    }

    /// Puts a link that was planned.
    pub(crate) fn put(&mut self, link: Arc<LinkDefinition>) {
        self.links.insert(link.key.clone(), link);
    }

    /// Takes a link away and returns it.
    pub(crate) fn delete(&mut self, key: &LinkKey) -> Result<Arc<LinkDefinition>, LinkError> {
        self.links.remove(key).ok_or_else(|| LinkError::NotFound { key: key.clone() })
    }

    /// Returns a link.
    pub(crate) fn get(&self, key: &LinkKey) -> Option<Arc<LinkDefinition>> {
        self.links.get(key).cloned()
    }

    /// Returns all links, ordered by actor, contract and name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<LinkDefinition>> {
        self.links.values()
    }

    /// Returns the links that `provider` serves.
    pub(crate) fn of_provider(&self, provider: &ProviderId) -> Vec<Arc<LinkDefinition>> {
        self.all().filter(|link| link.provider == *provider).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(provider: &str, value: &str) -> LinkDefinition {
        LinkDefinition {
            key: LinkKey {
                actor: "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP".parse().unwrap(),
                contract: "wasmcloud:keyvalue".parse().unwrap(),
                link_name: wattle_types::LinkName::default(),
            },
            provider: provider.parse().unwrap(),
            values: [("url".to_owned(), value.to_owned())].into(),
        }
    }

    #[test]
    fn a_put_is_planned_by_what_is_there() {
        let mut table = LinkTable::default();
        assert_eq!(table.plan_put(&link("a", "1"), false), Ok(Put::Accept));
        table.put(Arc::new(link("a", "1")));
        assert_eq!(table.plan_put(&link("a", "1"), false), Ok(Put::Unchanged));
        assert_eq!(table.plan_put(&link("a", "2"), false), Ok(Put::Accept));
        assert_eq!(table.plan_put(&link("b", "1"), true), Ok(Put::Move));
        assert_eq!(table.plan_put(&link("b", "1"), false).unwrap_err().code(), "link_conflict");
    }

    #[test]
    fn links_are_found_by_provider_and_deleted_once() {
        let mut table = LinkTable::default();
        table.put(Arc::new(link("a", "1")));
        assert_eq!(table.of_provider(&"a".parse().unwrap()).len(), 1);
        assert_eq!(table.of_provider(&"b".parse().unwrap()).len(), 0);
        let key = link("a", "1").key;
        assert!(table.delete(&key).is_ok());
        assert_eq!(table.delete(&key).unwrap_err().code(), "link_not_found");
    }
}
