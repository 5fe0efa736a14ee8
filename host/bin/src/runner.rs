//! Runs a host from start to end for `wattle up`.

use std::{io::Write, sync::Arc};

use wattle_bus::Bus;
use wattle_cli::{HostError, HostOptions, HostRunner, HostSignals, LogOptions, Ready};
use wattle_types::BoxFuture;

use crate::{assembly, telemetry};

/// Runs hosts.
pub(crate) struct Runner;

impl HostRunner for Runner {
    fn check_log_filter(&self, filter: &str) -> Result<(), String> {
        telemetry::check(filter)
    }

    fn init_logging(&self, options: &LogOptions) -> Option<Box<dyn Write + Send>> {
        telemetry::init(options)
    }

    fn restores_sandboxes(&self) -> bool {
        wattle_host::restores_sandboxes()
    }

    fn run(
        &self,
        options: HostOptions,
        bus: Arc<dyn Bus>,
        signals: HostSignals,
    ) -> BoxFuture<'_, Result<(), HostError>> {
        Box::pin(async move {
            let host = assembly::start(options, bus).await.map_err(|error| told(&error))?;
            let ready = Ready { id: host.id(), friendly_name: host.config().friendly_name.clone() };
            tracing::info!(host = %ready.id, "the host takes work");
            // Nobody waiting for it is no reason to stop.
            let _ = signals.ready.send(ready);
            tokio::select! {
                biased;
                () = signals.stop.cancelled() => host.shutdown().await,
                () = host.wait_stopped() => {}
            }
            tracing::info!("the host has stopped");
            host.check_replaced().map_err(|error| told(&error))
        })
    }
}

fn told(error: &wattle_host::HostError) -> HostError {
    HostError { code: error.code().to_owned(), message: error.to_string(), remedy: error.remedy() }
}
