//! `wattle logs`.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    time::Duration,
};

use clap::Args;
use serde_json::json;

use crate::{
    context::Context,
    error::{CliError, Kind},
    table,
};

const EXAMPLES: &str = "\
Examples:
  wattle logs
  wattle logs Counter --follow
  wattle logs --lines 500

It is the log of the host that `wattle up --detached` started on this machine, which what its actors log goes to, too. \
A host in the foreground writes to its terminal.";

/// Pause between two looks for new lines.
const POLL: Duration = Duration::from_millis(200);

/// Shows the log of the host on this machine.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogsArgs {
    /// Only lines about this actor: its id, a unique beginning of it, its call alias or its name.
    actor: Option<String>,
    /// Go on with what is written from now on.
    #[arg(short, long)]
    follow: bool,
    /// How many lines to begin with.
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
    lines: usize,
}

pub(super) async fn run(context: &Context, args: &LogsArgs) -> Result<(), CliError> {
    let path = context.run_dir()?.log_file();
    let words = match &args.actor {
        Some(wanted) => words_of(context, wanted).await?,
        None => Vec::new(),
    };
    let mut log = open(&path)?;
    let mut last = VecDeque::new();
    while let Some(line) = next_line(&mut log, &path)? {
        if last.len() == args.lines {
            last.pop_front();
        }
        if args.lines > 0 && is_about(&line, &words) {
            last.push_back(line);
        }
    }
    for line in last {
        show(context, &line)?;
    }
    if !args.follow {
        return Ok(());
    }
    tokio::select! {
        biased;
        interrupted = (context.interrupt)() => interrupted.map_err(|error| CliError::internal(error.to_string())),
        ended = follow(context, &path, log, &words) => ended,
    }
}

/// Shows what is written, also into the file of a host that takes its place.
async fn follow(context: &Context, path: &Path, mut log: BufReader<File>, words: &[String]) -> Result<(), CliError> {
    loop {
        while let Some(line) = next_line(&mut log, path)? {
            if is_about(&line, words) {
                show(context, &line)?;
            }
        }
        tokio::time::sleep(POLL).await;
        if is_replaced(&log, path) {
            log = open(path)?;
        }
    }
}

/// Returns what lines about an actor have in them: its id, or its name in quotes or as a value.
async fn words_of(context: &Context, wanted: &str) -> Result<Vec<String>, CliError> {
    let client = context.client().await?;
    let id = context.known_actor(&client, wanted).await?.to_string();
    let name = client.named().await?.name(&id).map(str::to_owned);
    Ok([Some(id), name].into_iter().flatten().collect())
}

fn is_about(line: &str, words: &[String]) -> bool {
    let is_part = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    words.is_empty() || line.split(is_part).any(|word| words.iter().any(|wanted| wanted == word))
}

fn open(path: &Path) -> Result<BufReader<File>, CliError> {
    File::open(path).map(BufReader::new).map_err(|error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            return CliError::file("read", path, &error);
        }
        CliError::new(Kind::Refused, "not_up", format!("there is no log of a host at {}", path.display()))
            .hint("start a host in the background: wattle up --detached")
            .hint("or say where one runs: --run-dir DIR (or WATTLE_RUN_DIR), --lattice NAME")
    })
}

/// Returns the next whole line; of one that is being written nothing yet.
fn next_line(log: &mut BufReader<File>, path: &Path) -> Result<Option<String>, CliError> {
    let mut bytes = Vec::new();
    let failed = |error: std::io::Error| CliError::file("read", path, &error);
    log.read_until(b'\n', &mut bytes).map_err(failed)?;
    if bytes.last() != Some(&b'\n') {
        let back = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        log.seek_relative(-back).map_err(failed)?;
        return Ok(None);
    }
    bytes.pop();
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(unix)]
fn is_replaced(log: &BufReader<File>, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (log.get_ref().metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => id(open) != id(there),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_replaced(_log: &BufReader<File>, _path: &Path) -> bool {
    false
}

fn show(context: &Context, line: &str) -> Result<(), CliError> {
    if context.output.is_json() {
        return context.output.line(&json!({ "line": line }), |_| String::new());
    }
    context.output.bytes(format!("{}\n", table::one_line(line)).as_bytes())
}
