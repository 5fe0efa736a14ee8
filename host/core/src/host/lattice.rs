//! What is declared for the whole lattice, rollouts over it, and moving work off this host.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use wattle_lattice::{
    directory::DirectorySnapshot,
    node::Node,
    rollout::{self, Canary, Rollout},
    spec::{Bucket, DeclaredActor, DeclaredProvider, Edit, Spread, Target, to_bytes},
};
use wattle_types::{
    ActorId, HostId, ProviderId,
    control::{self, Declaration, Scale, SpreadGroup, Standing},
};

use super::{Host, providers::Source};
use crate::{authz, configs::ConfigError, error::HostError, events::rfc3339_now, steps::Steps};

/// How long what is declared may take to run before whoever declared it is told that it does not, yet.
const SCALE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long moving work off a host may take, when nobody says.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often what hosts tell is looked at, by whoever waits for it to change.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How something is declared.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Declaring {
    /// Although links need what it does not claim or serve.
    pub(crate) force: bool,
    /// How long it may take until it runs so.
    pub(crate) timeout: Option<Duration>,
}

impl Host {
    /// Declares that an actor runs on so many hosts, and waits until it does.
    ///
    /// # Errors
    /// Why the module is refused, the shared state cannot be written, or [`HostError::NotScaled`].
    pub(crate) async fn declare_actor(
        &self,
        reference: &str,
        scale: Scale,
        max_in_flight: Option<u32>,
        declaring: Declaring,
        steps: &Steps,
    ) -> Result<ActorId, HostError> {
        let node = self.lattice()?;
        let known = node
            .shared()
            .read(|data| data.actors().find(|(_, declared)| declared.reference == reference).map(|(id, _)| *id));
        let id = match known {
            // To end it, nothing need be where it came from any more.
            Some(id) if scale.replicas == 0 => id,
            _ => {
                let module = self.fetch_module(reference, steps).await?;
                let verified = self.verify(module, steps).await?;
                if scale.replicas > 0 {
                    self.check_links_claimed(None, verified.facts(), declaring.force)?;
                }
                verified.facts().id
            }
        };
        let target = Target::Actor(id);
        refuse_during_rollout(node, &target)?;
        let declared = DeclaredActor {
            reference: reference.to_owned(),
            replicas: scale.replicas,
            max_in_flight,
            spread: spread(&scale),
            constraints: scale.constraints,
            annotations: scale.annotations,
            ..DeclaredActor::default()
        };
        let edit = |current: Option<&[u8]>| to_bytes(&declared.clone().over(current)).map(Edit::Write);
        self.declare(node, &target, (scale.replicas, declaring), edit, steps).await?;
        Ok(id)
    }

    /// Declares that a provider runs on so many hosts, and waits until it does.
    ///
    /// # Errors
    /// Why it is refused, the shared state cannot be written, or [`HostError::NotScaled`].
    pub(crate) async fn declare_provider(
        &self,
        declared: DeclaredProvider,
        id: Option<ProviderId>,
        declaring: Declaring,
        steps: &Steps,
    ) -> Result<ProviderId, HostError> {
        let node = self.lattice()?;
        let source = self.source(&declared.reference).await?;
        let id = id.unwrap_or_else(|| source.kind.clone());
        authz::check_provider_id(&id, &source.kind)?;
        node.shared().read(|data| declared.values(data)).map_err(ConfigError::NotFound)?;
        let target = Target::Provider(id.clone());
        refuse_during_rollout(node, &target)?;
        if declared.replicas > 0 {
            self.check_declared_provider(&id, source, &declared, declaring.force).await?;
        } else if !declaring.force && !runs_by_hand(&node.directory(), &id) {
            self.check_unlinked(&id)?;
        }
        let replicas = declared.replicas;
        let edit = |current: Option<&[u8]>| to_bytes(&declared.clone().over(current)).map(Edit::Write);
        self.declare(node, &target, (replicas, declaring), edit, steps).await?;
        Ok(id)
    }

    /// Refuses a provider that cannot use its configuration, or does not serve what it is linked for: as far as can be
    /// told without starting a process.
    async fn check_declared_provider(
        &self,
        id: &ProviderId,
        source: Source,
        declared: &DeclaredProvider,
        force: bool,
    ) -> Result<(), HostError> {
        let config = self.lattice()?.shared().read(|data| declared.values(data)).map_err(ConfigError::NotFound)?;
        let contracts = match source.contract.clone() {
            Some(contract) => vec![contract],
            None => self.try_out(id, source, &declared.reference, config).await?,
        };
        self.check_links_served(id, None, &contracts, force)
    }

    /// Writes a declaration, or takes it away when nothing is to run, and waits until the hosts tell that it is so.
    async fn declare(
        &self,
        node: &Node,
        target: &Target,
        (replicas, declaring): (u32, Declaring),
        edit: impl Fn(Option<&[u8]>) -> Result<Edit, wattle_lattice::spec::EditError>,
        steps: &Steps,
    ) -> Result<(), HostError> {
        let key = target.declared_key();
        let revision = if replicas == 0 {
            node.shared().delete(Bucket::Lattice, &key).await?;
            None
        } else {
            node.shared().edit(Bucket::Lattice, &key, edit).await?
        };
        steps.done("declared", format!("to run on {}", hosts(replicas)));
        let end = crate::dispatch::now() + declaring.timeout.unwrap_or(SCALE_TIMEOUT);
        let (mut told, mut why) = (None, Vec::new());
        loop {
            let running = declared_hosts(&node.directory(), target).len();
            if told.replace(running) != Some(running) {
                steps.done("running", format!("on {running} of {}", hosts(replicas)));
            }
            let standing = if replicas == 0 { None } else { standing(node, target, revision).await };
            let is_over = crate::dispatch::now() >= end || self.stopped().is_cancelled();
            let is_settled = standing.as_ref().is_some_and(|standing| standing.settled);
            let (is_reached, running) = match standing {
                Some(standing) => {
                    why = standing.why;
                    (is_settled && standing.running == replicas, standing.running as usize)
                }
                // Where nobody tells more, what runs is counted.
                None => (running == replicas as usize && (replicas == 0 || is_over), running),
            };
            if is_reached {
                return Ok(());
            }
            if is_settled || is_over {
                return Err(HostError::NotScaled {
                    target: target.to_string(),
                    wanted: replicas as usize,
                    running,
                    why,
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Returns how what is declared stands, if this host leads.
    pub(crate) fn own_standings(&self) -> Result<Option<Vec<Standing>>, HostError> {
        Ok(self.lattice()?.own_standings())
    }

    /// Returns what is declared, and where it runs.
    pub(crate) async fn declared(&self) -> Result<Vec<Declaration>, HostError> {
        let node = self.lattice()?;
        let standings = node.standings().await.unwrap_or_default();
        let mut why: BTreeMap<_, _> = standings.into_iter().map(|standing| (standing.id, standing.why)).collect();
        let directory = node.directory();
        let mut describe = |target: Target, kind: &str, placed: Placed<'_>, rollout: Option<&Rollout>| {
            let hosts = declared_hosts(&directory, &target).iter().map(ToString::to_string).collect();
            let phase = |rollout: &Rollout| phase_name(rollout).to_owned();
            Declaration {
                kind: kind.to_owned(),
                id: target.to_string(),
                reference: placed.reference.to_owned(),
                replicas: placed.replicas,
                hosts,
                rollout: rollout.map(phase),
                reason: rollout.and_then(|rollout| rollout.reason.clone()),
                spread: groups(placed.spread),
                constraints: placed.constraints.clone(),
                why: why.remove(&target.to_string()).unwrap_or_default(),
            }
        };
        Ok(node.shared().read(|data| {
            let mut all = Vec::new();
            for (id, declared) in data.providers() {
                let target = Target::Provider(id.clone());
                let rollout = data.rollout(&target);
                let DeclaredProvider { reference, replicas, spread, constraints, .. } = declared;
                let placed = Placed { reference, replicas: *replicas, spread, constraints };
                all.push(describe(target, "provider", placed, rollout));
            }
            for (id, declared) in data.actors() {
                let target = Target::Actor(*id);
                let rollout = data.rollout(&target);
                let DeclaredActor { reference, replicas, spread, constraints, .. } = declared;
                let placed = Placed { reference, replicas: *replicas, spread, constraints };
                all.push(describe(target, "actor", placed, rollout));
            }
            all
        }))
    }

    /// Begins to replace a version on all hosts that run it. Whoever leads the lattice goes on with it.
    ///
    /// # Errors
    /// When nothing runs, another rollout is under way, or the shared state cannot be written.
    pub(crate) async fn start_rollout(
        &self,
        target: &str,
        reference: &str,
        force: bool,
        canary: Option<control::Canary>,
    ) -> Result<Target, HostError> {
        let node = self.lattice()?;
        let target = self.find_target(target)?;
        if matches!(target, Target::Provider(_)) && canary.is_some() {
            return Err(HostError::NoCanary);
        }
        refuse_during_rollout(node, &target)?;
        let from = running_reference(node, &target)?;
        let mut rollout = Rollout::new(target.clone(), from, reference.to_owned(), rfc3339_now());
        rollout.force = force;
        rollout.canary = canary.map(trial).transpose()?;
        // Another may have begun in this very moment.
        let refused = || HostError::RolloutActive { target: target.to_string() };
        node.shared().begin_rollout(&rollout).await?.then_some(target.clone()).ok_or_else(refused)
    }

    /// Turns a rollout that is under way round, or goes back to what ran before the last one.
    ///
    /// # Errors
    /// [`HostError::NothingToRollBack`], or when the shared state cannot be written.
    pub(crate) async fn roll_back(&self, target: &str) -> Result<Target, HostError> {
        let node = self.lattice()?;
        let target = self.find_target(target)?;
        let refused = || HostError::NothingToRollBack { target: target.to_string() };
        node.shared().roll_back(&target, &rfc3339_now()).await?.then_some(target.clone()).ok_or_else(refused)
    }

    /// Tells how a rollout goes on until it has ended. To stop listening changes nothing about it.
    ///
    /// # Errors
    /// [`HostError::RolledBack`] with the reason, when it went back.
    pub(crate) async fn follow_rollout(&self, target: &Target, steps: &Steps) -> Result<(), HostError> {
        let node = self.lattice()?;
        let mut changes = node.shared().changes();
        let mut told = None;
        loop {
            let rollout = node.shared().read(|data| data.rollout(target).cloned());
            let rollout = rollout.ok_or_else(|| HostError::NothingToRollBack { target: target.to_string() })?;
            if told.replace(rollout.phase) != Some(rollout.phase) {
                steps.done(phase_name(&rollout), describe(&rollout));
            }
            match rollout.phase {
                rollout::Phase::Done => return Ok(()),
                rollout::Phase::RolledBack => {
                    let reason = rollout.reason.unwrap_or_else(|| "no reason is known".into());
                    return Err(HostError::RolledBack { target: target.to_string(), reason });
                }
                _ => {}
            }
            tokio::select! {
                biased;
                () = self.stopped().cancelled() => return Err(HostError::Draining),
                changed = changes.changed() => changed.map_err(|_| HostError::Draining)?,
            }
        }
    }

    /// Has what is declared moved to other hosts, and then stops this one.
    ///
    /// # Errors
    /// [`HostError::Draining`] when it stops already.
    pub(crate) async fn leave(&self, timeout: Option<Duration>, steps: &Steps) -> Result<(), HostError> {
        let node = self.lattice()?;
        self.change_open(|state| {
            state.leaving = true;
            Ok(())
        })?;
        steps.done("draining", "takes no new work; what is declared moves to other hosts");
        let mut told = None;
        let moved = self.until(timeout.unwrap_or(LEAVE_TIMEOUT), || {
            let left = self.declared_here();
            if told.replace(left) != Some(left) {
                steps.done("moving", format!("{left} still here"));
            }
            left == 0 || (node.has_heard_all() && !others(&node.directory(), self.id()))
        });
        let moved = moved.await;
        let left = self.declared_here();
        let words = match (left, moved) {
            (0, _) => "everything that is declared runs elsewhere".to_owned(),
            (left, true) => format!("there is no other host: {left} end with this one"),
            (left, false) => format!("{left} could not be moved in time and end with this host"),
        };
        steps.done("moved", words);
        self.shutdown_in_background(None);
        Ok(())
    }

    fn declared_here(&self) -> usize {
        let state = self.state();
        let actors = state.actors.iter().filter(|slot| slot.declared).count();
        actors + state.providers.values().filter(|slot| slot.origin.declared).count()
    }

    /// Waits until something holds, for a bounded time or until the host stops. Returns whether it does.
    pub(super) async fn until(&self, timeout: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let end = crate::dispatch::now() + timeout;
        while !holds() {
            if crate::dispatch::now() >= end || self.stopped().is_cancelled() {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        true
    }

    pub(super) fn lattice(&self) -> Result<&Node, HostError> {
        self.node().ok_or(HostError::NoLattice)
    }

    /// Resolves the id, call alias or name of an actor, or the id of a provider, that runs or is declared somewhere.
    pub(crate) fn find_target(&self, target: &str) -> Result<Target, HostError> {
        if let Ok(id) = self.find_actor(target) {
            return Ok(Target::Actor(id));
        }
        if let Some(id) = self.actor_called(target) {
            return Ok(Target::Actor(id));
        }
        let node = self.lattice()?;
        if let Some(id) = node.directory().actor_by_alias(target) {
            return Ok(Target::Actor(id));
        }
        let named: Option<ActorId> = node.shared().read(|data| {
            let mut named = data.claims().filter(|claims| claims.get("name") == Some(target));
            named.find_map(|claims| claims.subject.parse().ok())
        });
        if let Some(id) = named {
            return Ok(Target::Actor(id));
        }
        let id: ProviderId = target.parse()?;
        let is_known =
            !node.directory().provider_hosts(&id).is_empty() || node.shared().read(|data| data.provider(&id).is_some());
        if is_known { Ok(Target::Provider(id)) } else { Err(HostError::ActorNotFound { target: target.to_owned() }) }
    }

    /// Starts to put an actor's claims where all hosts and tools see them. Nothing depends on it.
    pub(super) fn tell_claims(&self, id: ActorId) {
        let Some(node) = self.node().cloned() else { return };
        let Some(fields) = self.claims_of(&id) else { return };
        self.tasks().spawn(async move {
            let key = wattle_lattice::spec::claims_key(&id.to_string());
            let edit = |current: Option<&[u8]>| wattle_lattice::spec::put_claims(current, &fields);
            if let Err(error) = node.shared().edit(Bucket::Lattice, &key, edit).await {
                tracing::warn!(actor = %id, %error, "claims were not written to the shared state");
            }
        });
    }
}

/// Whether some host runs a provider that was started by hand: it stays when what is declared ends.
fn runs_by_hand(directory: &DirectorySnapshot, id: &ProviderId) -> bool {
    directory.hosts().values().any(|known| known.beat.providers.get(id).is_some_and(|running| !running.declared))
}

fn refuse_during_rollout(node: &Node, target: &Target) -> Result<(), HostError> {
    let active = node.shared().read(|data| data.rollout(target).is_some_and(Rollout::is_active));
    if active { Err(HostError::RolloutActive { target: target.to_string() }) } else { Ok(()) }
}

/// Returns the version most hosts run, which is the one to be replaced.
fn running_reference(node: &Node, target: &Target) -> Result<String, HostError> {
    let declared = node.shared().read(|data| data.declared(target).map(|declared| declared.reference.to_owned()));
    if let Some(declared) = declared {
        return Ok(declared);
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for known in node.directory().hosts().values() {
        let reference = match target {
            Target::Actor(id) => known.beat.actors.get(id).map(|running| &running.reference),
            Target::Provider(id) => known.beat.providers.get(id).map(|running| &running.reference),
        };
        if let Some(reference) = reference {
            *counts.entry(reference.clone()).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(reference, _)| reference).ok_or_else(|| HostError::ActorNotFound { target: target.to_string() })
}

/// Returns the hosts that run what is declared because it is.
fn declared_hosts(directory: &Arc<DirectorySnapshot>, target: &Target) -> Vec<HostId> {
    let runs = |known: &&wattle_lattice::directory::KnownHost| match target {
        Target::Actor(id) => known.beat.actors.get(id).is_some_and(|running| running.declared),
        Target::Provider(id) => known.beat.providers.get(id).is_some_and(|running| running.declared),
    };
    directory.hosts().iter().filter(|(_, known)| runs(known)).map(|(host, _)| *host).collect()
}

fn hosts(count: u32) -> String {
    if count == 1 { "1 host".into() } else { format!("{count} hosts") }
}

/// Whether there is another host that takes work.
fn others(directory: &DirectorySnapshot, me: HostId) -> bool {
    directory.hosts().iter().any(|(host, known)| *host != me && !known.beat.draining)
}

/// What declarations of both kinds say of where something runs.
struct Placed<'a> {
    reference: &'a str,
    replicas: u32,
    spread: &'a [Spread],
    constraints: &'a BTreeMap<String, String>,
}

/// Asks whoever leads how something stands since its declaration had this revision.
async fn standing(node: &Node, target: &Target, revision: Option<u64>) -> Option<Standing> {
    let id = target.to_string();
    let is_meant = |standing: &Standing| standing.id == id && Some(standing.revision) >= revision;
    node.standings().await?.into_iter().find(is_meant)
}

fn groups(spread: &[Spread]) -> Vec<SpreadGroup> {
    spread.iter().map(|group| SpreadGroup { labels: group.labels.clone(), weight: group.weight }).collect()
}

fn spread(scale: &Scale) -> Vec<Spread> {
    let groups = scale.spread.iter();
    groups.map(|group| Spread { name: None, labels: group.labels.clone(), weight: group.weight }).collect()
}

/// Fills in what was left open about a canary.
fn trial(canary: control::Canary) -> Result<Canary, HostError> {
    let mut fields = serde_json::Map::new();
    fields.insert("percent".into(), canary.percent.into());
    fields.extend(canary.watch_secs.map(|secs| ("watch_secs".to_owned(), secs.into())));
    fields.extend(canary.max_error_percent.map(|percent| ("max_error_percent".to_owned(), percent.into())));
    fields.extend(canary.max_latency_factor.map(|factor| ("max_latency_factor".to_owned(), factor.into())));
    serde_json::from_value(fields.into()).map_err(|error| HostError::Internal(error.to_string()))
}

const fn phase_name(rollout: &Rollout) -> &'static str {
    match rollout.phase {
        rollout::Phase::Choosing => "choosing",
        rollout::Phase::Canary { .. } => "canary",
        rollout::Phase::Updating { .. } => "updating",
        rollout::Phase::Declaring => "declaring",
        rollout::Phase::Done => "done",
        rollout::Phase::RollingBack => "rolling_back",
        rollout::Phase::RolledBack => "rolled_back",
    }
}

fn describe(rollout: &Rollout) -> String {
    let percent = rollout.canary.as_ref().map_or(0, |canary| canary.percent);
    match rollout.phase {
        rollout::Phase::Choosing => format!("{} hosts done", rollout.done.len()),
        rollout::Phase::Canary { host } => format!("{percent} of 100 calls on {host} go to the new version"),
        rollout::Phase::Updating { host } => format!("{host} goes over to the new version"),
        rollout::Phase::Declaring => "all hosts run the new version".into(),
        rollout::Phase::Done => format!("the new version is what is declared, from {}", rollout.to),
        rollout::Phase::RollingBack | rollout::Phase::RolledBack => rollout.reason.clone().unwrap_or_default(),
    }
}
