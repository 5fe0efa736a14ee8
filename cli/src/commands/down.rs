//! `wattle down`.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    context::Context,
    control::Client,
    error::{CliError, Kind},
    run_dir::{RunDir, State},
};

const EXAMPLES: &str = "\
Examples:
  wattle down
  wattle down --drain-seconds 5 --force";

/// Pause between two looks whether it has ended.
const POLL: Duration = Duration::from_millis(50);

/// How long the host may take to accept the request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to end after its drain.
const GRACE: Duration = Duration::from_secs(10);

/// Stops the host that `up` started, after its calls in flight.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DownArgs {
    /// How long calls in flight may take to end.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain_seconds: u64,
    /// Kill it if it does not end.
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: DownArgs) -> Result<(), CliError> {
    let run_dir = context.run_dir()?;
    let Some(state) = run_dir.running()? else {
        if end_leftover(&run_dir).await? {
            let text = "The host had been killed; the nats-server it left has ended";
            return context.output.result(&json!({ "stopped": "leftover" }), |_| text.into());
        }
        let message = format!("no host runs from {}", run_dir.path().display());
        return Err(CliError::new(Kind::Refused, "not_up", message)
            .hint("see the hosts that answer: wattle get hosts; stop one elsewhere: wattle stop host HOST"));
    };
    let drain = Duration::from_secs(args.drain_seconds);
    let how = stop(context, &run_dir, &state, drain, args.force).await?;
    run_dir.clear();
    let result = json!({ "host": state.host_id, "pid": state.pid, "stopped": how });
    context.output.result(&result, |_| format!("Host {} has ended", state.friendly_name))
}

/// Asks over the control interface, then by signal, then kills. Before each signal the lock is looked at again: while
/// it is held, the recorded process is ours.
async fn stop(
    context: &Context,
    run_dir: &RunDir,
    state: &State,
    drain: Duration,
    force: bool,
) -> Result<&'static str, CliError> {
    match ask(context, state, drain).await {
        Ok(()) if ended(run_dir, drain + GRACE).await? => return Ok("asked"),
        Ok(()) => context.output.warn("the host has not ended in time"),
        Err(error) => context.output.warn(&format!("the host cannot be asked: {error}")),
    }
    if ended(run_dir, Duration::ZERO).await? {
        return Ok("asked");
    }
    signal(state.pid, false)?;
    if ended(run_dir, drain + GRACE).await? {
        return Ok("terminated");
    }
    if !force {
        let message = format!("host {} (process {}) does not end", state.friendly_name, state.pid);
        return Err(
            CliError::new(Kind::Unavailable, "still_up", message).hint(format!("kill it: {} --force", run_dir.down()))
        );
    }
    signal(state.pid, true)?;
    if ended(run_dir, GRACE).await? {
        return Ok("killed");
    }
    Err(CliError::internal(format!("process {} survived being killed", state.pid)))
}

/// Ends what a killed host left.
pub(super) async fn end_leftover(run_dir: &RunDir) -> Result<bool, CliError> {
    if !run_dir.path().is_dir() {
        return Ok(false);
    }
    match run_dir.lock()? {
        Some(lock) => run_dir.end_leftover(&lock).await,
        None => Ok(false),
    }
}

async fn ask(context: &Context, state: &State, drain: Duration) -> Result<(), CliError> {
    let bus = context.bus(&state.nats()).await?;
    let client = Client::new(bus, state.lattice.parse()?, REQUEST_TIMEOUT).signed_by(context.signer()?);
    client.stop_host(&state.host_id.parse()?, Some(drain)).await
}

async fn ended(run_dir: &RunDir, wait: Duration) -> Result<bool, CliError> {
    let begun = Instant::now();
    loop {
        if run_dir.lock()?.is_some() {
            return Ok(true);
        }
        if begun.elapsed() >= wait {
            return Ok(false);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Asks a process to end, or kills it.
#[cfg(unix)]
pub(super) fn signal(pid: u32, kill: bool) -> Result<(), CliError> {
    use rustix::process::{Pid, Signal, kill_process};
    let signal = if kill { Signal::KILL } else { Signal::TERM };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| CliError::internal("the recorded process id is not one"))?;
    kill_process(pid, signal).map_err(|error| {
        CliError::new(Kind::Refused, "signal_failed", format!("the host's process cannot be signalled: {error}"))
            .hint("run this as the user who started the host")
    })
}

#[cfg(not(unix))]
pub(super) fn signal(pid: u32, _kill: bool) -> Result<(), CliError> {
    Err(CliError::new(Kind::Unavailable, "still_up", format!("process {pid} does not end"))
        .hint("end it with the system's task manager"))
}
