//! A peer that has real sessions and writes its messages by hand.

use bytes::BytesMut;
use wattle_types::LatticeId;

use super::{
    frame::{Head, Kind, open},
    handshake::{Granted, Hello},
    keys::Keys,
    *,
};

/// One session of host 1 with host 2, by hand.
pub(super) struct RawPeer {
    pub(super) bus: MemoryBus,
    pub(super) hello: Bytes,
    pub(super) session: u64,
    pub(super) keys: Keys,
    opened: Instant,
}

/// Sends to host 2 of a lattice; returns what comes back within a second.
pub(super) async fn send(bus: &MemoryBus, lattice: &str, frame: Bytes) -> Option<Bytes> {
    let lattice: LatticeId = lattice.parse().unwrap();
    let to = subject::rpc_host(&lattice, &host(2));
    bus.request(&to, &[], frame, Duration::from_secs(1)).await.ok().map(|answer| answer.payload)
}

impl RawPeer {
    pub(super) async fn open(bus: &MemoryBus) -> Self {
        let bus = bus.connect();
        let hello = Hello::new(&identity(1), &host(2), Seeded::new(77, 1_800_000_000).as_ref()).unwrap();
        let opened = Instant::now();
        let answer = send(&bus, "test", hello.frame.clone()).await.unwrap();
        let Granted { session, keys, .. } = hello.finish(&identity(1), &answer).unwrap();
        Self { bus, hello: hello.frame, session, keys, opened }
    }

    /// Writes a message.
    pub(super) fn frame(&self, kind: Kind, counter: u64, write: impl FnOnce(&mut BytesMut)) -> Bytes {
        let mut frame = Head { kind, session: self.session, counter }.begin(0);
        write(&mut frame);
        self.keys.request.seal(frame)
    }

    /// Returns the time of a call that is sent now and may take so many milliseconds.
    pub(super) fn time(&self, remaining_ms: u64) -> fields::CallTime {
        fields::CallTime { remaining: Duration::from_millis(remaining_ms), sent: self.opened.elapsed() }
    }

    pub(super) fn call(&self, counter: u64, call: &RemoteCall) -> Bytes {
        let payload = fields::Attached::Here(call.payload.clone());
        self.frame(Kind::Call, counter, |out| fields::write_call(out, call, self.time(1000), &payload))
    }

    /// Sends a message; returns what kind of answer provably came back, with its fields.
    pub(super) async fn ask(&self, frame: Bytes) -> Option<(Kind, Bytes)> {
        let answer = send(&self.bus, "test", frame).await?;
        let head = Head::read(&answer).unwrap();
        Some((head.kind, open(&self.keys.reply, &answer).unwrap()))
    }

    /// Sends a message that is refused; returns the code and whether it ran.
    pub(super) async fn refused(&self, frame: Bytes) -> (String, bool) {
        let (kind, fields) = self.ask(frame).await.unwrap();
        assert_eq!(kind, Kind::Refused);
        let refusal = fields::read_refusal(fields).unwrap();
        (refusal.code.into(), refusal.executed)
    }
}
