//! Guests that break the rules: each gets its own error, and hurts nobody.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use wattle_runtime::{Engine, EngineConfig, GuestError, Interrupt};

use crate::harness::{
    Answer, ENGINE, Outside, call, call_until, call_with, config, fixture, prepare, prepare_bytes, prepare_steps,
};

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn modules_that_cannot_run_are_refused_before_they_are_published() {
    let rows = [
        ("unknown-import", "import_unknown", "env.launch"),
        ("import-of-another-type", "import_unknown", "wapc.__guest_response"),
        ("host-call-of-unknown-arity", "import_unknown", "wapc.__host_call"),
        ("no-exports", "export_missing", "memory"),
        ("no-memory", "export_missing", "memory"),
        ("memory-is-a-function", "export_missing", "memory"),
        ("no-guest-call", "export_missing", "__guest_call"),
        ("guest-call-of-another-type", "export_missing", "__guest_call"),
        ("huge-initial-memory", "memory_over_limit", "limit is 8388608"),
        ("huge-initial-table", "table_over_limit", "table of 100000000 elements, its limit is 10000"),
        ("many-memories", "wasm_malformed", "memories"),
        ("memory64", "wasm_malformed", "memory64"),
        ("shared-memory", "wasm_malformed", "shared"),
        ("bad-data-segment", "probe_failed", "out of bounds"),
        ("trap-in-start", "probe_failed", "unreachable"),
        ("spin-in-start", "probe_failed", "deadline"),
        ("trap-in-init", "start_failed", "unreachable"),
        ("spin-in-init", "start_failed", "deadline"),
    ];
    for (name, code, words) in rows {
        let error = prepare(&fixture(name)).await.expect_err(name);
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
    for bytes in [&b""[..], b"\0asm", b"\x7fELF", b"(module)", &[0xff; 64]] {
        assert_eq!(prepare_bytes(&ENGINE, bytes).await.unwrap_err().code(), "wasm_malformed");
    }
    let error = prepare_bytes(&ENGINE, b"\0asm\x0d\0\x01\0").await.unwrap_err();
    assert_eq!(error.code(), "wasm_malformed");
    assert!(error.to_string().contains("is a WebAssembly component"), "{error}");
}

#[tokio::test]
async fn every_way_to_misbehave_in_a_call_has_its_code() {
    let rows = [
        ("trap", "guest_trapped"),
        ("trap-after-response", "guest_trapped"),
        ("aborts", "guest_trapped"),
        ("recursion", "guest_trapped"),
        ("exits", "guest_exited"),
        ("wild-error", "guest_bad_pointer"),
        ("wild-host-call", "guest_bad_pointer"),
        ("wild-host-response", "guest_bad_pointer"),
        ("wild-log", "guest_bad_pointer"),
        ("wild-request", "guest_bad_pointer"),
        ("wild-response", "guest_bad_pointer"),
        ("request-across-the-end", "guest_bad_pointer"),
        ("response-longer-than-memory", "guest_bad_pointer"),
        ("response-wraps-around", "guest_bad_pointer"),
        ("host-call-with-a-huge-payload", "guest_bad_pointer"),
        ("bad-utf8-error", "guest_bad_text"),
        ("bad-utf8-operation", "guest_bad_text"),
        ("host-call-storm", "guest_host_calls_exceeded"),
        ("hog-memory", "guest_failed"),
        ("hog-table", "guest_failed"),
        ("huge-response", "guest_failed"),
        ("huge-error", "guest_failed"),
    ];
    let good = prepare(&fixture("minimal")).await.unwrap();
    for (name, code) in rows {
        let guest = prepare(&fixture(name)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        for _ in 0..3 {
            let error = call_with(&guest, b"12345678", Outside::new(Answer::Fail("no"))).await.expect_err(name);
            assert_eq!(error.code(), code, "{name}: {error}");
            assert!(error.to_string().len() < 10_000, "{name}");
        }
        assert_eq!(call(&good, b"").await.unwrap(), "ok", "after {name}");
    }
}

#[tokio::test]
async fn guests_that_never_end_are_ended_at_the_deadline() {
    for name in ["spin", "request-flood", "response-flood", "log-flood"] {
        let guest = prepare(&fixture(name)).await.unwrap();
        let ended = call_until(&guest, b"x", Outside::new(Answer::Echo), SOON, &Interrupt::default()).await;
        assert_eq!(ended, Err(GuestError::DeadlineExceeded), "{name}");
    }
}

#[tokio::test]
async fn a_host_call_without_an_answer_ends_at_the_deadline_or_by_interrupt() {
    let guest = prepare(&fixture("host-call-storm")).await.unwrap();
    let ended = call_until(&guest, b"", Outside::new(Answer::Never), SOON, &Interrupt::default()).await;
    assert_eq!(ended, Err(GuestError::DeadlineExceeded));

    let interrupt = Interrupt::default();
    let outside = Outside::new(Answer::Never);
    let waiting = call_until(&guest, b"", outside.clone(), Duration::from_secs(60), &interrupt);
    let trigger = async {
        while outside.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        interrupt.trigger();
    };
    assert_eq!(tokio::join!(waiting, trigger).0, Err(GuestError::Interrupted));
    assert_eq!(call_until(&guest, b"", outside, SOON, &interrupt).await, Err(GuestError::Interrupted));
}

#[tokio::test]
async fn an_interrupt_ends_a_guest_that_loops() {
    let guest = prepare(&fixture("spin")).await.unwrap();
    let interrupt = Interrupt::default();
    let looping = call_until(&guest, b"", Outside::new(Answer::Echo), Duration::from_secs(60), &interrupt);
    let trigger = async {
        tokio::task::yield_now().await;
        interrupt.trigger();
    };
    assert_eq!(tokio::join!(looping, trigger).0, Err(GuestError::Interrupted));
}

#[tokio::test]
async fn a_trap_for_want_of_memory_or_table_names_the_limit() {
    let growing = |what: &str, grow: &str| {
        format!(
            r#"(module (memory (export "memory") 1) (table {what} 1 funcref)
                (func (export "__guest_call") (param i32 i32) (result i32)
                    (if (i32.eq {grow} (i32.const -1)) (then (unreachable)))
                    (i32.const 1)))"#
        )
    };
    let memory = prepare(&growing("$t", "(memory.grow (i32.const 1000))")).await.unwrap();
    assert_eq!(call(&memory, b"").await, Err(GuestError::MemoryExceeded { limit: 8 << 20 }));
    let table = prepare(&growing("$t", "(table.grow $t (ref.null func) (i32.const 20000))")).await.unwrap();
    assert_eq!(call(&table, b"").await, Err(GuestError::TableExceeded { limit: 10_000 }));
}

#[tokio::test]
async fn payloads_are_bounded_in_each_direction() {
    let guest = prepare(&fixture("minimal")).await.unwrap();
    let error = call(&guest, &vec![0; (1 << 20) + 1]).await.unwrap_err();
    assert_eq!(error, GuestError::PayloadTooLarge { size: (1 << 20) + 1, limit: 1 << 20 });
    let answering = r#"(module
        (import "wapc" "__guest_response" (func $respond (param i32 i32)))
        (memory (export "memory") 32)
        (func (export "__guest_call") (param i32 i32) (result i32)
            (call $respond (i32.const 0) (i32.const 0x100001))
            (i32.const 1)))"#;
    let error = call(&prepare(answering).await.unwrap(), b"").await.unwrap_err();
    assert_eq!(error, GuestError::PayloadTooLarge { size: (1 << 20) + 1, limit: 1 << 20 });
}

#[tokio::test]
async fn names_longer_than_any_name_end_the_call() {
    let rows = [(8, 0), (8, 2), (8, 4), (6, 0), (6, 2), (4, 0)];
    for (parameters, long) in rows {
        for (size, refused) in [(1024, false), (1025, true)] {
            let length = |at: usize| if at == long + 1 { size } else { 0 };
            let arguments: String = (0..parameters).map(|at| format!("(i32.const {})", length(at))).collect();
            let types = "i32 ".repeat(parameters);
            let guest = format!(
                r#"(module
                    (import "wapc" "__host_call" (func $call (param {types}) (result i32)))
                    (memory (export "memory") 1)
                    (func (export "__guest_call") (param i32 i32) (result i32) (call $call {arguments})))"#
            );
            let outside = Outside::new(Answer::Echo);
            let ended = call_with(&prepare(&guest).await.unwrap(), b"", outside.clone()).await;
            let error = GuestError::NameTooLong { function: "__host_call", size: 1025, limit: 1024 };
            assert_eq!(ended, if refused { Err(error) } else { Ok("".into()) }, "{parameters} {long}");
            assert_eq!(outside.calls().len(), usize::from(!refused), "{parameters} {long}");
        }
    }
}

#[tokio::test]
async fn error_texts_are_cut_and_cleaned_in_both_directions() {
    let failing = |data: &str, len: usize| {
        format!(
            r#"(module
                (import "wapc" "__guest_error" (func $fail (param i32 i32)))
                (memory (export "memory") 1)
                (data (i32.const 0) "{data}")
                (func (export "__guest_call") (param i32 i32) (result i32)
                    (call $fail (i32.const 0) (i32.const {len}))
                    (i32.const 0)))"#
        )
    };
    let failure = async |data: &str, len| call(&prepare(&failing(data, len)).await.unwrap(), b"").await.unwrap_err();
    let message = |message: &str| GuestError::Failed { message: message.into() };
    let cleaned = failure(r"a\1b[2J\0d\tb\nc\7f", 11).await;
    assert_eq!(cleaned, message("a\u{fffd}[2J\u{fffd}\tb c\u{fffd}"));
    // The limit goes through the last character.
    let text = format!("{}é and more", "x".repeat((8 << 10) - 1));
    assert_eq!(failure(&text, text.len()).await, message(&text[..(8 << 10) - 1]));
    // What is cut off is not read, be it text or not.
    assert_eq!(failure(&format!(r"{}\ff", "x".repeat(8 << 10)), (8 << 10) + 1).await, message(&"x".repeat(8 << 10)));

    static LONG: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| "é".repeat(20_000));
    let asking = r#"(module
        (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (import "wapc" "__host_error_len" (func $error_len (result i32)))
        (import "wapc" "__guest_response" (func $respond (param i32 i32)))
        (memory (export "memory") 1)
        (func (export "__guest_call") (param i32 i32) (result i32)
            (drop (call $call
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
            (i32.store (i32.const 0) (call $error_len))
            (call $respond (i32.const 0) (i32.const 4))
            (i32.const 1)))"#;
    let outside = Outside::new(Answer::Fail(&LONG));
    let answer = call_with(&prepare(asking).await.unwrap(), b"", outside).await.unwrap();
    assert_eq!(answer, 8192_u32.to_le_bytes()[..]);
}

#[tokio::test]
async fn logs_are_cut_counted_and_cleaned() {
    let outside = Outside::new(Answer::Echo);
    call_with(&prepare(&fixture("huge-log-line")).await.unwrap(), b"", outside.clone()).await.unwrap();
    let log = outside.log();
    assert_eq!(log.len(), 1);
    assert!(log[0].len() == 64 + 3 && log[0].ends_with("..."), "{log:?}");

    let outside = Outside::new(Answer::Echo);
    call_with(&prepare(&fixture("bad-utf8-log")).await.unwrap(), b"", outside.clone()).await.unwrap();
    for line in outside.log() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }

    // One text of more lines than are logged, the last of them after what is looked at.
    let lines = r#"(module
        (import "wapc" "__console_log" (func $log (param i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 100) "\n")
        (data (i32.const 330) "\nlate")
        (func (export "__guest_call") (param i32 i32) (result i32)
            (call $log (i32.const 0) (i32.const 65536))
            (i32.const 1)))"#;
    let outside = Outside::new(Answer::Echo);
    call_with(&prepare(lines).await.unwrap(), b"", outside.clone()).await.unwrap();
    assert_eq!(outside.log().len(), 3);
    assert_eq!(outside.log()[2], "(further lines of this call are dropped)");

    let outside = Outside::new(Answer::Echo);
    let flood = prepare(&fixture("log-flood")).await.unwrap();
    call_until(&flood, b"", outside.clone(), SOON, &Interrupt::default()).await.unwrap_err();
    assert_eq!(outside.log().len(), 6);
    assert_eq!(outside.log()[5], "(further lines of this call are dropped)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looping_guests_do_not_keep_good_ones_from_their_threads() {
    let spin = prepare(&fixture("spin")).await.unwrap();
    let good = prepare(&fixture("minimal")).await.unwrap();
    let interrupt = Interrupt::default();
    let mut looping = JoinSet::new();
    for _ in 0..4 {
        let (spin, interrupt) = (spin.clone(), interrupt.clone());
        looping.spawn(async move {
            call_until(&spin, b"", Outside::new(Answer::Echo), Duration::from_secs(60), &interrupt).await
        });
    }
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let good = good.clone();
        calls.spawn(async move { call(&good, b"").await });
    }
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.unwrap().unwrap(), "ok");
    }
    interrupt.trigger();
    while let Some(ended) = looping.join_next().await {
        assert_eq!(ended.unwrap(), Err(GuestError::Interrupted));
    }
}

#[tokio::test]
async fn when_all_sandboxes_are_taken_a_call_waits_for_its_deadline_only() {
    let engine = Engine::new(EngineConfig { pool_size: 1, ..config() }).unwrap();
    let (storm, _) = prepare_steps(&engine, &fixture("host-call-storm")).await.unwrap();
    let (good, _) = prepare_steps(&engine, &fixture("minimal")).await.unwrap();
    let interrupt = Interrupt::default();
    let holder = call_until(&storm, b"", Outside::new(Answer::Never), Duration::from_secs(60), &interrupt);
    let waiter = async {
        let refused = call_until(&good, b"", Outside::new(Answer::Echo), SOON, &Interrupt::default()).await;
        interrupt.trigger();
        refused
    };
    let (held, refused) = tokio::join!(holder, waiter);
    assert_eq!((held, refused), (Err(GuestError::Interrupted), Err(GuestError::Overloaded { limit: 1 })));
    assert_eq!(call(&good, b"").await.unwrap(), "ok");
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_its_guest_and_frees_the_sandbox() {
    let engine = Engine::new(EngineConfig { pool_size: 1, ..config() }).unwrap();
    let (storm, _) = prepare_steps(&engine, &fixture("host-call-storm")).await.unwrap();
    let (good, _) = prepare_steps(&engine, &fixture("minimal")).await.unwrap();
    for _ in 0..5 {
        let outside = Outside::new(Answer::Never);
        let mut caller = JoinSet::new();
        let (storm, seen) = (storm.clone(), outside.clone());
        caller.spawn(async move { call_with(&storm, b"", seen).await });
        while outside.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        caller.shutdown().await;
        assert_eq!(Arc::strong_count(&outside), 1, "the guest still holds its outside");
        assert_eq!(call(&good, b"").await.unwrap(), "ok");
    }
}
