//! Nothing of one call reaches the next.

use tokio::task::JoinSet;

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
