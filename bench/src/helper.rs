//! Processes that take part in a scenario: this program again, told by words what to be.
//!
//! A helper says lines on standard output, hears lines on standard input, and ends when that is closed.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// A process; it ends with this value.
pub(crate) struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What a process holds of the machine's memory, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Memory {
    /// Resident: its own and what it shares with files, such as compiled code.
    pub(crate) resident: f64,
    /// Resident, with a page that is mapped in many places counted once (proportional set size).
    pub(crate) once: f64,
    /// Its own: what no other process and no file could give.
    pub(crate) own: f64,
}

impl Helper {
    /// Starts this program again with such words and variables.
    pub(crate) fn start(words: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(words).envs(variables.iter().copied());
        Self::spawn(&mut command)
    }

    /// Starts another program.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("no helper starts")?;
        let input = child.stdin.take().context("a helper without input")?;
        let output = BufReader::new(child.stdout.take().context("a helper without output")?);
        Ok(Self { child, input, output })
    }

    /// Waits for the next line.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "a helper has ended");
        Ok(line.trim().to_owned())
    }

    /// Says a line and waits for the answer.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String> {
        writeln!(self.input, "{line}")?;
        self.line()
    }

    /// Returns the process's memory now.
    pub(crate) fn memory(&self) -> Result<Memory> {
        memory_of(&self.child.id().to_string())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn memory_of(process: &str) -> Result<Memory> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let of = |name| -> Option<f64> {
        let line = rollup.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let memory = || Some(Memory { resident: of("Rss:")?, once: of("Pss:")?, own: of("Private_Dirty:")? });
    memory().context("the kernel does not say what memory the process holds")
}

/// Serves the lines of standard input until it ends.
pub(crate) fn answer_lines(mut answer: impl FnMut(&[&str]) -> Result<String>) -> Result<()> {
    for line in std::io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        println!("{}", answer(&words)?);
    }
    Ok(())
}
