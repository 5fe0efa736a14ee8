//! WASI gives clocks, random numbers and a log; nothing else.

use crate::harness::{Answer, Outside, call, call_with, prepare};

/// A guest that calls one WASI function and answers with what it returned.
fn asks(import: &str, call: &str) -> String {
    format!(
        r#"(module
            (import {import})
            (import "wapc" "__guest_response" (func $respond (param i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 1024) "\00\08\00\00\06\00\00\00\06\08\00\00\07\00\00\00")
            (data (i32.const 2048) "first\nsecond\n")
            (func (export "__guest_call") (param i32 i32) (result i32)
                (i32.store (i32.const 0) {call})
                (call $respond (i32.const 0) (i32.const 16))
                (i32.const 1)))"#
    )
}

async fn answer(import: &str, call_text: &str) -> [u32; 4] {
    let guest = prepare(&asks(import, call_text)).await.unwrap();
    let answer = call(&guest, b"").await.unwrap();
    let number = |at: usize| u32::from_le_bytes(answer[at..at + 4].try_into().unwrap());
    [number(0), number(4), number(8), number(12)]
}

#[tokio::test]
async fn what_needs_authority_is_denied() {
    for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
        let open =
            format!(r#""{module}" "path_open" (func $f (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32))"#);
        let call = "(call $f (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 4))";
        assert_eq!(answer(&open, call).await, [52, 0, 0, 0], "{module}: not supported");
        let preopened = format!(r#""{module}" "fd_prestat_get" (func $f (param i32 i32) (result i32))"#);
        assert_eq!(
            answer(&preopened, "(call $f (i32.const 3) (i32.const 4))").await,
            [8, 0, 0, 0],
            "{module}: no files"
        );
        let environment = format!(r#""{module}" "environ_sizes_get" (func $f (param i32 i32) (result i32))"#);
        assert_eq!(answer(&environment, "(call $f (i32.const 4) (i32.const 8))").await, [0; 4], "{module}: empty");
    }
    let unknown = asks(r#""wasi_snapshot_preview1" "launch_missiles" (func $f (result i32))"#, "(call $f)");
    assert_eq!(prepare(&unknown).await.unwrap_err().code(), "import_unknown");
}

#[tokio::test]
async fn clocks_and_random_numbers_work() {
    let clock = r#""wasi_snapshot_preview1" "clock_time_get" (func $f (param i32 i64 i32) (result i32))"#;
    let [code, _, low, high] = answer(clock, "(call $f (i32.const 0) (i64.const 1) (i32.const 8))").await;
    let seconds = (u64::from(high) << 32 | u64::from(low)) / 1_000_000_000;
    assert!(code == 0 && seconds > 1_700_000_000, "{seconds}");
    let random = r#""wasi_snapshot_preview1" "random_get" (func $f (param i32 i32) (result i32))"#;
    let [code, first, second, third] = answer(random, "(call $f (i32.const 4) (i32.const 12))").await;
    assert!(code == 0 && (first, second, third) != (0, 0, 0));
    assert_eq!(answer(random, "(call $f (i32.const 4) (i32.const 65532))").await[0], 0);
}

#[tokio::test]
async fn standard_output_goes_to_the_log_by_lines() {
    let write = r#""wasi_snapshot_preview1" "fd_write" (func $f (param i32 i32 i32 i32) (result i32))"#;
    let text = asks(write, "(call $f (i32.const 1) (i32.const 1024) (i32.const 2) (i32.const 4))");
    let outside = Outside::new(Answer::Echo);
    let answer = call_with(&prepare(&text).await.unwrap(), b"", outside.clone()).await.unwrap();
    assert_eq!(answer[..8], [0, 0, 0, 0, 13, 0, 0, 0]);
    assert_eq!(outside.log(), ["first", "second"]);
    let text = asks(write, "(call $f (i32.const 4) (i32.const 1024) (i32.const 2) (i32.const 4))");
    assert_eq!(call(&prepare(&text).await.unwrap(), b"").await.unwrap()[0], 8, "no other file is open");
}

#[tokio::test]
async fn a_long_write_is_taken_in_part() {
    // Two pieces of 40 KiB: one whole, and what room is left of the other.
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wapc" "__guest_response" (func $respond (param i32 i32)))
        (memory (export "memory") 2)
        (data (i32.const 1024) "\00\08\00\00\00\a0\00\00\00\08\00\00\00\a0\00\00")
        (func (export "__guest_call") (param i32 i32) (result i32)
            (i32.store (i32.const 0) (call $write (i32.const 1) (i32.const 1024) (i32.const 2) (i32.const 4)))
            (call $respond (i32.const 0) (i32.const 8))
            (i32.const 1)))"#;
    let answer = call(&prepare(text).await.unwrap(), b"").await.unwrap();
    assert_eq!(answer, [0, 0, 0, 0, 0, 0, 1, 0][..], "64 KiB");
}
