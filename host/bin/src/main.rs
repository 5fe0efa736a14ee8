//! The `wattle` program: the commands of `wattle-cli`, and the host they run with `wattle up`.
//!
//! The one place that knows all parts. See `docs/adr/0001-one-binary.md`.

mod assembly;
mod runner;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    let code = wattle_cli::run(std::env::args_os(), runner::Runner);
    telemetry::flush();
    code
}
