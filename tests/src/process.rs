//! A child process: its directory, its log, its readiness and its end.
//!
//! Each runs in a process group of its own, with standard output and error in one file. It ends when the [`Process`] is dropped (SIGTERM, and
//! after five seconds SIGKILL, to the whole group), and when this program is told to stop.

mod group;
mod interrupt;
mod ready;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{MissedTickBehavior, interval};

use group::Group;
pub use interrupt::interrupted;
pub use ready::Ready;

/// How much of a log is shown when something failed.
const TAIL: usize = 40;
const POLL: Duration = Duration::from_millis(20);
/// Polls between two lines that say what is waited for.
const PATIENCE: u32 = 150;
const GRACE: Duration = Duration::from_secs(5);

/// A running child; ended on drop.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Group,
    dir: PathBuf,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in `dir`, where its output goes to the file `log`.
    ///
    /// # Errors
    /// When it cannot be started: the program is missing or may not be executed, or `dir` cannot be written.
    pub fn start(name: &str, mut command: Command, dir: PathBuf) -> Result<Self> {
        interrupt::guard();
        let log = dir.join("log");
        let output = File::create(&log).with_context(|| format!("{} could not be written", log.display()))?;
        let errors = output.try_clone().context("the log's file could not be shared")?;
        let program = command.get_program().to_owned();
        let child = command
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} ({}) could not be started", program.display()))?;
        let group = Group::of(&child)?;
        Ok(Self { name: name.to_owned(), child, group, dir, log })
    }

    /// Waits until it shows `sign`, and says so on standard error where that takes long.
    ///
    /// # Errors
    /// When it ends before, or `limit` has passed; with the end of its log.
    pub async fn ready(&mut self, sign: Ready<'_>, limit: Duration) -> Result<()> {
        let seen = tokio::time::timeout(limit, self.shown(sign)).await;
        match seen {
            Ok(seen) => seen,
            Err(_) => bail!("{} did not show {sign} within {limit:?}; its log:\n{}", self.name, self.log_tail()),
        }
    }

    async fn shown(&mut self, sign: Ready<'_>) -> Result<()> {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 1_u32.. {
            ticks.tick().await;
            if sign.is_shown(&self.log).await {
                break;
            }
            if !self.is_running() {
                let status = self.child.wait().context("its exit status is unknown")?;
                bail!("{} ended ({status}) before it showed {sign}; its log:\n{}", self.name, self.log_tail());
            }
            if tick.is_multiple_of(PATIENCE) {
                tell(&format!("waiting for {}: {sign}", self.name));
            }
        }
        Ok(())
    }

    /// Its process id, which is also its group's.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory that it runs in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it has written so far, standard output and error as they came; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of [`log`](Self::log).
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.group.leader_ended_within(Duration::ZERO)
    }

    /// Ends it as drop does, and returns how it ended.
    ///
    /// # Errors
    /// When its exit status cannot be had.
    pub fn end(mut self) -> Result<ExitStatus> {
        self.group.end(GRACE);
        self.child.wait().context("its exit status is unknown")
    }

    /// Kills its whole group at once (SIGKILL), as a crash would.
    ///
    /// # Errors
    /// When its exit status cannot be had.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.group.end(Duration::ZERO);
        self.child.wait().context("its exit status is unknown")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.group.end(GRACE);
        // Only to reap it: nobody asks any more how it ended.
        let _ = self.child.wait();
        if std::thread::panicking() {
            tell(&format!("end of the log of {}:\n{}", self.name, self.log_tail()));
        }
    }
}

#[expect(clippy::print_stderr, reason = "progress and the reason of a failure are for whoever runs the test")]
fn tell(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;
    use crate::Scratch;

    fn shell(scratch: &Scratch, script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("sh", command, scratch.directory("sh").unwrap()).unwrap()
    }

    #[tokio::test]
    async fn is_ready_at_the_line_that_it_writes() {
        let scratch = Scratch::new("test").unwrap();
        let mut process = shell(&scratch, "echo one; echo two >&2; exec sleep 60");
        process.ready(Ready::Line("two"), Duration::from_secs(5)).await.unwrap();
        assert!(process.is_running());
        assert_eq!(process.log(), "one\ntwo\n");
    }

    #[tokio::test]
    async fn tells_the_log_of_one_that_ends_too_early() {
        let scratch = Scratch::new("test").unwrap();
        let mut process = shell(&scratch, "echo no such database >&2; exit 3");
        let error = process.ready(Ready::Line("up"), Duration::from_secs(5)).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no such database"), "{error}");
    }

    #[tokio::test]
    async fn tells_what_it_waited_for_in_vain() {
        let scratch = Scratch::new("test").unwrap();
        let mut process = shell(&scratch, "exec sleep 60");
        let error = process.ready(Ready::Line("up"), Duration::from_millis(50)).await.unwrap_err().to_string();
        assert!(error.contains("the line \"up\" within 50ms"), "{error}");
    }

    #[tokio::test]
    async fn ends_the_whole_group_with_it() {
        let scratch = Scratch::new("test").unwrap();
        let mut process = shell(&scratch, "sleep 60 & echo grandchild $!; wait");
        process.ready(Ready::Line("grandchild"), Duration::from_secs(5)).await.unwrap();
        let log = process.log();
        let grandchild = log.split_whitespace().next_back().unwrap().parse().unwrap();
        let grandchild = pidfd_open(Pid::from_raw(grandchild).unwrap(), PidfdFlags::empty()).unwrap();
        assert!(!group::ended_within(&grandchild, Duration::ZERO));
        process.end().unwrap();
        assert!(group::ended_within(&grandchild, GRACE));
    }

    #[test]
    fn says_which_program_cannot_be_started() {
        let scratch = Scratch::new("test").unwrap();
        let command = Command::new("cusax-no-such-program");
        let error = Process::start("it", command, scratch.directory("it").unwrap()).unwrap_err();
        assert!(format!("{error:#}").contains("it (cusax-no-such-program) could not be started"), "{error:#}");
    }
}
