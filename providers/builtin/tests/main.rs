//! The provider as a host sees it, in both dialects.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;
use wattle_provider_builtin::BuiltinFactory;
use wattle_provider_testkit::{ACTOR, ProviderSubject, Rig};
use wattle_types::ProviderFactory;

struct Subject;

impl ProviderSubject for Subject {
    fn factory(&self) -> &dyn ProviderFactory {
        &BuiltinFactory
    }

    fn config(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn values(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|_| std::io::ErrorKind::Other)?.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Page {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn actors_of_both_generations_write_to_the_log() {
    let rig = Rig::start(&Subject, None).await.unwrap();
    let page = Page::default();
    let log = tracing_subscriber::fmt().with_writer(page.clone()).with_ansi(false).without_time().finish();
    let guard = tracing::subscriber::set_default(log);
    for (contract, operation, entry) in [
        ("wasmcloud:builtin:logging", "Logging.WriteLog", json!({"level": "warn", "text": "low\nfuel"})),
        ("wascc:logging", "WriteLog", json!({"level": 1, "body": "on fire"})),
        ("wascc:logging", "WriteLog", json!({"level": 0, "body": "silence"})),
    ] {
        rig.put(contract).await.unwrap();
        assert_eq!(rig.call(contract, operation, entry).await.unwrap(), Value::Null);
    }
    drop(guard);
    let lines = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert_eq!(lines, format!(" WARN actor: low fuel actor={ACTOR}\nERROR actor: on fire actor={ACTOR}\n"));
}

#[tokio::test]
async fn actors_of_both_generations_get_numbers() {
    let rig = Rig::start(&Subject, None).await.unwrap();
    let modern = |operation: &'static str, request| rig.call("wasmcloud:builtin:numbergen", operation, request);
    let guid = modern("NumberGen.GenerateGuid", Value::Null).await.unwrap();
    assert_eq!(guid.as_str().map(str::len), Some(36));
    assert_eq!(modern("NumberGen.RandomInRange", json!({"min": 3, "max": 4})).await.unwrap(), json!(3));
    assert!(modern("NumberGen.Random32", Value::Null).await.unwrap().is_u64());
    let error = modern("NumberGen.RandomInRange", json!({"min": 4, "max": 3})).await.unwrap_err();
    assert_eq!(error.code(), "request_invalid");

    let old = |operation: &'static str, request| rig.call("wascc:extras", operation, request);
    let flags = |min, max| json!({"guid": false, "sequence": false, "random": true, "min": min, "max": max});
    let random = old("RequestRandom", flags(3, 4)).await.unwrap();
    assert_eq!(random, json!({"guid": null, "sequenceNumber": 0, "randomNumber": 3}));
    let guid = old("RequestGuid", flags(0, 0)).await.unwrap();
    assert_eq!(guid["guid"].as_str().map(str::len), Some(36));
}

#[tokio::test]
async fn the_sequence_goes_on_after_a_swap() {
    let first = Rig::start(&Subject, None).await.unwrap();
    let next = |rig: Rig| async move {
        let answer = rig.call("wascc:extras", "RequestSequence", json!({})).await.unwrap();
        answer["sequenceNumber"].as_u64().unwrap()
    };
    assert_eq!(next(first.clone()).await, 1);
    let second = Rig::start(&Subject, first.provider.handover()).await.unwrap();
    assert_eq!(next(second.clone()).await, 2);
    assert_eq!(next(first).await, 3, "both draw from the same numbers while they are swapped");
    assert_eq!(next(second).await, 4);
}

#[tokio::test]
async fn strangers_are_refused() {
    let rig = Rig::start(&Subject, None).await.unwrap();
    assert_eq!(rig.put("wasmcloud:keyvalue").await.unwrap_err().code(), "config_invalid");
    assert_eq!(rig.call("wasmcloud:keyvalue", "KeyValue.Get", json!("k")).await.unwrap_err().code(), "config_invalid");
    for contract in ["wasmcloud:builtin:logging", "wascc:extras"] {
        assert_eq!(rig.call(contract, "Sing", json!({})).await.unwrap_err().code(), "operation_unknown");
    }
    let config = BTreeMap::from([("colour".to_owned(), "red".to_owned())]);
    let Err(error) = Rig::start_with(&Subject, config, None).await else { unreachable!("colour was accepted") };
    assert_eq!(error.code(), "config_invalid");
}
