//! A host by script: what it does is said by an environment variable.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use serde_json::json;
use wattle_bus::{Bus, Message};
use wattle_cli::{HostError, HostOptions, HostRunner, HostSignals, LogOptions, Ready};
use wattle_types::{BoxFuture, HostId, subject};

/// Names what the host does.
pub(crate) const PART: &str = "WATTLE_TEST_PART";

const ID: &str = "NAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSWB";

/// Answers questions and ends when asked, unless it is deaf; does not come up if it is broken or garbled.
pub(crate) struct Host;

impl HostRunner for Host {
    fn check_log_filter(&self, _filter: &str) -> Result<(), String> {
        Ok(())
    }

    fn init_logging(&self, _options: &LogOptions) {}

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
            let id: HostId = ID.parse().unwrap();
            let on = |verb| subject::control_host(&options.lattice, verb, &id);
            let [question, stop] = if part == "deaf" { ["nothing"; 2] } else { ["host.get", "host.stop"] };
            let mut questions = bus.subscribe(&on(question), None).await.unwrap();
            let mut stops = bus.subscribe(&on(stop), None).await.unwrap();
            let _nobody_waits = signals.ready.send(Ready { id, friendly_name: "quiet-reed".into() });
            loop {
                tokio::select! {
                    () = signals.stop.cancelled() => return Ok(()),
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

async fn answer(bus: &dyn Bus, question: Message, body: serde_json::Value) {
    bus.publish(&question.reply.unwrap(), None, &[], Bytes::from(body.to_string())).await.unwrap();
}
