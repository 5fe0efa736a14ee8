//! Calls that go well.

use super::{frame::Kind, *};

#[tokio::test(start_paused = true)]
async fn everything_about_a_call_arrives() {
    let bus = MemoryBus::new();
    let (one, _two, server) = pair(&bus, Limits::default()).await;
    let targets = [
        Target::Actor { actor: actor(11), link: None },
        Target::Actor { actor: actor(11), link: Some(link(11)) },
        Target::Provider { link: link(12), provider: "kv".parse().unwrap() },
    ];
    let origins = [Origin::Actor(actor(10)), Origin::Provider("web".parse().unwrap()), Origin::Host];
    for (target, origin) in targets.into_iter().zip(origins) {
        let mut call = RemoteCall { target, origin, ..call_of("request") };
        call.context.depth = 7;
        call.context.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
        assert_eq!(one.call(host(2), call.clone()).await.unwrap(), "request");
        let (from, came) = server.last.lock().unwrap().take().unwrap();
        assert_eq!(from, host(1));
        assert_eq!((&came.origin, &came.target), (&call.origin, &call.target));
        assert_eq!((came.operation, came.payload, came.context.depth), (call.operation, call.payload, 7));
        assert_eq!(came.context.traceparent, call.context.traceparent);
        let late = call.context.deadline.instant() - came.context.deadline.instant();
        assert!(late <= Duration::from_millis(21), "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_one_round_trip_after_the_first_contact() {
    let bus = MemoryBus::new();
    let (one, _two, _server) = pair(&bus, Limits::default()).await;
    let mut spy = spy(&bus).await;
    one.call(host(2), call_of("a")).await.unwrap();
    assert_eq!(seen(&mut spy), [Kind::Hello, Kind::Welcome, Kind::Call, Kind::Answer]);
    one.call(host(2), call_of(vec![7; 512 * 1024])).await.unwrap();
    assert_eq!(seen(&mut spy), [Kind::Call, Kind::Answer]);
}

#[tokio::test(start_paused = true)]
async fn those_who_need_a_session_at_once_share_one() {
    let bus = MemoryBus::new();
    let (one, _two, server) = pair(&bus, Limits::default()).await;
    let mut spy = spy(&bus).await;
    let calls = (0..100).map(|n| one.call(host(2), call_of(vec![n; 10])));
    for (n, answer) in futures::future::join_all(calls).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), vec![u8::try_from(n).unwrap(); 10]);
    }
    assert_eq!(server.begun(), 100);
    assert_eq!(seen(&mut spy).iter().filter(|kind| **kind == Kind::Hello).count(), 1);
    assert_eq!(one.outstanding(&host(2)), 0);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_on_the_first_contact_does_not_end_it_for_others() {
    let bus = MemoryBus::new();
    let (one, _two, _server) = pair(&bus, Limits::default()).await;
    let mut spy = spy(&bus).await;
    let mut hasty = Box::pin(one.call(host(2), call_of("a")));
    assert!(futures::poll!(&mut hasty).is_pending());
    let mut patient = Box::pin(one.call(host(2), call_of("b")));
    assert!(futures::poll!(&mut patient).is_pending());
    drop(hasty);
    assert_eq!(patient.await.unwrap(), "b");
    assert_eq!(seen(&mut spy), [Kind::Hello, Kind::Welcome, Kind::Call, Kind::Answer]);
}

#[tokio::test(start_paused = true)]
async fn both_may_call_and_a_host_may_call_itself() {
    let bus = MemoryBus::new();
    let (one, two, _server) = pair(&bus, Limits::default()).await;
    one.serve(Arc::new(Server::default())).await.unwrap();
    assert_eq!(two.call(host(1), call_of("back")).await.unwrap(), "back");
    assert_eq!(two.call(host(2), call_of("self")).await.unwrap(), "self");
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_after_an_hour() {
    let bus = MemoryBus::new();
    let (one, _two, server) = pair(&bus, Limits::default()).await;
    one.call(host(2), call_of("a")).await.unwrap();
    let mut spy = spy(&bus).await;
    tokio::time::advance(Duration::from_secs(3599)).await;
    one.call(host(2), call_of("b")).await.unwrap();
    assert_eq!(seen(&mut spy), [Kind::Call, Kind::Answer]);
    tokio::time::advance(Duration::from_secs(2)).await;
    one.call(host(2), call_of("c")).await.unwrap();
    assert_eq!(seen(&mut spy), [Kind::Hello, Kind::Welcome, Kind::Call, Kind::Answer]);
    assert_eq!(server.begun(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_host_started_again_is_called_again_at_once() {
    let bus = MemoryBus::new();
    let (one, two, server) = pair(&bus, Limits::default()).await;
    one.call(host(2), call_of("a")).await.unwrap();
    two.stop().await;
    let again = start(&bus, 2);
    again.serve(server.clone()).await.unwrap();
    let mut spy = spy(&bus).await;
    assert_eq!(one.call(host(2), call_of("b")).await.unwrap(), "b");
    let expected = [Kind::Call, Kind::Gone, Kind::Hello, Kind::Welcome, Kind::Call, Kind::Answer];
    assert_eq!(seen(&mut spy), expected);
    assert_eq!(server.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn stopping_answers_what_runs_and_refuses_the_rest() {
    let bus = MemoryBus::new();
    let (one, two, server) = pair(&bus, Limits::default()).await;
    let mut running = Box::pin(one.call(host(2), RemoteCall { operation: "wait".into(), ..call_of("a") }));
    while server.begun() == 0 {
        assert!(futures::poll!(&mut running).is_pending());
        tokio::task::yield_now().await;
    }
    let mut stopping = Box::pin(two.stop());
    assert!(futures::poll!(&mut stopping).is_pending());
    let refused = one.call(host(2), call_of("b")).await.unwrap_err();
    assert_eq!((refused.code(), refused.may_try_another()), ("draining", true));
    server.gate.notify_one();
    let (answer, ()) = tokio::join!(running, stopping);
    assert_eq!(answer.unwrap(), "a");
    let gone = one.call(host(2), call_of("c")).await.unwrap_err();
    assert!(matches!(gone, CallFailure::NotRun { why: NotRun::NobodyListens, .. }), "{gone}");
    assert_eq!(server.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_the_last_handle_it_ends() {
    let bus = MemoryBus::new();
    let (one, two, _server) = pair(&bus, Limits::default()).await;
    let other = two.clone();
    drop(two);
    one.call(host(2), call_of("a")).await.unwrap();
    drop(other);
    // The task that receives has to see it.
    tokio::task::yield_now().await;
    let gone = one.call(host(2), call_of("b")).await.unwrap_err();
    assert_eq!(gone.code(), "no_responders");
}

#[test]
fn starts_of_a_host_are_told_apart_by_the_millisecond() {
    let first = System.unix_millis();
    let next = (0..100_000_000).map(|_| System.unix_millis()).find(|millis| *millis != first).unwrap();
    assert!(next > first && next - first < 1_000, "{first} {next}");
    assert!(next.abs_diff(System.unix_now() * 1000) < 2_000);
}
