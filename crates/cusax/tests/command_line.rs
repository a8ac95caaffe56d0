//! The commands as an operator or a script runs them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use cusax_event::sip::{CallEnded, CallOutcome};
use cusax_event::{Correlation, Event, Identity};
use cusax_telemetry::trace::Store;
use cusax_telemetry::{Output, Telemetry};

#[test]
fn an_account_is_made_shown_changed_and_removed() {
    let folder = example_com();
    let add = [
        "account",
        "add",
        "alice@Example.com",
        "--jid",
        "al@example.org",
        "--number",
        "+1 404 555 0100",
        "--language",
        "en",
    ];
    let output = cusax(&[&add[..], &["--password-stdin", "-c", "cusax.toml"]].concat(), "s3cret\n", folder.path());
    assert_eq!(text(&output.stdout), "added sip:alice@example.com = xmpp:al@example.org (account 1)\n");

    let listed = json(&["account", "list", "--json"], folder.path());
    assert_eq!(listed[0]["sip"], "alice@example.com");
    assert_eq!(listed[0]["jid"], "al@example.org");
    assert_eq!(listed[0]["numbers"][0], "+14045550100");
    assert_eq!(listed[0]["language"], "en");
    for name in ["1", "alice@example.com", "xmpp:al@example.org", "+14045550100"] {
        assert_eq!(json(&["account", "show", name, "--json"], folder.path())["account"], 1, "{name}");
    }

    let output = cusax(&["account", "set-password", "1", "--password-stdin"], "another\n", folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = cusax(&["account", "remove", "1"], "", folder.path());
    assert_eq!(text(&output.stdout), "removed sip:alice@example.com = xmpp:al@example.org (account 1)\n");
    assert_eq!(
        text(&cusax(&["account", "list"], "", folder.path()).stdout),
        "no accounts yet; make one with `cusax account add`\n"
    );
}

#[test]
fn a_user_alone_is_one_of_the_configured_domains() {
    let folder = example_com();
    let add = ["account", "add", "bob", "--password-stdin", "--config", "cusax.toml"];
    assert_eq!(
        text(&cusax(&add, "s3cret", folder.path()).stdout),
        "added sip:bob@example.com = xmpp:bob@example.com (account 1)\n"
    );
    assert!(folder.path().join("cusax.db").exists());
    assert_eq!(json(&["account", "show", "bob", "--json", "-c", "cusax.toml"], folder.path())["account"], 1);

    let elsewhere = tempfile::tempdir().unwrap();
    let file = folder.path().join("cusax.toml");
    let show = ["account", "show", "bob", "--json", "-c", file.to_str().unwrap()];
    assert_eq!(json(&show, elsewhere.path())["account"], 1, "the same file, wherever it is named from");
}

#[test]
fn what_cannot_be_done_is_told_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let add = ["account", "add", "alice@localhost", "--password-stdin"];
    let output = cusax(&["account", "list"], "", folder.path());
    assert!(text(&output.stderr).contains("there is no such file"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(cusax(&add, "s3cret", folder.path()).status.code(), Some(0));
    for (arguments, password, expected) in [
        (&add[..], "s3cret", "already belongs to account 1"),
        (&["account", "add", "carol@localhost", "--password-stdin"], "", "password"),
        (&["account", "add", "carol@localhost"], "", "use --password-stdin"),
        (&["account", "add", "carol@localhost", "--jid", "carol", "--password-stdin"], "x", "is not user@domain"),
        (&["account", "show", "carol@localhost"], "", "there is no account"),
        (&["account", "remove", "7"], "", "there is no account"),
    ] {
        let output = cusax(arguments, password, folder.path());
        let told = text(&output.stderr);
        assert!(told.starts_with("error: ") && told.contains(expected), "{arguments:?}: {told}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_account_that_no_phone_could_register_as_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = cusax(&["account", "add", "alice@example.com", "--password-stdin"], "s3cret", folder.path());
    let told = text(&output.stderr);
    assert!(told.contains("alice@example.com is not of this service's domain, localhost"), "{told}");
    assert!(told.contains("[service] domain = \"example.com\""), "{told}");
    assert_eq!(output.status.code(), Some(1));
    assert!(!folder.path().join("cusax.db").exists());
}

#[test]
fn the_examples_in_the_help_do_what_they_say() {
    let binaries = Path::new(env!("CARGO_BIN_EXE_cusax")).parent().unwrap();
    for help in [&["account", "--help"][..], &["account", "add", "--help"], &["account", "import", "--help"]] {
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in
            [("cusax.toml", ""), ("users.csv", "sip,password\nalice,a\n"), ("more.csv", "sip,password\nbob,b\n")]
        {
            std::fs::write(folder.path().join(file), content).unwrap();
        }
        let page = text(&cusax(help, "", folder.path()).stdout);
        let examples = page.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("cusax account "));
        let examples = examples.filter(|(before, _)| before.is_empty() || before.ends_with("| ")).collect::<Vec<_>>();
        assert!(examples.len() >= 3, "{page}");
        for (_, example) in examples {
            let example = example.split("   ").next().unwrap();
            let asks = example.starts_with("add") || example.starts_with("set-password");
            let asks = if asks && !example.contains("--password-stdin") { "--password-stdin" } else { "" };
            let mut shell = Command::new("/bin/sh");
            shell.env("PATH", binaries).args(["-c", &format!("cusax account {example} {asks}")]);
            let output = feed(shell.current_dir(folder.path()), "s3cret\n");
            assert_eq!(output.status.code(), Some(0), "{example}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn usage_errors_exit_with_2_and_help_shows_examples() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["nonsense"][..],
        &[],
        &["check", "weather"],
        &["account", "add"],
        &["account", "add", "a@b", "--password", "x"],
    ] {
        assert_eq!(cusax(arguments, "", folder.path()).status.code(), Some(2), "{arguments:?}");
    }
    for command in [&[][..], &["serve"], &["check"], &["account"], &["account", "import"], &["config"], &["trace"]] {
        let output = cusax(&[command, &["--help"]].concat(), "", folder.path());
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(text(&output.stdout).contains("Examples:\n  cusax "), "{command:?}");
        assert!(!output.stdout.contains(&0x1b), "{command:?} colours a file");
    }
}

#[test]
fn a_trace_finds_a_call_by_its_id_and_nothing_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let missing = cusax(&["trace", "call-1"], "", folder.path());
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("cannot read the trace store"), "{}", text(&missing.stderr));

    let clock = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut config = cusax_telemetry::Config::new("edge-1", [7; 32], clock);
    config.output = Output::Writer(Box::new(std::io::sink()));
    config.trace = Some(Store::new(folder.path().join("cusax-trace")));
    let (telemetry, guard) = Telemetry::new(config);
    telemetry.emit(&Event::SipCall(CallEnded {
        outcome: CallOutcome::Answered,
        status: 200,
        caller: Some(Identity::uri("sip:alice@example.com")),
        correlation: Correlation { call_id: Some("call-1".into()), ..Correlation::default() },
    }));
    guard.flush();

    for id in ["call-1", "sip:alice@example.com"] {
        let ladder = cusax(&["trace", id], "", folder.path());
        assert!(text(&ladder.stdout).contains("(200)"), "{id}: {}", text(&ladder.stdout));
        assert!(!ladder.stdout.contains(&0x1b), "a file is coloured");
    }
    assert_eq!(json(&["trace", "call-1", "--json"], folder.path())["call_id"], "call-1");
    let unknown = cusax(&["trace", "call-2", "--json"], "", folder.path());
    assert!(unknown.stdout.is_empty());
    assert_eq!(unknown.status.code(), Some(1));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = command(&["config", "schema"], Path::new(".")).stdin(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

/// A folder with a configuration of example.com.
fn example_com() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cusax.toml"), "[service]\ndomain = \"example.com\"\n").unwrap();
    folder
}

fn json(arguments: &[&str], folder: &Path) -> serde_json::Value {
    let output = cusax(arguments, "", folder);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn cusax(arguments: &[&str], input: &str, folder: &Path) -> std::process::Output {
    feed(&mut command(arguments, folder), input)
}

fn feed(command: &mut Command, input: &str) -> std::process::Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that reads no input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn command(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
    command.args(arguments).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
