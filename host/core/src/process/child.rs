//! One run of a provider's program, from start to end.

use std::{io, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader},
    process::{Child as Handle, Command},
    task::{JoinSet, spawn_blocking},
    time::Instant,
};

use super::{
    family::Family,
    line_rate::{LineRate, REPORT},
};

/// Longest line of its output that is logged, in bytes; the rest of a longer line is left out.
const LINE_LEN_MAX: usize = 4096;
/// How long it may take to read its line of input.
const INPUT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the rest of its output may take once it has ended.
const OUTPUT_TIMEOUT: Duration = Duration::from_millis(500);
/// Attempts to start a file that some other process, forked in this moment, still holds open for writing.
const BUSY_ATTEMPTS: u32 = 20;
/// Environment variables a process keeps, besides those that begin with `OTEL_`.
const KEPT: [&str; 2] = ["RUST_LOG", "SYSTEMROOT"];

/// A running process. Killed when dropped, with all it started.
#[derive(Debug)]
pub(super) struct Child {
    handle: Handle,
    family: Family,
    /// Its output on the way to the log.
    output: JoinSet<()>,
}

impl Child {
    /// Starts `program`, gives it `input`, and logs what it writes under the name of `provider`.
    pub(super) async fn start(program: &Path, input: &str, provider: &str) -> io::Result<Self> {
        let mut family = Family::new();
        let mut handle = spawn(program, &family).await?;
        family.set_leader(handle.id());
        let mut output = JoinSet::new();
        if let Some(stdout) = handle.stdout.take() {
            output.spawn(log_lines(stdout, provider.to_owned(), "stdout"));
        }
        if let Some(stderr) = handle.stderr.take() {
            output.spawn(log_lines(stderr, provider.to_owned(), "stderr"));
        }
        if let Some(mut stdin) = handle.stdin.take() {
            // A process that ends without reading is told by its exit, not by this.
            let written = tokio::time::timeout(INPUT_TIMEOUT, stdin.write_all(input.as_bytes())).await;
            if !matches!(written, Ok(Ok(()))) {
                tracing::warn!(provider, "a provider's process did not read its input");
            }
        }
        Ok(Self { handle, family, output })
    }

    /// Waits until it ends by itself and says how. What it started ends with it.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn exited(&mut self) -> String {
        let exit = self.handle.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        self.end_family().await;
        self.last_words().await;
        exit
    }

    async fn end_family(&self) {
        let family = self.family.clone();
        // It fails only as the runtime ends: then this child is dropped.
        let _ = spawn_blocking(move || family.end()).await;
    }

    /// Waits until all it wrote is logged. Bounded: who got away from us may hold its output open.
    async fn last_words(&mut self) {
        let all = async { while self.output.join_next().await.is_some() {} };
        if tokio::time::timeout(OUTPUT_TIMEOUT, all).await.is_err() {
            tracing::debug!("something still holds the output of a provider's process");
        }
    }

    /// Waits for its end and kills it when that takes longer than `wait`. Returns whether it was killed.
    pub(super) async fn end(mut self, wait: Duration) -> bool {
        let ended = tokio::time::timeout(wait, self.handle.wait()).await.is_ok();
        if !ended && let Err(error) = self.handle.kill().await {
            tracing::warn!(%error, "a provider's process could not be killed");
        }
        self.end_family().await;
        self.last_words().await;
        !ended
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.handle.start_kill();
        self.family.end();
    }
}

async fn spawn(program: &Path, family: &Family) -> io::Result<Handle> {
    let mut command = Command::new(program);
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_kept)));
    let (name, mark) = family.mark();
    command.env(name, mark);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // A Ctrl-C in our terminal is for us: we end our processes in order.
    #[cfg(unix)]
    command.process_group(0);
    let mut attempt = 1;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempt < BUSY_ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            result => return result,
        }
    }
}

fn is_kept(name: &str) -> bool {
    KEPT.contains(&name) || name.starts_with("OTEL_")
}

/// Logs lines, shortened, until the stream ends. A flood is read as fast as it comes, but logged at a rate.
async fn log_lines(stream: impl AsyncRead + Unpin, provider: String, name: &'static str) {
    let mut reader = BufReader::with_capacity(LINE_LEN_MAX, stream);
    let mut line = Vec::new();
    let mut log = LineLog { rate: LineRate::new(Instant::now()), provider, stream: name };
    loop {
        // Told also when no further line comes.
        while log.rate.is_behind() && tokio::time::timeout(REPORT, reader.fill_buf()).await.is_err() {
            log.report();
        }
        let Ok(chunk) = reader.fill_buf().await else { return log.end(&mut line) };
        if chunk.is_empty() {
            return log.end(&mut line);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let (text, used) = end.map_or((chunk, chunk.len()), |end| (chunk.split_at(end).0, end + 1));
        let room = LINE_LEN_MAX.saturating_sub(line.len());
        line.extend(text.iter().take(room));
        reader.consume(used);
        if end.is_some() {
            log.line(&mut line);
            log.report();
        }
    }
}

/// Where the lines of one stream go.
struct LineLog {
    rate: LineRate,
    provider: String,
    stream: &'static str,
}

impl LineLog {
    fn line(&mut self, line: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        if !text.trim().is_empty() && self.rate.admits(Instant::now()) {
            let (provider, stream) = (&self.provider, self.stream);
            tracing::info!(target: "wattle::provider", provider, stream, "{}", text.trim_end());
        }
        line.clear();
    }

    fn report(&mut self) {
        if let Some(left_out) = self.rate.report(Instant::now()) {
            self.tell(left_out);
        }
    }

    fn end(&mut self, line: &mut Vec<u8>) {
        self.line(line);
        if let Some(left_out) = self.rate.rest() {
            self.tell(left_out);
        }
    }

    fn tell(&self, left_out: u64) {
        let (provider, stream) = (&self.provider, self.stream);
        tracing::warn!(target: "wattle::provider", provider, stream, "{left_out} lines left out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_almost_empty() {
        let names = ["PATH", "HOME", "RUST_LOG", "OTEL_EXPORTER_OTLP_ENDPOINT", "NATS_SEED", "SYSTEMROOT"];
        let kept: Vec<_> = names.into_iter().filter(|name| is_kept(name)).collect();
        assert_eq!(kept, ["RUST_LOG", "OTEL_EXPORTER_OTLP_ENDPOINT", "SYSTEMROOT"]);
    }
}
