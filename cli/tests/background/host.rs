//! A host by script: what it does is said by an environment variable.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use serde_json::json;
use tokio_util::task::TaskTracker;
use wattle_bus::{Bus, Message};
use wattle_cli::{HostError, HostOptions, HostRunner, HostSignals, LogOptions, Ready};
use wattle_types::{BoxFuture, HostId, subject};

/// Names what the host does.
pub(crate) const PART: &str = "WATTLE_TEST_PART";

/// The file, in the home directory, with the id of a process that must not outlive the host.
pub(crate) const PROCESS: &str = "process.pid";

const ID: &str = "NAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSWB";

/// Answers questions and ends when asked, unless it is deaf; does not come up if it is broken or garbled; goes on for
/// ever, with a process of its own, if it is stubborn.
pub(crate) struct Host;

impl HostRunner for Host {
    fn check_log_filter(&self, _filter: &str) -> Result<(), String> {
        Ok(())
    }

    fn init_logging(&self, _options: &LogOptions) -> Option<Box<dyn std::io::Write + Send>> {
        None
    }

    fn restores_sandboxes(&self) -> bool {
        true
    }

    fn run(
        &self,
        options: HostOptions,
        bus: Arc<dyn Bus>,
        signals: HostSignals,
    ) -> BoxFuture<'_, Result<(), HostError>> {
        Box::pin(async move {
            let part = std::env::var(PART).unwrap_or_default();
            if part == "broken" {
                return Err(HostError {
                    code: "config_invalid".into(),
                    message: "broken by test".into(),
                    remedy: None,
                });
            }
            if part == "garbled" {
                std::fs::write(in_home(".local/state/wattle/default/host.json"), "garbage").unwrap();
                signals.stop.cancelled().await;
                return Ok(());
            }
            if part == "stubborn" {
                TaskTracker::new().spawn(own_process());
            }
            let id: HostId = ID.parse().unwrap();
            let on = |verb| subject::control_host(&options.lattice, verb, &id);
            let [question, stop] = if part == "deaf" { ["nothing"; 2] } else { ["host.get", "host.stop"] };
            let mut questions = bus.subscribe(&on(question), None).await.unwrap();
            let mut stops = bus.subscribe(&on(stop), None).await.unwrap();
            let _nobody_waits = signals.ready.send(Ready { id, friendly_name: "quiet-reed".into() });
            loop {
                tokio::select! {
                    () = signals.stop.cancelled(), if part != "stubborn" => return Ok(()),
                    Some(question) = questions.next() => answer(bus.as_ref(), question, json!({
                        "success": true, "message": "", "response": { "host_id": ID, "friendly_name": "quiet-reed" },
                    })).await,
                    Some(stop) = stops.next() => {
                        answer(bus.as_ref(), stop, json!({ "success": true, "message": "stopping" })).await;
                        return Ok(());
                    }
                }
            }
        })
    }
}

fn in_home(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("HOME").unwrap()).join(name)
}

/// Owns a process that ends with this, and tells its id.
async fn own_process() {
    let mut process = tokio::process::Command::new("sleep").arg("1000").kill_on_drop(true).spawn().unwrap();
    std::fs::write(in_home(PROCESS), process.id().unwrap().to_string()).unwrap();
    let _never = process.wait().await;
}

async fn answer(bus: &dyn Bus, question: Message, body: serde_json::Value) {
    bus.publish(&question.reply.unwrap(), None, &[], Bytes::from(body.to_string())).await.unwrap();
}
