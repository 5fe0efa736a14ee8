//! Whether sandboxes serve again is not seen from outside: calls cannot tell.

use sha2::{Digest, Sha256};

use super::*;
use crate::{Engine, EngineConfig, HostCall, Interrupt, ModuleImage};

struct Nobody;

impl HostCalls for Nobody {
    fn call<'a>(&'a self, _call: HostCall<'a>) -> wattle_types::BoxFuture<'a, Result<Bytes, String>> {
        Box::pin(std::future::ready(Err("nobody is here".into())))
    }

    fn log(&self, _line: &str) {}
}

async fn prepared(body: &str) -> Prepared {
    let wasm = wat::parse_str(format!(
        r#"(module (memory (export "memory") 17) (table 1 funcref) (elem declare func $nothing) (func $nothing)
            (global $calls (mut i32) (i32.const 0))
            (func (export "__guest_call") (param i32 i32) (result i32) {body} (i32.const 1)))"#
    ));
    let wasm = wasm.unwrap();
    let image = ModuleImage { hash: Sha256::digest(&wasm).into(), wasm: &wasm };
    let engine = Engine::new(EngineConfig { pool_size: 4, ..EngineConfig::default() }).unwrap();
    engine.prepare(image, Limits::default(), |_| ()).await.unwrap()
}

/// Calls a few times and returns how many sandboxes wait for the next call.
async fn warm_after_calls(prepared: &Prepared) -> usize {
    for _ in 0..5 {
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(10));
        let call =
            GuestCall { operation: "Test.Run", payload: Bytes::new(), deadline, interrupt: &Interrupt::default() };
        let _ = prepared.call(call, Arc::new(Nobody)).await;
    }
    prepared.0.shared.warm.count(prepared.0.id)
}

#[tokio::test]
async fn a_sandbox_serves_again_if_all_it_can_change_can_be_restored() {
    assert_eq!(warm_after_calls(&prepared("(i32.store (i32.const 70000) (i32.const 1))").await).await, 1);
    assert_eq!(warm_after_calls(&prepared("(table.set 0 (i32.const 0) (ref.func $nothing))").await).await, 0);
    assert_eq!(warm_after_calls(&prepared("(drop (memory.grow (i32.const 1)))").await).await, 0);
    assert_eq!(warm_after_calls(&prepared("(unreachable)").await).await, 0);
    let all = "(memory.fill (i32.const 0) (i32.const 1) (i32.const 1000000))";
    assert_eq!(warm_after_calls(&prepared(all).await).await, 1);
}

#[tokio::test]
async fn sandboxes_go_with_their_generation_and_when_nobody_calls() {
    let guest = prepared("").await;
    assert_eq!(warm_after_calls(&guest).await, 1);
    let warm = guest.0.shared.warm.clone();
    warm.sweep(Instant::now());
    assert_eq!(warm.count(guest.0.id), 1);
    warm.sweep(Instant::now() + Duration::from_secs(60));
    assert_eq!(warm.count(guest.0.id), 0);
    assert_eq!(warm_after_calls(&guest).await, 1);
    let id = guest.0.id;
    drop(guest);
    assert_eq!(warm.count(id), 0);
}

#[tokio::test]
async fn code_in_a_file_is_given_back_and_comes_again() {
    if dirty_pages::DirtyPages::get().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = EngineConfig { cache_dir: Some(dir.path().into()), pool_size: 4, ..EngineConfig::default() };
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1)
            (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#,
    );
    let (wasm, hash) = (wasm.unwrap(), [7; 32]);
    let engine = Engine::new(config).unwrap();
    let guest = engine.prepare(ModuleImage { hash, wasm: &wasm }, Limits::default(), |_| ()).await.unwrap();
    let image = guest.0.image.module().image_range();
    assert!(resident_bytes(&image) <= 4096, "all but the last page, which is half a page, is given back");
    assert_eq!(warm_after_calls(&guest).await, 1);
    assert!(resident_bytes(&image) > 4096);
    let in_memory = Module::new(&guest.0.shared.wasmtime, &wasm).unwrap();
    assert!(!give_back_image(&in_memory));
}

/// Returns how much of the mappings within `range` is there.
fn resident_bytes(range: &std::ops::Range<*const u8>) -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut inside, mut bytes) = (false, 0);
    for line in maps.lines() {
        let start = line.split('-').next().and_then(|start| usize::from_str_radix(start, 16).ok());
        if let Some(start) = start.filter(|_| line.contains(" r")) {
            inside = (range.start.addr()..range.end.addr()).contains(&start);
        } else if let Some(kib) = line.strip_prefix("Rss:").filter(|_| inside) {
            bytes += kib.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10;
        }
    }
    bytes
}
