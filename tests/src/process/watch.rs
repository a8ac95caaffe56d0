//! Seeing a process end, without being the one who ends it.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{WaitId, WaitIdOptions, waitid};
use tokio::time::{MissedTickBehavior, interval};

use super::group::ended_within;

/// How much of a log is shown when something failed.
const TAIL: usize = 40;
const POLL: Duration = Duration::from_millis(100);

/// A process as seen by those who depend on it.
#[derive(Debug, Clone)]
pub struct Watch {
    name: String,
    leader: Arc<OwnedFd>,
    log: PathBuf,
}

impl Watch {
    pub(super) fn new(name: &str, leader: Arc<OwnedFd>, log: PathBuf) -> Self {
        Self { name: name.to_owned(), leader, log }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !ended_within(&self.leader, Duration::ZERO)
    }

    /// How it ended; nothing while it runs.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::PidFd(self.leader.as_fd()), options).ok().flatten()?;
        let code = status.exit_status().map(|code| (code & 0xff) << 8);
        code.or_else(|| status.terminating_signal()).map(ExitStatus::from_raw)
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

    pub(super) fn log_file(&self) -> &PathBuf {
        &self.log
    }
}

/// Waits until one of them has ended, and says which.
pub async fn first_to_end(watches: &[Watch]) -> &Watch {
    let mut looks = interval(POLL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Some(ended) = watches.iter().find(|watch| !watch.is_running()) {
            return ended;
        }
    }
}
