//! Guests that share a host with the one that is measured, and are not considerate.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tokio::{runtime::Runtime, task::JoinSet};
use wattle_host::{Host, StartActor, Steps};
use wattle_types::ProviderId;

use super::{
    open_loop::{Arrivals, due_times},
    servers::{link, provider},
};
use crate::quantiles::percentile;

/// How long each of their calls may take: those that never end are begun anew as often.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// More calls of one actor than are ever kept in flight.
const MAX_IN_FLIGHT: usize = 1000;

/// What a host understands besides `start`:
///
/// - `invite FILE`: starts an actor, links it to a key-value store in memory, and answers with its id;
/// - `keep ACTOR OPERATION COUNT`: keeps so many calls in flight until the next `keep`; answers with how many calls
///   ended since the last one;
/// - `pace ACTOR RATE MILLIS`: calls `ping` at that rate, as tasks of the host's runtime; answers with the median and
///   the 99th percentile in microseconds.
pub(super) struct Neighbours<'a> {
    host: &'a Host,
    runtime: &'a Runtime,
    store: Option<ProviderId>,
    kept: JoinSet<()>,
    ended: Arc<AtomicU64>,
}

impl<'a> Neighbours<'a> {
    pub(super) fn new(host: &'a Host, runtime: &'a Runtime) -> Self {
        Self { host, runtime, store: None, kept: JoinSet::new(), ended: Arc::default() }
    }

    pub(super) fn answer(&mut self, words: &[&str]) -> Result<String> {
        match words {
            ["invite", file] => {
                let runtime = self.runtime;
                runtime.block_on(self.invite(file))
            }
            ["keep", actor, operation, count] => self.keep(actor, operation, count.parse()?),
            ["pace", actor, rate, millis] => {
                let (p50, p99) = self.pace(actor, rate.parse()?, Duration::from_millis(millis.parse()?))?;
                Ok(format!("{p50} {p99}"))
            }
            _ => bail!("not understood: {words:?}"),
        }
    }

    async fn invite(&mut self, file: &str) -> Result<String> {
        let options = StartActor { max_in_flight: Some(MAX_IN_FLIGHT), ..StartActor::default() };
        let actor = self.host.start_actor_from(&format!("file://{file}"), options, &Steps::ignore()).await?;
        let store = match self.store.take() {
            Some(store) => store,
            None => provider(self.host, "keyvalue-memory").await?,
        };
        self.store = Some(store.clone());
        link(self.host, actor, "wasmcloud:keyvalue", store, BTreeMap::new()).await?;
        Ok(actor.to_string())
    }

    fn keep(&mut self, actor: &str, operation: &str, count: usize) -> Result<String> {
        self.runtime.block_on(self.kept.shutdown());
        for _ in 0..count {
            let (host, actor, operation) = (self.host.clone(), actor.to_owned(), operation.to_owned());
            let ended = self.ended.clone();
            let calls = async move {
                loop {
                    // A call that never ends fails; that is what it is here for.
                    let _ = host.call(&actor, &operation, Bytes::new(), Some(CALL_TIMEOUT)).await;
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            };
            self.kept.spawn_on(calls, self.runtime.handle());
        }
        Ok(self.ended.swap(0, Ordering::Relaxed).to_string())
    }

    fn pace(&self, actor: &str, rate: f64, turn: Duration) -> Result<(f64, f64)> {
        let due = due_times(rate, Arrivals::Even, turn);
        rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
        let begun = Instant::now();
        let mut calls = JoinSet::new();
        for due in due {
            let due = begun + due;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let (host, actor) = (self.host.clone(), actor.to_owned());
            let call = async move {
                let answer = host.call(&actor, "ping", Bytes::from_static(b"ping"), None).await?;
                ensure!(answer == "ping", "a wrong answer");
                Ok(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX))
            };
            calls.spawn_on(call, self.runtime.handle());
        }
        let took = self.runtime.block_on(calls.join_all());
        let mut took_us = took.into_iter().collect::<Result<Vec<u32>>>().context("a good actor failed")?;
        took_us.sort_unstable();
        Ok((percentile(&took_us, 50.0), percentile(&took_us, 99.0)))
    }
}
