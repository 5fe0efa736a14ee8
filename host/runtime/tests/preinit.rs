//! Starters that run once leave the same behind as starters that run for each call.

use crate::harness::{ENGINE, call, fixture, prepare_steps};

/// Counts in a global, in memory and in grown memory at start, and answers with all three. `extra` is an import that
/// may spoil pre-initialization.
fn counting(import: &str, extra: &str) -> String {
    format!(
        r#"(module
            {import}
            (import "wapc" "__guest_response" (func $respond (param i32 i32)))
            (memory (export "memory") 1)
            (global $count (mut i32) (i32.const 40))
            (data (i32.const 100) "\07")
            (func (export "wapc_init")
                {extra}
                (global.set $count (i32.add (global.get $count) (i32.const 2)))
                (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1)))
                (i32.store8 (i32.add (i32.shl (memory.grow (i32.const 2)) (i32.const 16)) (i32.const 9)) (i32.const 5)))
            (func (export "__guest_call") (param i32 i32) (result i32)
                (i32.store8 (i32.const 0) (global.get $count))
                (i32.store8 (i32.const 1) (i32.load8_u (i32.const 100)))
                (i32.store8 (i32.const 2) (i32.load8_u (i32.const 65545)))
                (i32.store8 (i32.const 3) (memory.size))
                (global.set $count (i32.const 0))
                (i32.store8 (i32.const 100) (i32.const 0))
                (call $respond (i32.const 0) (i32.const 4))
                (i32.const 1)))"#
    )
}

async fn steps_and_answer(text: &str) -> (Vec<&'static str>, Vec<u8>) {
    let (guest, steps) = prepare_steps(&ENGINE, text).await.unwrap();
    let first = call(&guest, b"").await.unwrap();
    assert_eq!(call(&guest, b"").await.unwrap(), first);
    (steps.iter().map(|step| step.name()).collect(), first.to_vec())
}

#[tokio::test]
async fn a_snapshot_answers_like_a_guest_started_for_each_call() {
    let (steps, answer) = steps_and_answer(&counting("", "")).await;
    assert_eq!(steps, ["compiled", "preinitialized", "probed"]);
    assert_eq!(answer, [42, 8, 5, 3]);

    let random = r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    let (steps, answer) =
        steps_and_answer(&counting(random, "(drop (call $random (i32.const 8) (i32.const 8)))")).await;
    assert_eq!(steps, ["compiled", "probed"], "what saw random numbers must not be shared");
    assert_eq!(answer, [42, 8, 5, 3]);

    let seed = r#"(import "env" "seed" (func $seed (result f64)))"#;
    assert_eq!(steps_and_answer(&counting(seed, "(drop (call $seed))")).await.0, ["compiled", "probed"]);
}

#[tokio::test]
async fn a_module_that_cannot_be_rewritten_starts_for_each_call() {
    let table = r#"(module
        (import "wapc" "__guest_response" (func $respond (param i32 i32)))
        (memory (export "memory") 1)
        (table $table 4 funcref)
        (elem declare func $answer)
        (func $answer (i32.store8 (i32.const 0) (i32.const 7)))
        (func (export "_start") (table.set $table (i32.const 1) (ref.func $answer)))
        (func (export "__guest_call") (param i32 i32) (result i32)
            (call_indirect $table (i32.const 1))
            (call $respond (i32.const 0) (i32.const 1))
            (i32.const 1)))"#;
    assert_eq!(steps_and_answer(table).await, (vec!["compiled", "probed"], vec![7]));

    let reserved = r#"(module
        (memory (export "memory") 1)
        (global (export "__wizer_global_0") (mut i32) (i32.const 0))
        (func (export "wapc_init"))
        (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#;
    assert_eq!(steps_and_answer(reserved).await, (vec!["compiled", "probed"], vec![]));
}

#[tokio::test]
async fn a_module_without_starters_is_compiled_once() {
    let (steps, _) = steps_and_answer(&fixture("minimal")).await;
    assert_eq!(steps, ["compiled", "probed"]);
}

#[tokio::test]
async fn a_guest_that_fills_its_memory_at_start_works() {
    let (guest, _) = prepare_steps(&ENGINE, &fixture("grow-in-init")).await.unwrap();
    assert_eq!(call(&guest, b"").await.unwrap(), "");
}
