//! The shell scripts, with stand-ins for what takes long or changes the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cusax_tests::Scratch;
use cusax_tests::process::output;
use cusax_tests::server::source_root;
use rustix::process::Signal;

use crate::run::Run;

/// Programs that come before those of the machine.
struct StandIns {
    scratch: Scratch,
}

impl StandIns {
    fn new() -> Self {
        Self { scratch: Scratch::new("stand-ins").unwrap() }
    }

    fn add(&self, name: &str, script: &str) {
        let file = self.scratch.file(name, &format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    fn command(&self, words: &[&str]) -> Command {
        // Who runs this in the background may have told it to ignore interrupts, which a shell then cannot undo.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT,TERM").args(words).env("STATE", self.scratch.path());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.scratch.path().display())).current_dir(self.scratch.path());
        command
    }
}

fn script(name: &str) -> String {
    source_root().join(name).canonicalize().unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn ctrl_c_ends_a_suite_that_takes_long() {
    let stand_ins = StandIns::new();
    stand_ins.add("dpkg-query", "echo installed");
    // Only a long suite is called by its name.
    stand_ins.add(
        "cargo",
        "case \"$*\" in *--test*) echo a long suite begins; sleep 600 & sleep 600;; *) echo built;; esac",
    );
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut run = Run::start(stand_ins.command(&["bash", &script("tests/run"), "--long"]));
        run.until("a long suite begins").await;
        run.signal_group(signal);
        assert_eq!(run.end().await.code(), Some(code), "{}", run.log());
        assert!(run.log().contains("interrupted"));
        run.leaves_nothing().await;
    }
}

#[test]
fn what_is_printed_to_others_than_root_fetches_the_lists_installs_and_starts_nothing() {
    let stand_ins = StandIns::new();
    stand_ins.add("id", "echo 1000");
    stand_ins.add("sudo", "exec \"$@\"");
    stand_ins.add(
        "dpkg-query",
        "[ \"$1\" != --listfiles ] || { echo /lib/systemd/system/kamailio.service; exit; }
for package; do :; done
[ \"$package\" = build-essential ] || grep -qx \"$package\" \"$STATE/installed\" && echo installed",
    );
    stand_ins.add(
        "apt-get",
        "\"$POLICY_RC_D\"; echo \"apt-get $* (policy $?)\" >>\"$STATE/done\"
[ \"$1\" = update ] || printf '%s\\n' kamailio prosody >>\"$STATE/installed\"",
    );
    stand_ins.add("systemctl", "echo \"systemctl $*\" >>\"$STATE/done\"");
    let packages = script("deploy/packages.sh");
    let need = format!("set -euo pipefail; . {packages}; need_packages build-essential kamailio prosody");
    let refused = output(&mut stand_ins.command(&["bash", "-c", &need]), "").unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    let commands: Vec<_> = words.lines().filter(|line| line.starts_with("    ")).collect();
    assert_eq!(commands, [format!("    sudo {packages} kamailio prosody")], "{words}");
    assert_eq!(stand_ins.read("done"), "");

    let policy = stand_ins.file("policy");
    let mut printed = stand_ins.command(&["sh", "-c", commands[0].trim()]);
    let installed = output(printed.env("POLICY_RC_D", &policy), "").unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let done = "apt-get update -qq (policy 101)\n\
        apt-get install --yes --quiet --no-install-recommends kamailio prosody (policy 101)\n\
        systemctl disable --quiet kamailio.service\n";
    assert_eq!(stand_ins.read("done"), done);
    assert!(!Path::new(&policy).exists());
    let again = output(&mut stand_ins.command(&["bash", "-c", &need]), "").unwrap();
    assert!(again.status.success() && again.stdout.starts_with(b"all there: "));
}
