//! `wattle spy`.

use std::{future::Future, time::Duration};

use clap::Args;
use futures::{StreamExt as _, stream::FuturesUnordered};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use wattle_bus::{Message, Subscription};
use wattle_types::{
    ActorId, HostId,
    control::{Command, ObservedInvocation},
    event::CloudEvent,
    subject,
};

use crate::{
    commands::claims::date,
    context::Context,
    control::{Client, Known, no_hosts},
    error::CliError,
    table,
};

const EXAMPLES: &str = "\
Examples:
  wattle spy
  wattle spy --actor Counter --seconds 10
  wattle spy --events -o json      one JSON object a line

All hosts that answer at the start are watched, or the one of --host; events come from all. Payloads are never shown.";

/// How long a watch without an end is asked for at a time.
const WATCH_SECONDS: u32 = 3600;

/// Shows events and invocations as they happen.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SpyArgs {
    /// Only events.
    #[arg(long, conflicts_with = "invocations")]
    events: bool,
    /// Only invocations.
    #[arg(long)]
    invocations: bool,
    /// Only calls of or to this actor.
    #[arg(long, value_name = "ACTOR", conflicts_with = "events")]
    actor: Option<String>,
    /// End after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86400))]
    seconds: Option<u32>,
    /// End after so many lines.
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// One line of what is seen.
#[derive(Debug, Serialize)]
#[serde(tag = "seen", rename_all = "snake_case")]
enum Seen {
    Event(CloudEvent),
    Invocation(ObservedInvocation),
}

pub(super) async fn run(context: &Context, args: SpyArgs) -> Result<(), CliError> {
    let client = context.client().await?;
    let hosts = hosts(context, &client).await?;
    let actor = match &args.actor {
        Some(wanted) => Some(context.known_actor(&client, wanted).await?),
        None => None,
    };
    let bus = client.bus();
    let events = bus.subscribe(&subject::event(client.lattice(), "*"), None).await?;
    let inbox = bus.new_inbox();
    let invocations = bus.subscribe(&inbox, None).await?;
    let names = names(context, &client).await;
    context.output.remark("Watching; Ctrl-C ends it.");

    let end = async {
        match args.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await,
            None => std::future::pending().await,
        }
    };
    let watching = async {
        if args.events {
            std::future::pending().await
        } else {
            watch_all(context, &client, &hosts, &inbox, actor, args.seconds).await
        }
    };
    tokio::select! {
        biased;
        interrupted = (context.interrupt)() => interrupted.map_err(|error| CliError::internal(error.to_string())),
        () = end => Ok(()),
        ended = show(context, &args, &names, (events, invocations)) => ended,
        ended = watching => ended,
    }
}

/// Returns the host that was named, or all that answer.
async fn hosts(context: &Context, client: &Client) -> Result<Vec<HostId>, CliError> {
    if let Some(wanted) = &context.connection.host {
        return Ok(vec![client.host(Some(wanted)).await?]);
    }
    let hosts = client.hosts().await?;
    if hosts.is_empty() {
        return Err(no_hosts(client.lattice()));
    }
    hosts.iter().map(|host| Ok(host.id.parse()?)).collect()
}

/// Returns the names of actors, for people. Whoever may not ask for them sees ids.
async fn names(context: &Context, client: &Client) -> Known {
    if context.output.is_json() {
        return Known::default();
    }
    client.named().await.unwrap_or_default()
}

/// Has all hosts watch until the last of them has gone.
async fn watch_all(
    context: &Context,
    client: &Client,
    hosts: &[HostId],
    inbox: &str,
    actor: Option<ActorId>,
    seconds: Option<u32>,
) -> Result<(), CliError> {
    let watches = hosts.iter().map(|host| async move { (host, watch(client, host, inbox, actor, seconds).await) });
    let mut watches: FuturesUnordered<_> = watches.collect();
    while let Some((host, ended)) = watches.next().await {
        if watches.is_empty() {
            return ended;
        }
        if let Err(error) = ended {
            context.output.warn(&format!("host {host} is watched no more: {error}"));
        }
    }
    Ok(())
}

/// Asks the host to watch, again and again until its end.
fn watch<'a>(
    client: &'a Client,
    host: &'a HostId,
    inbox: &'a str,
    actor: Option<ActorId>,
    seconds: Option<u32>,
) -> impl Future<Output = Result<(), CliError>> + 'a {
    let seconds = seconds.unwrap_or(WATCH_SECONDS);
    // The host is silent until the watch is over.
    let client = client.with_timeout(Duration::from_secs(u64::from(seconds) + 60));
    async move {
        loop {
            let begun = Instant::now();
            let command = Command::Watch { subject: inbox.to_owned(), seconds, actor };
            client.command(host, &command, |_, _, _| {}).await?;
            // A host that ends its watches at once must not be asked in a tight loop.
            tokio::time::sleep_until(begun + Duration::from_secs(1)).await;
        }
    }
}

async fn show(
    context: &Context,
    args: &SpyArgs,
    names: &Known,
    (mut events, mut invocations): (Subscription, Subscription),
) -> Result<(), CliError> {
    let mut lines = 0;
    while args.count.is_none_or(|count| lines < count) {
        let seen = tokio::select! {
            event = events.next(), if !args.invocations && args.actor.is_none() => read(event)?.map(Seen::Event),
            invocation = invocations.next(), if !args.events => read(invocation)?.map(Seen::Invocation),
        };
        if let Some(seen) = seen {
            context.output.line(&seen, |seen| describe(seen, names))?;
            lines += 1;
        }
    }
    Ok(())
}

/// Reads a message; what is not what it should be is left out, as anybody may send there.
fn read<T: serde::de::DeserializeOwned>(message: Option<Message>) -> Result<Option<T>, CliError> {
    let message =
        message.ok_or_else(|| CliError::from(wattle_bus::BusError::Disconnected("the connection ended".into())))?;
    Ok(serde_json::from_slice(&message.payload).ok())
}

fn describe(seen: &Seen, names: &Known) -> String {
    let name = |id: &str| names.name(id).unwrap_or(id).to_owned();
    let line = match seen {
        Seen::Event(event) => format!("event  {}  {}  {}", event.time, event.name(), dated(&event.data)),
        Seen::Invocation(call) => format!(
            "call   {} -> {}  {}{}  {} B in, {} B out, {}  {}",
            name(&call.origin),
            name(&call.target),
            call.contract.as_ref().map(|contract| format!("{contract} ")).unwrap_or_default(),
            call.operation,
            call.request_len,
            call.response_len,
            elapsed(call.elapsed_us),
            call.error.as_deref().unwrap_or("ok"),
        ),
    };
    table::one_line(&line)
}

/// Writes the end of claims as a date.
fn dated(data: &Value) -> Value {
    let mut data = data.clone();
    if let Some(expires) = data.get_mut("expires")
        && let Some(date) = expires.as_u64().and_then(date)
    {
        *expires = date.into();
    }
    data
}

fn elapsed(us: u64) -> String {
    if us < 10_000 { format!("{us} us") } else { format!("{} ms", us / 1000) }
}
