//! One line for each thing that was tried.

use std::process::ExitCode;

/// What differed, or that nothing did.
pub type Outcome = Result<(), String>;

#[derive(Default)]
pub struct Report {
    tried: usize,
    differed: usize,
}

impl Report {
    /// Prints how something went.
    pub fn line(&mut self, what: &str, outcome: Outcome) {
        self.tried += 1;
        match outcome {
            Ok(()) => println!("ok       {what}"),
            Err(why) => {
                self.differed += 1;
                println!("DIFFERS  {what}: {why}");
            }
        }
    }

    pub fn end(&self) -> ExitCode {
        println!("{} tried, {} differed", self.tried, self.differed);
        if self.tried > 0 && self.differed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Demands that something holds.
pub fn demand(holds: bool, otherwise: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
