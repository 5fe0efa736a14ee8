//! Payloads too long for one message.

use wattle_bus::{KvError, KvStore, Message};

use super::{frame::Kind, *};

/// A bus that takes short messages only, loses those of one kind, and changes answers.
struct Rigged {
    inner: MemoryBus,
    limit: usize,
    /// Requests of this kind are never answered.
    swallowed: Option<Kind>,
    /// Answers of this kind arrive with one bit changed.
    changed: Option<Kind>,
}

impl Rigged {
    fn new(bus: &MemoryBus) -> Self {
        Self { inner: bus.connect(), limit: usize::MAX, swallowed: None, changed: None }
    }

    fn check(&self, payload: &Bytes) -> Result<(), BusError> {
        if payload.len() > self.limit {
            return Err(BusError::TooLarge { size: payload.len(), limit: self.limit });
        }
        Ok(())
    }
}

impl Bus for Rigged {
    fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }

    fn bucket<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn KvStore>, KvError>> {
        self.inner.bucket(name)
    }

    fn publish<'a>(
        &'a self,
        subject: &'a str,
        reply: Option<&'a str>,
        headers: &'a [(String, String)],
        payload: Bytes,
    ) -> BoxFuture<'a, Result<(), BusError>> {
        Box::pin(async move {
            self.check(&payload)?;
            self.inner.publish(subject, reply, headers, payload).await
        })
    }

    fn request<'a>(
        &'a self,
        subject: &'a str,
        headers: &'a [(String, String)],
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Message, BusError>> {
        let kind = frame::Head::read(&payload).unwrap().kind;
        Box::pin(async move {
            self.check(&payload)?;
            if self.swallowed == Some(kind) {
                tokio::time::sleep(timeout).await;
                return Err(BusError::TimedOut { subject: subject.into(), waited: timeout });
            }
            let mut answer = self.inner.request(subject, headers, payload, timeout).await?;
            if self.changed.is_some_and(|kind| Ok(kind) == frame::Head::read(&answer.payload).map(|head| head.kind)) {
                let mut changed = answer.payload.to_vec();
                *changed.last_mut().unwrap() ^= 1;
                answer.payload = changed.into();
            }
            Ok(answer)
        })
    }

    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
        queue: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Subscription, BusError>> {
        self.inner.subscribe(subject, queue)
    }

    fn new_inbox(&self) -> String {
        self.inner.new_inbox()
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        self.inner.drain()
    }
}

fn long(len: usize) -> Bytes {
    (0..len).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn five_mebibytes_go_both_ways() {
    let bus = MemoryBus::new();
    let (one, two, server) = pair(&bus, Limits::default()).await;
    let mut spy = spy(&bus).await;
    let payload = long(5 * 1024 * 1024 + 1);
    assert!(one.call(host(2), call_of(payload.clone())).await.unwrap() == payload);
    let seen = seen(&mut spy);
    for kind in [Kind::Put, Kind::Stored, Kind::Get, Kind::Part] {
        assert_eq!(seen.iter().filter(|seen| **seen == kind).count(), 11, "{kind:?}");
    }
    assert_eq!(server.begun(), 1);
    tokio::task::yield_now().await;
    assert_eq!(two.desk.kept_len(), 0);
    // The longest there may be.
    let payload = long(16 * 1024 * 1024);
    assert!(one.call(host(2), call_of(payload.clone())).await.unwrap() == payload);
}

#[tokio::test(start_paused = true)]
async fn parts_shrink_to_what_the_bus_takes() {
    let bus = MemoryBus::new();
    let server = Arc::new(Server::default());
    let narrow = |limit| Rigged { limit, ..Rigged::new(&bus) };
    let two = start_with(narrow(20_000), identity(2), Limits::default());
    two.serve(server.clone()).await.unwrap();
    let one = start_with(narrow(30_000), identity(1), Limits::default());
    for len in [10, 25_000, 29_000, 600_000, 700_001] {
        let payload = long(len);
        assert!(one.call(host(2), call_of(payload.clone())).await.unwrap() == payload, "{len}");
    }
    assert_eq!(server.begun(), 5);
    let hopeless = start_with(narrow(1000), identity(3), Limits::default());
    assert_eq!(hopeless.call(host(2), call_of(long(10))).await.unwrap(), long(10));
    let failure = hopeless.call(host(2), call_of(long(5000))).await.unwrap_err();
    assert_eq!((failure.code(), failure.kind()), ("payload_too_large", ErrorKind::Caller));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_others_is_bounded() {
    let bus = MemoryBus::new();
    let limits = Limits {
        part_len: 1024,
        payload_len_max: 10_000,
        kept_len_max: 25_000,
        kept_len_per_host_max: 15_000,
        ..Limits::default()
    };
    let (one, two, server) = pair(&bus, limits.clone()).await;
    let three = start_with(bus.connect(), identity(3), limits);
    let wait = |len| RemoteCall { operation: "wait".into(), ..call_of(long(len)) };
    let mut first = Box::pin(one.call(host(2), wait(10_000)));
    while server.begun() == 0 {
        assert!(futures::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }
    let refused = one.call(host(2), wait(10_000)).await.unwrap_err();
    assert_eq!((refused.code(), refused.may_try_another()), ("overloaded", true));
    let mut second = Box::pin(three.call(host(2), wait(10_000)));
    while server.begun() == 1 {
        assert!(futures::poll!(&mut second).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(two.desk.kept_len(), 20_000);
    server.gate.notify_waiters();
    let (first, second) = tokio::join!(first, second);
    assert!(first.unwrap() == long(10_000) && second.unwrap() == long(10_000));
    tokio::task::yield_now().await;
    assert_eq!((two.desk.kept_len(), server.begun()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_long_is_refused_and_one_not_fetched_is_dropped() {
    let bus = MemoryBus::new();
    let server = Arc::new(Server::default());
    let two = start_with(bus.connect(), identity(2), Limits { payload_len_max: 100, ..Limits::default() });
    two.serve(server.clone()).await.unwrap();
    let one = start(&bus, 1);
    let failure = one.call(host(2), call_of(long(101))).await.unwrap_err();
    assert!(matches!(failure, CallFailure::Answered(Refusal { ref code, .. }) if code == "payload_too_large"));

    let (_, keeper, _) = pair(&bus.clone(), Limits { part_len: 1024, ..Limits::default() }).await;
    two.stop().await;
    let deaf = Rigged { swallowed: Some(Kind::Get), ..Rigged::new(&bus) };
    let deaf = start_with(deaf, identity(3), Limits::default());
    let mut fetching = Box::pin(deaf.call(host(2), call_of(long(5000))));
    while keeper.desk.kept_len() == 0 {
        assert!(futures::poll!(&mut fetching).is_pending());
        tokio::task::yield_now().await;
    }
    let failure = fetching.await.unwrap_err();
    assert_eq!(failure.code(), "outcome_unknown");
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(keeper.desk.kept_len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_payload_whose_parts_did_not_arrive_has_run_nothing() {
    let bus = MemoryBus::new();
    let (_one, _two, server) = pair(&bus, Limits::default()).await;
    let lossy = Rigged { swallowed: Some(Kind::Put), ..Rigged::new(&bus) };
    let lossy = start_with(lossy, identity(3), Limits::default());
    let failure = lossy.call(host(2), call_of(long(600_000))).await.unwrap_err();
    assert!(matches!(failure, CallFailure::NotRun { why: NotRun::DeadlineExceeded, .. }), "{failure}");
    assert_eq!(server.begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_answer_leaves_the_outcome_unknown_at_once() {
    let bus = MemoryBus::new();
    let (_one, _two, server) = pair(&bus, Limits::default()).await;
    for (n, kind) in [Kind::Answer, Kind::Refused].into_iter().enumerate() {
        let rigged = Rigged { changed: Some(kind), ..Rigged::new(&bus) };
        let caller = start_with(rigged, identity(3), Limits::default());
        let began = Instant::now();
        let operation = if kind == Kind::Refused { "missing" } else { "Do" };
        let failure =
            caller.call(host(2), RemoteCall { operation: operation.into(), ..call_of("a") }).await.unwrap_err();
        assert!(matches!(failure, CallFailure::Unknown { .. }), "{failure}");
        assert_eq!((began.elapsed(), server.begun()), (Duration::ZERO, n + 1));
    }
    let rigged = Rigged { changed: Some(Kind::Welcome), ..Rigged::new(&bus) };
    let caller = start_with(rigged, identity(3), Limits::default());
    assert_eq!(caller.call(host(2), call_of("a")).await.unwrap_err().code(), "session_refused");
}
