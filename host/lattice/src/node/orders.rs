//! Telling a host what to do, and waiting for how it went.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use wattle_bus::{Message, Subscription};
use wattle_types::{
    HostId,
    control::{Command, Progress},
    signed, subject,
};

use super::Node;

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// The host said no: stable name of the error, and words.
    Refused { code: String, message: String },
    /// Nobody knows whether it did.
    Silent(String),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { message, .. } => f.write_str(message),
            Self::Silent(why) => f.write_str(why),
        }
    }
}

impl Node {
    /// Has `host` carry out a command as an order of the leader of `term`, and returns its result.
    pub(super) async fn order(
        &self,
        host: HostId,
        command: &Command,
        term: u64,
        wait: Duration,
    ) -> Result<Value, Failed> {
        match tokio::time::timeout(wait, self.give(host, command, term, wait)).await {
            Ok(result) => result,
            Err(_) => Err(Failed::Silent(format!("no outcome within {wait:?}"))),
        }
    }

    async fn give(&self, host: HostId, command: &Command, term: u64, wait: Duration) -> Result<Value, Failed> {
        let silent = |error: wattle_bus::BusError| Failed::Silent(error.to_string());
        let (verb, body) =
            written(command, term).ok_or_else(|| Failed::Silent("it cannot be written as JSON".into()))?;
        let subject = subject::control_host(&self.0.lattice, &format!("wattle.{verb}"), &host);
        // By the host's own clock, as far as it is known from its beats.
        let end = (self.0.surroundings.unix_now() + 1).saturating_mul(1000).saturating_add_signed(self.ahead_ms(&host));
        let end = end.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        let headers = self.signature(&subject, &body, end)?;
        let inbox = self.0.bus.new_inbox();
        let mut answers = self.0.bus.subscribe(&inbox, None).await.map_err(silent)?;
        self.0.bus.publish(&subject, Some(&inbox), &headers, body).await.map_err(silent)?;
        outcome(&mut answers).await
    }

    /// Returns by how much the clock of a host is ahead of ours, and what beats cannot tell: they count in seconds.
    fn ahead_ms(&self, host: &HostId) -> i64 {
        self.clocks().ahead(host).saturating_add(1).saturating_mul(1000)
    }

    /// Signs an order, for hosts that carry out nothing else.
    fn signature(&self, subject: &str, body: &[u8], end: u64) -> Result<Vec<(String, String)>, Failed> {
        let mut nonce = [0; 16];
        let surroundings = &self.0.surroundings;
        surroundings.fill_random(&mut nonce).map_err(|error| Failed::Silent(error.to_string()))?;
        let times = (surroundings.unix_now(), Some(end));
        Ok(signed::sign_until(&self.0.cluster, subject, body, times, nonce))
    }
}

/// Writes a command with the term of whoever gives it.
fn written(command: &Command, term: u64) -> Option<(String, Bytes)> {
    let mut body = serde_json::to_value(command).ok()?;
    let verb = body.get("verb")?.as_str()?.to_owned();
    body.as_object_mut()?.insert("term".into(), json!(term));
    Some((verb, serde_json::to_vec(&body).ok()?.into()))
}

async fn outcome(answers: &mut Subscription) -> Result<Value, Failed> {
    while let Some(answer) = answers.next().await {
        match read(&answer)? {
            Progress::Step { .. } => {}
            Progress::Done { result } => return Ok(result),
            Progress::Failed { code, message, .. } => return Err(Failed::Refused { code, message }),
        }
    }
    Err(Failed::Silent("the bus was closed".into()))
}

fn read(answer: &Message) -> Result<Progress, Failed> {
    if answer.is_no_responders() {
        return Err(Failed::Silent("the host does not listen".into()));
    }
    serde_json::from_slice(&answer.payload)
        .map_err(|error| Failed::Silent(format!("its answer cannot be read: {error}")))
}
