//! Drives every operation of the published control client against a live host.
//!
//! `control-client NATS_URL LATTICE ACTOR FIRST_REF SECOND_REF PROVIDER_REF CONTRACT KEY GOOD BAD`: the host must have
//! the provider, which takes `KEY=GOOD` for links and refuses `KEY=BAD`, and accept the actor's two modules. It may
//! start later. Prints a line for each operation and each kind of event; the exit code says whether all was as it
//! should be.

mod events;
mod operations;
mod report;

use std::{env, process::ExitCode};

use events::Events;
use operations::{Operations, Subjects};
use report::Report;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Ok([url, lattice, actor, first, second, provider, contract, key, good, bad]) =
        <[String; 10]>::try_from(arguments)
    else {
        eprintln!("usage: see the first lines of the source");
        return ExitCode::FAILURE;
    };
    let nats = match async_nats::connect(&url).await {
        Ok(nats) => nats,
        Err(error) => {
            eprintln!("{url}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::default();
    let events = Events::listen(&nats, &lattice).await;
    let subjects = Subjects { actor, first, second, provider, contract, key, good, bad };
    Operations::new(nats, lattice, subjects, events.clone()).run(&mut report).await;
    events.judge(&mut report);
    report.end()
}
