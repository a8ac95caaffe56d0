//! However it ends, no child and no directory stays behind.

use std::path::Path;
use std::process::Command;
use std::{env, thread};

use cusax_tests::Scratch;
use cusax_tests::interop::{CUSAX, KAMAILIO, PROSODY, SIPP, available};
use cusax_tests::process::{Process, end_on_panic};
use rustix::process::Signal;

use crate::run::{Run, signal_process};

/// Where this is set, this program is the run that a test looks at.
const ROLE: &str = "CUSAX_TESTS_ROLE";

fn all_there() -> bool {
    available("programs", &[CUSAX, KAMAILIO, PROSODY, SIPP])
}

#[tokio::test]
async fn a_run_that_is_interrupted_leaves_nothing_and_the_next_one_works() {
    if !all_there() {
        return;
    }
    for (line, signal, code) in [
        ("SIPp, the PSTN gateway", Signal::INT, 130),
        ("Prosody, the existing XMPP server", Signal::TERM, 143),
        ("each hears exactly the two others", Signal::INT, 130),
    ] {
        let mut run = Run::of_cusax_try(&["--check"]);
        run.until(line).await;
        assert!(!run.processes("sipp").is_empty());
        run.signal(signal);
        assert_eq!(run.end().await.code(), Some(code), "{}", run.log());
        assert!(run.log().contains("interrupted: every child has been ended"));
        run.leaves_nothing().await;
    }
    let run = Run::of_cusax_try(&["--check"]);
    assert_eq!(run.end().await.code(), Some(0), "{}", run.log());
    assert!(run.log().contains(", 0 not"));
    run.leaves_nothing().await;
}

#[tokio::test]
async fn a_second_signal_ends_everything_at_once() {
    if !all_there() {
        return;
    }
    let mut run = Run::of_cusax_try(&["--check"]);
    run.until("2. A call through edge").await;
    run.signal(Signal::INT);
    run.signal(Signal::TERM);
    let code = run.end().await.code();
    assert!(matches!(code, Some(130 | 143)), "{code:?}: {}", run.log());
    run.leaves_nothing().await;
}

#[tokio::test]
async fn only_the_directory_stays_where_it_is_to_be_kept() {
    if !all_there() {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_cusax-try"));
    command.env("CUSAX_KEEP", "1");
    let mut run = Run::start(command);
    run.until("Kamailio, the existing SIP server").await;
    run.signal(Signal::INT);
    assert_eq!(run.end().await.code(), Some(130), "{}", run.log());
    run.leaves_no_process().await;
    let log = run.log();
    let kept = Path::new(log.lines().find_map(|line| line.strip_prefix("kept: ")).unwrap());
    assert!(kept.starts_with(run.temporary()) && kept.join("kamailio/log").exists(), "{log}");
}

#[tokio::test]
async fn a_server_that_dies_is_named_at_once_and_the_tour_stops() {
    if !all_there() {
        return;
    }
    let mut run = Run::of_cusax_try(&[]);
    run.until("3. Charged, emergency and blocked numbers").await;
    let prosody = run.processes("prosody.cfg.lua");
    assert_eq!(prosody.len(), 1, "{prosody:?}");
    signal_process(prosody[0], Signal::KILL);
    assert_eq!(run.end().await.code(), Some(1), "{}", run.log());
    let log = run.log();
    let (_, words) = log.split_once("✗ it cannot go on\n").unwrap();
    assert!(words.trim_start().starts_with("prosody has ended by itself (signal: 9 (SIGKILL)); what it said last:"));
    assert!(words.contains("External component successfully authenticated"), "{words}");
    assert!(!log.contains("5. One story"), "{log}");
    run.leaves_nothing().await;
}

#[tokio::test]
async fn a_missing_program_is_named_with_its_package_and_nothing_is_started() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cusax-try"));
    command.env("PATH", "").env_remove("CUSAX_KEEP");
    let run = Run::start(command);
    assert_eq!(run.end().await.code(), Some(1));
    let log = run.log();
    assert!(log.contains("sipp is not installed: apt-get install sip-tester"), "{log}");
    run.leaves_nothing().await;
}

/// This test again, as a program of its own that plays a role.
fn player(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(ROLE, "1").env_remove("CUSAX_KEEP");
    command
}

fn sleeper(scratch: &Scratch) -> Process {
    let mut command = Command::new("sleep");
    command.arg("600");
    Process::start("sleeper", command, scratch.directory("sleeper").unwrap()).unwrap()
}

#[tokio::test]
async fn a_panic_ends_every_child_and_removes_every_directory() {
    if env::var_os(ROLE).is_some() {
        end_on_panic();
        let scratch = Scratch::new("panic").unwrap();
        let sleeper = sleeper(&scratch);
        // Nothing is dropped where panics abort.
        std::mem::forget((scratch, sleeper));
        panic!("it is over");
    }
    let run = Run::start(player("ending::a_panic_ends_every_child_and_removes_every_directory"));
    assert_eq!(run.end().await.code(), Some(101), "{}", run.log());
    assert!(run.log().contains("it is over"));
    run.leaves_nothing().await;
}

#[tokio::test]
async fn what_is_being_started_when_the_signal_comes_is_ended_as_well() {
    if env::var_os(ROLE).is_some() {
        let busy = || {
            let mut all = Vec::new();
            for _ in 0..500 {
                let scratch = Scratch::new("busy").unwrap();
                all.push((sleeper(&scratch), scratch));
                if all.len() == 10 {
                    eprintln!("ten are running");
                }
            }
        };
        let threads = [(); 4].map(|()| thread::spawn(busy));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        return;
    }
    let mut run = Run::start(player("ending::what_is_being_started_when_the_signal_comes_is_ended_as_well"));
    run.until("ten are running").await;
    run.signal(Signal::TERM);
    assert_eq!(run.end().await.code(), Some(143), "{}", run.log());
    run.leaves_nothing().await;
}
