//! Nothing of one call reaches the next.

use tokio::task::JoinSet;
use wattle_runtime::Prepared;

use crate::harness::{call, fixture, prepare};

#[tokio::test]
async fn memory_and_globals_are_fresh_in_each_call() {
    let guest = prepare(&fixture("state")).await.unwrap();
    for _ in 0..50 {
        assert_eq!(call(&guest, b"").await.unwrap(), [2][..]);
    }
}

/// Dirties a page in the middle of grown memory, and answers with what was there before.
const GROWS: &str = r#"(module
    (import "wapc" "__guest_response" (func $respond (param i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "image")
    (func (export "__guest_call") (param i32 i32) (result i32)
        (drop (memory.grow (i32.const 100)))
        (i32.store8 (i32.const 5) (i32.load8_u (i32.const 3000000)))
        (memory.fill (i32.const 3000000) (i32.const 0x41) (i32.const 100000))
        (call $respond (i32.const 0) (i32.const 6))
        (memory.fill (i32.const 0) (i32.const 0x42) (i32.const 6))
        (i32.const 1)))"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_wrote_is_gone_also_under_concurrency_and_beside_other_modules() {
    let grows = prepare(GROWS).await.unwrap();
    let state = prepare(&fixture("state")).await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let (grows, state) = (grows.clone(), state.clone());
        calls.spawn(async move {
            assert_eq!(call(&grows, b"").await.unwrap(), "image\0");
            assert_eq!(call(&state, b"").await.unwrap(), [2][..]);
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
}

/// Writes secrets where it is told to, or looks for one everywhere: all memory, globals of every type, and the table.
///
/// `$TABLE` is what a variant adds to writing; instructions that change a table make a guest one that is made anew for
/// each call.
const SPY: &str = r#"(module
    (import "wapc" "__guest_request" (func $request (param i32 i32)))
    (import "wapc" "__guest_response" (func $respond (param i32 i32)))
    (memory (export "memory") 17)
    (table $table 2 funcref)
    (elem declare func $full)
    (global $i32 (mut i32) (i32.const 0))
    (global $i64 (mut i64) (i64.const 7))
    (global $f32 (mut f32) (f32.const 0))
    (global $f64 (mut f64) (f64.const 0))
    (global $v128 (mut v128) (v128.const i64x2 0 0))
    (data (i32.const 0) "clean")
    (data (i32.const 8) "trace")
    (data (i32.const 200000) "image")

    (func $full)
    (func $remember
        (global.set $i32 (i32.const 0x5a5a5a5a))
        (global.set $i64 (i64.const 0x5a5a5a5a5a5a5a5a))
        (global.set $f32 (f32.const 5))
        (global.set $f64 (f64.const 5))
        (global.set $v128 (i64x2.splat (i64.const 0x5a5a5a5a5a5a5a5a)))
        $TABLE)

    ;; Every 69632 bytes: more runs of pages than one, and the page of the image among them.
    (func $scatter (local $at i32)
        (local.set $at (i32.const 4096))
        (loop $next
            (i64.store (local.get $at) (i64.const 0x5a5a5a5a5a5a5a5a))
            (local.set $at (i32.add (local.get $at) (i32.const 69632)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 1114104))))
        (i64.store (i32.const 200000) (i64.const 0x5a5a5a5a5a5a5a5a)))

    (func $look (result i32) (local $at i32) (local $found i64)
        (local.set $at (i32.const 64))
        (loop $next
            (local.set $found (i64.or (local.get $found)
                (i64.extend_i32_u (i64.eq (i64.load (local.get $at)) (i64.const 0x5a5a5a5a5a5a5a5a)))))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 1114112))))
        (i32.or (i64.ne (local.get $found) (i64.const 0))
        (i32.or (i32.ne (global.get $i32) (i32.const 0))
        (i32.or (i64.ne (global.get $i64) (i64.const 7))
        (i32.or (f32.ne (global.get $f32) (f32.const 0))
        (i32.or (f64.ne (global.get $f64) (f64.const 0))
        (i32.or (v128.any_true (global.get $v128))
        (i32.or (i32.ne (memory.size) (i32.const 17))
        (i32.or (i32.ne (i32.load8_u (i32.const 200000)) (i32.const 0x69))
            (i32.eqz (ref.is_null (table.get $table (i32.const 0)))))))))))))

    (func $burn (local $left i32)
        (local.set $left (i32.const 50000000))
        (loop $next
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $next (local.get $left))))

    (func (export "__guest_call") (param i32 i32) (result i32) (local $what i32)
        (call $request (i32.const 16) (i32.const 32))
        (local.set $what (i32.load8_u (i32.const 32)))
        (if (i32.eq (local.get $what) (i32.const 0x6c)) (then
            (if (call $look)
                (then (call $respond (i32.const 8) (i32.const 5)))
                (else (call $respond (i32.const 0) (i32.const 5))))
            (return (i32.const 1))))
        (if (i32.eq (local.get $what) (i32.const 0x62)) (then (call $burn)))
        (call $remember)
        (if (i32.eq (local.get $what) (i32.const 0x73)) (then (call $scatter)))
        (if (i32.eq (local.get $what) (i32.const 0x65)) (then
            (memory.fill (i32.const 64) (i32.const 0x5a) (i32.const 1114048))))
        (if (i32.eq (local.get $what) (i32.const 0x67)) (then
            (memory.fill (i32.mul (memory.grow (i32.const 2)) (i32.const 65536)) (i32.const 0x5a) (i32.const 131072))))
        (if (i32.eq (local.get $what) (i32.const 0x74)) (then (call $scatter) (unreachable)))
        (i32.const 1)))"#;

/// Each way to leave something behind: a few pages, all of them, more of them than there were, and a trap meanwhile.
const WAYS: [&[u8]; 4] = [b"scatter", b"everything", b"grow", b"trap"];

async fn spies(guest: Prepared, rounds: usize) {
    for round in 0..rounds {
        // Mostly what leaves the sandbox worth keeping: those that are made anew prove nothing about restoring.
        let way = WAYS[if round % 8 < 5 { 0 } else { round % 8 - 4 }];
        assert_eq!(call(&guest, way).await.is_err(), way == b"trap");
        for _ in 0..4 {
            assert_eq!(call(&guest, b"look").await.unwrap(), "clean");
        }
    }
}

/// A call that begins on another thread has its page faults there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_leave_no_trace_either_where_calls_begin_on_threads_for_long_ones() {
    let guest = prepare(&SPY.replace("$TABLE", "")).await.unwrap();
    for _ in 0..8 {
        call(&guest, b"burn").await.unwrap();
    }
    spies(guest, 40).await;
}

/// In both modes there are: sandboxes that are restored, and instances made anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_written_everywhere_leave_no_trace_in_thousands_of_calls() {
    let restored = prepare(&SPY.replace("$TABLE", "")).await.unwrap();
    let made_anew = "(table.set $table (i32.const 0) (ref.func $full))";
    let made_anew = prepare(&SPY.replace("$TABLE", made_anew)).await.unwrap();
    let mut spying = JoinSet::new();
    for guest in [&restored, &made_anew, &restored, &made_anew] {
        spying.spawn(spies(guest.clone(), 120));
    }
    while let Some(done) = spying.join_next().await {
        done.unwrap();
    }
}
