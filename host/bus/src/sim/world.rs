//! All state of a simulated network: connections, what travels, and when.

use std::{collections::BTreeMap, time::Duration};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{Cut, DETECTION, Faults, broker::Entry, jetstream::Store, log::Log};
use crate::{BusError, Message, jetstream::Connection, watch};

/// The network. Connections and subscriptions have numbers, in order of their making.
#[derive(Debug)]
pub(super) struct World {
    pub(super) defaults: Faults,
    pub(super) log: Log,
    pub(super) store: Store,
    pub(super) links: BTreeMap<u64, Link>,
    /// What the broker knows of subscriptions.
    pub(super) entries: BTreeMap<u64, Entry>,
    rng: ChaCha8Rng,
    /// What happens next, by when, then by when it was decided.
    queue: BTreeMap<(Instant, u64), Event>,
    last_id: u64,
}

/// One connection, as its own end knows it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) faults: Faults,
    cut: Cut,
    /// Since when it is cut upwards.
    cut_since: Option<Instant>,
    /// When the last message each way arrives, so that none overtakes it.
    last_up: Option<Instant>,
    last_down: Option<Instant>,
    pub(super) state: watch::Sender<Connection>,
    pub(super) subscriptions: BTreeMap<u64, mpsc::Sender<Message>>,
    /// Requests by their reply subject.
    pub(super) requests: BTreeMap<String, oneshot::Sender<Message>>,
    /// What the broker is to confirm.
    pub(super) confirmations: BTreeMap<u64, oneshot::Sender<()>>,
}

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// Something of a connection's arrives at the broker.
    Up(u64, Up),
    /// Something arrives at a connection.
    Down(u64, Down),
    /// A consumer says that it is alive.
    Heartbeat(u64),
}

/// What a connection sends.
#[derive(Debug, Clone)]
pub(super) enum Up {
    Publish(Message),
    Subscribe(u64, String, Option<String>),
    Unsubscribe(u64),
    /// Ends all subscriptions.
    Drain(u64),
    /// The connection is closed.
    Leave,
}

/// What a connection receives.
#[derive(Debug, Clone)]
pub(super) enum Down {
    /// For a subscription, or for a request of its subject.
    Deliver(Option<u64>, Message),
    Confirm(u64),
}

/// Which faults something suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// All.
    Plain,
    /// Delays, cuts and, for who counts, duplication.
    Ordered,
    /// Delays and cuts.
    Exact,
    /// Delays only: what the other end would find out anyway.
    Certain,
}

impl Link {
    /// Returns whether both ends know that they are cut off.
    pub(super) fn is_down(&self, now: Instant) -> bool {
        self.cut_since.is_some_and(|since| now.duration_since(since) >= DETECTION)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.borrow().is_closed
    }

    const fn last(&mut self, is_up: bool) -> &mut Option<Instant> {
        if is_up { &mut self.last_up } else { &mut self.last_down }
    }

    fn is_cut(&self, is_up: bool) -> bool {
        matches!((self.cut, is_up), (Cut::Both, _) | (Cut::Up, true) | (Cut::Down, false))
    }
}

impl World {
    pub(super) fn new(seed: u64, now: Instant) -> Self {
        Self {
            defaults: Faults::default(),
            log: Log::new(now),
            store: Store::default(),
            links: BTreeMap::new(),
            entries: BTreeMap::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            queue: BTreeMap::new(),
            last_id: 0,
        }
    }

    /// Returns a number nothing else has.
    pub(super) const fn take_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Returns a number below `bound`, or 0.
    pub(super) fn draw(&mut self, bound: u64) -> u64 {
        self.rng.next_u64().checked_rem(bound).unwrap_or_default()
    }

    pub(super) fn connect(&mut self, name: &str) -> u64 {
        let id = self.take_id();
        let link = Link {
            name: name.into(),
            faults: self.defaults.clone(),
            cut: Cut::None,
            cut_since: None,
            last_up: None,
            last_down: None,
            state: watch::Sender::new(Connection { connects: 1, is_closed: false }),
            subscriptions: BTreeMap::new(),
            requests: BTreeMap::new(),
            confirmations: BTreeMap::new(),
        };
        self.links.insert(id, link);
        id
    }

    /// Returns the connection if it can be used, as far as its own end knows.
    pub(super) fn open_link(&mut self, id: u64, now: Instant) -> Result<&mut Link, BusError> {
        match self.links.get_mut(&id) {
            Some(link) if link.is_closed() => Err(BusError::Disconnected("the connection was closed".into())),
            Some(link) if !link.is_down(now) => Ok(link),
            _ => Err(BusError::Disconnected("the connection is down".into())),
        }
    }

    /// Cuts a connection off, or mends it.
    pub(super) fn cut(&mut self, id: u64, cut: Cut, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        self.log.add(now, &link.name, &format!("cut {cut:?}"), None);
        let was_down = link.is_down(now);
        link.cut = cut;
        link.cut_since = if link.is_cut(true) { link.cut_since.or(Some(now)) } else { None };
        if was_down && !link.is_down(now) {
            link.state.send_modify(|state| state.connects += 1);
        }
    }

    /// Ends a connection: its own end at once, for the broker when that hears of it.
    pub(super) fn close(&mut self, id: u64, now: Instant) {
        let Some(link) = self.links.get_mut(&id).filter(|link| !link.is_closed()) else { return };
        self.log.add(now, &link.name, "closed", None);
        link.state.send_modify(|state| state.is_closed = true);
        link.subscriptions.clear();
        link.requests.clear();
        link.confirmations.clear();
        self.send_up(id, Up::Leave, Care::Certain, now);
    }

    pub(super) fn restart(&mut self, now: Instant) {
        self.log.add(now, "broker", "restarted", None);
        self.store.forget_consumers();
        // What ends something is known once the connection is made anew, so it may as well arrive.
        let is_certain = |event: &Event| matches!(event, Event::Up(_, Up::Unsubscribe(_) | Up::Leave));
        self.queue.retain(|_, event| is_certain(event));
        for link in self.links.values().filter(|link| !link.is_closed() && link.cut == Cut::None) {
            link.state.send_modify(|state| state.connects += 1);
        }
    }

    pub(super) fn send_up(&mut self, from: u64, frame: Up, care: Care, now: Instant) {
        let arrivals = self.arrivals(from, true, care, now);
        if let (true, Up::Publish(message)) = (arrivals.is_empty(), &frame) {
            self.lose(from, "> lost", message, now);
        }
        for at in arrivals {
            self.at(at, Event::Up(from, frame.clone()));
        }
    }

    pub(super) fn send_down(&mut self, to: u64, frame: Down, care: Care, now: Instant) {
        let arrivals = self.arrivals(to, false, care, now);
        if let (true, Down::Deliver(_, message)) = (arrivals.is_empty(), &frame) {
            self.lose(to, "< lost", message, now);
        }
        for at in arrivals {
            self.at(at, Event::Down(to, frame.clone()));
        }
    }

    fn lose(&mut self, id: u64, what: &str, message: &Message, now: Instant) {
        let name = self.links.get(&id).map_or("", |link| &link.name);
        self.log.add(now, name, what, Some(message));
    }

    pub(super) fn at(&mut self, at: Instant, event: Event) {
        let id = self.take_id();
        self.queue.insert((at, id), event);
    }

    /// Decides when something arrives: never, once or twice.
    fn arrivals(&mut self, id: u64, is_up: bool, care: Care, now: Instant) -> Vec<Instant> {
        let Some(link) = self.links.get_mut(&id) else { return Vec::new() };
        let (faults, is_cut, last) = (link.faults.clone(), link.is_cut(is_up), *link.last(is_up));
        let is_lost = care == Care::Plain && self.draw(1000) < faults.loss.into();
        let is_doubled = matches!(care, Care::Plain | Care::Ordered) && self.draw(1000) < faults.duplication.into();
        if is_lost || (is_cut && care != Care::Certain) {
            return Vec::new();
        }
        let may_overtake = faults.reorder && care == Care::Plain;
        let mut free = last;
        let mut arrivals = Vec::new();
        for _ in 0..=u8::from(is_doubled) {
            let delayed = now + self.delay(&faults);
            arrivals.push(if may_overtake { delayed } else { free.map_or(delayed, |free| free.max(delayed)) });
            free = if may_overtake { free } else { arrivals.last().copied() };
        }
        if let Some(link) = self.links.get_mut(&id) {
            *link.last(is_up) = free;
        }
        arrivals
    }

    fn delay(&mut self, faults: &Faults) -> Duration {
        let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (least, most) = (millis(faults.delay.start()), millis(faults.delay.end()));
        Duration::from_millis(least + self.draw(most.saturating_sub(least).saturating_add(1)))
    }

    /// Lets everything happen that is due and returns when the next is.
    pub(super) fn run(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let next = self.queue.first_entry()?;
            let due = next.key().0;
            if due > now {
                return Some(due);
            }
            match next.remove() {
                Event::Up(from, frame) => self.arrive(from, frame, due),
                Event::Down(to, frame) => self.receive(to, frame, due),
                Event::Heartbeat(consumer) => self.heartbeat(consumer, due),
            }
        }
    }

    /// Something arrives at the broker.
    fn arrive(&mut self, from: u64, frame: Up, now: Instant) {
        let Some(link) = self.links.get(&from) else { return };
        let is_certain = matches!(frame, Up::Unsubscribe(_) | Up::Leave);
        if !is_certain && (link.is_cut(true) || (link.is_closed() && !matches!(frame, Up::Publish(_)))) {
            if let Up::Publish(message) = frame {
                self.lose(from, "> lost", &message, now);
            }
            return;
        }
        let name = link.name.clone();
        match frame {
            Up::Publish(message) => {
                self.log.add(now, &name, ">", Some(&message));
                self.publish(message, now);
            }
            Up::Subscribe(id, pattern, queue) => {
                self.log.add(now, &name, &format!("subscribes {id} {pattern}"), None);
                self.entries.insert(id, Entry { link: from, pattern, queue });
                self.send_down(from, Down::Confirm(id), Care::Exact, now);
            }
            Up::Unsubscribe(id) => {
                self.log.add(now, &name, &format!("unsubscribes {id}"), None);
                self.entries.remove(&id);
            }
            Up::Drain(id) => {
                self.entries.retain(|_, entry| entry.link != from);
                self.send_down(from, Down::Confirm(id), Care::Exact, now);
            }
            Up::Leave => {
                self.log.add(now, &name, "left", None);
                self.entries.retain(|_, entry| entry.link != from);
                self.links.remove(&from);
            }
        }
    }

    /// Something arrives at a connection.
    fn receive(&mut self, to: u64, frame: Down, now: Instant) {
        let Some(link) = self.links.get_mut(&to) else { return };
        if link.is_cut(false) {
            if let Down::Deliver(_, message) = frame {
                self.lose(to, "< lost", &message, now);
            }
            return;
        }
        match frame {
            Down::Confirm(id) => {
                // Who waited may have given up.
                let _told = link.confirmations.remove(&id).map(|waiting| waiting.send(()));
            }
            Down::Deliver(None, message) => {
                self.log.add(now, &link.name, "<", Some(&message));
                let _told = link.requests.remove(&message.subject).map(|waiting| waiting.send(message));
            }
            Down::Deliver(Some(id), message) => {
                let Some(sender) = link.subscriptions.get(&id) else { return };
                let is_full = sender.capacity() == 0;
                self.log.add(now, &link.name, if is_full { "drops" } else { "<" }, Some(&message));
                // Either full, as just told, or its subscriber is gone.
                let _told = sender.try_send(message);
            }
        }
    }
}
