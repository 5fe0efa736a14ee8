//! Annotations by which deployers such as wadm tell what they run from what others do, and what follows from them.
//!
//! A deployer has one scaler for each version it deploys. To deploy another version it asks for the new one in the new
//! scaler's name, and at once for none of the old one in the old scaler's: that is one live update, not two changes.

use std::collections::BTreeMap;

/// Which deployer it is.
const MANAGER: &str = "wasmcloud.dev/managed-by";
/// Which of its scalers asks.
const SCALER: &str = "wasmcloud.dev/scaler";
/// The deployer that knows its providers by the reference it sent.
const WADM: &str = "wadm";
const FILE: &str = "file://";

pub(crate) type Annotations = BTreeMap<String, String>;

/// Returns the scaler that asks for something.
pub(crate) fn scaler(annotations: &Annotations) -> Option<&str> {
    annotations.get(SCALER).map(String::as_str)
}

/// Returns whether an actor that `holder` asked for last is to be stopped because `asker` says so. A scaler stops only
/// its own; whoever names none means whatever runs.
pub(crate) fn may_stop(holder: Option<&str>, asker: Option<&str>) -> bool {
    match (holder, asker) {
        (Some(holder), Some(asker)) => holder == asker,
        _ => true,
    }
}

/// Returns whether a request for another reference is that of the deployer of the running one for its next version.
pub(crate) fn is_next_version(running: &Annotations, asked: &Annotations) -> bool {
    let is_managed = running.contains_key(MANAGER) && running.get(MANAGER) == asked.get(MANAGER);
    is_managed && scaler(asked).is_some() && scaler(asked) != scaler(running)
}

/// Returns a provider's reference as events tell it: `wash` waits for the path of a file.
pub(crate) fn told_reference<'a>(reference: &'a str, annotations: &Annotations) -> &'a str {
    if annotations.get(MANAGER).is_some_and(|manager| manager == WADM) {
        return reference;
    }
    reference.strip_prefix(FILE).unwrap_or(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(manager: &str, scaler: &str) -> Annotations {
        let given = [(MANAGER, manager), (SCALER, scaler)].into_iter().filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_scaler_stops_only_its_own_and_who_names_none_stops_all() {
        for (holder, asker, stops) in [
            (None, None, true),
            (None, Some("a"), true),
            (Some("a"), None, true),
            (Some("a"), Some("a"), true),
            (Some("a"), Some("b"), false),
        ] {
            assert_eq!(may_stop(holder, asker), stops, "{holder:?} {asker:?}");
        }
    }

    #[test]
    fn a_next_version_comes_from_another_scaler_of_the_same_deployer() {
        let running = by("wadm", "a");
        for (asked, is_next) in [
            (by("wadm", "b"), true),
            (by("wadm", "a"), false),
            (by("wadm", ""), false),
            (by("other", "b"), false),
            (by("", "b"), false),
        ] {
            assert_eq!(is_next_version(&running, &asked), is_next, "{asked:?}");
        }
        assert!(!is_next_version(&by("", ""), &by("", "b")), "started by hand");
    }

    #[test]
    fn a_file_is_told_by_its_path_except_to_who_sent_it_otherwise() {
        assert_eq!(told_reference("file:///x.par", &by("", "")), "/x.par");
        assert_eq!(told_reference("file:///x.par", &by("other", "b")), "/x.par");
        assert_eq!(told_reference("file:///x.par", &by("wadm", "b")), "file:///x.par");
        assert_eq!(told_reference("builtin:kv", &by("", "")), "builtin:kv");
    }
}
