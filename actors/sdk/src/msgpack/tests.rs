//! Bytes are written out by hand from the MessagePack specification, or are what other writers choose for a value.

use super::*;
use crate::{
    health::Health,
    http::{Headers, Request, Response},
};

fn round_trip<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: T, bytes: &[u8]) {
    assert_eq!(to_bytes(&value), bytes, "writing {value:?}");
    assert_eq!(from_bytes::<T>(bytes).as_ref(), Ok(&value), "reading {bytes:x?}");
}

#[test]
fn numbers_take_their_shortest_form() {
    round_trip(0_i64, &[0x00]);
    round_trip(127_i64, &[0x7f]);
    round_trip(128_i64, &[0xcc, 0x80]);
    round_trip(256_i64, &[0xcd, 1, 0]);
    round_trip(65_536_i64, &[0xce, 0, 1, 0, 0]);
    round_trip(1_i64 << 32, &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]);
    round_trip(-1_i64, &[0xff]);
    round_trip(-32_i64, &[0xe0]);
    round_trip(-33_i64, &[0xd0, 0xdf]);
    round_trip(-129_i64, &[0xd1, 0xff, 0x7f]);
    round_trip(-32_769_i64, &[0xd2, 0xff, 0xff, 0x7f, 0xff]);
    round_trip(i64::MIN, &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn numbers_are_read_from_any_width() {
    for bytes in [&[7][..], &[0xcc, 7], &[0xcd, 0, 7], &[0xd0, 7], &[0xd3, 0, 0, 0, 0, 0, 0, 0, 7]] {
        assert_eq!(from_bytes::<i32>(bytes), Ok(7), "{bytes:x?}");
        assert_eq!(from_bytes::<u16>(bytes), Ok(7), "{bytes:x?}");
    }
}

#[test]
fn a_number_out_of_range_is_refused() {
    assert!(from_bytes::<u16>(&[0xff]).is_err());
    assert!(from_bytes::<u16>(&to_bytes(&65_536_i64)).is_err());
    assert!(from_bytes::<i64>(&[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
}

#[test]
fn texts_and_bytes_have_the_length_heads_of_the_format() {
    round_trip("hé".to_owned(), b"\xa3h\xc3\xa9");
    round_trip("x".repeat(31), &[&[0xbf][..], &[b'x'; 31]].concat());
    round_trip("x".repeat(32), &[&[0xd9, 32][..], &[b'x'; 32]].concat());
    round_trip("x".repeat(300), &[&[0xda, 1, 44][..], &[b'x'; 300]].concat());
    round_trip("x".repeat(70_000), &[&[0xdb, 0, 1, 0x11, 0x70][..], &[b'x'; 70_000]].concat());
    round_trip(vec![1_u8, 2], &[0xc4, 2, 1, 2]);
    round_trip(vec![9_u8; 256], &[&[0xc5, 1, 0][..], &[9; 256]].concat());
    round_trip(vec![9_u8; 65_536], &[&[0xc6, 0, 1, 0, 0][..], &[9; 65_536]].concat());
}

#[test]
fn lists_and_options() {
    round_trip(vec!["a".to_owned(), "b".to_owned()], b"\x92\xa1a\xa1b");
    round_trip(vec![1_i32; 16], &[&[0xdc, 0, 16][..], &[1; 16]].concat());
    round_trip(None::<i32>, &[0xc0]);
    round_trip(Some(5), &[5]);
}

#[test]
fn bytes_written_as_numbers_are_read() {
    assert_eq!(from_bytes::<Vec<u8>>(&[0x93, 1, 0xcc, 0xff, 3]), Ok(vec![1, 255, 3]));
    assert_eq!(from_bytes::<Vec<u8>>(&[0x90]), Ok(vec![]));
}

#[test]
fn a_request_has_the_wires_names() {
    let mut header = Headers::default();
    header.add("host", "a");
    let request =
        Request { method: "GET".into(), path: "/p".into(), query_string: "q=1".into(), header, body: vec![0, 255] };
    round_trip(
        request,
        b"\x85\xa6method\xa3GET\xa4path\xa2/p\xabqueryString\xa3q=1\
          \xa6header\x81\xa4host\x91\xa1a\xa4body\xc4\x02\x00\xff",
    );
}

#[test]
fn a_response_has_the_wires_names() {
    round_trip(Response::new(503, "no"), b"\x83\xaastatusCode\xcd\x01\xf7\xa6header\x80\xa4body\xc4\x02no");
}

#[test]
fn an_empty_option_is_left_out() {
    round_trip(Health::good(), b"\x81\xa7healthy\xc3");
    assert_eq!(from_bytes::<Health>(b"\x82\xa7healthy\xc3\xa7message\xc0"), Ok(Health::good()));
}

#[test]
fn unknown_names_are_skipped_whatever_they_hold() {
    let unknown: [&[u8]; 10] = [
        b"\xc0",
        b"\xcb\0\0\0\0\0\0\0\0",
        b"\xd9\x01x",
        b"\xc4\x02ab",
        b"\x82\xa1a\x92\x01\x02\xa1b\x80",
        b"\xdc\x00\x02\xc2\xc3",
        b"\xde\x00\x01\x01\x02",
        b"\xd6\x01abcd",
        b"\xc7\x02\x01ab",
        b"\xd3\0\0\0\0\0\0\0\0",
    ];
    for value in unknown {
        let bytes = [b"\x82\xa5other", value, b"\xa7healthy\xc3"].concat();
        assert_eq!(from_bytes::<Health>(&bytes), Ok(Health::good()), "{value:x?}");
    }
}

#[test]
fn errors_say_what_and_where() {
    let check = |bytes: &[u8], text: &str| {
        assert_eq!(from_bytes::<Health>(bytes).unwrap_err().to_string(), format!("not a valid payload: {text}"));
    };
    check(b"", "expected a map at byte 0");
    check(b"\xa1x", "expected a map at byte 0");
    check(b"\x80", "the field healthy is missing");
    check(b"\x81\xa7healthy\x01", "expected true or false at byte 9");
    check(b"\x81\xa7healthy\xc3\x00", "expected the end at byte 10");
    check(b"\x81\xa7hea", "expected a text at byte 1");
    check(b"\x81\xa1\xff", "expected UTF-8 text before at byte 3");
    check(b"\x81\xa1x", "expected more bytes at byte 3");
}

#[test]
fn no_prefix_of_a_message_panics_and_none_is_accepted() {
    let bytes = to_bytes(&Response::text("x".repeat(300)).with_header("a", "b"));
    for end in 0..bytes.len() {
        assert!(from_bytes::<Response>(&bytes[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    assert!(from_bytes::<Vec<u8>>(b"\xc6\xff\xff\xff\xff").is_err());
    assert!(from_bytes::<Vec<String>>(b"\xdd\xff\xff\xff\xff").is_err());
    assert!(from_bytes::<Headers>(b"\xdf\xff\xff\xff\xff").is_err());
    assert!(from_bytes::<Health>(b"\x81\xa1x\xdf\xff\xff\xff\xff").is_err());
}

#[test]
fn skipping_nested_arrays_does_not_recurse() {
    let deep = [b"\x82\xa1x", &[0x91; 1_000_000][..], b"\xc0\xa7healthy\xc3"].concat();
    assert_eq!(from_bytes::<Health>(&deep), Ok(Health::good()));
}
