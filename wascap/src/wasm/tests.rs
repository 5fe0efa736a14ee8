use super::*;

const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_section(id, body, &mut |bytes| out.extend_from_slice(bytes));
    out
}

fn custom(name: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append_custom(&mut out, name, payload);
    out
}

fn normal_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    walk(bytes, &mut |part| out.extend_from_slice(part)).unwrap();
    out
}

fn code(bytes: &[u8]) -> &'static str {
    walk(bytes, &mut |_| ()).and_then(|tokens| tokens.only()).map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn lengths_are_read_padded_and_written_minimally() {
    let padded = [MODULE, &[1, 0x83, 0x80, 0x80, 0x80, 0x00, 7, 8, 9], &[11, 0x81, 0x00, 5]].concat();
    assert_eq!(normal_bytes(&padded), [MODULE, &[1, 3, 7, 8, 9, 11, 1, 5]].concat());
    for len in [0, 1, 127, 128, 300, 16_383, 16_384] {
        assert_eq!(read_leb(&leb(len)), Some((len, &[][..])));
    }
    assert_eq!(read_leb(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some((u32::MAX as usize, &[][..])));
    for bad in [&[0xff, 0xff, 0xff, 0xff, 0x1f][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], &[0x80], &[]] {
        assert_eq!(read_leb(bad), None, "{bad:x?}");
    }
}

#[test]
fn a_token_is_found_under_both_names_at_any_place() {
    for name in ["jwt", "wasmcloud_jwt"] {
        let bytes = [MODULE, &custom(name, b"T"), &section(1, &[0])].concat();
        assert_eq!(walk(&bytes, &mut |_| ()).unwrap().only(), Ok("T"));
        assert_eq!(normal_bytes(&bytes), [MODULE, &section(1, &[0])].concat());
    }
    assert_eq!(code(&[MODULE, &custom("wasmcloud_jwt2", b"T")].concat()), "claims_missing");
    assert_eq!(code(&[MODULE, &custom("jwt", b"\xff")].concat()), "token_malformed");
}

#[test]
fn two_tokens_or_a_hidden_one_are_refused() {
    let token = custom("jwt", b"T");
    assert_eq!(code(&[MODULE, &token, &custom("wasmcloud_jwt", b"T")].concat()), "claims_ambiguous");
    let inner = [MODULE, &token].concat();
    let nested = [COMPONENT, &section(NESTED_MODULE, &inner)].concat();
    assert_eq!(code(&nested), "claims_ambiguous");
    assert_eq!(normal_bytes(&nested), [COMPONENT, &section(NESTED_MODULE, MODULE)].concat());
    assert_eq!(code(&[&nested[..], &token].concat()), "claims_ambiguous");
}

#[test]
fn a_component_is_told_by_its_header() {
    assert!(is_component(COMPONENT));
    assert!(!is_component(MODULE) && !is_component(&COMPONENT[..7]) && !is_component(b"hello, world"));
}

#[test]
fn what_components_nest_is_rewritten_and_its_kind_must_fit() {
    let inner = [MODULE, &[10, 0x81, 0x00, 9]].concat();
    let outer =
        [COMPONENT, &section(NESTED_COMPONENT, &[COMPONENT, &section(NESTED_MODULE, &inner)].concat())].concat();
    let plain = [MODULE, &[10, 1, 9]].concat();
    let expected =
        [COMPONENT, &section(NESTED_COMPONENT, &[COMPONENT, &section(NESTED_MODULE, &plain)].concat())].concat();
    assert_eq!(normal_bytes(&outer), expected);
    assert_eq!(code(&[COMPONENT, &section(NESTED_MODULE, COMPONENT)].concat()), "wasm_malformed");
    assert_eq!(code(&[COMPONENT, &section(NESTED_COMPONENT, &[])].concat()), "wasm_malformed");
    // In a module these ids are types and tables.
    assert_eq!(code(&[MODULE, &section(NESTED_MODULE, COMPONENT)].concat()), "claims_missing");
}

#[test]
fn nesting_ends() {
    let nest = |depth| {
        (0..depth).fold(COMPONENT.to_vec(), |inner, _| [COMPONENT, &section(NESTED_COMPONENT, &inner)].concat())
    };
    assert_eq!(code(&nest(MAX_DEPTH)), "claims_missing");
    assert_eq!(code(&nest(MAX_DEPTH + 1)), "wasm_malformed");
    assert_eq!(
        code(&(0..5000).fold(COMPONENT.to_vec(), |inner, _| [COMPONENT, &section(4, &inner)].concat())),
        "wasm_malformed"
    );
}

#[test]
fn what_is_not_wasm_is_named() {
    for bytes in [
        &b""[..],
        b"\0asm",
        b"\x7fELF\x01\0\0\0",
        b"\0asm\x02\0\0\0",
        b"\0asm\x01\0\0\0\x01",
        b"\0asm\x01\0\0\0\x01\x05\0",
    ] {
        assert_eq!(code(bytes), "wasm_malformed", "{bytes:x?}");
    }
    assert_eq!(code(&[MODULE, &section(CUSTOM, &[])].concat()), "wasm_malformed");
    assert_eq!(code(&[MODULE, &section(CUSTOM, &[4, b'j'])].concat()), "wasm_malformed");
}
