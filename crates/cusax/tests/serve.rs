//! The running service as its operator meets it: its log, its metrics, and what it does without what it needs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use cusax_net::clock;
use serde_json::Value;

/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(30);

/// A service that runs until it is dropped.
struct Service {
    child: Child,
    log: Receiver<Value>,
}

impl Service {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
        command.args(["serve", "--config", "cusax.toml"]).current_dir(folder);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, log }
    }

    /// The next line of the log that is so.
    fn line(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = clock::now() + SOON;
        let mut seen = String::new();
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            let Ok(line) = self.log.recv_timeout(left) else { panic!("{what}: not in the log:\n{seen}") };
            if is(&line) {
                return line;
            }
            seen.push_str(&format!("{line}\n"));
        }
    }

    fn stage(&self, stage: &str) -> Value {
        self.line(stage, |line| line["event"] == "service.lifecycle" && line["stage"] == stage)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The documented default file on ports that are free, with more at its end.
fn default_file(folder: &Path, more: &str) {
    let default = Command::new(env!("CARGO_BIN_EXE_cusax")).args(["config", "default"]).output().unwrap();
    let default = String::from_utf8(default.stdout).unwrap();
    let text = default.replace("127.0.0.1:5060", "127.0.0.1:0").replace("127.0.0.1:8080", "127.0.0.1:0");
    fs::write(folder.join("cusax.toml"), text + more).unwrap();
}

#[test]
fn a_service_that_leads_nowhere_says_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    default_file(folder.path(), "");
    let service = Service::start(folder.path());
    service.stage("started");
    let degraded = service.stage("degraded");
    assert_eq!(degraded["level"], "WARN");
    let detail = degraded["detail"].as_str().unwrap();
    assert!(detail.contains("sip.core.targets names no SIP server"), "{detail}");
    assert!(detail.contains("add [sip.core] with targets"), "{detail}");
}
