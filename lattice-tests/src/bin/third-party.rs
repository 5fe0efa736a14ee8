//! Makes every third-party guest that is missing or out of date, and prints where they are.

use std::{
    io::{Write, stderr, stdout},
    process::ExitCode,
};

use wattle_lattice_tests::{Guest, ThirdParty};

fn main() -> ExitCode {
    let third_party = ThirdParty::here();
    let say = |step: &str| drop(writeln!(stderr(), "{step}"));
    for guest in Guest::all() {
        match third_party.bring(guest, &say) {
            Ok(file) => drop(writeln!(stdout(), "{}", file.display())),
            Err(error) => {
                say(&format!("error: {error:#}"));
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
