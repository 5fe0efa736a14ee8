//! Telling what runs here, and hearing what runs elsewhere.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, MissedTickBehavior};
use wattle_bus::{BusError, Message, Subscription};
use wattle_types::{HostId, signed::CLOCKS_APART_MAX_SECS, subject};

use super::{ClocksApart, LocalHost, Node, Told, now};
use crate::{
    beat::{ASKS_MAX, Beat, INTERVAL_MS, Unproven},
    directory::Heard,
};

/// Shortest pause between two beats: several changes in a row are told at once.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// How often hosts that fell silent are looked for.
const EXPIRY_EVERY: Duration = Duration::from_millis(250);
/// Pause before listening again when the bus has ended it.
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Hosts that are asked for at the same time.
const PROBES_MAX: usize = 64;
/// How often it is said that beats are not taken.
const UNPROVEN_SAID_EVERY: Duration = Duration::from_secs(60);
/// From how far apart clocks are on, in seconds, a host is shown that what we tell is of now.
const GREETED_FROM_SECS: u64 = CLOCKS_APART_MAX_SECS / 2;
/// Whole notices after a change, in case one is lost, and how often one comes while nothing changes.
const WHOLE_AT_FIRST: u64 = 3;
const WHOLE_EVERY: u64 = 20;

pub(super) async fn start(node: &Node, host: Arc<dyn LocalHost>) -> Result<(), BusError> {
    let everybody = subject::beat(&node.0.lattice, "*");
    let beats = node.0.bus.subscribe(&everybody, None).await?;
    node.0.tasks.spawn(hear(node.clone(), host.clone(), beats));
    node.0.tasks.spawn(tell(node.clone(), host));
    Ok(())
}

/// Tells what runs here, at intervals and at once when it changes; in the end that this host is gone.
async fn tell(node: Node, host: Arc<dyn LocalHost>) {
    let (mut version, mut repeated) = (0, 0);
    let mut before = None;
    loop {
        let told = host.told();
        let is_new = before.as_ref() != Some(&told);
        if is_new {
            (version, repeated) = (version + 1, 0);
            before = Some(told.clone());
            node.0.is_oversized.store(false, Ordering::Relaxed);
        }
        let is_greeting = node.0.greet.swap(false, Ordering::Relaxed);
        let is_whole = is_greeting || repeated < WHOLE_AT_FIRST || repeated % WHOLE_EVERY == 0;
        let told = if is_whole { told } else { Told { draining: told.draining, ..Told::default() } };
        if send(&node, Beat { brief: !is_whole, ..node.beat(told, version, false) }, is_new).await {
            repeated += 1;
        } else {
            // What the bus did not take nobody was told.
            node.0.greet.fetch_or(is_whole, Ordering::Relaxed);
        }
        tokio::select! {
            biased;
            () = node.0.left.cancelled() => break,
            () = node.0.changed.notified() => tokio::time::sleep(PAUSE_MIN).await,
            () = tokio::time::sleep(node.beat_every()) => {}
        }
    }
    if !node.0.is_replaced.load(Ordering::Relaxed) {
        send(&node, node.beat(Told::default(), version + 1, true), true).await;
    }
}

/// Sends a beat that others take: less than all if there is too much. That is said in the log once per change. Returns
/// whether the bus took it.
async fn send(node: &Node, mut beat: Beat, is_new: bool) -> bool {
    if let Err(why) = beat.fit()
        && is_new
    {
        tracing::error!(why, "other hosts would not take what this one tells: some of it is left out");
    }
    match publish(node, &beat).await {
        Err(error @ BusError::TooLarge { .. }) => {
            if is_new {
                tracing::error!(%error, "more runs here than fits a message: other hosts know only what ran before");
            }
            node.0.is_oversized.store(true, Ordering::Relaxed);
            publish(node, &Beat { brief: true, ..beat.without_details() }).await.is_ok()
        }
        Err(error) => {
            tracing::debug!(%error, "a beat was not sent");
            false
        }
        Ok(()) => true,
    }
}

async fn publish(node: &Node, beat: &Beat) -> Result<(), BusError> {
    let subject = subject::beat(&node.0.lattice, &node.0.host.to_string());
    match serde_json::to_vec(beat) {
        Ok(bytes) => {
            let proof = [node.0.prover.prove(&subject, &bytes)];
            node.0.bus.publish(&subject, None, &proof, bytes.into()).await
        }
        Err(error) => {
            tracing::error!(%error, "a beat cannot be written as JSON");
            Ok(())
        }
    }
}

impl Node {
    /// Returns the pause between beats, as other hosts take it.
    fn beat_every(&self) -> Duration {
        let (shortest, longest) = INTERVAL_MS.into_inner();
        self.0.beat_every.clamp(Duration::from_millis(shortest), Duration::from_millis(longest))
    }

    fn beat(&self, told: Told, version: u64, last: bool) -> Beat {
        Beat {
            host: self.0.host,
            name: self.0.name.clone(),
            incarnation: self.0.incarnation,
            version,
            sent: self.0.sent.fetch_add(1, Ordering::Relaxed) + 1,
            interval_ms: u64::try_from(self.beat_every().as_millis()).unwrap_or(u64::MAX),
            clock: self.0.surroundings.unix_now(),
            draining: told.draining,
            brief: false,
            last,
            asks: std::mem::take(&mut *self.strangers()),
            greets: std::mem::take(&mut *self.greets()),
            labels: told.labels,
            actors: told.actors,
            providers: told.providers,
        }
    }
}

/// Hears beats until the node leaves, and notices who fell silent.
pub(super) async fn hear(node: Node, host: Arc<dyn LocalHost>, mut beats: Subscription) {
    let mut expiry = tokio::time::interval_at(Instant::now() + EXPIRY_EVERY, EXPIRY_EVERY);
    expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = node.0.left.cancelled() => return,
            beat = beats.next() => match beat {
                Some(message) => heard(&node, &message),
                None => match listen_again(&node).await {
                    Some(again) => beats = again,
                    None => return,
                },
            },
            _ = expiry.tick() => {
                look_for_silent(&node);
                look_at_clocks(&node, host.as_ref());
            }
        }
    }
}

/// Tells whose clocks are too far apart, when that has changed.
fn look_at_clocks(node: &Node, host: &dyn LocalHost) {
    let directory = node.directory();
    let mut clocks = node.clocks();
    let Some(view) = clocks.look(now(), |host| directory.hosts().contains_key(host)).cloned() else { return };
    drop(clocks);
    for (host, ahead) in &view.apart {
        tracing::warn!(
            %host, seconds_ahead = ahead, is_ours_wrong = view.is_outvoted,
            "the clock of a host is too far from ours: the two refuse each other's calls and orders; set both by NTP"
        );
    }
    if view.apart.is_empty() {
        tracing::info!("the clocks of all hosts are near enough to ours again");
    }
    if view.is_outvoted || node.leads().is_some() || view.apart.is_empty() {
        host.heard_of_clocks(&ClocksApart { ahead: view.apart, is_outvoted: view.is_outvoted });
    }
}

/// Listens to beats anew after the bus has ended them, until the node leaves. Nobody is taken for silent meanwhile.
async fn listen_again(node: &Node) -> Option<Subscription> {
    loop {
        tracing::warn!("no beats are heard: the subscription has ended; it is made anew");
        tokio::select! {
            biased;
            () = node.0.left.cancelled() => return None,
            () = tokio::time::sleep(LISTEN_AGAIN_AFTER) => {}
        }
        if let Ok(beats) = node.0.bus.subscribe(&subject::beat(&node.0.lattice, "*"), None).await {
            return Some(beats);
        }
    }
}

/// Takes out hosts that fell silent, and asks for those that are late: nobody listening means that they are gone.
fn look_for_silent(node: &Node) {
    let has_heard_all = node.has_heard_all();
    node.look_at_hearing();
    // Who is cut off itself hears nobody, and those who were cut off with it come back one after the other.
    if !has_heard_all {
        return;
    }
    let sure = node.hearing().sure();
    let (expired, late) = node.change_directory(|directory| {
        // Not silence while we may have been deaf.
        let expired = directory.expire(sure);
        (expired, directory.late(now()))
    });
    if !late.is_empty() {
        node.0.tasks.spawn(listen_for_ourselves(node.clone()));
    }
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

/// Finds out whether we can be heard, and hear: the bus answers at once for an inbox at which nobody listens.
async fn listen_for_ourselves(node: Node) {
    let sent = now();
    let answer = node.0.bus.request(&node.0.bus.new_inbox(), &[], Bytes::new(), EXPIRY_EVERY).await;
    if matches!(answer, Err(BusError::NoResponders { .. })) && node.hearing().heard(now(), sent) {
        node.introduce();
    }
}

fn heard(node: &Node, message: &Message) {
    if let Err(why) = node.0.prover.check(message) {
        return say_unproven(node, message, &why);
    }
    if node.hearing().heard(now(), now()) {
        node.introduce();
    }
    let beat = match Beat::parse(&message.payload) {
        Ok(beat) => beat,
        Err(error) => return tracing::debug!(subject = message.subject, %error, "a beat cannot be read"),
    };
    // The proof is of the subject, too; what is said must be about that host.
    if message.subject != subject::beat(&node.0.lattice, &beat.host.to_string()) {
        return tracing::debug!(subject = message.subject, "a beat speaks of another host");
    }
    if beat.host == node.0.host && beat.incarnation != node.0.incarnation {
        return heard_of_ourselves(node, &beat);
    }
    let our_clock = node.0.surroundings.unix_now();
    if beat.host != node.0.host && beat.clock.abs_diff(our_clock) > GREETED_FROM_SECS {
        greet(node, &beat);
    }
    let is_fresh = beat.is_fresh(our_clock, &node.0.host, node.0.incarnation);
    if !is_fresh && !node.change_directory(|directory| directory.knows_start_of(&beat)) {
        return tracing::debug!(host = %beat.host, clock = beat.clock, "a beat may be an old one, and is not taken");
    }
    take(node, beat, our_clock);
}

/// Takes in a beat that was sent by whom it speaks of, and not before what is known of that host's earlier starts.
fn take(node: &Node, beat: Beat, our_clock: u64) {
    let is_asked = beat.asks.contains(&node.0.host);
    let (host, name, is_brief, clock) = (beat.host, beat.name.clone(), beat.brief, beat.clock);
    let was_known = node.directory().hosts().contains_key(&host);
    let heard = node.change_directory(|directory| directory.heard(now(), beat));
    let is_new = !matches!(heard, Heard::Stale | Heard::Refused(_));
    if is_asked && is_new {
        node.introduce();
    }
    if clock > 0 && is_new && host != node.0.host {
        node.clocks().heard(host, clock, our_clock);
    }
    note_stranger(node, host, heard == Heard::Unknown);
    match heard {
        Heard::Appeared => {
            tracing::info!(%host, name, "a host is there");
            if was_known {
                // It was started again: what its forerunner was asked is not answered any more.
                node.lost_some();
            }
            // Where we have not heard ourselves for long, others have not either, and may have forgotten us.
            if host != node.0.host || is_brief {
                node.introduce();
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

/// Says now and then that beats are not taken, and why: it may be a cluster key that is wrong.
fn say_unproven(node: &Node, message: &Message, why: &Unproven) {
    let mut said = node.0.unproven.lock().unwrap_or_else(PoisonError::into_inner);
    said.0 += 1;
    if said.1.is_some_and(|at| now().saturating_duration_since(at) < UNPROVEN_SAID_EVERY) {
        return;
    }
    let count = std::mem::take(&mut said.0);
    said.1 = Some(now());
    drop(said);
    tracing::warn!(
        subject = message.subject, %why, count,
        "beats are not taken: what sent them has another --cluster-key, is of an earlier version, or is no host of ours"
    );
}

/// Has the next beat show a host that it is of now.
fn greet(node: &Node, beat: &Beat) {
    let mut greets = node.greets();
    if greets.len() < ASKS_MAX || greets.contains_key(&beat.host) {
        greets.insert(beat.host, beat.incarnation);
    }
}

/// Has a host asked what it runs, with our next beat, unless it tells before that. Who was deaf, or apart with others,
/// has missed what was told meanwhile, and it is not told again soon.
fn note_stranger(node: &Node, host: HostId, is_stranger: bool) {
    let mut strangers = node.strangers();
    if !is_stranger {
        strangers.remove(&host);
    } else if strangers.len() < ASKS_MAX {
        strangers.insert(host);
    }
}

/// Another process has our key. Of two, the one that started later stays.
fn heard_of_ourselves(node: &Node, beat: &Beat) {
    if beat.last {
        return tracing::debug!(name = beat.name, "another process with this host's key has ended");
    }
    if beat.incarnation < node.0.incarnation {
        // It leaves once it knows that it was heard.
        greet(node, beat);
        node.changed();
        return tracing::warn!(name = beat.name, "an earlier process with this host's key is there");
    }
    if beat.greets.get(&node.0.host) != Some(&node.0.incarnation) {
        // It may have ended long ago. If not, it hears our next beat.
        return tracing::warn!(name = beat.name, "a later process with this host's key was heard, and may be there");
    }
    tracing::error!(
        name = beat.name,
        "another process was started with this host's key: this one takes no part in the lattice any more"
    );
    node.give_up();
}

#[cfg(test)]
mod tests;
