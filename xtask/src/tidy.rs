//! `tidy`: rules of the repository that no compiler checks.

mod builds;
mod edges;
mod error_codes;
mod figures;
mod layout;
mod text;

use std::{fs, process::Command};

use anyhow::{Result, bail};

use crate::{
    process::{read, say},
    workspace::Workspace,
};

/// Checks what no compiler does: which crate may use which, layout, line length, banned words, error
/// pages, commands in pages that build what ships, figures in pages.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask tidy")]
pub(crate) struct Args {}

/// A tracked (or not yet added) file of the repository.
#[derive(Debug)]
struct SourceFile {
    /// Path from the top folder, with forward slashes.
    path: String,
    /// What is in it; empty if it is not text.
    text: String,
}

/// Runs the task.
pub(crate) fn run(workspace: &Workspace, _: &Args) -> Result<()> {
    let complaints = check(workspace)?;
    if !complaints.is_empty() {
        complaints.iter().for_each(|complaint| say(complaint));
        bail!("the repository is not tidy: {} complaints", complaints.len());
    }
    say("tidy: nothing to complain about");
    Ok(())
}

fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let files = files(workspace)?;
    let mut complaints = edges::check(workspace)?;
    complaints.extend(files.iter().flat_map(layout::check));
    complaints.extend(files.iter().flat_map(text::check));
    complaints.extend(error_codes::check(&files));
    complaints.extend(builds::check(&files));
    complaints.extend(figures::check(&files));
    Ok(complaints)
}

fn files(workspace: &Workspace) -> Result<Vec<SourceFile>> {
    let mut git = Command::new("git");
    git.current_dir(workspace.root()).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let paths = read(&mut git)?;
    let files = paths.lines().map(|path| SourceFile {
        path: path.to_owned(),
        text: fs::read_to_string(workspace.root().join(path)).unwrap_or_default(),
    });
    Ok(files.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let complaints = check(&Workspace::here()).unwrap();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}
