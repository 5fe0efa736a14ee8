//! `wattle up --detached`: the same program again, in the background.

use std::{
    ffi::{OsStr, OsString},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};

use crate::{
    commands::down,
    context::Context,
    error::{CliError, Kind},
    run_dir::{RunDir, State, create_private},
};

/// How long the host may take until it takes work.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long it may take to end when it did not come up in time.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// Pause between two looks at its state file.
const READY_POLL: Duration = Duration::from_millis(50);

/// Lines of its log shown when it fails.
const LOG_LINES: usize = 10;

/// Starts it, and returns when it takes work.
pub(super) async fn start(context: &Context, run_dir: &RunDir) -> Result<(), CliError> {
    drop(run_dir.claim()?);
    run_dir.clear();
    let mut child = spawn(context, run_dir)?;
    let pid = child.id();
    let state = tokio::select! {
        biased;
        state = taking_work(run_dir, pid) => state,
        exit = child.wait() => {
            let exit = exit.map_or_else(|error| error.to_string(), |status| status.to_string());
            return Err(failed(run_dir, &format!("the host ended at once ({exit})")));
        }
        () = tokio::time::sleep(READY_TIMEOUT) => {
            Err(failed(run_dir, &format!("the host takes no work after {} s", READY_TIMEOUT.as_secs())))
        }
    };
    let state = match state {
        Ok(state) => state,
        Err(error) => {
            end(context, run_dir, child).await;
            return Err(error);
        }
    };
    super::tell(context, &state)?;
    context.output.remark(&format!(
        "It runs in the background and logs to {}. Stop it: {}",
        run_dir.log_file().display(),
        run_dir.down()
    ));
    Ok(())
}

/// Takes from an argument what would put the host into the background again.
fn in_foreground(argument: &OsStr) -> Option<OsString> {
    match argument.to_str() {
        Some("--detached" | "--detach" | "-d") => None,
        Some(text) if text.starts_with("-d") => Some(text.replacen('d', "", 1).into()),
        _ => Some(argument.to_owned()),
    }
}

fn spawn(context: &Context, run_dir: &RunDir) -> Result<Child, CliError> {
    let program =
        std::env::current_exe().map_err(|error| CliError::internal(format!("cannot find myself: {error}")))?;
    let log_file = run_dir.log_file();
    // The last words of a host that was killed are kept until the next one ends. Without a log, there is none to keep.
    let _no_log = std::fs::rename(&log_file, run_dir.old_log_file());
    let log = create_private(&log_file).and_then(|log| Ok((log.try_clone()?, log)));
    let (out, err) = log.map_err(|error| CliError::file("write", &log_file, &error))?;
    let arguments = context.command_line.iter().skip(1).filter_map(|argument| in_foreground(argument));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&context.directory);
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    // Out of reach of our terminal's Ctrl-C.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn().map_err(|error| CliError::internal(format!("cannot start myself again: {error}")))
}

/// Waits until the child has written its state, which it does when its host takes work. The host is not asked: where
/// NATS has roles, ours is that of a host, which may not ask hosts.
async fn taking_work(run_dir: &RunDir, pid: Option<u32>) -> Result<State, CliError> {
    let is_ours = |state: &State| Some(state.pid) == pid;
    loop {
        if let Some(state) = run_dir.running()?.filter(is_ours) {
            return Ok(state);
        }
        tokio::time::sleep(READY_POLL).await;
    }
}

/// Ends a host that does not come up: nobody would know of it. Asked first; who is killed leaves its nats-server.
async fn end(context: &Context, run_dir: &RunDir, mut child: Child) {
    let is_asked = child.id().is_some_and(|pid| down::signal(pid, false).is_ok());
    let wait = if is_asked { END_TIMEOUT } else { Duration::ZERO };
    if tokio::time::timeout(wait, child.wait()).await.is_ok() {
        return;
    }
    let ended = match child.kill().await {
        Ok(()) => down::end_leftover(run_dir).await.map(drop),
        Err(error) => Err(CliError::internal(error.to_string())),
    };
    if let Err(error) = ended {
        context.output.warn(&format!("something of the host is left: {error}"));
    }
}

/// Makes the error of a host that did not come up, with what it said last.
fn failed(run_dir: &RunDir, message: &str) -> CliError {
    let path = run_dir.log_file();
    let log = std::fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n  ");
    let error = CliError::new(Kind::Unavailable, "host_not_ready", format!("{message}; it said last:\n  {last}"));
    error.hint(format!("its whole log is {}", path.display()))
}
