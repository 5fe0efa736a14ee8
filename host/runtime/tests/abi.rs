//! waPC as good guests speak it.

use wattle_runtime::GuestError;

use crate::harness::{Answer, Outside, call, call_with, fixture, prepare};

/// A guest that answers with the operation's name and the payload, behind each other.
fn echo(module: &str) -> String {
    format!(
        r#"(module
            (import "{module}" "__guest_request" (func $request (param i32 i32)))
            (import "{module}" "__guest_response" (func $respond (param i32 i32)))
            (memory (export "memory") 4)
            (func (export "__guest_call") (param $op i32) (param $len i32) (result i32)
                (call $request (i32.const 0) (local.get $op))
                (call $respond (i32.const 0) (i32.add (local.get $op) (local.get $len)))
                (i32.const 1)))"#
    )
}

/// A guest that makes one host call of some shape, then answers with the result, or fails with the host's error.
fn caller(module: &str, parameters: usize, arguments: &str) -> String {
    let types = "i32 ".repeat(parameters);
    format!(
        r#"(module
            (import "{module}" "__host_call" (func $call (param {types}) (result i32)))
            (import "{module}" "__host_response_len" (func $response_len (result i32)))
            (import "{module}" "__host_response" (func $response (param i32)))
            (import "{module}" "__host_error_len" (func $error_len (result i32)))
            (import "{module}" "__host_error" (func $error (param i32)))
            (import "{module}" "__guest_response" (func $respond (param i32 i32)))
            (import "{module}" "__guest_error" (func $fail (param i32 i32)))
            (memory (export "memory") 4)
            (data (i32.const 0) "link")
            (data (i32.const 8) "ns:pkg!Get")
            (data (i32.const 32) "payload")
            (func (export "__guest_call") (param i32 i32) (result i32)
                (if (i32.eq (call $call {arguments}) (i32.const 1))
                    (then
                        (call $response (i32.const 1024))
                        (call $respond (i32.const 1024) (call $response_len))
                        (return (i32.const 1))))
                (call $error (i32.const 1024))
                (call $fail (i32.const 1024) (call $error_len))
                (i32.const 0)))"#
    )
}

fn constants(numbers: &[i32]) -> String {
    numbers.iter().map(|number| format!("(i32.const {number}) ")).collect()
}

#[tokio::test]
async fn a_request_and_its_answer_pass_through_both_import_modules() {
    for module in ["wapc", "wasmbus"] {
        let guest = prepare(&echo(module)).await.unwrap();
        assert_eq!(call(&guest, b"hello").await.unwrap(), "Test.Runhello", "{module}");
        assert_eq!(call(&guest, b"").await.unwrap(), "Test.Run", "{module}");
    }
}

#[tokio::test]
async fn each_generation_of_host_calls_is_told_by_its_arity() {
    let shapes: [(usize, &[i32], &str); 3] = [
        (8, &[0, 4, 8, 6, 15, 3, 32, 7], "link|ns:pkg|Get|payload"),
        (6, &[8, 6, 15, 3, 32, 7], "|ns:pkg|Get|payload"),
        (4, &[8, 10, 32, 7], "|ns:pkg|Get|payload"),
    ];
    for module in ["wapc", "wasmbus"] {
        for (parameters, arguments, seen) in shapes {
            let guest = prepare(&caller(module, parameters, &constants(arguments))).await.unwrap();
            let outside = Outside::new(Answer::Echo);
            assert_eq!(call_with(&guest, b"", outside.clone()).await.unwrap(), "payload");
            assert_eq!(outside.calls(), [seen]);
        }
    }
}

#[tokio::test]
async fn the_guest_reads_why_a_host_call_failed() {
    let guest = prepare(&caller("wapc", 8, &constants(&[0, 4, 8, 6, 15, 3, 32, 7]))).await.unwrap();
    let failed = call_with(&guest, b"", Outside::new(Answer::Fail("no such link"))).await;
    assert_eq!(failed, Err(GuestError::Failed { message: "no such link".into() }));
    let failed = call_with(&guest, b"", Outside::new(Answer::Bytes(2 << 20))).await.unwrap_err();
    assert_eq!(failed.to_string(), "a payload of 2097152 bytes exceeds the limit of 1048576");
}

#[tokio::test]
async fn the_rules_for_results_are_the_strict_union_of_all_hosts() {
    let failed = |message: &str| Err(GuestError::Failed { message: message.into() });
    let rows = [
        ("silent-success", Ok("".into())),
        ("minimal", Ok("ok".into())),
        ("error-and-success", failed("both")),
        ("silent-failure", failed("the guest returned 0 without saying why")),
        ("returns-two", failed("the guest returned 2 without saying why")),
        ("host-response-before-a-call", Ok("ok".into())),
    ];
    for (name, result) in rows {
        let guest = prepare(&fixture(name)).await.unwrap();
        assert_eq!(call(&guest, b"x").await, result, "{name}");
    }
}

#[tokio::test]
async fn starters_run_in_order_and_a_clean_exit_is_success() {
    let guest = prepare(
        r#"(module
            (import "wapc" "__guest_response" (func $respond (param i32 i32)))
            (memory (export "memory") 1)
            (global $at (mut i32) (i32.const 0))
            (func $note (param $letter i32)
                (i32.store8 (global.get $at) (local.get $letter))
                (global.set $at (i32.add (global.get $at) (i32.const 1))))
            (func $section (call $note (i32.const 0x30)))
            (start $section)
            (func (export "wapc_init") (call $note (i32.const 0x33)))
            (func (export "_initialize") (call $note (i32.const 0x32)))
            (func (export "_start") (call $note (i32.const 0x31)))
            (func (export "__guest_call") (param i32 i32) (result i32)
                (call $respond (i32.const 0) (global.get $at))
                (i32.const 1)))"#,
    );
    assert_eq!(call(&guest.await.unwrap(), b"").await.unwrap(), "0123");
    for name in ["exits-with-zero-in-start", "host-call-in-start"] {
        assert_eq!(call(&prepare(&fixture(name)).await.unwrap(), b"").await.unwrap(), "ok", "{name}");
    }
}

#[tokio::test]
async fn assemblyscript_says_why_it_aborts() {
    let guest = prepare(
        r#"(module
            (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 4) "\08\00\00\00b\00a\00d\00\1b\00")
            (data (i32.const 28) "\08\00\00\00a\00.\00t\00s\00")
            (func (export "__guest_call") (param i32 i32) (result i32)
                (call $abort (i32.const 8) (i32.const 32) (i32.const 3) (i32.const 9))
                (unreachable)))"#,
    );
    let aborted = call(&guest.await.unwrap(), b"").await;
    assert_eq!(aborted, Err(GuestError::Trapped { reason: "aborted: bad\u{fffd} (a.ts:3:9)".into() }));
}
