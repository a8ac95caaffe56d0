//! A process group and its end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::registry;

/// The process group that a child leads.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    leader: Arc<OwnedFd>,
    ended: bool,
}

impl Group {
    /// Starts a command as the leader of a group of its own.
    pub(super) fn spawn(command: &mut Command) -> io::Result<(Child, Self)> {
        let mut child = registry::spawn(command.process_group(0))?;
        let id = Pid::from_child(&child);
        match pidfd_open(id, PidfdFlags::empty()) {
            Ok(leader) => Ok((child, Self { id, leader: Arc::new(leader), ended: false })),
            Err(error) => {
                send(id, Signal::KILL);
                registry::ended(id);
                // Only to reap it: why it cannot be watched is what is told.
                let _ = child.wait();
                Err(error.into())
            }
        }
    }

    /// The leader, for whoever wants to see it end.
    pub(super) fn leader(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.leader)
    }

    /// Waits for the leader's end. It is not reaped by this, so its id stays its own.
    pub(super) fn wait(&self) {
        while !matches!(poll(&mut [PollFd::new(&self.leader, PollFlags::IN)], None), Ok(1..)) {}
    }

    /// Ends it: politely where there is a grace, and then whoever is left. The leader still has to be reaped.
    pub(super) fn end(&mut self, grace: Duration) {
        if self.ended {
            return;
        }
        self.ended = true;
        if !grace.is_zero() {
            send(self.id, Signal::TERM);
            ended_within(&self.leader, grace);
        }
        send(self.id, Signal::KILL);
        registry::ended(self.id);
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

pub(super) fn send(id: Pid, signal: Signal) {
    // Fails only where nobody is left in the group, which is what it is for.
    let _ = kill_process_group(id, signal);
}
