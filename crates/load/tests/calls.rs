//! `cusax-load calls` as a script runs it: output, exit codes, and a run against itself.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A machine that compiles beside it is late all the time; that is not what is tested here.
const PATIENT: [&str; 3] = ["calls", "--late", "10s"];

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cusax-load"));
    command.args(PATIENT).args(arguments);
    command
}

fn calls(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn a_run_against_itself_passes() {
    let output = calls(&["--rate", "500", "--duration", "1s", "--json", "--require", "failed==0", "calls==500"]);
    let report = json(&output);
    assert_eq!((output.status.code(), &report["verdict"]), (Some(0), &"pass".into()), "{report}");
    for (name, count) in [("calls", 500), ("succeeded", 500), ("failed", 0), ("arrived", 500), ("unmatched", 0)] {
        assert_eq!(report[name], count, "{name}");
    }
    for time in ["setup_ms", "ringing_ms", "bye_ms"] {
        assert!(report[time]["p99"].as_f64().unwrap() > 0.0, "{time}");
    }
    assert!(report["cpu"]["per_call_us"].as_f64().unwrap() > 0.0);
    assert_eq!(text(&output.stderr), "", "no live line where there is no terminal");
}

#[test]
fn a_requirement_that_is_missed_is_exit_code_1() {
    let refused = calls(&["--answer", "486", "--calls", "5", "--rate", "100"]);
    assert_eq!(refused.status.code(), Some(1));
    let table = text(&refused.stdout);
    assert!(table.contains("failed                    5  (5 × 486)") && table.contains("✗ failed==0  (5)"), "{table}");
    assert!(table.ends_with("\nmissed\n"), "{table}");
    let slow = calls(&["--ring", "50ms", "--calls", "2", "--require", "setup_p50<50ms", "failed==0", "--json"]);
    assert_eq!((slow.status.code(), &json(&slow)["requirements"][0]["met"]), (Some(1), &false.into()));
    let expected = calls(&["--answer", "486", "--expect-status", "486", "--calls", "5", "--rate", "100"]);
    assert_eq!(expected.status.code(), Some(0));
    let unchecked = calls(&["--calls", "3", "--rate", "100", "--expect-call-info=impp", "--json"]);
    assert_eq!((unchecked.status.code(), &json(&unchecked)["failures"]["call_info"]), (Some(1), &3.into()));
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("users.csv");
    fs::write(&table, "alice\n").unwrap();
    let table = table.to_str().unwrap();
    for (arguments, said) in [
        (&["--require", "setup_p98<1ms"][..], "\"setup_p98\" is none of setup|ringing|bye|register_p50|p90"),
        (&["--require", "setup_p99<50"], "a time needs a unit: us, ms or s\n  setup_p99<50\n              ^"),
        (&["--require", "failed"], "a comparison is missing"),
        (&["--role", "caller"], "needs a --proxy"),
        (
            &["--role", "caller", "--proxy", "127.0.0.1:9", "--expect-call-info"],
            "--expect-call-info is looked at by callees",
        ),
        (&["--register", "--user", "a", "--password", "b"], "--register needs a --proxy"),
        (&["--register", "--proxy", "127.0.0.1:9"], "--register needs accounts"),
        (&["--accounts", table], "users.csv: line 1: write user,password"),
        (&["--from", "sip:a%s@b"], "write %d where the number goes"),
        (&["--to", "bob"], "not a SIP URI"),
        (&["--user", "a"], "--password"),
        (&["--user", "a b", "--password", "c"], "sip:a b@example.com is no SIP address"),
        (&["--hold", "2 weeks"], "write a time"),
        (&["--rate", "0"], "how many a second"),
        (&["--transport", "tls", "--tls-ca", table], "--tls-ca: there is no certificate in it"),
        (&["--bind", "0.0.0.0"], "told to others"),
        (&["--caller", "127.0.0.1:5099", "--connections", "2"], "any port"),
        (&["--frobnicate"], "--frobnicate"),
    ] {
        let output = calls(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(said), "{arguments:?}: {error}");
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn a_generator_that_is_its_own_bottleneck_is_exit_code_3() {
    let capped = calls(&[
        "--concurrency",
        "1",
        "--hold",
        "300ms",
        "--calls",
        "3",
        "--rate",
        "1000",
        "--answer",
        "200",
        "--ring",
        "200ms",
    ]);
    assert_eq!(capped.status.code(), Some(3));
    let table = text(&capped.stdout);
    assert!(table.contains("! 2 calls were not begun, for --concurrency was reached"), "{table}");
    assert!(table.ends_with("\ninvalid\n"), "{table}");
    let late = Command::new(env!("CARGO_BIN_EXE_cusax-load"))
        .args(["calls", "--late", "0", "--calls", "5", "--json"])
        .output();
    let late = late.unwrap();
    assert_eq!(late.status.code(), Some(3), "nothing begins at the very nanosecond");
    assert!(json(&late)["invalid"][0].as_str().unwrap().contains("this generator is too slow"));
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let output = calls(&["--callee", &taken.local_addr().unwrap().to_string(), "--calls", "1"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("Address already in use"), "{output:?}");
}

#[test]
fn help_has_examples_and_all_figures() {
    let help = calls(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let help = text(&help.stdout);
    for part in ["Examples:", "taskset -c 1 cusax-load calls", "setup|ringing|bye|register_p50", "3 where the run is"] {
        assert!(help.replace("\n", " ").replace("          ", "").contains(part), "{part}: {help}");
    }
}

#[test]
fn an_interrupt_hangs_up_and_reports() {
    // A server that is silent says when the first call has begun.
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let proxy = server.local_addr().unwrap().to_string();
    let mut child = command(&["--proxy", &proxy, "--calls", "1000000", "--rate", "20", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    server.recv(&mut [0; 2_000]).unwrap();
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let report: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&report["interrupted"], &report["failed"]), (&true.into(), &0.into()));
    assert_eq!(report["calls"], report["abandoned"]);
    assert_eq!(child.wait().unwrap().code(), Some(0), "nothing that was required was missed");
}
