//! Calls that do not go well, and what their callers are told.

use super::*;

/// Calls `wait` until it runs there.
async fn running<'a>(one: &'a Rpc, server: &Server) -> BoxFuture<'a, Result<Bytes, CallFailure>> {
    let before = server.begun();
    let mut running: BoxFuture<'_, _> =
        Box::pin(one.call(host(2), RemoteCall { operation: "wait".into(), ..call_of("a") }));
    while server.begun() == before {
        assert!(futures::poll!(&mut running).is_pending());
        tokio::task::yield_now().await;
    }
    running
}

fn why(failure: CallFailure) -> NotRun {
    match failure {
        CallFailure::NotRun { why, .. } => why,
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_listening_is_known_at_once() {
    let bus = MemoryBus::new();
    let one = start(&bus, 1);
    let began = Instant::now();
    let failure = one.call(host(2), call_of("a")).await.unwrap_err();
    assert!(failure.may_try_another());
    assert_eq!(why(failure), NotRun::NobodyListens);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_the_first_contact_has_run_nothing() {
    let bus = MemoryBus::new();
    let _deaf = bus.subscribe(&subject::rpc_host(&"test".parse().unwrap(), &host(2)), None).await.unwrap();
    let one = start(&bus, 1);
    let began = Instant::now();
    let mut call = call_of("a");
    call.context.deadline = Deadline::after(Instant::now().into_std(), Duration::from_secs(60));
    let failure = one.call(host(2), call).await.unwrap_err();
    assert_eq!((failure.code(), failure.may_try_another()), ("session_refused", true));
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    let mut call = call_of("a");
    call.context.deadline = Deadline::after(Instant::now().into_std(), Duration::from_secs(1));
    assert_eq!(why(one.call(host(2), call).await.unwrap_err()), NotRun::DeadlineExceeded);
    assert_eq!(began.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_dies_while_it_works_leaves_the_outcome_unknown() {
    let bus = MemoryBus::new();
    let (one, two, server) = pair(&bus, Limits::default()).await;
    one.call(host(2), call_of("a")).await.unwrap();
    drop(two);
    tokio::task::yield_now().await;
    let _deaf = bus.subscribe(&subject::rpc_host(&"test".parse().unwrap(), &host(2)), None).await.unwrap();
    let began = Instant::now();
    let failure = one.call(host(2), call_of("a")).await.unwrap_err();
    assert!(matches!(failure, CallFailure::Unknown { .. }), "{failure}");
    assert_eq!((failure.code(), failure.may_try_another(), failure.may_repeat()), ("outcome_unknown", false, true));
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(server.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_deadline() {
    let bus = MemoryBus::new();
    let (one, _two, _server) = pair(&bus, Limits::default()).await;
    let mut spy = spy(&bus).await;
    let mut call = call_of("a");
    call.context.deadline = Deadline::at(Instant::now().into_std());
    let failure = one.call(host(2), call).await.unwrap_err();
    assert!(!failure.may_try_another());
    assert_eq!(why(failure), NotRun::DeadlineExceeded);
    assert!(seen(&mut spy).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_is_told_from_a_dead_host() {
    let bus = MemoryBus::new();
    let (one, two, server) = pair(&bus, Limits::default()).await;
    let began = Instant::now();
    let failure = running(&one, &server).await.await.unwrap_err();
    assert!(matches!(failure, CallFailure::Answered(Refusal { executed: true, .. })), "{failure}");
    assert_eq!((failure.code(), failure.may_try_another(), failure.may_repeat()), ("deadline_exceeded", false, true));
    assert!(began.elapsed() <= Duration::from_secs(2) && began.elapsed() >= Duration::from_millis(1979));
    tokio::time::timeout(Duration::from_millis(5), two.stop()).await.expect("nothing runs any more");
}

#[tokio::test(start_paused = true)]
async fn errors_say_whether_the_call_ran() {
    let bus = MemoryBus::new();
    let (one, _two, _server) = pair(&bus, Limits::default()).await;
    let missing = one.call(host(2), RemoteCall { operation: "missing".into(), ..call_of("a") }).await.unwrap_err();
    assert_eq!((missing.code(), missing.may_try_another()), ("actor_not_found", true));
    let trapped = one.call(host(2), RemoteCall { operation: "trap".into(), ..call_of("a") }).await.unwrap_err();
    assert_eq!((trapped.code(), trapped.kind(), trapped.may_try_another()), ("guest_trapped", ErrorKind::Guest, false));
    assert!(!trapped.may_repeat());
    assert!(matches!(trapped, CallFailure::Answered(refusal) if refusal.message == "unreachable"));
}

#[tokio::test(start_paused = true)]
async fn a_host_shares_its_places_fairly_and_refuses_the_rest_at_once() {
    let bus = MemoryBus::new();
    let limits = Limits { running_max: 3, running_per_host_max: 2, ..Limits::default() };
    let (one, _two, server) = pair(&bus, limits.clone()).await;
    let three = start_with(bus.connect(), identity(3), limits);
    let _first = (running(&one, &server).await, running(&one, &server).await);
    let began = Instant::now();
    let refused = one.call(host(2), call_of("b")).await.unwrap_err();
    assert_eq!((refused.code(), refused.may_try_another()), ("overloaded", true));
    let _third = running(&three, &server).await;
    let full = three.call(host(2), call_of("b")).await.unwrap_err();
    assert_eq!(full.code(), "overloaded");
    assert_eq!(began.elapsed(), Duration::ZERO);
    server.gate.notify_waiters();
    for _turn in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(one.call(host(2), call_of("b")).await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_wait_for_a_host_than_may() {
    let bus = MemoryBus::new();
    let (one, _two, server) = pair(&bus, Limits { waiting_max: 2, ..Limits::default() }).await;
    let waiting = (running(&one, &server).await, running(&one, &server).await);
    assert_eq!(one.outstanding(&host(2)), 2);
    let failure = one.call(host(2), call_of("b")).await.unwrap_err();
    assert!(failure.may_try_another());
    assert_eq!(why(failure), NotRun::Overloaded { limit: 2 });
    drop(waiting);
    assert_eq!(one.outstanding(&host(2)), 0);
    assert_eq!(one.call(host(2), call_of("b")).await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_down_is_said_before_anything_is_sent() {
    let bus = MemoryBus::new();
    let connection = bus.connect();
    let one = start_with(connection.clone(), identity(1), Limits::default());
    let (_other, _two, _server) = pair(&bus, Limits::default()).await;
    one.call(host(2), call_of("a")).await.unwrap();
    connection.drain().await;
    let failure = one.call(host(2), call_of("a")).await.unwrap_err();
    assert_eq!((failure.code(), failure.may_try_another()), ("bus_disconnected", true));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_down_is_the_callers_fault() {
    let bus = MemoryBus::new();
    let (one, _two, _server) = pair(&bus, Limits { payload_len_max: 4000, ..Limits::default() }).await;
    let long = one.call(host(2), call_of(vec![0; 4001])).await.unwrap_err();
    assert_eq!(why(long), NotRun::TooLarge { size: 4001, limit: 4000 });
    let named = RemoteCall { operation: "x".repeat(1025), ..call_of("a") };
    assert_eq!(one.call(host(2), named).await.unwrap_err().kind(), ErrorKind::Caller);
    let mut deep = call_of("a");
    deep.context.depth = wattle_types::MAX_CALL_DEPTH + 1;
    assert_eq!(why(one.call(host(2), deep).await.unwrap_err()), NotRun::TooDeep);
}

#[tokio::test(start_paused = true)]
async fn hosts_that_do_not_trust_each_other_make_no_session() {
    let bus = MemoryBus::new();
    let (one, _two, server) = pair(&bus, Limits::default()).await;
    // Host 9 is trusted by nobody, and trusts all; host 8 is trusted, and trusts only itself.
    let nine = start(&bus, 9);
    let failure = nine.call(host(2), call_of("a")).await.unwrap_err();
    assert!(failure.to_string().contains("is not trusted"), "{failure}");
    assert_eq!(failure.code(), "session_refused");
    let eight = start_with(bus.connect(), Identity { issuers: Vec::new(), ..identity(8) }, Limits::default());
    let failure = eight.call(host(2), call_of("a")).await.unwrap_err();
    assert!(failure.to_string().contains("is not trusted"), "{failure}");
    assert_eq!(server.begun(), 0);
    one.call(host(2), call_of("a")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn clocks_may_differ_by_a_minute() {
    let bus = MemoryBus::new();
    let (_one, _two, _server) = pair(&bus, Limits::default()).await;
    for (unix_now, is_fresh) in [(1_800_000_060, true), (1_799_999_940, true), (1_800_000_061, false), (0, false)] {
        let seeded = Seeded::new(1000 + unix_now, unix_now);
        let three = Rpc::new(Arc::new(bus.connect()), identity(3), seeded, Limits::default());
        let answer = three.call(host(2), call_of("a")).await;
        assert_eq!(answer.is_ok(), is_fresh, "{unix_now}");
        assert!(answer.map_or_else(|failure| failure.to_string().contains("clocks differ"), |_| is_fresh));
    }
}

/// Host 2 once more, as a process that started `secs` seconds after 1,800,000,000.
async fn process(bus: &MemoryBus, secs: u64) -> (Rpc, Arc<Server>) {
    let (seeded, server) = (Seeded::new(2000 + secs, 1_800_000_000 + secs), Arc::new(Server::default()));
    let process = Rpc::new(Arc::new(bus.connect()), identity(2), seeded, Limits::default());
    process.serve(server.clone()).await.unwrap();
    (process, server)
}

#[tokio::test(start_paused = true)]
async fn an_earlier_process_with_the_same_key_cannot_say_that_a_call_did_not_run() {
    let bus = MemoryBus::new();
    let (_later, server) = process(&bus, 20).await;
    let one = start(&bus, 1);
    one.call(host(2), call_of("a")).await.unwrap();
    let (_earlier, other) = process(&bus, 10).await;
    let failure = one.call(host(2), RemoteCall { operation: "wait".into(), ..call_of("a") }).await.unwrap_err();
    assert!(matches!(failure, CallFailure::Unknown { .. }), "{failure}");
    assert_eq!((server.begun(), other.begun()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_later_process_says_that_what_its_forerunner_was_asked_did_not_run() {
    let bus = MemoryBus::new();
    let (earlier, _server) = process(&bus, 10).await;
    let one = start(&bus, 1);
    one.call(host(2), call_of("a")).await.unwrap();
    earlier.give_up();
    tokio::task::yield_now().await;
    let (later, server) = process(&bus, 20).await;
    assert!(later.incarnation() > earlier.incarnation());
    assert_eq!(one.call(host(2), call_of("b")).await.unwrap(), "b");
    assert_eq!(server.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_listens_again_when_the_bus_has_ended_it() {
    let bus = MemoryBus::new();
    let (one, two) = (start(&bus, 1), start(&bus, 2));
    let connection = bus.connect();
    let ends = connection.subscribe("nothing", None).await.unwrap();
    two.desk.serve(Arc::new(Server::default()), ends);
    connection.drain().await;
    assert!(one.call(host(2), call_of("a")).await.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(one.call(host(2), call_of("a")).await.unwrap(), "a");
}
