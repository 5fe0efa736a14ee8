//! Each operation once: the name and bytes the host sees, and what is made of its answer.

use super::*;
use crate::{msgpack::to_bytes, testing::with_host};

/// Makes one call to a host that answers with `answer`, and checks what the host saw.
fn check<T>(
    operation: &'static str,
    payload: &'static [u8],
    answer: Vec<u8>,
    call: impl FnOnce(KeyValue<'_>) -> Result<T>,
) -> T {
    let host = move |seen: &crate::testing::HostCall<'_>| {
        assert_eq!((seen.binding, seen.namespace, seen.operation), ("cache", "wasmcloud:keyvalue", operation));
        assert_eq!(seen.payload, payload, "{}", String::from_utf8_lossy(seen.payload));
        Ok(answer.clone())
    };
    with_host(host, || call(KeyValue::linked("cache"))).unwrap()
}

#[test]
fn keys() {
    let found = || b"\x82\xa5value\xa1v\xa6exists\xc3".to_vec();
    assert_eq!(check("KeyValue.Get", b"\xa1k", found(), |kv| kv.get("k")), Some("v".into()));
    let missing = b"\x82\xa5value\xa0\xa6exists\xc2".to_vec();
    assert_eq!(check("KeyValue.Get", b"\xa1k", missing, |kv| kv.get("k")), None);
    let set = b"\x83\xa3key\xa1k\xa5value\xa1v\xa7expires\x3c";
    check("KeyValue.Set", set, vec![], |kv| kv.set("k", "v", 60));
    let increment = b"\x82\xa3key\xa1k\xa5value\xff";
    assert_eq!(check("KeyValue.Increment", increment, to_bytes(&-5), |kv| kv.increment("k", -1)), -5);
    assert!(check("KeyValue.Del", b"\xa1k", to_bytes(&true), |kv| kv.del("k")));
    assert!(!check("KeyValue.Contains", b"\xa1k", to_bytes(&false), |kv| kv.contains("k")));
}

#[test]
fn lists() {
    let value = b"\x82\xa8listName\xa1l\xa5value\xa1v";
    assert_eq!(check("KeyValue.ListAdd", value, to_bytes(&3), |kv| kv.list_add("l", "v")), 3);
    assert!(check("KeyValue.ListDel", value, to_bytes(&true), |kv| kv.list_del("l", "v")));
    assert!(check("KeyValue.ListClear", b"\xa1l", to_bytes(&true), |kv| kv.list_clear("l")));
    let range = b"\x83\xa8listName\xa1l\xa5start\x00\xa4stop\xff";
    assert_eq!(check("KeyValue.ListRange", range, b"\x91\xa1v".to_vec(), |kv| kv.list_range("l", 0, -1)), ["v"]);
}

#[test]
fn sets() {
    let value = b"\x82\xa7setName\xa1s\xa5value\xa1v";
    let two = || b"\x92\xa1a\xa1b".to_vec();
    let names = ["s".to_owned(), "t".to_owned()];
    assert_eq!(check("KeyValue.SetAdd", value, to_bytes(&1), |kv| kv.set_add("s", "v")), 1);
    assert_eq!(check("KeyValue.SetDel", value, to_bytes(&1), |kv| kv.set_del("s", "v")), 1);
    assert_eq!(check("KeyValue.SetQuery", b"\xa1s", two(), |kv| kv.set_query("s")), ["a", "b"]);
    assert_eq!(check("KeyValue.SetUnion", b"\x92\xa1s\xa1t", two(), |kv| kv.set_union(&names)), ["a", "b"]);
    assert_eq!(
        check("KeyValue.SetIntersection", b"\x92\xa1s\xa1t", vec![0x90], |kv| kv.set_intersection(&names)),
        [""; 0]
    );
    assert!(check("KeyValue.SetClear", b"\xa1s", to_bytes(&true), |kv| kv.set_clear("s")));
}
