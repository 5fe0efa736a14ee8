use bytes::Bytes;
use serde_json::json;
use wattle_bus::{KvEntry, KvEvent};
use wattle_types::{LinkDefinition, LinkKey, LinkName, control::Link};

use super::*;
use crate::fixtures::{actor, host, provider};

fn link(n: u8, to: &str) -> LinkSpec {
    let key =
        LinkKey { actor: actor(n), contract: "wasmcloud:keyvalue".parse().unwrap(), link_name: LinkName::default() };
    LinkSpec::new(LinkDefinition { key, provider: provider(to), values: BTreeMap::new() })
}

fn with(link: LinkSpec, key: &str, value: &str) -> LinkSpec {
    link.with_values([(key.to_owned(), value.to_owned())].into())
}

fn wire(source: &str, target: &str, package: &str, interface: &str) -> Link {
    serde_json::from_value(json!({
        "source_id": source, "target": target, "wit_namespace": "wasi", "wit_package": package,
        "interfaces": [interface], "source_config": ["from"], "target_config": ["to"],
    }))
    .unwrap()
}

fn written(edit: Edit) -> Bytes {
    match edit {
        Edit::Write(bytes) => bytes,
        Edit::Unchanged => panic!("nothing was to be written"),
    }
}

fn put(key: &str, value: impl Into<Bytes>, revision: u64) -> KvEvent {
    KvEvent::Put(KvEntry { key: key.to_owned(), value: value.into(), revision })
}

#[test]
fn a_link_is_stored_as_wasmcloud_stores_it_with_values_beside() {
    let stored = written(put_link(None, &with(link(1, "kv"), "url", "redis://x"), false).unwrap());
    let expected = json!({
        "url": "",
        "links": [{
            "source_id": actor(1), "target": "kv", "name": "default",
            "wit_namespace": "wasmcloud", "wit_package": "keyvalue", "interfaces": ["keyvalue"],
            "source_config": [], "target_config": [],
            "wattle": { "values": { "url": "redis://x" } },
        }],
    });
    assert_eq!(serde_json::from_slice::<Value>(&stored).unwrap(), expected);
    let Entry::Component(component) = parse(Bucket::Lattice, &component_key(&actor(1).to_string()), &stored) else {
        panic!("not a component")
    };
    assert_eq!(component.links, [with(link(1, "kv"), "url", "redis://x")]);
}

#[test]
fn a_second_target_is_refused_unless_it_is_to_replace_the_first() {
    let first = written(put_link(None, &link(1, "kv"), false).unwrap());
    assert_eq!(put_link(Some(&first), &link(1, "kv"), false), Ok(Edit::Unchanged));
    assert_eq!(put_link(Some(&first), &link(1, "other"), false).unwrap_err().code(), "link_conflict");
    let moved = written(put_link(Some(&first), &link(1, "other"), true).unwrap());
    let deleted = written(delete_link(Some(&moved), &link(1, "x").definition.key, |_| None).unwrap());
    assert!(!String::from_utf8_lossy(&deleted).contains("other"));
    assert_eq!(delete_link(Some(&deleted), &link(1, "x").definition.key, |_| None), Ok(Edit::Unchanged));
    assert_eq!(put_link(Some(b"[]"), &link(1, "kv"), true).unwrap_err().code(), "entry_unreadable");
}

#[test]
fn an_entry_that_is_too_long_gets_shorter_only() {
    let of_len = |len: usize| format!("[{}]", " ".repeat(len - 2)).into_bytes();
    let check = |current: Option<usize>, next: Vec<u8>| {
        let current = current.map(of_len);
        check(Bucket::Config, "prod", current.as_deref(), &next)
    };
    let max = VALUE_LEN_MAX;
    assert_eq!(check(Some(max), b"{}".to_vec()), Ok(()));
    // Not for its length, but for what it says.
    assert_eq!(check(Some(max + 2), of_len(max)).unwrap_err().code(), "entry_invalid");
    for (current, next, is_taken) in
        [(None, max + 1, false), (Some(max + 1), max + 1, false), (Some(max + 2), max + 1, true)]
    {
        assert_eq!(check(current, of_len(next)).is_ok(), is_taken, "{current:?} {next}");
    }
}

#[test]
fn links_of_others_conflict_only_where_interfaces_overlap() {
    let first = written(put_wire(None, &wire("web", "blob", "blobstore", "read"), false).unwrap());
    let other = |interface| put_wire(Some(&first), &wire("web", "blob2", "blobstore", interface), false);
    assert_eq!(other("read").unwrap_err().code(), "link_conflict");
    let both = written(other("write").unwrap());
    assert_eq!(serde_json::from_slice::<Value>(&both).unwrap()["links"].as_array().unwrap().len(), 2);
    let none = written(delete_wire(Some(&both), "default", "wasi", "blobstore").unwrap());
    assert_eq!(none, r#"{"url":"","links":[]}"#);
    let mut all = wire("web", "blob3", "blobstore", "read");
    all.interfaces.push("write".into());
    assert!(put_wire(Some(&both), &all, false).is_err());
    let one: Value = serde_json::from_slice(&written(put_wire(Some(&both), &all, true).unwrap())).unwrap();
    assert_eq!(one["links"], json!([all]), "it takes the place of both");
    // Ours have one interface for each contract, whatever they are called.
    let id = actor(1).to_string();
    let ours = written(put_wire(None, &wire(&id, "kv", "keyvalue", "store"), false).unwrap());
    assert!(put_wire(Some(&ours), &wire(&id, "kv2", "keyvalue", "atomics"), false).is_err());
}

#[test]
fn what_others_wrote_is_kept_when_we_write() {
    let foreign = json!({
        "url": "registry/x:1", "newer": [1],
        "links": ["broken", {
            "source_id": actor(1), "target": "kv", "name": "default", "wit_namespace": "wasmcloud",
            "wit_package": "keyvalue", "interfaces": ["keyvalue"], "later": {"x": 1}, "wattle": {"hint": "y"},
        }],
    });
    let stored = serde_json::to_vec(&foreign).unwrap();
    let stored = written(put_link(Some(&stored), &with(link(1, "kv"), "a", "b"), false).unwrap());
    let stored: Value = serde_json::from_slice(&written(put_url(Some(&stored), "v2").unwrap())).unwrap();
    assert_eq!((&stored["url"], &stored["newer"], &stored["links"][0]), (&json!("v2"), &json!([1]), &json!("broken")));
    assert_eq!(stored["links"][1]["later"], json!({"x": 1}));
    assert_eq!(stored["links"][1]["wattle"], json!({"hint": "y", "values": {"a": "b"}}));
}

#[test]
fn a_link_is_read_from_either_end_and_shown_as_it_was_put() {
    let id = actor(1).to_string();
    for (link, is_reversed) in [(wire(&id, "http", "http", "h"), false), (wire("http", &id, "http", "h"), true)] {
        let spec = LinkSpec::from_wire(&link).unwrap();
        assert_eq!((spec.definition.key.actor, &spec.definition.provider), (actor(1), &provider("http")));
        assert_eq!(spec.provider_is_source, is_reversed);
        assert_eq!(spec.configs, [if is_reversed { "from" } else { "to" }]);
        assert_eq!(spec.entry_key(), component_key(&link.source_id));
        assert_eq!(spec.to_wire(), link);
    }
    for (source, target) in [("a", "b"), (id.as_str(), id.as_str()), (id.as_str(), "no.token")] {
        assert_eq!(LinkSpec::from_wire(&wire(source, target, "http", "h")), None);
    }
}

#[test]
fn configurations_come_first_and_the_links_own_values_win() {
    let configs = BTreeMap::from([
        ("one", BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "1".to_owned())])),
        ("two", BTreeMap::from([("b".to_owned(), "2".to_owned()), ("c".to_owned(), "2".to_owned())])),
    ]);
    let names = ["one", "two", "three"].map(str::to_owned).to_vec();
    let spec = LinkSpec { configs: names, ..with(link(1, "kv"), "c", "3") };
    let resolved = resolve(&spec, |name| configs.get(name));
    let values: Vec<_> = resolved.definition.values.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(values, ["a=1", "b=2", "c=3"]);
    assert_eq!(resolved.missing, ["three"]);
}

#[test]
fn declarations_are_plain_json_and_keep_unknown_fields() {
    let declared = json!({
        "reference": "file:///shop.wasm", "replicas": 3, "max_in_flight": 8,
        "spread": [{"name": "west", "labels": {"zone": "a"}, "weight": 2}, {"labels": {"zone": "b"}, "weight": 1}],
        "constraints": {"arch": "x86"}, "annotations": {"team": "shop"}, "previous": "file:///old.wasm",
        "priority": 7,
    });
    let key = Target::Actor(actor(1)).declared_key();
    let Entry::Actor(id, read) = parse(Bucket::Lattice, &key, declared.to_string().as_bytes()) else { panic!() };
    assert_eq!((id, read.spread[1].weight, &read.extra["priority"]), (actor(1), 1, &json!(7)));
    assert_eq!(serde_json::to_value(&read).unwrap(), declared);

    let declared = json!({"reference": "builtin:keyvalue", "replicas": 1, "config": {"a": "b"}, "configs": ["prod"]});
    let key = Target::Provider(provider("kv")).declared_key();
    let Entry::Provider(_, read) = parse(Bucket::Lattice, &key, declared.to_string().as_bytes()) else { panic!() };
    assert_eq!(serde_json::to_value(&read).unwrap(), declared);

    let lease = json!({"host": host(1), "term": 2, "renewed": 3});
    assert!(matches!(parse(Bucket::Lattice, LEADER_KEY, lease.to_string().as_bytes()), Entry::Lease(_)));
}

#[test]
fn broken_entries_are_poisoned_and_foreign_ones_ignored() {
    let actor_key = Target::Actor(actor(1)).declared_key();
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let large = format!("{{\"url\":\"{}\"}}", "x".repeat(VALUE_LEN_MAX));
    for (key, value) in [
        ("COMPONENT_x", "not json"),
        ("COMPONENT_x", "[]"),
        ("COMPONENT_x", deep.as_str()),
        ("COMPONENT_x", large.as_str()),
        ("CLAIMS_x", "3"),
        ("WATTLE_ACTOR_x", r#"{"reference":"a","replicas":1}"#),
        (actor_key.as_str(), r#"{"reference":"","replicas":1}"#),
        (actor_key.as_str(), r#"{"reference":"a","replicas":-1}"#),
        (actor_key.as_str(), r#"{"reference":"a","replicas":1,"spread":[{"weight":0}]}"#),
        ("WATTLE_ROLLOUT_kv", r#"{"target":{"provider":"other"},"from":"a","to":"b","phase":{"name":"choosing"}}"#),
        (LEADER_KEY, "{}"),
    ] {
        assert!(matches!(parse(Bucket::Lattice, key, value.as_bytes()), Entry::Poisoned { .. }), "{key} {value:.80}");
    }
    for key in ["LINKDEF_x", "REFMAP_x", "WATTLE_LATER", "whatever"] {
        assert_eq!(parse(Bucket::Lattice, key, b"\xff"), Entry::Ignored, "{key}");
    }
    assert_eq!(parse(Bucket::Config, "SECRET_x", b"\xff"), Entry::Ignored);
    assert!(matches!(parse(Bucket::Config, "x", br#"{"a":1}"#), Entry::Poisoned { .. }));
}

#[test]
fn claims_are_texts_under_either_name() {
    let stored = br#"{"iss":"A1","sub":"M1","config_schema":{"x":1}}"#;
    let Entry::Claims(claims) = parse(Bucket::Lattice, "CLAIMS_M1", stored) else { panic!() };
    assert_eq!((claims.get("issuer"), claims.get("sub"), claims.get("name")), (Some("A1"), Some("M1"), None));
    let fields = BTreeMap::from([("iss".to_owned(), "A2".to_owned())]);
    let next: Value = serde_json::from_slice(&written(put_claims(Some(stored), &fields).unwrap())).unwrap();
    assert_eq!(next, json!({"iss": "A2", "sub": "M1", "config_schema": {"x": 1}}));
    assert_eq!(put_claims(Some(br#"{"iss":"A2"}"#), &fields), Ok(Edit::Unchanged));
}

#[test]
fn changes_are_told_once_and_one_by_one() {
    let mut data = LatticeData::default();
    let key = link(1, "kv").entry_key();
    let first = written(put_link(None, &link(1, "kv"), false).unwrap());
    let changed = Changed::Link(link(1, "kv").definition.key);
    assert_eq!(data.apply(Bucket::Lattice, put(&key, first.clone(), 5)), std::slice::from_ref(&changed));
    assert_eq!(data.apply(Bucket::Lattice, put(&key, first.clone(), 6)), []);
    assert_eq!(data.revision_of(Bucket::Lattice, &key), Some(6));
    assert_eq!(data.apply(Bucket::Lattice, put(&key, "{}", 4)), [], "older than what is known");
    let renamed = written(put_url(Some(&first), "v2").unwrap());
    assert_eq!(data.apply(Bucket::Lattice, put(&key, renamed, 7)), [], "the link is the same");
    let delete = |revision| KvEvent::Delete { key: key.clone(), revision };
    assert_eq!(data.apply(Bucket::Lattice, delete(6)), []);
    assert_eq!(data.apply(Bucket::Lattice, delete(8)), [changed]);
    assert_eq!(data.links().count(), 0);
    assert_eq!(data.apply(Bucket::Lattice, delete(8)), []);
}

#[test]
fn a_poisoned_entry_leaves_what_held_before() {
    let mut data = LatticeData::default();
    let key = Target::Actor(actor(1)).declared_key();
    data.apply(Bucket::Lattice, put(&key, r#"{"reference":"v1","replicas":2}"#, 1));
    let changed = data.apply(Bucket::Lattice, put(&key, "}", 2));
    assert!(matches!(changed.as_slice(), [Changed::Poisoned { .. }]), "{changed:?}");
    assert_eq!(data.apply(Bucket::Lattice, put(&key, "}", 2)), [], "told once");
    assert_eq!(data.actor(&actor(1)).unwrap().replicas, 2);
    assert!(data.unreadable().is_empty());
    // A host that never saw it well leaves the actor alone.
    let mut fresh = LatticeData::default();
    fresh.apply(Bucket::Lattice, put(&key, "}", 2));
    assert_eq!((fresh.actors().count(), fresh.unreadable()), (0, [Target::Actor(actor(1))].into()));
    let repaired = put(&key, r#"{"reference":"v2","replicas":2}"#, 3);
    assert_eq!(fresh.apply(Bucket::Lattice, repaired), [Changed::Declared(Target::Actor(actor(1)))]);
    assert!(fresh.unreadable().is_empty());
}

#[test]
fn after_a_reset_what_is_not_told_again_is_deleted_and_revisions_may_begin_anew() {
    let mut data = LatticeData::default();
    let declared = r#"{"reference":"v1","replicas":2}"#;
    let (one, two) = (Target::Actor(actor(1)), Target::Provider(provider("kv")));
    data.apply(Bucket::Lattice, put(&one.declared_key(), declared, 50));
    data.apply(Bucket::Lattice, put(&two.declared_key(), declared, 51));
    data.apply(Bucket::Config, put("prod", "{}", 1));
    assert!(!data.is_caught_up());
    assert_eq!(data.apply(Bucket::Lattice, KvEvent::CaughtUp), []);
    assert_eq!(data.apply(Bucket::Config, KvEvent::CaughtUp), []);
    assert!(data.is_caught_up());
    data.apply(Bucket::Lattice, KvEvent::Reset { lost: false });
    assert!(!data.is_caught_up());
    assert_eq!(data.actors().count() + data.providers().count(), 2, "nothing is gone before it is known to be");
    assert_eq!(data.apply(Bucket::Lattice, put(&two.declared_key(), declared, 3)), []);
    assert_eq!(data.apply(Bucket::Lattice, KvEvent::CaughtUp), [Changed::Declared(one)]);
    assert_eq!((data.actor(&actor(1)), data.provider(&provider("kv")).is_some()), (None, true));
    assert!(data.config("prod").is_some());
}

#[test]
fn what_a_store_has_lost_stays_until_it_is_told_or_deleted() {
    let mut data = LatticeData::default();
    let declared = r#"{"reference":"v1","replicas":2}"#;
    let keys = [1, 2, 3].map(|n| Target::Actor(actor(n)).declared_key());
    for (key, revision) in keys.iter().zip(50..) {
        data.apply(Bucket::Lattice, put(key, declared, revision));
    }
    let lease = serde_json::json!({ "host": host(1), "term": 3, "renewed": 4 }).to_string();
    data.apply(Bucket::Lattice, put(LEADER_KEY, lease, 60));
    data.apply(Bucket::Lattice, KvEvent::CaughtUp);
    data.apply(Bucket::Lattice, KvEvent::Reset { lost: true });
    assert_eq!(data.apply(Bucket::Lattice, put(&keys[0], declared, 1)), []);
    assert_eq!(data.apply(Bucket::Lattice, KvEvent::CaughtUp), [Changed::Lease]);
    assert_eq!((data.actors().count(), data.lease_revision()), (3, 0));
    assert_eq!(data.lost(Bucket::Lattice), keys[1..]);
    assert_eq!(data.lost_entry(Bucket::Lattice, &keys[1]).unwrap(), declared);
    // A watch that begins anew before all is written back changes nothing about that.
    data.apply(Bucket::Lattice, KvEvent::Reset { lost: false });
    data.apply(Bucket::Lattice, put(&keys[0], declared, 1));
    assert_eq!(data.apply(Bucket::Lattice, KvEvent::CaughtUp), []);
    assert_eq!(data.apply(Bucket::Lattice, put(&keys[1], declared, 2)), []);
    let gone = KvEvent::Delete { key: keys[2].clone(), revision: 3 };
    assert_eq!(data.apply(Bucket::Lattice, gone), [Changed::Declared(Target::Actor(actor(3)))]);
    assert_eq!((data.lost(Bucket::Lattice), data.actors().count()), (vec![], 2));
}

#[test]
fn a_deleted_lease_has_a_revision() {
    let mut data = LatticeData::default();
    let lease = serde_json::json!({ "host": host(1), "term": 3, "renewed": 4 }).to_string();
    data.apply(Bucket::Lattice, put(LEADER_KEY, lease, 5));
    data.apply(Bucket::Lattice, KvEvent::Delete { key: LEADER_KEY.into(), revision: 6 });
    assert_eq!((data.lease(), data.lease_revision()), (None, 6));
    data.apply(Bucket::Lattice, put(LEADER_KEY, "garbage", 7));
    assert_eq!((data.lease(), data.lease_revision()), (None, 7));
}

#[test]
fn what_is_broken_is_not_quoted() {
    for (bucket, key, value) in [
        (Bucket::Config, "prod", r#"{"password":["hunter2"]}"#),
        (Bucket::Config, "prod", r#""hunter2""#),
        (Bucket::Lattice, "WATTLE_PROVIDER_kv", r#"{"reference":"r","replicas":"hunter2"}"#),
        (Bucket::Lattice, "COMPONENT_x", r#"{"links":"hunter2"}"#),
    ] {
        let Entry::Poisoned { why } = parse(bucket, key, value.as_bytes()) else { panic!("{value}") };
        assert!(!why.contains("hunter2"), "{why}");
    }
}

#[test]
fn a_link_put_at_both_ends_is_the_actors() {
    let id = actor(1).to_string();
    let (ours, theirs) = (wire(&id, "http", "http", "h"), wire("A-other", &id, "http", "h"));
    let key = LinkSpec::from_wire(&ours).unwrap().definition.key;
    for order in [[&ours, &theirs], [&theirs, &ours]] {
        let mut data = LatticeData::default();
        for link in order {
            let entry = component_key(&link.source_id);
            data.apply(Bucket::Lattice, put(&entry, written(put_wire(None, link, false).unwrap()), 1));
        }
        assert_eq!(data.link(&key).unwrap().definition.provider, provider("http"));
        assert_eq!(data.links_on_wire().len(), 2);
        let spec = LinkSpec::from_wire(&ours).unwrap();
        assert_eq!(data.elsewhere(&spec), [("COMPONENT_A-other".to_owned(), provider("A-other"))]);
        assert_eq!(data.entries_of(&key), ["COMPONENT_A-other".into(), component_key(&id)]);
        let gone = KvEvent::Delete { key: component_key(&id), revision: 9 };
        assert_eq!(data.apply(Bucket::Lattice, gone), [Changed::Link(key.clone())]);
        assert_eq!(data.link(&key).unwrap().definition.provider, provider("A-other"));
    }
}

#[test]
fn a_change_of_a_configuration_leads_to_its_links() {
    let mut data = LatticeData::default();
    let spec = LinkSpec { configs: vec!["prod".into()], ..link(1, "kv") };
    data.apply(Bucket::Lattice, put(&spec.entry_key(), written(put_link(None, &spec, false).unwrap()), 1));
    assert_eq!(data.resolve(&spec).missing, ["prod"]);
    let changed = data.apply(Bucket::Config, put("prod", r#"{"url":"x"}"#, 1));
    assert_eq!(changed, [Changed::Config("prod".into())]);
    assert_eq!(data.links_with("prod"), std::slice::from_ref(&spec.definition.key));
    assert_eq!(data.resolve(&spec).definition.values["url"], "x");
}

/// Where the links of `source` that join an actor and a provider lead, when `data` has them.
fn of_actor(data: &LatticeData, n: u8) -> Vec<String> {
    let links = data.links().filter(|link| link.definition.key.actor == actor(n));
    links.map(|link| link.definition.provider.to_string()).collect()
}

#[test]
fn a_link_finds_its_actor_by_name_once_and_as_long_as_somebody_goes_by_it() {
    let mut data = LatticeData::default();
    let calls = |link: &Link| put(&component_key(&link.source_id), written(put_wire(None, link, false).unwrap()), 1);
    let (to_kv, from_http) = (wire("app-hello", "kv", "keyvalue", "store"), wire("http", "app-hello", "http", "h"));
    for link in [&to_kv, &from_http, &wire("app-hello-2", "kv", "keyvalue", "store")] {
        assert_eq!(data.apply(Bucket::Lattice, calls(link)), [], "nobody is called so");
    }
    assert!(data.links().next().is_none());
    let key = "WATTLE_NAME_app-hello";
    let named = |n: u8| serde_json::to_vec(&json!({ "actor": actor(n) })).unwrap();
    let changed = data.apply(Bucket::Lattice, put(key, named(1), 2));
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert_eq!(of_actor(&data, 1), ["http", "kv"]);
    assert_eq!(
        (data.actor_named("app-hello"), data.name_of(&actor(1)).unwrap().as_str()),
        (Some(actor(1)), "app-hello")
    );
    // Shown as they were put, and taken out from where they are.
    assert_eq!(data.links_on_wire().len(), 3);
    let spec = data.links().find(|link| link.provider_is_source).unwrap().clone();
    assert_eq!((spec.to_wire(), spec.entry_key()), (from_http.clone(), "COMPONENT_http".into()));
    let entry = data.stored(Bucket::Lattice, "COMPONENT_http").unwrap().0.clone();
    let without = delete_link(Some(&entry), &spec.definition.key, |name| data.actor_named(name));
    assert!(matches!(without, Ok(Edit::Write(_))), "{without:?}");
    // The name goes over to another actor, and then to none.
    assert_eq!(data.apply(Bucket::Lattice, put(key, named(2), 3)).len(), 4);
    assert_eq!((of_actor(&data, 1), of_actor(&data, 2).len(), data.name_of(&actor(1))), (vec![], 2, None));
    assert_eq!(data.apply(Bucket::Lattice, KvEvent::Delete { key: key.into(), revision: 4 }).len(), 2);
    assert!(data.links().next().is_none());
    // A link that comes after its actor was named.
    data.apply(Bucket::Lattice, put("WATTLE_NAME_app-hello-2", named(3), 5));
    assert_eq!(of_actor(&data, 3), ["kv"]);
    let two = serde_json::to_vec(&json!({ "links": [wire("late", "kv", "keyvalue", "store")] })).unwrap();
    data.apply(Bucket::Lattice, put("WATTLE_NAME_late", named(4), 6));
    assert_eq!(data.apply(Bucket::Lattice, put("COMPONENT_late", two, 7)).len(), 1);
    assert_eq!(of_actor(&data, 4), ["kv"]);
}

#[test]
fn a_name_is_no_key_and_fits_a_subject() {
    let named = serde_json::to_vec(&json!({ "actor": actor(1) })).unwrap();
    for (key, value) in [
        (format!("WATTLE_NAME_{}", actor(1)), named.as_slice()),
        ("WATTLE_NAME_a.b".into(), &named),
        ("WATTLE_NAME_a".into(), b"{}"),
    ] {
        assert!(matches!(parse(Bucket::Lattice, &key, value), Entry::Poisoned { .. }), "{key}");
    }
}
