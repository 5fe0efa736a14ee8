//! Guests that compute for long, and where they do it.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::{self, Handle},
    task::JoinSet,
};
use wattle_runtime::{Engine, EngineConfig, GuestCall, GuestError, HostCall, HostCalls, Interrupt, Prepared};
use wattle_types::{BoxFuture, Deadline};

use crate::harness::{Outside, call, call_until, config, fixture, prepare, prepare_bytes};

/// Does what its payload says, letter by letter: `h` calls the host, `s` computes for some dozens of milliseconds, `f`
/// for ever.
const SCRIPT: &str = r#"(module
    (import "wapc" "__guest_request" (func $request (param i32 i32)))
    (import "wapc" "__guest_response" (func $respond (param i32 i32)))
    (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $compute (param $left i64)
        (loop $next
            (local.set $left (i64.sub (local.get $left) (i64.const 1)))
            (br_if $next (i64.ne (local.get $left) (i64.const 0)))))
    (func (export "__guest_call") (param $operation i32) (param $length i32) (result i32)
        (local $at i32) (local $letter i32)
        (call $request (i32.const 0) (i32.const 1024))
        (local.set $at (i32.const 1024))
        (loop $next
            (local.set $letter (i32.load8_u (local.get $at)))
            (if (i32.eq (local.get $letter) (i32.const 0x73)) (then (call $compute (i64.const 50000000))))
            (if (i32.eq (local.get $letter) (i32.const 0x66)) (then (call $compute (i64.const 0))))
            (if (i32.eq (local.get $letter) (i32.const 0x68)) (then
                (drop (call $call
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (i32.add (local.get $length) (i32.const 1024)))))
        (call $respond (i32.const 1024) (local.get $length))
        (i32.const 1)))"#;

/// Remembers where each host call was made, and passes it on to another guest if there is one.
#[derive(Default)]
struct Places {
    seen: Mutex<Vec<(bool, runtime::Id)>>,
    behind: Option<(Prepared, &'static [u8])>,
}

impl Places {
    /// Returns for each host call whether it was made on a thread for long calls.
    fn were_long(&self) -> Vec<bool> {
        self.seen.lock().unwrap().iter().map(|(long, _)| *long).collect()
    }
}

impl HostCalls for Places {
    fn call<'a>(&'a self, _call: HostCall<'a>) -> BoxFuture<'a, Result<Bytes, String>> {
        Box::pin(async {
            let long = thread::current().name().is_some_and(|name| name.starts_with("wattle-long"));
            self.seen.lock().unwrap().push((long, Handle::current().id()));
            // Timers are those of the caller's runtime: the threads for long calls have none.
            tokio::time::sleep(Duration::from_millis(1)).await;
            match &self.behind {
                Some((guest, script)) => Ok(run(guest, script, Arc::new(Self::default())).await.unwrap()),
                None => Ok(Bytes::new()),
            }
        })
    }

    fn log(&self, _line: &str) {}
}

async fn run(guest: &Prepared, script: &'static [u8], places: Arc<Places>) -> Result<Bytes, GuestError> {
    let (payload, deadline) = (Bytes::from_static(script), Deadline::after(Instant::now(), Duration::from_secs(60)));
    let interrupt = &Interrupt::default();
    guest.call(GuestCall { operation: "Test.Run", payload, deadline, interrupt }, places).await
}

async fn script(engine: &Engine) -> Prepared {
    prepare_bytes(engine, &wat::parse_str(SCRIPT).unwrap()).await.unwrap().0
}

fn engine(pool_size: u32) -> Engine {
    Engine::new(EngineConfig { pool_size, long_call_threads: 1, ..config() }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_computes_for_long_goes_on_elsewhere_but_in_its_own_runtime() {
    let guest = script(&engine(4)).await;
    let places = Arc::new(Places::default());
    assert_eq!(run(&guest, b"hshh", places.clone()).await.unwrap(), "hshh");
    assert_eq!(places.were_long(), [false, true, true]);
    let home = Handle::current().id();
    assert!(places.seen.lock().unwrap().iter().all(|(_, runtime)| *runtime == home));
    // The next one is short, whatever this one was.
    let places = Arc::new(Places::default());
    run(&guest, b"hh", places.clone()).await.unwrap();
    assert_eq!(places.were_long(), [false, false]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_goes_with_the_one_it_waits_for() {
    let guest = script(&engine(4)).await;
    let places = Arc::new(Places { behind: Some((guest.clone(), b"s")), ..Places::default() });
    run(&guest, b"hh", places.clone()).await.unwrap();
    assert_eq!(places.were_long(), [false, true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_whose_calls_are_long_begins_them_elsewhere() {
    let guest = script(&engine(4)).await;
    for _ in 0..6 {
        run(&guest, b"s", Arc::default()).await.unwrap();
    }
    let places = Arc::new(Places::default());
    assert_eq!(run(&guest, b"hs", places.clone()).await.unwrap(), "hs");
    assert_eq!(places.were_long(), [true]);
}

/// With the only thread of the runtime in the hands of guests, sockets would be looked at every 100 ms and more.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn guests_that_compute_without_end_leave_the_runtime_to_others() {
    let guest = prepare(&fixture("spin")).await.unwrap();
    let interrupt = Interrupt::default();
    let mut spinning = JoinSet::new();
    for _ in 0..4 {
        let (guest, interrupt) = (guest.clone(), interrupt.clone());
        spinning
            .spawn(async move { call_until(&guest, b"", Arc::default(), Duration::from_secs(60), &interrupt).await });
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut talking = JoinSet::new();
    talking.spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        while let Ok(byte) = stream.read_u8().await {
            stream.write_u8(byte).await.unwrap();
        }
    });
    talking.spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        for byte in 0..30 {
            stream.write_u8(byte).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), byte);
        }
    });
    let begun = Instant::now();
    talking.join_all().await;
    let took = begun.elapsed();
    interrupt.trigger();
    for ended in spinning.join_all().await {
        assert_eq!(ended, Err(GuestError::Interrupted));
    }
    assert!(took < Duration::from_secs(3), "30 questions and answers took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_call_ends_in_time_also_when_many_are_there() {
    let guest = script(&engine(50)).await;
    let (wait, interrupt) = (Duration::from_millis(500), Interrupt::default());
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let (guest, interrupt) = (guest.clone(), interrupt.clone());
        calls.spawn(async move {
            let begun = Instant::now();
            let ended = call_until(&guest, b"f", Arc::default(), wait, &interrupt).await;
            (ended, begun.elapsed())
        });
    }
    for (ended, took) in calls.join_all().await {
        assert_eq!(ended, Err(GuestError::DeadlineExceeded));
        assert!(took >= wait && took < wait * 3, "{took:?}");
    }
}

/// Lets a call begin that computes for ever after its host call, and waits until it was made elsewhere.
async fn endless(guest: &Prepared, interrupt: &Interrupt) -> JoinSet<Result<Bytes, GuestError>> {
    let (guest, interrupt, outside) = (guest.clone(), interrupt.clone(), Arc::new(Outside::default()));
    let (mut calls, seen) = (JoinSet::new(), outside.clone());
    calls.spawn(async move { call_until(&guest, b"shf", seen, Duration::from_secs(60), &interrupt).await });
    while outside.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_call_ends_when_it_is_interrupted_and_when_its_caller_goes_away() {
    let engine = engine(1);
    let guest = script(&engine).await;
    let (good, _) = prepare_bytes(&engine, &wat::parse_str(fixture("minimal")).unwrap()).await.unwrap();
    let interrupt = Interrupt::default();
    let mut calls = endless(&guest, &interrupt).await;
    interrupt.trigger();
    assert_eq!(calls.join_next().await.unwrap().unwrap(), Err(GuestError::Interrupted));
    assert_eq!(call(&good, b"").await.unwrap(), "ok");
    let mut calls = endless(&guest, &Interrupt::default()).await;
    calls.shutdown().await;
    assert_eq!(call(&good, b"").await.unwrap(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_ends_with_a_long_call_still_in_it() {
    let engine = engine(1);
    let guest = script(&engine).await;
    let mut calls = endless(&guest, &Interrupt::default()).await;
    drop((engine, guest));
    calls.shutdown().await;
}
