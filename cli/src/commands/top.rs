//! `wattle top`.

mod snapshot;

use std::time::Duration;

use clap::Args;
use futures::{StreamExt as _, stream};
use tokio::time::Instant;
use wattle_types::{
    HostId,
    control::{Command, HostLoad},
};

use crate::{
    context::Context,
    control::{Client, no_hosts},
    error::CliError,
    table::{Layout, Table},
};

use snapshot::{HostRow, Row, Snapshot};

const EXAMPLES: &str = "\
Examples:
  wattle top
  wattle top --once
  wattle top --interval 5 -o json      one JSON object a line

Hosts count calls only while somebody looks, and go on for a minute afterwards. Latencies are those of the
interval, at most a quarter too high.";

/// Hosts asked at once.
const ASKED_AT_ONCE: usize = 32;
/// How long one of several hosts may take to answer before it is left out.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Shows how busy actors and providers are, again and again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TopArgs {
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    interval: u64,
    /// Show one interval, then end.
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// End after so many intervals.
    #[arg(long, value_name = "INTERVALS", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Show at most so many actors and providers.
    #[arg(long, value_name = "ROWS", default_value_t = 30)]
    rows: usize,
}

pub(super) async fn run(context: &Context, args: TopArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    tokio::select! {
        biased;
        interrupted = (context.interrupt)() => interrupted.map_err(|error| CliError::internal(error.to_string())),
        shown = show(context, &client, &args) => shown,
    }
}

async fn show(context: &Context, client: &Client, args: &TopArgs) -> Result<(), CliError> {
    let interval = Duration::from_secs(args.interval);
    let count = if args.once { Some(1) } else { args.count };
    let mut next = Instant::now() + interval;
    let mut before = loads(context, client).await?;
    let mut shown = 0;
    while count.is_none_or(|count| shown < count) {
        tokio::time::sleep_until(next).await;
        next += interval;
        let after = loads(context, client).await?;
        let mut snapshot = Snapshot::between(&before, &after);
        snapshot.rows.truncate(args.rows);
        if context.output.is_json() {
            context.output.line(&snapshot, |_| String::new())?;
        } else {
            context.output.frame(&text(&snapshot, context.output.layout()), shown == 0)?;
        }
        before = after;
        shown += 1;
    }
    Ok(())
}

/// Asks the host that was named, or all. One that goes meanwhile is left out.
async fn loads(context: &Context, client: &Client) -> Result<Vec<HostLoad>, CliError> {
    if let Some(wanted) = &context.connection.host {
        return Ok(vec![load(client, client.host(Some(wanted)).await?).await?]);
    }
    let hosts = client.hosts().await?;
    if hosts.is_empty() {
        return Err(no_hosts(client.lattice()));
    }
    let patient = &client.with_timeout(context.connection.timeout().min(ANSWER_TIMEOUT));
    let asked = stream::iter(hosts).map(|host| async move { load(patient, host.id.parse()?).await });
    let answers: Vec<_> = asked.buffered(ASKED_AT_ONCE).collect().await;
    // Whatever one host lacks, such as a version that knows the question, the others are shown. All of them: an error.
    if answers.iter().all(Result::is_err) {
        return answers.into_iter().collect();
    }
    Ok(answers.into_iter().flatten().collect())
}

async fn load(client: &Client, host: HostId) -> Result<HostLoad, CliError> {
    let answer = client.command(&host, &Command::GetLoad, |_, _, _| {}).await?;
    serde_json::from_value(answer).map_err(|error| CliError::internal(format!("host {host}: {error}")))
}

fn text(snapshot: &Snapshot, layout: Layout) -> String {
    let hosts = Table::new()
        .column("host", |host: &HostRow| host.name.clone())
        .column("calls/s", |host| rate(host.calls_per_second))
        .column("memory", |host| host.resident_bytes.map(memory).unwrap_or_default())
        .column("not shown", |host| host.left_out.to_string());
    let rows = Table::new()
        .column("kind", |row: &Row| row.kind.to_owned())
        .column("name", |row| row.name.clone().unwrap_or_else(|| row.id.clone()))
        .column("host", |row| row.host.clone())
        .column("calls/s", |row| rate(row.calls_per_second))
        .column("failed/s", |row| rate(row.failed_per_second))
        .column("p50", |row| row.p50_us.map(span).unwrap_or_default())
        .column("p99", |row| row.p99_us.map(span).unwrap_or_default())
        .column("in flight", |row| row.in_flight.to_string())
        .column("waiting", |row| row.waiting.to_string())
        .column("swaps", |row| row.swaps.to_string());
    format!("{}\n{}", hosts.render(&snapshot.hosts, layout), rows.render(&snapshot.rows, layout))
}

fn rate(per_second: f64) -> String {
    if per_second >= 100.0 { format!("{per_second:.0}") } else { format!("{per_second:.1}") }
}

fn span(us: u64) -> String {
    match us {
        0..10_000 => format!("{us} us"),
        10_000..10_000_000 => format!("{} ms", us / 1000),
        _ => format!("{} s", us / 1_000_000),
    }
}

fn memory(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
