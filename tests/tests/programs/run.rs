//! A run of a program that starts children, and what is left of it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use cusax_load::phone::within;
use cusax_tests::Scratch;
use cusax_tests::process::{Process, Ready, first_to_end};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Longer than a whole tour takes on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program whose temporary files are in a directory of its own, by whose name its children are known as well.
pub(crate) struct Run {
    process: Process,
    temporary: PathBuf,
    _scratch: Scratch,
}

impl Run {
    /// `cusax-try` with these arguments.
    pub(crate) fn of_cusax_try(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cusax-try"));
        command.args(arguments).env_remove("CUSAX_KEEP");
        Self::start(command)
    }

    pub(crate) fn start(mut command: Command) -> Self {
        let scratch = Scratch::new("programs").unwrap();
        let temporary = scratch.directory("tmp").unwrap();
        command.env("TMPDIR", &temporary);
        let process = Process::start("run", command, scratch.path().to_owned()).unwrap();
        Self { process, temporary, _scratch: scratch }
    }

    /// Waits until it has written this.
    pub(crate) async fn until(&mut self, line: &str) {
        self.process.ready(Ready::Line(line), PATIENCE).await.unwrap();
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Signals it alone, not its children.
    pub(crate) fn signal(&self, signal: Signal) {
        signal_process(self.process.pid(), signal);
    }

    /// Signals its process group, as a terminal does.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.process.pid()).unwrap()).unwrap();
        kill_process_group(id, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn end(&self) -> ExitStatus {
        let watch = [self.process.watch().clone()];
        let ended = tokio::time::timeout(PATIENCE, first_to_end(&watch)).await;
        ended.unwrap_or_else(|_| panic!("it does not end: {}", self.log())).status().unwrap()
    }

    /// Waits until none of its processes is left; what was killed dies a moment later.
    pub(crate) async fn leaves_no_process(&self) {
        let deadline = within(Duration::from_secs(5));
        loop {
            let left = self.processes("");
            if left.is_empty() {
                return;
            }
            assert!(cusax_net::clock::now() < deadline, "left: {left:?}\n{}", self.log());
            tokio::task::yield_now().await;
        }
    }

    /// Waits until neither a process nor a file is left.
    pub(crate) async fn leaves_nothing(&self) {
        self.leaves_no_process().await;
        let files: Vec<_> = fs::read_dir(&self.temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.is_empty(), "left: {files:?}\n{}", self.log());
    }

    /// Its processes with this in their command line.
    pub(crate) fn processes(&self, text: &str) -> Vec<u32> {
        let mark = [b"TMPDIR=", self.temporary.as_os_str().as_bytes(), b"\0"].concat();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let has = |file: String, part: &[u8]| {
            // One that has ended meanwhile has nothing.
            let bytes = fs::read(file).unwrap_or_default();
            part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
        };
        pids.filter(|pid| has(format!("/proc/{pid}/environ"), &mark))
            .filter(|pid| has(format!("/proc/{pid}/cmdline"), text.as_bytes()))
            .collect()
    }
}

pub(crate) fn signal_process(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}
