//! One run of one seed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::{interval, sleep};

use crate::{
    Planted,
    auditor::Auditor,
    faults::storm,
    load::load,
    operators::Operators,
    plan::Mood,
    requests,
    settle::{settle, still_right},
    stranger,
    world::World,
};

/// How often leaders are counted.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long the first hosts have before anything begins.
const BEGIN_AFTER: Duration = Duration::from_secs(4);
/// Longer than any call or action may take; and what has come right is to stay so.
const LAST_CALLS: Duration = Duration::from_secs(30);

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Its kind.
    pub mood: Mood,
    /// How many hosts there were.
    pub hosts: u8,
    /// What was not as it must be; empty if all was well.
    pub complaints: Vec<String>,
    /// The hash over all that happened: equal in every run of the seed.
    pub hash: String,
    /// How long it took until all was right again, in simulated time.
    pub settled: Duration,
    /// Simulated time altogether.
    pub took: Duration,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// What happened, for people.
    pub log: String,
}

/// Runs one seed, on a runtime of its own, and says what came of it.
///
/// # Panics
/// When the operating system has no runtime to give.
#[must_use]
pub fn run(seed: u64, planted: Option<Planted>) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    #[expect(clippy::expect_used, reason = "a simulation without a runtime is nothing")]
    runtime.expect("a runtime can be made").block_on(simulate(seed, planted))
}

/// Runs one seed twice and returns what was wrong: that the two runs differ comes first, and hides nothing else.
///
/// # Panics
/// As [`run`] does.
#[must_use]
pub fn check(seed: u64, planted: Option<Planted>) -> Vec<String> {
    let (report, again) = (run(seed, planted), run(seed, planted));
    let differs = (report.hash != again.hash).then(|| difference(&report.log, &again.log));
    differs.into_iter().chain(report.complaints).collect()
}

/// Says where two runs part.
fn difference(one: &str, other: &str) -> String {
    let parted = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    parted.map_or_else(
        || "two runs of it differ, in what was sent only".to_owned(),
        |(one, other)| format!("two runs of it differ, first where one has {one:?} and the other {other:?}"),
    )
}

async fn simulate(seed: u64, planted: Option<Planted>) -> Report {
    let begun = tokio::time::Instant::now();
    let world = World::new(seed, planted);
    let auditor = Auditor::start(&world).await;
    let operators = Operators::new(&world, &auditor);
    world.fill_seats();
    world.tasks.spawn(watch_leaders(Arc::clone(&world)));
    sleep(BEGIN_AFTER).await;
    operators.prepare().await;
    sleep(BEGIN_AFTER).await;
    world.tasks.spawn(storm(Arc::clone(&world), Arc::clone(&operators)));
    world.tasks.spawn(Arc::clone(&operators).work());
    world.tasks.spawn(load(Arc::clone(&world)));
    world.tasks.spawn(requests::ask(Arc::clone(&world)));
    world.tasks.spawn(stranger::meddle(Arc::clone(&world)));
    sleep(world.plan.storm).await;
    world.calm_down.cancel();
    world.witness.note("all calms down");
    world.heal();
    world.fill_seats();
    world.witness.note("all is mended");
    let settled = settle(&world, &auditor).await;
    sleep(LAST_CALLS).await;
    still_right(&world, &auditor);
    world.witness.check_calls_ended();
    operators.check();
    let report = Report {
        seed,
        mood: world.plan.mood,
        hosts: world.plan.hosts,
        complaints: world.witness.complaints(),
        hash: format!("{} {}", world.net.log_hash(), world.witness.log_hash()),
        settled,
        took: begun.elapsed(),
        counts: world.witness.counts(),
        log: world.witness.log_text(),
    };
    auditor.stop();
    world.end();
    report
}

/// Has the witness see who leads, all the time.
async fn watch_leaders(world: Arc<World>) {
    let mut ticks = interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let hosts = world.hosts();
        let leaders: Vec<_> = hosts.iter().filter_map(|host| Some((host.id, host.start, host.node.leads()?))).collect();
        world.witness.lead(&leaders);
    }
}
