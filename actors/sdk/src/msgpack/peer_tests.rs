//! What the other side of the wire writes and reads: the same values through rmp-serde, byte for byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::*;
use crate::http;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    path: String,
    query_string: String,
    header: BTreeMap<String, Vec<String>>,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
}

fn peers(body: Vec<u8>) -> (Request, http::Request) {
    let mut header = http::Headers::default();
    for name in ["accept", "host", "x-other"] {
        header.add(name, format!("value of {name}"));
    }
    let theirs = Request {
        method: "POST".into(),
        path: "/counter/ä".into(),
        query_string: "a=1&b=2".repeat(50),
        header: header.iter().map(|(name, values)| (name.into(), values.into())).collect(),
        body: body.clone(),
    };
    let ours = http::Request {
        method: theirs.method.clone(),
        path: theirs.path.clone(),
        query_string: theirs.query_string.clone(),
        header,
        body,
    };
    (theirs, ours)
}

#[test]
fn requests_are_the_same_bytes() {
    for len in [0, 1, 255, 256, 65_535, 65_536] {
        let (theirs, ours) = peers(vec![0xab; len]);
        let bytes = rmp_serde::to_vec_named(&theirs).unwrap();
        assert!(to_bytes(&ours) == bytes, "written with {len} bytes of body");
        assert!(from_bytes::<http::Request>(&bytes).as_ref() == Ok(&ours), "read with {len} bytes of body");
        assert_eq!(rmp_serde::from_slice::<Request>(&to_bytes(&ours)).unwrap(), theirs);
    }
}

#[test]
fn numbers_are_the_same_bytes() {
    let edges = (0..=63).flat_map(|bit| [-1, 0, 1].map(|near| (1_i64 << bit).wrapping_add(near)));
    for number in edges.flat_map(|edge| [edge, edge.wrapping_neg()]) {
        let bytes = rmp_serde::to_vec(&number).unwrap();
        assert_eq!(to_bytes(&number), bytes, "{number}");
        assert_eq!(from_bytes::<i64>(&bytes), Ok(number));
    }
}

#[test]
fn lists_are_the_same_bytes() {
    for len in [0, 15, 16, 65_535, 65_536] {
        let list = vec!["x".to_owned(); len];
        assert!(to_bytes(&list) == rmp_serde::to_vec(&list).unwrap(), "{len} texts");
    }
}
