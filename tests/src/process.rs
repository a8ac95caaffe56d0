//! A child process: its directory, its log, its readiness and its end.
//!
//! Each runs in a process group of its own, with standard output and error in one file. It ends when the [`Process`] is dropped (SIGTERM, and
//! after five seconds SIGKILL, to the whole group), and when this program is told to stop. [`output`] is for a command that ends by itself.

mod group;
mod interrupt;
mod ready;
pub(crate) mod registry;
mod watch;

use std::fs::OpenOptions;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{MissedTickBehavior, interval};

use group::Group;
pub use interrupt::{end_on_panic, guard, interrupted};
pub use ready::Ready;
pub use watch::{Watch, first_to_end};

const POLL: Duration = Duration::from_millis(20);
/// Polls between two lines that say what is waited for.
const PATIENCE: u32 = 150;
const GRACE: Duration = Duration::from_secs(5);

/// A running child; ended on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Group,
    watch: Watch,
    dir: PathBuf,
}

impl Process {
    /// Starts `command` in `dir`, where its output goes to the end of the file `log`.
    ///
    /// # Errors
    /// When it cannot be started: the program is missing or may not be executed, or `dir` cannot be written.
    pub fn start(name: &str, mut command: Command, dir: PathBuf) -> Result<Self> {
        guard();
        let log = dir.join("log");
        let output = OpenOptions::new().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("{} could not be written", log.display()))?;
        let errors = output.try_clone().context("the log's file could not be shared")?;
        command.current_dir(&dir).stdin(Stdio::null()).stdout(output).stderr(errors);
        let (child, group) = spawn(name, &mut command)?;
        let watch = Watch::new(name, group.leader(), log);
        Ok(Self { child, group, watch, dir })
    }

    /// Waits until it shows `sign`, and says so on standard error where that takes long.
    ///
    /// # Errors
    /// When it ends before, or `limit` has passed; with the end of its log.
    pub async fn ready(&mut self, sign: Ready<'_>, limit: Duration) -> Result<()> {
        let seen = tokio::time::timeout(limit, self.shown(sign)).await;
        match seen {
            Ok(seen) => seen,
            Err(_) => {
                bail!("{} did not show {sign} within {limit:?}; its log:\n{}", self.watch.name(), self.log_tail())
            }
        }
    }

    async fn shown(&mut self, sign: Ready<'_>) -> Result<()> {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 1_u32.. {
            ticks.tick().await;
            if sign.is_shown(self.watch.log_file()).await {
                break;
            }
            if let Some(status) = self.watch.status() {
                bail!("{} ended ({status}) before it showed {sign}; its log:\n{}", self.watch.name(), self.log_tail());
            }
            if tick.is_multiple_of(PATIENCE) {
                tell(&format!("waiting for {}: {sign}", self.watch.name()));
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

    /// What sees it end.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// What it has written so far, as [`Watch::log`].
    #[must_use]
    pub fn log(&self) -> String {
        self.watch.log()
    }

    /// The last lines of [`log`](Self::log).
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.watch.log_tail()
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.watch.is_running()
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
    pub fn kill(&mut self) -> Result<ExitStatus> {
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
            tell(&format!("end of the log of {}:\n{}", self.watch.name(), self.log_tail()));
        }
    }
}

/// Runs a command that ends by itself, with `input` to read; it ends early when this program is told to stop.
///
/// # Errors
/// When it cannot be started, or its output cannot be had.
pub fn output(command: &mut Command, input: &str) -> Result<Output> {
    guard();
    let name = command.get_program().display().to_string();
    // Files, for a pipe that is full would hold the command up.
    let file = || tempfile::tempfile().context("no temporary file could be made");
    let (mut stdin, mut stdout, mut stderr) = (file()?, file()?, file()?);
    let share = |file: &std::fs::File| file.try_clone().context("a temporary file could not be shared");
    stdin.write_all(input.as_bytes()).and_then(|()| stdin.rewind()).context("the input could not be written")?;
    command.stdin(stdin).stdout(share(&stdout)?).stderr(share(&stderr)?);
    let (mut child, mut group) = spawn(&name, command)?;
    group.wait();
    group.end(Duration::ZERO);
    let status = child.wait().with_context(|| format!("the exit status of {name} is unknown"))?;
    let read = |file: &mut std::fs::File| {
        let mut bytes = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map(|_| bytes)
    };
    let context = || format!("the output of {name} could not be read");
    Ok(Output {
        status,
        stdout: read(&mut stdout).with_context(context)?,
        stderr: read(&mut stderr).with_context(context)?,
    })
}

fn spawn(name: &str, command: &mut Command) -> Result<(Child, Group)> {
    let program = command.get_program().display().to_string();
    Group::spawn(command).with_context(|| format!("{name} ({program}) could not be started"))
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

    #[tokio::test]
    async fn is_seen_to_end_by_whoever_watches() {
        let scratch = Scratch::new("test").unwrap();
        let (idle, killed) = (shell(&scratch, "exec sleep 60"), shell(&scratch, "echo last words; kill -9 $$"));
        let watches = [idle.watch().clone(), killed.watch().clone()];
        let ended = first_to_end(&watches).await;
        assert_eq!(ended.log(), "last words\n");
        assert_eq!(ended.status().unwrap().to_string(), "signal: 9 (SIGKILL)");
        assert!(!ended.is_running() && idle.is_running());
        assert_eq!(idle.watch().status(), None);
    }

    #[test]
    fn a_command_is_given_its_input_and_gives_its_output() {
        let mut command = Command::new("sh");
        command.args(["-c", "cat; head -c 200000 /dev/zero; echo wrong >&2; exit 3"]);
        let output = output(&mut command, "some words\n").unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(output.stdout.starts_with(b"some words\n\0") && output.stdout.len() == 200_011);
        assert_eq!(output.stderr, b"wrong\n");
    }

    #[test]
    fn says_which_program_cannot_be_started() {
        let scratch = Scratch::new("test").unwrap();
        let command = Command::new("cusax-no-such-program");
        let error = Process::start("it", command, scratch.directory("it").unwrap()).unwrap_err();
        assert!(format!("{error:#}").contains("it (cusax-no-such-program) could not be started"), "{error:#}");
    }
}
