//! Changes to entries, as functions from what is stored to what is to be stored.
//!
//! The driver writes the result under the condition that the entry is still what was read, and begins again if not: so
//! nothing that two of them change at once is lost.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};
use wattle_types::{ActorId, LinkKey, control::Link};

use super::{
    Bucket, Entry, LinkSpec, VALUE_LEN_MAX,
    component::{Document, wire},
    parse,
};

/// Most links of one source: what still fits in an entry.
const LINKS_MAX: usize = 2_000;

/// What to do with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Nothing: it says so already.
    Unchanged,
    /// Write this.
    Write(Bytes),
}

/// Why an entry cannot be changed as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The source already has this link, to another target.
    #[error("{source_id} already has link {name:?} for {contract} to {existing}")]
    Conflict {
        /// Who calls over it.
        source_id: String,
        /// The link's name.
        name: String,
        /// The contract.
        contract: String,
        /// Where it leads.
        existing: String,
    },
    /// As many links as one source may have.
    #[error("{source_id} has {LINKS_MAX} links: there can be no more")]
    TooMany {
        /// Who calls over them.
        source_id: String,
    },
    /// What is stored cannot be read, so it is not overwritten either.
    #[error("what is stored under the key cannot be read: {0}")]
    Unreadable(String),
    /// Every host would refuse to read what is to be stored.
    #[error("no host would take what is to be stored: {0}")]
    Invalid(String),
}

impl EditError {
    /// Returns the stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "link_conflict",
            Self::TooMany { .. } => "link_limit",
            Self::Unreadable(_) => "entry_unreadable",
            Self::Invalid(_) => "entry_invalid",
        }
    }
}

/// Puts a link into the entry [`LinkSpec::entry_key`], whose value is `current`.
///
/// # Errors
/// [`EditError::Conflict`] if the entry has it with another target, unless `replace`; see [`put_wire`]. Entries of
/// other sources may hold the same link: ask [`LatticeData::elsewhere`](super::LatticeData::elsewhere).
pub fn put_link(current: Option<&[u8]>, link: &LinkSpec, replace: bool) -> Result<Edit, EditError> {
    put(current, &link.to_wire(), &link.definition.values, replace)
}

/// Puts a link that need not join an actor and a provider into the entry of its source.
///
/// # Errors
/// [`EditError::Conflict`] if the source has another target for an overlapping interface under the link's name, unless
/// `replace`; [`EditError::TooMany`]; [`EditError::Unreadable`].
pub fn put_wire(current: Option<&[u8]>, link: &Link, replace: bool) -> Result<Edit, EditError> {
    put(current, link, &BTreeMap::new(), replace)
}

fn put(
    current: Option<&[u8]>,
    link: &Link,
    values: &BTreeMap<String, String>,
    replace: bool,
) -> Result<Edit, EditError> {
    let mut document = read(current)?;
    let others = document.links.iter().filter_map(wire).filter(|other| overlaps(other, link));
    if let Some(other) = { others }.find(|other| other.target != link.target && !replace) {
        return Err(EditError::Conflict {
            source_id: link.source_id.clone(),
            name: link.name.clone(),
            contract: format!("{}:{}", link.wit_namespace, link.wit_package),
            existing: other.target,
        });
    }
    let is_other = |stored: &Value| wire(stored).is_some_and(|other| overlaps(&other, link));
    let known = document.links.iter().position(is_other);
    let known_fields = known.and_then(|index| document.links.get(index)).and_then(Value::as_object).cloned();
    let stored = store(known_fields.unwrap_or_default(), link, values)?;
    if known.is_none() && document.links.len() >= LINKS_MAX {
        return Err(EditError::TooMany { source_id: link.source_id.clone() });
    }
    match known.and_then(|index| document.links.get_mut(index)) {
        Some(place) => *place = stored.clone(),
        None => document.links.push(stored.clone()),
    }
    // It may have taken the place of several.
    let mut is_first = true;
    document.links.retain(|other| !is_other(other) || (*other == stored && std::mem::take(&mut is_first)));
    write(current, &document)
}

/// Writes a link over the fields of the one it replaces, so that those we do not know stay.
fn store(mut fields: Map<String, Value>, link: &Link, values: &BTreeMap<String, String>) -> Result<Value, EditError> {
    if let Value::Object(link) = to_value(link)? {
        fields.extend(link);
    }
    match fields.get_mut("wattle").and_then(Value::as_object_mut) {
        Some(ours) => {
            ours.insert("values".into(), json!(values));
        }
        None if !values.is_empty() => {
            fields.insert("wattle".into(), json!({ "values": values }));
        }
        None => {}
    }
    Ok(Value::Object(fields))
}

/// Whether two links of one source are for the same calls. Contracts of an actor have but one interface for us.
fn overlaps(one: &Link, other: &Link) -> bool {
    let key = |link: &Link| LinkSpec::from_wire(link).map(|spec| spec.definition.key);
    let shares = one.interfaces.is_empty()
        || other.interfaces.is_empty()
        || one.interfaces.iter().any(|interface| other.interfaces.contains(interface))
        || key(one).is_some_and(|one| key(other) == Some(one));
    let name = |link: &Link| [link.name.clone(), link.wit_namespace.clone(), link.wit_package.clone()];
    shares && name(one) == name(other)
}

/// Takes a link out of an entry, of either end. `named` knows actors by their names.
///
/// # Errors
/// [`EditError::Unreadable`]. That there is no such link is not an error.
pub fn delete_link(
    current: Option<&[u8]>,
    key: &LinkKey,
    named: impl Fn(&str) -> Option<ActorId>,
) -> Result<Edit, EditError> {
    delete(current, |link| LinkSpec::from_wire_named(link, &named).is_some_and(|spec| spec.definition.key == *key))
}

/// Takes the links of this name and package out of their source's entry.
///
/// # Errors
/// [`EditError::Unreadable`]. That there are none is not an error.
pub fn delete_wire(
    current: Option<&[u8]>,
    name: &str,
    wit_namespace: &str,
    wit_package: &str,
) -> Result<Edit, EditError> {
    delete(current, |link| link.name == name && link.wit_namespace == wit_namespace && link.wit_package == wit_package)
}

fn delete(current: Option<&[u8]>, is_meant: impl Fn(&Link) -> bool) -> Result<Edit, EditError> {
    let mut document = read(current)?;
    document.links.retain(|stored| !wire(stored).is_some_and(|link| is_meant(&link)));
    write(current, &document)
}

/// Writes where a source came from.
///
/// # Errors
/// [`EditError::Unreadable`].
pub fn put_url(current: Option<&[u8]>, url: &str) -> Result<Edit, EditError> {
    let mut document = read(current)?;
    url.clone_into(&mut document.url);
    write(current, &document)
}

/// Writes claims over those that are stored; fields we do not write stay.
///
/// # Errors
/// [`EditError::Unreadable`].
pub fn put_claims(current: Option<&[u8]>, fields: &BTreeMap<String, String>) -> Result<Edit, EditError> {
    let mut stored: Map<String, Value> = match current {
        Some(bytes) => super::json(bytes).map_err(EditError::Unreadable)?,
        None => Map::new(),
    };
    let before = stored.clone();
    stored.extend(fields.iter().map(|(name, value)| (name.clone(), json!(value))));
    if current.is_some() && stored == before {
        return Ok(Edit::Unchanged);
    }
    to_bytes(&stored).map(Edit::Write)
}

/// Checks that hosts take an entry as it is to be written over `current`. What is too long already may get shorter, as
/// when links are deleted from it one by one.
///
/// # Errors
/// [`EditError::Invalid`].
pub(crate) fn check(bucket: Bucket, key: &str, current: Option<&[u8]>, next: &[u8]) -> Result<(), EditError> {
    let is_shorter = || next.len() > VALUE_LEN_MAX && current.is_some_and(|current| next.len() < current.len());
    match parse(bucket, key, next) {
        Entry::Poisoned { why } if !is_shorter() => Err(EditError::Invalid(why)),
        _ => Ok(()),
    }
}

/// Returns the bytes of an entry of our own: a declaration, a lease, a rollout, a configuration.
///
/// # Errors
/// [`EditError::Unreadable`] for what JSON cannot say.
pub fn to_bytes(entry: &impl Serialize) -> Result<Bytes, EditError> {
    serde_json::to_vec(entry).map(Bytes::from).map_err(|error| EditError::Unreadable(error.to_string()))
}

fn to_value(link: &Link) -> Result<Value, EditError> {
    serde_json::to_value(link).map_err(|error| EditError::Unreadable(error.to_string()))
}

fn read(current: Option<&[u8]>) -> Result<Document, EditError> {
    current.map_or_else(|| Ok(Document::default()), |bytes| super::json(bytes).map_err(EditError::Unreadable))
}

fn write(current: Option<&[u8]>, document: &Document) -> Result<Edit, EditError> {
    let is_same = match current {
        Some(_) => read(current)? == *document,
        None => *document == Document::default(),
    };
    if is_same { Ok(Edit::Unchanged) } else { to_bytes(document).map(Edit::Write) }
}
