//! Telling what runs here, and hearing what runs elsewhere.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, MissedTickBehavior};
use wattle_bus::{BusError, Message, Subscription};
use wattle_types::subject;

use super::{LocalHost, Node, Told, now};
use crate::{beat::Beat, directory::Heard};

/// Shortest pause between two beats: several changes in a row are told at once.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// How often hosts that fell silent are looked for.
const EXPIRY_EVERY: Duration = Duration::from_millis(250);
/// Hosts that are asked for at the same time.
const PROBES_MAX: usize = 64;
/// Whole notices after a change, in case one is lost, and how often one comes while nothing changes.
const WHOLE_AT_FIRST: u64 = 3;
const WHOLE_EVERY: u64 = 20;
/// A newcomer is told at once who is there, as long as the lattice has so few hosts; in a larger one it waits a beat.
const GREETERS_MAX: usize = 16;

pub(super) async fn start(node: &Node, host: Arc<dyn LocalHost>) -> Result<(), BusError> {
    let everybody = subject::beat(&node.0.lattice, "*");
    let beats = node.0.bus.subscribe(&everybody, None).await?;
    node.0.tasks.spawn(hear(node.clone(), beats));
    node.0.tasks.spawn(tell(node.clone(), host));
    Ok(())
}

/// Tells what runs here, at intervals and at once when it changes; in the end that this host is gone.
async fn tell(node: Node, host: Arc<dyn LocalHost>) {
    let (mut version, mut repeated) = (0, 0);
    let mut before = None;
    loop {
        let told = host.told();
        if before.as_ref() != Some(&told) {
            (version, repeated) = (version + 1, 0);
            before = Some(told.clone());
        }
        let is_new_here = node.0.greet.swap(false, Ordering::Relaxed);
        let is_whole = is_new_here || repeated < WHOLE_AT_FIRST || repeated % WHOLE_EVERY == 0;
        let told = if is_whole { told } else { Told { draining: told.draining, ..Told::default() } };
        send(&node, Beat { brief: !is_whole, ..node.beat(told, version, false) }).await;
        repeated += 1;
        tokio::select! {
            biased;
            () = node.0.left.cancelled() => break,
            () = node.0.changed.notified() => tokio::time::sleep(PAUSE_MIN).await,
            () = tokio::time::sleep(node.0.beat_every) => {}
        }
    }
    send(&node, node.beat(Told::default(), version + 1, true)).await;
}

async fn send(node: &Node, beat: Beat) {
    let subject = subject::beat(&node.0.lattice, &node.0.host.to_string());
    let sent = match serde_json::to_vec(&beat) {
        Ok(bytes) => node.0.bus.publish(&subject, None, &[], bytes.into()).await,
        Err(error) => return tracing::error!(%error, "a beat cannot be written as JSON"),
    };
    if let Err(error) = sent {
        tracing::debug!(%error, "a beat was not sent");
    }
}

impl Node {
    fn beat(&self, told: Told, version: u64, last: bool) -> Beat {
        Beat {
            host: self.0.host,
            name: self.0.name.clone(),
            incarnation: self.0.incarnation,
            version,
            interval_ms: u64::try_from(self.0.beat_every.as_millis()).unwrap_or(u64::MAX),
            draining: told.draining,
            brief: false,
            last,
            labels: told.labels,
            actors: told.actors,
            providers: told.providers,
        }
    }
}

/// Hears beats until the node leaves, and notices who fell silent.
async fn hear(node: Node, mut beats: Subscription) {
    let mut expiry = tokio::time::interval_at(Instant::now() + EXPIRY_EVERY, EXPIRY_EVERY);
    expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = node.0.left.cancelled() => return,
            beat = beats.next() => match beat {
                Some(message) => heard(&node, &message),
                None => return tracing::debug!("the bus has ended the beats"),
            },
            _ = expiry.tick() => look_for_silent(&node),
        }
    }
}

/// Takes out hosts that fell silent, and asks for those that are late: nobody listening means that they are gone.
fn look_for_silent(node: &Node) {
    // Who is cut off itself hears nobody, and those who were cut off with it come back one after the other.
    if !node.has_heard_all() {
        return;
    }
    let (expired, late) = node.change_directory(|directory| {
        let expired = directory.expire(now());
        (expired, directory.late(now()))
    });
    if !expired.is_empty() {
        node.lost_some();
    }
    for host in expired {
        tracing::warn!(%host, "a host fell silent");
    }
    for host in late.into_iter().filter(|host| *host != node.0.host).take(PROBES_MAX) {
        let node = node.clone();
        node.0.tasks.clone().spawn(async move {
            let subject = subject::rpc_host(&node.0.lattice, &host);
            let probe = node.0.bus.request(&subject, &[], Bytes::new(), EXPIRY_EVERY).await;
            if matches!(probe, Err(BusError::NoResponders { .. })) {
                node.lose(host);
            }
        });
    }
}

fn heard(node: &Node, message: &Message) {
    let beat = match Beat::parse(&message.payload) {
        Ok(beat) => beat,
        Err(error) => return tracing::debug!(subject = message.subject, %error, "a beat cannot be read"),
    };
    // Who may publish on a host's subject is for NATS to decide; what it says must be about that host.
    if message.subject != subject::beat(&node.0.lattice, &beat.host.to_string()) {
        return tracing::debug!(subject = message.subject, "a beat speaks of another host");
    }
    let (host, name) = (beat.host, beat.name.clone());
    match node.change_directory(|directory| directory.heard(now(), beat)) {
        Heard::Appeared => {
            tracing::info!(%host, name, "a host is there");
            if host != node.0.host {
                node.0.greet.store(true, Ordering::Relaxed);
                if node.directory().hosts().len() <= GREETERS_MAX {
                    node.changed();
                }
            }
        }
        Heard::Left => {
            tracing::info!(%host, name, "a host has left");
            node.lost_some();
        }
        Heard::Refused(why) => tracing::warn!(%host, why, "a beat is not taken"),
        Heard::Changed | Heard::Same | Heard::Stale | Heard::Unknown => {}
    }
}
