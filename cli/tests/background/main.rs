//! `up --detached` and `down`, with real processes: this program is the `wattle` it starts.
//!
//! Without arguments of wattle's it plays the user, in a home directory of its own and with a nats-server on a free
//! port; with them it is the program, with a host by script.

#[cfg(test)]
mod host;
#[cfg(test)]
mod user;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("up" | "down" | "get") => wattle_cli::run(std::env::args_os(), host::Host),
        // What a test runner asks before it runs anything.
        Some("--list") => ExitCode::SUCCESS,
        _ => {
            user::plays();
            ExitCode::SUCCESS
        }
    }
}
