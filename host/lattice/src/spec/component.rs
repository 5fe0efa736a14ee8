//! The links of one source, as they are stored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wattle_types::control::Link;

use super::{LinkSpec, json};

/// The entry `COMPONENT_{id}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// The id: an actor's or a provider's.
    pub source: String,
    /// Where the source came from; empty if it was never started.
    pub url: String,
    /// Links of an actor with a provider.
    pub links: Vec<LinkSpec>,
    /// Links of other kinds, which ours do not call over; and those that name their actor, while nobody goes by that
    /// name.
    pub foreign: Vec<Link>,
}

/// The same, with everything in it, for editing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) url: String,
    #[serde(default)]
    pub(super) links: Vec<Value>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

impl Component {
    pub(super) fn parse(source: &str, value: &[u8]) -> Result<Self, String> {
        let document: Document = json(value)?;
        let mut component = Self { source: source.to_owned(), url: document.url, links: vec![], foreign: vec![] };
        for stored in &document.links {
            // A broken link does not take the others with it.
            let Some(link) = wire(stored).filter(|link| link.source_id == source) else { continue };
            match LinkSpec::from_wire(&link) {
                Some(spec) => component.links.push(spec.with_values(values(stored))),
                None => component.foreign.push(link),
            }
        }
        Ok(component)
    }
}

/// Returns a stored link as the control interface knows it.
pub(super) fn wire(stored: &Value) -> Option<Link> {
    Link::deserialize(stored).ok()
}

/// Returns the values that stand in a stored link itself.
fn values(stored: &Value) -> std::collections::BTreeMap<String, String> {
    let values = stored.get("wattle").and_then(|ours| ours.get("values")).and_then(Value::as_object);
    let texts = values.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    texts.collect()
}
