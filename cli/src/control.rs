//! The client's side of the control interface.

pub(crate) mod fleet;
pub(crate) mod known;
mod lattice;
mod resolve;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wattle_bus::{Bus, BusError, Message};
use wattle_types::{
    HostId, LatticeId,
    control::{Command, Host, HostInventory, Progress, Reply, StopHost},
    signed, subject,
};
use wattle_wascap::KeyPair;

use crate::error::{CliError, Kind};

pub(crate) use fleet::Fleet;
pub(crate) use known::Known;

/// Longest wait for the first host to answer a ping, when somebody listens.
const FIRST_HOST_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait for one more host after the last that answered. Hosts answer at once: this is the way there and
/// back, over a slow network.
const NEXT_HOST_TIMEOUT: Duration = Duration::from_millis(200);

/// Hosts one ping takes in. A lattice larger than this is not looked at by eye.
const HOSTS_MAX: usize = 1000;

/// A connection to the hosts of one lattice.
#[derive(Clone)]
pub(crate) struct Client {
    bus: Arc<dyn Bus>,
    lattice: LatticeId,
    timeout: Duration,
    /// Signs what is asked, for hosts that take nothing else.
    signer: Option<Arc<KeyPair>>,
    /// By how many milliseconds hosts' clocks are ahead of ours, once one has said so.
    ahead_ms: Arc<AtomicI64>,
}

impl Client {
    /// `timeout` is the longest silence of a host that works on a request.
    pub(crate) fn new(bus: Arc<dyn Bus>, lattice: LatticeId, timeout: Duration) -> Self {
        Self { bus, lattice, timeout, signer: None, ahead_ms: Arc::default() }
    }

    /// Returns the same connection, whose requests are signed with a key.
    pub(crate) fn signed_by(self, signer: Option<KeyPair>) -> Self {
        Self { signer: signer.map(Arc::new), ..self }
    }

    /// Returns the headers of a request: until when we wait for it to be taken, and our signature.
    fn headers(&self, subject: &str, body: &[u8]) -> Vec<(String, String)> {
        let now = unix_millis();
        let wait = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let until = now.saturating_add(wait).saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed));
        let Some(signer) = &self.signer else { return vec![signed::until(until)] };
        signed::sign_until(signer, subject, body, (now / 1000, Some(until)), *uuid::Uuid::new_v4().as_bytes())
    }

    /// Learns from an answer that a request was late by the host's clock. Returns whether it is worth asking again:
    /// once, as our own clock may be the wrong one, and the host did nothing.
    fn learn_clock(&self, answer: &Message) -> bool {
        let Ok(Some(theirs)) = signed::millis_in(&answer.headers, signed::CLOCK) else { return false };
        let theirs = i64::try_from(theirs).unwrap_or(i64::MAX);
        let ahead = theirs.saturating_sub(i64::try_from(unix_millis()).unwrap_or(i64::MAX));
        self.ahead_ms.swap(ahead, Ordering::Relaxed) == 0
    }

    /// Returns the same connection with another longest silence.
    pub(crate) fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Returns the same connection for work during which a host may be silent for so much longer.
    pub(crate) fn and_wait(&self, longer: Duration) -> Self {
        self.with_timeout(self.timeout.saturating_add(longer))
    }

    pub(crate) fn bus(&self) -> &dyn Bus {
        self.bus.as_ref()
    }

    pub(crate) const fn lattice(&self) -> &LatticeId {
        &self.lattice
    }

    /// Returns the hosts that answer, by name and id.
    pub(crate) async fn hosts(&self) -> Result<Vec<Host>, CliError> {
        self.first_hosts(HOSTS_MAX).await
    }

    /// Returns the hosts that answer first, by name and id. With `count` of them, no more are waited for.
    async fn first_hosts(&self, count: usize) -> Result<Vec<Host>, CliError> {
        let inbox = self.bus.new_inbox();
        let mut answers = self.bus.subscribe(&inbox, None).await?;
        self.bus.publish(&subject::control(&self.lattice, "host.ping"), Some(&inbox), &[], Bytes::new()).await?;
        let mut hosts: Vec<Host> = Vec::new();
        let mut wait = FIRST_HOST_TIMEOUT;
        while hosts.len() < count {
            let Ok(Some(answer)) = tokio::time::timeout(wait, answers.next()).await else { break };
            if answer.is_no_responders() {
                break;
            }
            hosts.push(reply(&answer)?);
            wait = NEXT_HOST_TIMEOUT;
        }
        hosts.sort_by(|left, right| (&left.friendly_name, &left.id).cmp(&(&right.friendly_name, &right.id)));
        Ok(hosts)
    }

    /// Returns what a host runs.
    pub(crate) async fn inventory(&self, host: &HostId) -> Result<HostInventory, CliError> {
        self.ask(&subject::control_host(&self.lattice, "host.get", host), Bytes::new()).await
    }

    /// Returns the claims of what runs in the lattice.
    pub(crate) async fn claims(&self) -> Result<Vec<std::collections::BTreeMap<String, String>>, CliError> {
        let host = self.any_host(None).await?;
        self.ask(&subject::control_host(&self.lattice, "claims.get", &host), Bytes::new()).await
    }

    /// Asks a host to drain and end; returns when it has accepted.
    pub(crate) async fn stop_host(&self, host: &HostId, drain: Option<Duration>) -> Result<(), CliError> {
        let timeout_ms = drain.map(|drain| u64::try_from(drain.as_millis()).unwrap_or(u64::MAX));
        let body = json(&StopHost { host_id: host.to_string(), timeout_ms })?;
        let subject = subject::control_host(&self.lattice, "host.stop", host);
        let answer = self.request(&subject, body).await?;
        accepted(&read::<Reply<Value>>(&answer)?)
    }

    /// Sends one of our commands to a host and returns its result; `on_step` hears of every step until then.
    pub(crate) async fn command(
        &self,
        host: &HostId,
        command: &Command,
        mut on_step: impl FnMut(&str, &str, u64),
    ) -> Result<Value, CliError> {
        let body = json(command)?;
        let mut is_repeated = false;
        let verb = format!("wattle.{}", verb(command)?);
        let subject = subject::control_host(&self.lattice, &verb, host);
        let inbox = self.bus.new_inbox();
        let mut answers = self.bus.subscribe(&inbox, None).await?;
        let headers = self.headers(&subject, &body);
        self.bus.publish(&subject, Some(&inbox), &headers, body.clone()).await?;
        loop {
            let Ok(answer) = tokio::time::timeout(self.timeout, answers.next()).await else {
                return Err(host_silent(host, self.timeout));
            };
            let answer = answer.ok_or_else(|| CliError::from(BusError::Disconnected("the connection ended".into())))?;
            if answer.is_no_responders() {
                return Err(host_gone(host));
            }
            if !is_repeated && self.learn_clock(&answer) {
                is_repeated = true;
                let headers = self.headers(&subject, &body);
                self.bus.publish(&subject, Some(&inbox), &headers, body.clone()).await?;
                continue;
            }
            match read(&answer)? {
                Progress::Step { step, detail, elapsed_ms } => on_step(&step, &detail, elapsed_ms),
                Progress::Done { result } => return Ok(result),
                Progress::Failed { code, message, remedy } => return Err(CliError::from_host(code, message, remedy)),
            }
        }
    }

    async fn ask<T: DeserializeOwned>(&self, subject: &str, body: Bytes) -> Result<T, CliError> {
        reply(&self.request(subject, body).await?)
    }

    async fn request(&self, subject: &str, body: Bytes) -> Result<Message, CliError> {
        let answer = self.request_once(subject, body.clone()).await?;
        if self.learn_clock(&answer) { self.request_once(subject, body).await } else { Ok(answer) }
    }

    async fn request_once(&self, subject: &str, body: Bytes) -> Result<Message, CliError> {
        let headers = self.headers(subject, &body);
        let answered = tokio::select! {
            biased;
            answered = self.bus.request(subject, &headers, body, self.timeout) => answered,
            () = self.nobody() => return Err(no_hosts(&self.lattice)),
        };
        answered.map_err(|error| match error {
            BusError::NoResponders { .. } => no_hosts(&self.lattice),
            error => error.into(),
        })
    }

    /// Ends when no host answers for a while. NATS says so at once, but not while somebody listens to everything.
    async fn nobody(&self) {
        tokio::time::sleep(FIRST_HOST_TIMEOUT).await;
        if !self.first_hosts(1).await.is_ok_and(|hosts| hosts.is_empty()) {
            std::future::pending().await
        }
    }

    /// Asks a host that has just answered what any host can do: one that is silent is passed over.
    async fn ask_any<T: DeserializeOwned>(&self, verb: &str, body: Value) -> Result<Reply<T>, CliError> {
        let host = self.any_host(None).await?;
        let reply = self.command(&host, &Command::Ask { verb: verb.into(), body }, |_, _, _| {}).await?;
        serde_json::from_value(reply).map_err(|error| CliError::internal(format!("the answer cannot be read: {error}")))
    }
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Makes the error of a lattice where nobody answers.
pub(crate) fn no_hosts(lattice: &LatticeId) -> CliError {
    CliError::new(Kind::Unavailable, "no_hosts", format!("no host answers in lattice {lattice}"))
        .hint("start one: wattle up")
        .hint("or choose another lattice with --lattice (or WATTLE_LATTICE)")
}

fn host_gone(host: &HostId) -> CliError {
    CliError::new(Kind::Unavailable, "host_not_found", format!("host {host} does not answer"))
        .hint("see which hosts do: wattle get hosts")
}

fn host_silent(host: &HostId, waited: Duration) -> CliError {
    let message = format!("host {host} has been silent for {} s", waited.as_secs());
    CliError::new(Kind::Unavailable, "bus_timed_out", message)
        .hint("what was asked may still happen: see wattle get inventory")
        .hint("to wait longer: --timeout SECONDS")
}

/// A command's verb is the tag it has on the wire.
fn verb(command: &Command) -> Result<String, CliError> {
    let value = serde_json::to_value(command).map_err(|error| CliError::internal(error.to_string()))?;
    let verb = value.get("verb").and_then(Value::as_str).map(str::to_owned);
    verb.ok_or_else(|| CliError::internal("a command without a verb"))
}

fn json<T: serde::Serialize>(value: &T) -> Result<Bytes, CliError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| CliError::internal(error.to_string()))
}

fn read<T: DeserializeOwned>(message: &Message) -> Result<T, CliError> {
    serde_json::from_slice(&message.payload).map_err(|error| {
        CliError::new(Kind::Unavailable, "answer_invalid", format!("the host's answer cannot be read: {error}"))
            .hint("compare versions: wattle --version, wattle get hosts")
    })
}

fn reply<T: DeserializeOwned>(message: &Message) -> Result<T, CliError> {
    let reply: Reply<T> = read(message)?;
    accepted(&reply)?;
    reply.response.ok_or_else(|| CliError::new(Kind::Unavailable, "answer_invalid", "the host's answer is empty"))
}

fn accepted<T>(reply: &Reply<T>) -> Result<(), CliError> {
    if reply.success { Ok(()) } else { Err(CliError::new(Kind::Refused, "refused", reply.message.clone())) }
}
