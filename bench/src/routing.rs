//! Finding whom a call is for: a link of an actor, and an actor by its id, as the hot path does both.

use std::{hint::black_box, time::Instant};

use anyhow::{Result, ensure};
use wattle_host::{Engine, EngineConfig, Host, RouteTable, StartActor, Steps};
use wattle_types::{ActorId, LinkDefinition, LinkKey, LinkName};
use wattle_wascap::{KeyKind, KeyPair, TrustPolicy};

use crate::{guest, report::Report, settings::Settings};

pub(crate) const OURS: &str = "ours";
pub(crate) const LINK: &str = "ns to a link's provider";
pub(crate) const ACTOR: &str = "ns to an actor by its id";
const CONTRACT: &str = "wasmcloud:keyvalue";
const LINKS_EACH: usize = 5;
const LOOKUPS: usize = 1_000_000;

/// Names the load.
pub(crate) fn under(actors: usize) -> String {
    format!("{actors} actors, {} links", actors * LINKS_EACH)
}

/// Measures.
pub(crate) fn run(settings: Settings) -> Result<Report> {
    let (module, issuer) = guest::example("hello")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let trust = TrustPolicy::new().trust_account(issuer.parse()?)?;
    let host = runtime.block_on(Host::builder(Engine::new(EngineConfig::default())?, trust).start())?;
    runtime.block_on(host.start_actor(module.into(), StartActor::default(), &Steps::ignore()))?;
    let mut report = Report::new("finding whom a call is for, in the routing snapshot");
    for actors in [100, settings.amount(1000, 200), settings.amount(10_000, 1000)] {
        let ids = (0..actors).map(|_| Ok(ActorId::try_from(KeyPair::generate(KeyKind::Module)?.public_key())?));
        let ids: Vec<ActorId> = ids.collect::<Result<_>>()?;
        let names = (0..LINKS_EACH).map(|number| Ok(format!("link-{number}").parse()?));
        let names: Vec<LinkName> = names.collect::<Result<_>>()?;
        let table = RouteTable::like(&host, &ids, &links(&ids, &names)?);
        for round in 0..settings.rounds {
            settings.tell("routing", round);
            one_round(&table, &ids, &names, &mut report, &under(actors))?;
        }
    }
    report.note(format!("each looked for in turn, in an order that caches do not foresee; {LOOKUPS} look-ups a round"));
    Ok(report)
}

fn links(ids: &[ActorId], names: &[LinkName]) -> Result<Vec<LinkDefinition>> {
    let each = ids.iter().flat_map(|actor| names.iter().map(move |link_name| (*actor, link_name.clone())));
    each.map(|(actor, link_name)| {
        let key = LinkKey { actor, contract: CONTRACT.parse()?, link_name };
        Ok(LinkDefinition { key, provider: "store".parse()?, values: Default::default() })
    })
    .collect()
}

fn one_round(table: &RouteTable, ids: &[ActorId], names: &[LinkName], report: &mut Report, under: &str) -> Result<()> {
    let links: Vec<_> = ids.iter().flat_map(|actor| names.iter().map(move |name| (*actor, name.as_str()))).collect();
    let texts: Vec<String> = far_apart(ids).iter().map(ToString::to_string).collect();
    report.add(OURS, under, LINK, nanos(&far_apart(&links), |(actor, name)| table.finds_link(actor, CONTRACT, name))?);
    report.add(OURS, under, ACTOR, nanos(&texts, |text| table.finds_actor(text))?);
    Ok(())
}

/// Puts each far from the one before it. The caller of a look-up has what it asks with at hand: so it is here, too,
/// where only what the table holds has to be fetched from afar.
fn far_apart<T: Copy>(all: &[T]) -> Vec<T> {
    // A step that has no common factor with their number comes by each of them.
    (0..all.len()).filter_map(|at| all.get(at * 7919 % all.len()).copied()).collect()
}

/// Looks for them in turn, again and again. Returns what one look-up takes.
fn nanos<T>(asked: &[T], finds: impl Fn(&T) -> bool) -> Result<f64> {
    let begun = Instant::now();
    let found = asked.iter().cycle().take(LOOKUPS).filter(|one| black_box(finds(black_box(one)))).count();
    let elapsed = begun.elapsed();
    ensure!(found == LOOKUPS, "{} were not found", LOOKUPS - found);
    Ok(elapsed.as_secs_f64() * 1e9 / LOOKUPS as f64)
}
