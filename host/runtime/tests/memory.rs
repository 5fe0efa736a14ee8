//! What a burst of calls leaves behind in memory, seen from outside: in a process of its own.

use std::{process::Command, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::Barrier, task::JoinSet};
use wattle_runtime::{
    Engine, EngineConfig, GuestCall, HostCall, HostCalls, Interrupt, Limits, ModuleImage, restores_sandboxes,
};
use wattle_types::{BoxFuture, Deadline};

use crate::harness::config;

const CHILD: &str = "WATTLE_TEST_BURST";
const CALLS: usize = 100;
/// With 2 MiB of each sandbox that served, it would be 200 and more; 16 of them may leave so much.
const MOST_LEFT_MIB: usize = 100;

/// Grows by 12 MiB, writes to all of it, waits for all others, and answers with 5 MiB.
const LARGE: &str = r#"(module
    (import "wapc" "__guest_response" (func $respond (param i32 i32)))
    (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "__guest_call") (param i32 i32) (result i32)
        (drop (memory.grow (i32.const 192)))
        (memory.fill (i32.const 0) (i32.const 7) (i32.const 12582912))
        (drop (call $call
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
        (call $respond (i32.const 0) (i32.const 5242880))
        (i32.const 1)))"#;

struct Together(Barrier);

impl HostCalls for Together {
    fn call<'a>(&'a self, _call: HostCall<'a>) -> BoxFuture<'a, Result<Bytes, String>> {
        Box::pin(async {
            self.0.wait().await;
            Ok(Bytes::new())
        })
    }

    fn log(&self, _line: &str) {}
}

fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() >> 10
}

/// Lets so many calls of large answers be in flight at once; all answers are there before the first is dropped.
async fn burst(engine: &Engine) {
    let wasm = wat::parse_str(LARGE).unwrap();
    let limits = Limits::default();
    let guest = engine.prepare(ModuleImage { hash: [5; 32], wasm: &wasm }, limits, |_| ()).await.unwrap();
    let outside = Arc::new(Together(Barrier::new(CALLS)));
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let (guest, outside) = (guest.clone(), outside.clone());
        calls.spawn(async move {
            let deadline = Deadline::after(std::time::Instant::now(), Duration::from_secs(60));
            let interrupt = &Interrupt::default();
            let call = GuestCall { operation: "Test.Run", payload: Bytes::new(), deadline, interrupt };
            guest.call(call, outside).await.unwrap().len()
        });
    }
    assert!(calls.join_all().await.into_iter().all(|bytes| bytes == 5 << 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_process_of_its_own() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let engine = Engine::new(EngineConfig { cache_dir: None, ..config() }).unwrap();
    let before = resident_mib();
    burst(&engine).await;
    let after = resident_mib();
    assert!(after < before + MOST_LEFT_MIB, "{before} MiB before, {after} after");
}

#[test]
fn a_burst_of_large_answers_leaves_little_memory_behind() {
    if !restores_sandboxes() {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "memory::in_a_process_of_its_own"]).env(CHILD, "1");
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
