//! The claims of a lattice's actors, as `claims.get` answers them: every value a text.

use std::collections::BTreeMap;

use wattle_lattice::spec::Claims;

use crate::host::Host;

/// Names that some write in full, and how they are written here.
const SHORT: [(&str, &str); 3] = [("subject", "sub"), ("issuer", "iss"), ("revision", "rev")];

/// Returns what the lattice keeps, and what runs here as it was verified here, which comes first.
pub(super) fn all(host: &Host) -> Vec<BTreeMap<String, String>> {
    let mut all: BTreeMap<String, BTreeMap<String, String>> = match host.node() {
        Some(node) => {
            node.shared().read(|data| data.claims().map(|kept| (kept.subject.clone(), fields(kept))).collect())
        }
        None => BTreeMap::new(),
    };
    for claims in host.claims() {
        if let Some(subject) = claims.get("sub") {
            all.insert(subject.clone(), claims);
        }
    }
    all.into_values().collect()
}

fn fields(kept: &Claims) -> BTreeMap<String, String> {
    let mut fields = kept.fields.clone();
    for (long, short) in SHORT {
        if let Some(value) = fields.get(long).cloned() {
            fields.entry(short.to_owned()).or_insert(value);
        }
    }
    fields.insert("sub".to_owned(), kept.subject.clone());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_written_in_full_are_found_by_their_short_names_too() {
        let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let kept = Claims { subject: "MX".into(), fields: text(&[("issuer", "AX"), ("rev", "3"), ("revision", "2")]) };
        let expected = [("issuer", "AX"), ("iss", "AX"), ("rev", "3"), ("revision", "2"), ("sub", "MX")];
        assert_eq!(fields(&kept), text(&expected));
    }
}
