//! What must not outlive this program: process groups to end, directories to remove.
//!
//! One lock is held while something is made and entered, and for good once everything ends: nothing is made that nobody would end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use tempfile::TempDir;

use super::group::{self, ended_within};
use super::tell;

/// For all children together where this program itself is ending.
const LAST_GRACE: Duration = Duration::from_secs(2);
/// Other threads of ours may still write into a directory that is being removed; once it is gone they cannot.
const REMOVALS: usize = 8;

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { groups: Vec::new(), directories: Vec::new() });

/// Everything that is there now.
#[derive(Debug)]
pub(crate) struct Registry {
    groups: Vec<Pid>,
    directories: Vec<PathBuf>,
}

fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a command, which must lead a process group of its own.
pub(super) fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut registry = lock();
    let child = command.spawn()?;
    registry.groups.push(Pid::from_child(&child));
    Ok(child)
}

/// Strikes a group off that has been ended.
pub(super) fn ended(group: Pid) {
    lock().groups.retain(|id| *id != group);
}

/// Makes a directory.
pub(crate) fn directory(make: impl FnOnce() -> io::Result<TempDir>) -> io::Result<TempDir> {
    let mut registry = lock();
    let made = make()?;
    registry.directories.push(made.path().to_owned());
    Ok(made)
}

/// Strikes a directory off that has been removed, or is to stay.
pub(crate) fn released(directory: &Path) {
    lock().directories.retain(|path| path != directory);
}

/// Whether directories stay for whoever wants to look at them.
pub(crate) fn keeps_directories() -> bool {
    std::env::var_os("CUSAX_KEEP").is_some()
}

/// Ends and removes everything, because this program is about to end: nothing new is made while the guard is held.
pub(super) fn end_all() -> MutexGuard<'static, Registry> {
    let registry = lock();
    for id in &registry.groups {
        group::send(*id, Signal::TERM);
    }
    let mut left = LAST_GRACE;
    for id in &registry.groups {
        if let Ok(leader) = pidfd_open(*id, PidfdFlags::empty())
            && !ended_within(&leader, left)
        {
            left = Duration::ZERO;
        }
        group::send(*id, Signal::KILL);
    }
    for directory in &registry.directories {
        if keeps_directories() {
            tell(&format!("kept: {}", directory.display()));
        } else if !removed(directory) {
            tell(&format!("could not be removed: {}", directory.display()));
        }
    }
    registry
}

fn removed(directory: &Path) -> bool {
    (0..REMOVALS).any(|_| {
        // Who else removes it at the same time is right as well.
        let _ = fs::remove_dir_all(directory);
        !directory.exists()
    })
}
