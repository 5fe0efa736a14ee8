//! What people do to a lattice, through whatever host they reach: the edits that the host makes for their commands.

mod declaring;
mod kept;
mod linking;
mod rolling;

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{
    auditor::Auditor,
    chance::Chance,
    host::SimHost,
    plan::Mood,
    world::{World, stream},
};

/// How long one of them waits for a host.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything operators need.
pub(crate) struct Operators {
    world: Arc<World>,
    auditor: Arc<Auditor>,
    chance: Chance,
    linking: linking::Wishes,
    versions: std::sync::atomic::AtomicI32,
}

/// Why an operator's wish was not fulfilled.
#[derive(Debug)]
enum Failed {
    /// It was certainly not.
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

impl From<wattle_lattice::node::SharedError> for Failed {
    fn from(error: wattle_lattice::node::SharedError) -> Self {
        use wattle_bus::KvError;
        use wattle_lattice::node::SharedError;
        match error {
            SharedError::Edit(error) => Self::Refused(error.to_string()),
            SharedError::Store(error @ KvError::Conflict { .. }) => Self::Refused(error.to_string()),
            other => Self::Unknown(other.to_string()),
        }
    }
}

impl Operators {
    pub(crate) fn new(world: &Arc<World>, auditor: &Arc<Auditor>) -> Arc<Self> {
        Arc::new(Self {
            chance: Chance::new(world.seed, stream::OPERATORS),
            world: Arc::clone(world),
            auditor: Arc::clone(auditor),
            linking: linking::Wishes::default(),
            versions: std::sync::atomic::AtomicI32::new(1),
        })
    }

    /// Puts a few links and declares a few things, so that there is something to go wrong.
    pub(crate) async fn prepare(self: &Arc<Self>) {
        for _ in 0..6 {
            self.act(Wish::PutLink).await;
        }
        for _ in 0..4 {
            self.act(Wish::Declare).await;
        }
    }

    /// Acts until all is to calm down.
    pub(crate) async fn work(self: Arc<Self>) {
        while !self.world.calm_down.is_cancelled() {
            sleep(self.chance.millis(100..=self.world.plan.action_every_ms)).await;
            if self.world.calm_down.is_cancelled() {
                return;
            }
            let wish = self.wish();
            let me = Arc::clone(&self);
            self.world.tasks.spawn(async move { me.act(wish).await });
        }
    }

    fn wish(&self) -> Wish {
        match self.chance.below(100) {
            0..=24 => Wish::PutLink,
            25..=34 => Wish::DeleteLink,
            35..=59 => Wish::Declare,
            60..=84 => Wish::Rollout,
            85..=92 => Wish::RollBack,
            _ => Wish::Drain,
        }
    }

    async fn act(self: &Arc<Self>, wish: Wish) {
        let hosts = self.world.hosts();
        let Some(host) = self.chance.pick(&hosts).cloned() else { return };
        self.world.witness.count("actions");
        let doing = async {
            match wish {
                Wish::PutLink => self.put_link(&host).await,
                Wish::DeleteLink => self.delete_link(&host).await,
                Wish::Declare => self.declare(&host).await,
                Wish::Rollout => self.roll_out(&host).await,
                Wish::RollBack => self.roll_back(&host).await,
                Wish::Drain => self.drain(&host).await,
            }
        };
        // Who asked a host that dies is told nothing.
        let done = timeout(PATIENCE, host.dead.run_until_cancelled(doing)).await;
        let note = match done {
            Ok(Some(Ok(what))) => what,
            Ok(Some(Err(Failed::Refused(why)))) => format!("refused: {why}"),
            Ok(Some(Err(Failed::Unknown(why)))) => format!("unknown: {why}"),
            Ok(None) => "the host died".to_owned(),
            Err(_) => "took too long".to_owned(),
        };
        self.world.witness.note(&format!("operator at {}: {wish:?}: {note}", host.name()));
    }

    /// Drains a host, unless too few would be left; it comes back after a while.
    async fn drain(&self, host: &Arc<SimHost>) -> Result<String, Failed> {
        let hosts = self.world.hosts();
        let staying = hosts.iter().filter(|other| !other.model().leaving).count();
        if staying <= 2 || self.world.plan.mood == Mood::Calm && staying <= 3 {
            return Err(Failed::Refused("too few hosts would be left".into()));
        }
        let (host, pause) = (Arc::clone(host), self.chance.millis(500..=15_000));
        let world = Arc::clone(&self.world);
        self.world.tasks.spawn(async move {
            host.leave().await;
            sleep(pause).await;
            world.start(host.seat());
        });
        Ok("drains".into())
    }

    /// Complains about links that are not as they were last put.
    pub(crate) fn check(&self) {
        self.linking.check(&self.world, &self.auditor);
    }

    /// Takes in that the shared state was lost.
    pub(crate) fn state_lost(&self) {
        self.linking.forget();
    }
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    PutLink,
    DeleteLink,
    Declare,
    Rollout,
    RollBack,
    Drain,
}
