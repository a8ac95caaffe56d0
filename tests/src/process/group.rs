//! A process group and its end.

use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// For each child where this program itself is ending.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// The groups that this program has to end.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// The process group that a child leads.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    leader: OwnedFd,
    ended: bool,
}

impl Group {
    /// Takes charge of the group that `child`, not yet waited for, leads.
    pub(super) fn of(child: &Child) -> Result<Self> {
        let id = Pid::from_child(child);
        let leader = pidfd_open(id, PidfdFlags::empty()).context("the child cannot be watched")?;
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        Ok(Self { id, leader, ended: false })
    }

    /// Whether the leader ends within `limit`. It is not reaped by this, so its id stays its own.
    pub(super) fn leader_ended_within(&self, limit: Duration) -> bool {
        ended_within(&self.leader, limit)
    }

    /// Ends it: politely where there is a grace, and then whoever is left. The leader still has to be reaped.
    pub(super) fn end(&mut self, grace: Duration) {
        if self.ended {
            return;
        }
        self.ended = true;
        if !grace.is_zero() {
            send(self.id, Signal::TERM);
            self.leader_ended_within(grace);
        }
        send(self.id, Signal::KILL);
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|id| *id != self.id);
    }
}

/// Ends all groups, because this program is about to end.
pub(super) fn end_all() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    for id in running.iter() {
        send(*id, Signal::TERM);
    }
    for id in running.iter() {
        if let Ok(leader) = pidfd_open(*id, PidfdFlags::empty()) {
            ended_within(&leader, LAST_GRACE);
        }
        send(*id, Signal::KILL);
    }
}

/// Whether the process ends within `limit`; it is not reaped by this.
pub(super) fn ended_within(process: &OwnedFd, limit: Duration) -> bool {
    let timeout = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    let mut watched = [PollFd::new(process, PollFlags::IN)];
    matches!(poll(&mut watched, Some(&timeout)), Ok(1..))
}

fn send(id: Pid, signal: Signal) {
    // Fails only where nobody is left in the group, which is what it is for.
    let _ = kill_process_group(id, signal);
}
