//! Both dialects against bytes that the published crates of their time wrote: every request is read as what it means,
//! and every answer is theirs to the byte.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::FutureExt;
use wattle_types::ProviderError;

use super::*;
use crate::scripted::Scripted;

const WASCC: &str = include_str!("../../golden/wascc.txt");
const WASMCLOUD: &str = include_str!("../../golden/wasmcloud.txt");

fn golden(text: &str) -> BTreeMap<String, Bytes> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, hex) = line.split_once(' ').unwrap_or((line, ""));
            let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            (name.to_owned(), bytes.collect())
        })
        .collect()
}

fn keyvalue(scripted: &Scripted, dialect: Dialect, operation: &str, payload: &[u8]) -> Result<Bytes, ProviderError> {
    handle_keyvalue(scripted, dialect, operation, payload).now_or_never().expect("the script never waits")
}

/// Feeds the published request of `operation`; expects this call of the trait and the published response.
fn check(dialect: Dialect, operation: &str, call: &str) {
    let vectors = golden(if dialect == Dialect::Wascc { WASCC } else { WASMCLOUD });
    let request = &vectors[&format!("{operation}.request")];
    let response = &vectors[&format!("{operation}.response")];
    let scripted = Scripted::default();
    assert_eq!(keyvalue(&scripted, dialect, operation, request).as_ref(), Ok(response), "{operation}");
    assert_eq!(scripted.calls(), [call], "{operation}");
    let mut marked = vec![0xc1];
    marked.extend_from_slice(request);
    assert_eq!(keyvalue(&scripted, dialect, operation, &marked).as_ref(), Ok(response), "{operation}, marked");
    for cut in 0..request.len() {
        let error = keyvalue(&scripted, dialect, operation, &request[..cut]).unwrap_err();
        assert!(matches!(error, ProviderError::BadRequest(_)), "{operation} cut at {cut}: {error}");
    }
}

#[test]
fn sets_are_named_by_few_keys_in_both_dialects() {
    for (dialect, operation, start) in [
        (Dialect::Wasmcloud, "KeyValue.SetUnion", b"".as_slice()),
        (Dialect::Wasmcloud, "KeyValue.SetIntersection", b""),
        (Dialect::Wascc, "SetUnion", b"\x81\xa4keys"),
        (Dialect::Wascc, "SetIntersection", b"\x81\xa4keys"),
    ] {
        let scripted = Scripted::default();
        let flood = [start, b"\xdd\x00\x00\x04\x01", &[0xa0; 1025]].concat();
        let refused = keyvalue(&scripted, dialect, operation, &flood).unwrap_err();
        assert!(matches!(refused, ProviderError::BadRequest(_)), "{operation}: {refused}");
        assert!(scripted.calls().is_empty(), "{operation}");
        keyvalue(&scripted, dialect, operation, &[start, b"\x93\xa1a\xa1b\xa1a"].concat()).unwrap();
        assert!(scripted.calls().concat().ends_with(" a b"), "{operation}");
    }
}

#[test]
fn wasmcloud_keyvalue_is_the_published_one() {
    let check = |operation: &str, call: &str| check(Dialect::Wasmcloud, &format!("KeyValue.{operation}"), call);
    check("Get", "get counter");
    check("Set", "set counter één Some(60s)");
    check("Increment", "increment counter -3");
    check("Contains", "contains counter");
    check("Del", "delete counter");
    check("ListAdd", "list_push counter één");
    check("ListDel", "list_remove counter één");
    check("ListClear", "delete counter");
    check("ListRange", "list_range counter 0 -1");
    check("SetAdd", "set_add counter één");
    check("SetDel", "set_remove counter één");
    check("SetQuery", "set_members counter");
    check("SetUnion", "set_union counter b");
    check("SetIntersection", "set_intersection counter b");
    check("SetClear", "delete counter");
}

#[test]
fn wascc_keyvalue_is_the_published_one() {
    let check = |operation: &str, call: &str| check(Dialect::Wascc, operation, call);
    check("Get", "get counter");
    check("Set", "set counter één Some(60s)");
    check("Add", "increment counter -3");
    check("Del", "delete counter");
    check("Clear", "delete counter");
    check("Push", "list_push counter één");
    check("ListItemDelete", "list_remove counter één");
    check("Range", "list_range counter 0 -1");
    check("SetAdd", "set_add counter één");
    check("SetRemove", "set_remove counter één");
    check("SetQuery", "set_members counter");
    check("SetUnion", "set_union counter b");
    check("SetIntersection", "set_intersection counter b");
    check("KeyExists", "contains counter");
}

#[test]
fn a_missing_value_is_told_from_an_empty_one() {
    for (dialect, text, operation) in [(Dialect::Wasmcloud, WASMCLOUD, "KeyValue.Get"), (Dialect::Wascc, WASCC, "Get")]
    {
        let vectors = golden(text);
        let answer = keyvalue(&Scripted::empty(), dialect, operation, &vectors[&format!("{operation}.request")]);
        assert_eq!(answer.as_ref(), Ok(&vectors[&format!("{operation}.response.missing")]));
    }
}

#[test]
fn a_counter_beyond_32_bits_is_an_error_not_another_number() {
    let vectors = golden(WASMCLOUD);
    let scripted = Scripted::counting(i64::from(i32::MAX) + 1);
    let error = keyvalue(&scripted, Dialect::Wasmcloud, "KeyValue.Increment", &vectors["KeyValue.Increment.request"]);
    assert!(error.unwrap_err().to_string().contains("2147483648"));
}

#[test]
fn an_expiry_of_zero_or_less_is_never() {
    let scripted = Scripted::default();
    // {"key": "k", "value": "v", "expires": 0 and -1}
    for expires in [&b"\x00"[..], b"\xff"] {
        let request = [&b"\x83\xa3key\xa1k\xa5value\xa1v\xa7expires"[..], expires].concat();
        keyvalue(&scripted, Dialect::Wascc, "Set", &request).unwrap();
    }
    // The same as an array, as compact writers send it.
    keyvalue(&scripted, Dialect::Wasmcloud, "KeyValue.Set", b"\x93\xa1k\xa1v\x00").unwrap();
    assert_eq!(scripted.calls(), ["set k v None"; 3]);
}

#[test]
fn operations_of_the_other_dialect_are_unknown() {
    for (dialect, operation) in [
        (Dialect::Wasmcloud, "Get"),
        (Dialect::Wasmcloud, "KeyValue.Nothing"),
        (Dialect::Wasmcloud, "KeyValue.ListNothing"),
        (Dialect::Wascc, "KeyValue.Get"),
        (Dialect::Wascc, ""),
    ] {
        let error = keyvalue(&Scripted::default(), dialect, operation, b"").unwrap_err();
        assert_eq!(error.code(), "operation_unknown", "{dialect:?} {operation}");
    }
}

#[test]
fn logging_is_the_published_one() {
    let actor = "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP".parse().unwrap();
    let scripted = Scripted::default();
    for (dialect, text, operation) in
        [(Dialect::Wasmcloud, WASMCLOUD, "Logging.WriteLog"), (Dialect::Wascc, WASCC, "WriteLog")]
    {
        let vectors = golden(text);
        let request = &vectors[&format!("{operation}.request")];
        let answer = handle_logging(&scripted, &actor, dialect, operation, request);
        assert_eq!(answer.as_ref(), Ok(&vectors[&format!("{operation}.response")]));
        assert_eq!(
            handle_logging(&scripted, &actor, dialect, "Write", request).unwrap_err().code(),
            "operation_unknown"
        );
    }
    // {"level": 0, "body": ""} is switched off.
    handle_logging(&scripted, &actor, Dialect::Wascc, "WriteLog", b"\x82\xa5level\x00\xa4body\xa0").unwrap();
    assert_eq!(scripted.calls(), ["log Warn één"; 2]);
}

#[test]
fn numbergen_is_the_published_one() {
    for (dialect, text, operations) in [
        (
            Dialect::Wasmcloud,
            WASMCLOUD,
            &["NumberGen.GenerateGuid", "NumberGen.RandomInRange", "NumberGen.Random32"][..],
        ),
        (Dialect::Wascc, WASCC, &["RequestGuid", "RequestRandom", "RequestSequence"]),
    ] {
        let vectors = golden(text);
        let scripted = Scripted::default();
        for operation in operations {
            let answer = handle_numbergen(&scripted, dialect, operation, &vectors[&format!("{operation}.request")]);
            assert_eq!(answer.as_ref(), Ok(&vectors[&format!("{operation}.response")]), "{operation}");
        }
        assert!(scripted.calls().contains(&"random_in_range 10 20".to_owned()));
        assert_eq!(handle_numbergen(&scripted, dialect, "Guess", b"").unwrap_err().code(), "operation_unknown");
    }
}

fn http(contract: &str, text: &str, values: &[&str]) {
    let codec = HttpCodec::for_contract(&contract.parse().unwrap()).unwrap();
    let vectors = golden(text);
    let headers = values.iter().map(|value| ("accept".to_owned(), (*value).to_owned())).collect::<Vec<_>>();
    let request = HttpRequest {
        method: "POST".into(),
        path: "/a%20b".into(),
        query: "x=1&y=2".into(),
        headers: headers.clone(),
        body: Bytes::from_static(&[0, 255]),
    };
    assert_eq!(codec.encode_request(&request).unwrap(), vectors[&format!("{}.request", codec.operation())]);
    let payload = &vectors[&format!("{}.response", codec.operation())];
    let response = codec.decode_response(payload).unwrap();
    assert_eq!((response.status, &response.headers, &response.body[..]), (404, &headers, &[0, 255][..]));
    assert!(payload.as_ptr_range().contains(&response.body.as_ptr()), "the body is not copied");
    for cut in 0..payload.len() {
        assert!(codec.decode_response(&payload.slice(..cut)).is_err(), "cut at {cut}");
    }
}

#[test]
fn http_is_the_published_one() {
    http("wasmcloud:httpserver", WASMCLOUD, &["text/plain", "text/html"]);
    http("wascc:http_server", WASCC, &["text/plain"]);
    assert!(HttpCodec::for_contract(&"wasmcloud:keyvalue".parse().unwrap()).is_none());
}

#[test]
fn an_impossible_status_is_refused() {
    for contract in ["wasmcloud:httpserver", "wascc:http_server"] {
        let codec = HttpCodec::for_contract(&contract.parse().unwrap()).unwrap();
        let answer = |status: &[u8]| {
            codec.decode_response(
                &[&b"\x83\xaastatusCode"[..], status, b"\xa6header\x80\xa4body\xc4\x00"].concat().into(),
            )
        };
        assert_eq!(answer(b"\xcc\xc8").unwrap().status, 200);
        for bad in [&b"\x00"[..], b"\x63", b"\xcd\x03\xe8", b"\xce\x00\x01\x00\xc8", b"\xff", b"\xa1x"] {
            assert_eq!(answer(bad).unwrap_err().code(), "request_invalid", "{bad:?}");
        }
    }
}

/// Numbers that look random and are the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

#[test]
fn damaged_payloads_are_errors_or_answers_and_nothing_worse() {
    let actor = "MAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLXP".parse().unwrap();
    let scripted = Scripted::default();
    let mut noise = Noise(1);
    for (dialect, text, contract) in
        [(Dialect::Wasmcloud, WASMCLOUD, "wasmcloud:httpserver"), (Dialect::Wascc, WASCC, "wascc:http_server")]
    {
        let http = HttpCodec::for_contract(&contract.parse().unwrap()).unwrap();
        for (name, payload) in golden(text) {
            let operation = name.rsplit_once('.').unwrap().0;
            for _ in 0..300 {
                let mut damaged = payload.to_vec();
                for _ in 0..=noise.next() % 3 {
                    let at = noise.next() as usize % (damaged.len() + 1);
                    match noise.next() % 3 {
                        0 => damaged.insert(at, noise.next() as u8),
                        1 if at < damaged.len() => damaged[at] = noise.next() as u8,
                        _ => damaged.truncate(at),
                    }
                }
                let _ = keyvalue(&scripted, dialect, operation, &damaged);
                let _ = handle_logging(&scripted, &actor, dialect, operation, &damaged);
                let _ = handle_numbergen(&scripted, dialect, operation, &damaged);
                if let Ok(response) = http.decode_response(&damaged.into()) {
                    assert!((100..1000).contains(&response.status));
                }
            }
        }
    }
}
