//! A program of ours in the background: known by its handle, never by its name.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// How often somebody looks whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running program. Killed when dropped, unless left.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
    is_left: bool,
}

impl Process {
    /// Starts a program in `folder`; what it says goes to `NAME.log` there, its id to `NAME.pid`.
    pub(crate) fn start(command: &mut Command, folder: &Path, name: &str) -> Result<Self> {
        let log = File::options().create(true).append(true).open(folder.join(format!("{name}.log")))?;
        command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Out of reach of the terminal's Ctrl-C.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let child = command.spawn().with_context(|| format!("{name} does not start"))?;
        fs::write(folder.join(format!("{name}.pid")), format!("{}\n", child.id()))?;
        Ok(Self { child, name: name.to_owned(), is_left: false })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns how it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Ends it at once, without a word.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends it a signal, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        send(signal, self.id())
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        while self.ended()?.is_none() {
            if begun.elapsed() > patience {
                bail!("{} has not ended after {patience:?}", self.name);
            }
            thread::park_timeout(LOOK_EVERY);
        }
        Ok(())
    }

    /// Lets it live on after us.
    pub(crate) fn leave(&mut self) {
        self.is_left = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_left {
            drop(self.kill());
        }
    }
}

/// Ends what an earlier run left in `folder`: processes that a `.pid` file names and whose directory it is.
pub(crate) fn end_leftover(folder: &Path) -> Result<()> {
    let Ok(files) = fs::read_dir(folder) else { return Ok(()) };
    let folder = folder.canonicalize()?;
    for path in files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|it| it == "pid")) {
        let Ok(id) = fs::read_to_string(&path).unwrap_or_default().trim().parse::<u32>() else { continue };
        // An id may be another program's by now.
        let is_ours = || fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|home| home == folder);
        if is_ours() {
            send("TERM", id)?;
            let begun = Instant::now();
            while is_ours() && begun.elapsed() < Duration::from_secs(10) {
                thread::park_timeout(LOOK_EVERY);
            }
            if is_ours() {
                send("KILL", id)?;
            }
        }
    }
    Ok(())
}

fn send(signal: &str, id: u32) -> Result<()> {
    let status = Command::new("kill").args([format!("-{signal}"), id.to_string()]).status()?;
    if !status.success() {
        bail!("process {id} cannot be sent {signal}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_ended_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("wattle-xtask-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut left = Process::start(Command::new("sleep").arg("60"), &folder, "left").unwrap();
        // A stranger whose id stands in a file: its directory is another.
        let mut stranger = Command::new("sleep").arg("60").current_dir("/").spawn().unwrap();
        fs::write(folder.join("stranger.pid"), stranger.id().to_string()).unwrap();
        // A zombie has no directory any more, so waiting for our own child is not in the way.
        end_leftover(&folder).unwrap();
        left.wait(Duration::from_secs(5)).unwrap();
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
