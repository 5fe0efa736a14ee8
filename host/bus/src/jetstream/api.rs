//! The requests to JetStream that a bucket needs, and its answers.

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{EXPECTED_HEADER, Link, OPERATION_HEADER, watch::review::Told};
use crate::{BusError, KvError, KvLast, kv::KV_TIMEOUT, nats_server::NatsVersion};

/// "No message found".
const NO_MESSAGE: u64 = 10037;
/// "Stream not found".
const NO_STREAM: u64 = 10059;
/// "Stream name already in use with a different configuration".
const NAME_IN_USE: u64 = 10058;
/// "Insufficient resources", "insufficient storage resources available" and "resource limits exceeded for account".
const FULL: [u64; 4] = [10002, 10023, 10047, 10077];
/// "Wrong last sequence", with and without the sequence in its text.
const WRONG_SEQUENCE: [u64; 2] = [10071, 10164];

/// Header of deletions that newer servers make by themselves.
const MARKER_HEADER: &str = "Nats-Marker-Reason";

/// Why a request was not fulfilled.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no such bucket; nothing was done.
    Missing,
    /// The key is not of the expected revision; nothing was done.
    Changed,
    Other(KvError),
}

impl Failure {
    /// Returns the error for who does not expect the first two, or only the second.
    pub(super) fn or(self, changed: impl FnOnce() -> KvError) -> KvError {
        match self {
            Self::Missing => KvError::Unavailable("the bucket is gone".into()),
            Self::Changed => changed(),
            Self::Other(error) => error,
        }
    }
}

impl From<KvError> for Failure {
    fn from(error: KvError) -> Self {
        Self::Other(error)
    }
}

/// On how many servers a bucket is kept: any one of a cluster may fail; a server of its own has only itself.
const REPLICAS: [u8; 2] = [3, 1];

/// Which of several buckets of one name it is, and what it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// When it was made, as JetStream writes it.
    created: Option<String>,
    /// Its last revision.
    revision: u64,
    /// Its entries, markers of deletions included.
    entries: u64,
}

impl Identity {
    /// Reads what JetStream says of a bucket.
    ///
    /// # Errors
    /// [`KvError::TooOld`] if compare-and-set cannot be relied on in it.
    fn of(info: &Value) -> Result<Self, KvError> {
        let state = |name: &str| info.get("state").and_then(|state| state.get(name)).and_then(Value::as_u64);
        check_version(info)?;
        let created = info.get("created").and_then(Value::as_str).map(ToOwned::to_owned);
        let (revision, entries) = (state("last_seq").unwrap_or_default(), state("messages").unwrap_or(u64::MAX));
        Ok(Self { created, revision, entries })
    }

    /// Returns whether this is another bucket than the one before, or lacks something that was told of it.
    pub(super) fn has_lost(&self, before: &Self, told: Told) -> bool {
        self.created != before.created || self.revision < told.revision || self.entries < told.keys
    }
}

/// Refuses buckets of clusters that let two writers win. The server that leads a bucket tells its version since 2.11.
fn check_version(info: &Value) -> Result<(), KvError> {
    let text = |part: &str, name: &str| info.get(part).and_then(|part| part.get(name)).and_then(Value::as_str);
    let replicas = info.get("config").and_then(|config| config.get("num_replicas")).and_then(Value::as_u64);
    if replicas.is_none_or(|replicas| replicas < 2) && text("cluster", "name").is_none_or(str::is_empty) {
        return Ok(());
    }
    let metadata = info.get("config").and_then(|config| config.get("metadata"));
    let version = metadata.and_then(|metadata| metadata.get("_nats.ver")).and_then(Value::as_str);
    if version.and_then(NatsVersion::parse).is_some_and(|version| version.keeps_cas_in_clusters()) {
        return Ok(());
    }
    Err(KvError::TooOld { version: version.map(ToOwned::to_owned) })
}

/// One bucket's requests.
#[derive(Debug, Clone)]
pub(super) struct Api<L> {
    pub(super) link: L,
    stream: String,
    /// What keys follow in what is stored.
    pub(super) prefix: String,
    names: Names,
}

/// What subjects begin with. A server passes those without a domain to no leaf node, as each may have a JetStream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    /// What requests to JetStream begin with.
    api: String,
    /// What keys follow in what is written.
    keys: String,
}

impl Names {
    fn of(domain: Option<&str>, prefix: &str) -> Self {
        match domain {
            None => Self { api: "$JS.API".into(), keys: prefix.into() },
            Some(domain) => {
                let api = format!("$JS.{domain}.API");
                Self { keys: format!("{api}.{prefix}"), api }
            }
        }
    }
}

impl<L: Link> Api<L> {
    pub(super) fn new(link: L, bucket: &str) -> Self {
        let prefix = format!("$KV.{bucket}.");
        let names = Names::of(link.js_domain(), &prefix);
        Self { link, stream: format!("KV_{bucket}"), prefix, names }
    }

    /// Makes the bucket if it is not there; returns which it is.
    pub(super) async fn ensure(&self) -> Result<Identity, KvError> {
        if let Some(identity) = self.info().await? {
            return Ok(identity);
        }
        let mut why_not = not_understood();
        for replicas in REPLICAS {
            let made = self.call("STREAM.CREATE", &self.config(replicas)).await?;
            match refusal(&made) {
                None => return Identity::of(&made),
                // Somebody else was faster, and wants it otherwise.
                Some((NAME_IN_USE, _)) => return Ok(self.info().await?.unwrap_or_default()),
                Some(refusal) => why_not = refused(refusal),
            }
        }
        Err(why_not)
    }

    /// Returns which bucket it is, if it is there.
    pub(super) async fn info(&self) -> Result<Option<Identity>, KvError> {
        let info = self.call("STREAM.INFO", &json!({})).await?;
        match refusal(&info) {
            None => Identity::of(&info).map(Some),
            Some((NO_STREAM, _)) => Ok(None),
            Some(refusal) => Err(refused(refusal)),
        }
    }

    fn config(&self, replicas: u8) -> Value {
        json!({
            "name": self.stream, "subjects": [format!("{}>", self.prefix)], "retention": "limits", "storage": "file",
            "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0, "max_msg_size": -1,
            "max_msgs_per_subject": 1, "discard": "new", "num_replicas": replicas,
            "duplicate_window": 120_000_000_000_u64, "deny_delete": true, "allow_rollup_hdrs": true,
            "allow_direct": true,
        })
    }

    /// Returns what is stored last under `key`, a deletion included. Asks who leads, so it is the last there is.
    pub(super) async fn last(&self, key: &str) -> Result<Option<KvLast>, KvError> {
        let body = json!({ "last_by_subj": format!("{}{key}", self.prefix) });
        let answer = self.call("STREAM.MSG.GET", &body).await?;
        match refusal(&answer) {
            None => stored(&answer).map(Some).ok_or_else(not_understood),
            Some((NO_MESSAGE | NO_STREAM, _)) => Ok(None),
            Some(refusal) => Err(refused(refusal)),
        }
    }

    /// Stores a value, or a deletion for `None`, and returns its revision.
    pub(super) async fn publish(&self, key: &str, value: Option<Bytes>, expected: Option<u64>) -> Result<u64, Failure> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = Vec::new();
        if value.is_none() {
            headers.extend([header(OPERATION_HEADER, "PURGE"), header("Nats-Rollup", "sub")]);
        }
        headers.extend(expected.map(|revision| header(EXPECTED_HEADER, &revision.to_string())));
        let subject = format!("{}{key}", self.names.keys);
        let answer = match self.link.request(&subject, &headers, value.unwrap_or_default(), KV_TIMEOUT).await {
            Ok(answer) => parse(&answer.payload)?,
            Err(BusError::NoResponders { .. }) => return Err(Failure::Missing),
            Err(error) => return Err(Failure::Other(failed(error))),
        };
        match refusal(&answer) {
            None => answer.get("seq").and_then(Value::as_u64).ok_or_else(|| not_understood().into()),
            Some((code, _)) if WRONG_SEQUENCE.contains(&code) => Err(Failure::Changed),
            Some(refusal) => Err(refused(refusal).into()),
        }
    }

    /// Has all last entries, then all changes, sent to `inbox`; returns how many entries are there.
    pub(super) async fn consume(&self, inbox: &str) -> Result<u64, Failure> {
        let nanoseconds = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let config = json!({
            "deliver_subject": inbox, "deliver_policy": "last_per_subject", "filter_subject": format!("{}>", self.prefix),
            "ack_policy": "none", "replay_policy": "instant", "max_deliver": 1, "flow_control": true,
            "idle_heartbeat": nanoseconds(super::HEARTBEAT), "inactive_threshold": nanoseconds(super::SILENCE_MAX),
            "mem_storage": true, "num_replicas": 1,
        });
        let body = json!({ "stream_name": self.stream, "config": config });
        let answer = self.call("CONSUMER.CREATE", &body).await?;
        match refusal(&answer) {
            None => answer.get("num_pending").and_then(Value::as_u64).ok_or_else(|| not_understood().into()),
            Some((NO_STREAM, _)) => Err(Failure::Missing),
            Some(refusal) => Err(refused(refusal).into()),
        }
    }

    /// Asks JetStream to do something with the bucket's stream.
    async fn call(&self, verb: &str, body: &Value) -> Result<Value, KvError> {
        let subject = format!("{}.{verb}.{}", self.names.api, self.stream);
        match self.link.request(&subject, &[], body.to_string().into(), KV_TIMEOUT).await {
            Ok(answer) => parse(&answer.payload),
            Err(BusError::NoResponders { .. }) => Err(KvError::Unavailable(no_jetstream(self.link.js_domain()))),
            Err(error) => Err(failed(error)),
        }
    }
}

fn no_jetstream(domain: Option<&str>) -> String {
    match domain {
        None => "NATS has no JetStream: run nats-server with -js, or name the domain that has it (--js-domain)".into(),
        Some(domain) => format!(
            "no JetStream of the domain {domain} is reached: is that its name, and the leaf node connected to its hub?"
        ),
    }
}

fn parse(answer: &[u8]) -> Result<Value, KvError> {
    serde_json::from_slice(answer).map_err(|_| not_understood())
}

fn not_understood() -> KvError {
    KvError::Unavailable("JetStream's answer is not understood".into())
}

/// Returns the code and text of an answer that refuses.
fn refusal(answer: &Value) -> Option<(u64, &str)> {
    let error = answer.get("error")?;
    let why = error.get("description").and_then(Value::as_str).unwrap_or("JetStream refused");
    Some((error.get("err_code").and_then(Value::as_u64).unwrap_or_default(), why))
}

fn refused((code, why): (u64, &str)) -> KvError {
    if FULL.contains(&code) { KvError::Full(why.into()) } else { KvError::Unavailable(why.into()) }
}

fn failed(error: BusError) -> KvError {
    match error {
        BusError::TimedOut { waited, .. } => KvError::TimedOut { waited },
        BusError::TooLarge { size, limit } => KvError::TooLarge { size, limit },
        other => KvError::Unavailable(other.to_string()),
    }
}

fn stored(answer: &Value) -> Option<KvLast> {
    let message = answer.get("message")?;
    let revision = message.get("seq")?.as_u64()?;
    let decoded = |name| match message.get(name) {
        None => Some(Vec::new()),
        Some(text) => BASE64.decode(text.as_str()?.as_bytes()).ok(),
    };
    let headers = String::from_utf8_lossy(&decoded("hdrs")?).into_owned();
    let mut headers = headers.lines().filter_map(|line| line.split_once(':'));
    let is_deletion = headers.any(|(name, value)| says_deletion(name, value.trim()));
    Some(KvLast { revision, value: if is_deletion { None } else { Some(decoded("data")?.into()) } })
}

/// Returns whether a header says that its entry is a deletion.
pub(super) fn says_deletion(name: &str, value: &str) -> bool {
    name == MARKER_HEADER || (name == OPERATION_HEADER && matches!(value, "DEL" | "PURGE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_in_what_is_asked_and_not_in_what_is_stored() {
        let own = Names { api: "$JS.API".into(), keys: "$KV.b.".into() };
        assert_eq!(Names::of(None, "$KV.b."), own);
        let hub = Names { api: "$JS.hub.API".into(), keys: "$JS.hub.API.$KV.b.".into() };
        assert_eq!(Names::of(Some("hub"), "$KV.b."), hub);
    }

    #[test]
    fn a_bucket_is_known_by_when_it_was_made_and_never_goes_back() {
        let of = |created: &str, last: u64, messages: u64| {
            let state = json!({ "last_seq": last, "messages": messages });
            Identity::of(&json!({ "created": created, "state": state })).unwrap()
        };
        let (before, told) = (of("a", 7, 3), Told { revision: 9, keys: 3 });
        assert!(!of("a", 9, 3).has_lost(&before, told));
        assert!(of("a", 8, 3).has_lost(&before, told));
        assert!(of("b", 9, 3).has_lost(&before, told));
        assert!(of("a", 10, 2).has_lost(&before, told));
    }

    #[test]
    fn old_servers_keep_a_bucket_alone_and_newer_ones_as_a_cluster() {
        let of = |replicas: u64, cluster: &str, version: Option<&str>| {
            let metadata = version.map(|version| json!({ "_nats.ver": version }));
            let config = json!({ "num_replicas": replicas, "metadata": metadata });
            let info = json!({ "config": config, "cluster": { "name": cluster, "leader": "n1" } });
            Identity::of(&info).map(drop).map_err(|error| error.code())
        };
        for (replicas, cluster) in [(3, "c"), (1, "c"), (3, "")] {
            for old in [None, Some("2.10.29"), Some("2"), Some("new")] {
                assert_eq!(of(replicas, cluster, old), Err("nats_too_old"), "{replicas} {cluster:?} {old:?}");
            }
            for new in ["2.11.0", "2.15.1", "2.12.0-RC.1", "3.0.0"] {
                assert_eq!(of(replicas, cluster, Some(new)), Ok(()), "{replicas} {cluster:?} {new}");
            }
        }
        assert_eq!(of(1, "", None), Ok(()));
    }

    #[test]
    fn stored_entries_are_read_or_refused() {
        let value = json!({ "message": { "seq": 7, "data": BASE64.encode(b"v") } });
        assert_eq!(stored(&value).unwrap(), KvLast { revision: 7, value: Some("v".into()) });
        let empty = json!({ "message": { "seq": 7 } });
        assert_eq!(stored(&empty).unwrap().value, Some(Bytes::new()));
        let headers = BASE64.encode(b"NATS/1.0\r\nKV-Operation: PURGE\r\nNats-Rollup: sub\r\n\r\n");
        let marker = json!({ "message": { "seq": 8, "hdrs": headers } });
        assert_eq!(stored(&marker).unwrap(), KvLast { revision: 8, value: None });
        for bad in [json!({}), json!({ "message": { "seq": "7" } }), json!({ "message": { "seq": 7, "data": "%" } })] {
            assert_eq!(stored(&bad), None, "{bad}");
        }
    }
}
