//! HTTP hello: through host, provider and actor, and straight from axum. Each server is a process of its own.

mod load;
mod servers;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

pub(crate) use servers::{Server, serve};

use crate::{
    quantiles::{median, percentile},
    table::{Row, Table},
};

use load::Load;

const CONNECTIONS: usize = 64;

/// Measures all servers, round by round.
pub(crate) fn run(rounds: u32, turn: Duration) -> Result<Table> {
    let servers = [Server::Wattle, Server::Axum];
    let mut running = servers.map(Running::start).into_iter().collect::<Result<Vec<_>>>()?;
    let mut turns = servers.map(|_| Vec::new());
    for server in &running {
        load::run(server.address, CONNECTIONS, turn / 4)?;
    }
    for round in 0..rounds {
        eprint!("\rhttp: round {} of {rounds}", round + 1);
        for (server, turns) in running.iter().zip(&mut turns) {
            turns.push(load::run(server.address, CONNECTIONS, turn)?);
        }
    }
    eprintln!();
    running.clear();
    let ours = &turns[0];
    let rows = servers.iter().zip(&turns).map(|(server, turns)| row(*server, turns, ours)).collect();
    Ok(Table {
        title: format!("HTTP hello, {CONNECTIONS} keep-alive connections, client on the same machine"),
        columns: vec![("requests/s", 0), ("p50 us", 0), ("p99 us", 0), ("not 200", 0), ("x ours", 2)],
        rows,
        notes: vec![
            "x ours: how many times as many requests a second as ours; ours runs each in a fresh sandbox".into(),
        ],
    })
}

fn row(server: Server, turns: &[Load], ours: &[Load]) -> Row {
    let over = |figure: fn(&Load) -> f64| median(turns.iter().map(figure).collect());
    let ratio = median(turns.iter().zip(ours).map(|(own, ours)| own.rate / ours.rate).collect());
    Row {
        contestant: server.name().to_owned(),
        under: format!("{CONNECTIONS} connections"),
        figures: vec![
            over(|turn| turn.rate),
            over(|turn| percentile(&turn.sorted_us, 50)),
            over(|turn| percentile(&turn.sorted_us, 99)),
            turns.iter().map(|turn| turn.failed as f64).sum(),
            ratio,
        ],
    }
}

/// A server's process; it ends with this value.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start(server: Server) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", server.word()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a server cannot be started")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("{} did not come up", server.name()));
        match address {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                child.kill()?;
                Err(error)
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
