//! Many accounts at once, and what there is to say of one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use cusax_event::sip::{Algorithm, Auth, AuthResult, Direction, Leg, Message, Method, Summary, Transport};
use cusax_event::{Correlation, Event, Identity};
use cusax_telemetry::Telemetry;
use cusax_telemetry::trace::Store;
use serde_json::Value;

#[test]
fn a_file_of_accounts_is_imported_as_a_whole() {
    let folder = folder();
    let file = "\u{feff}password,sip,jid,numbers,language\r\n\
                \"won,der\"\"land\",alice,,+1 404 555 0100; +14045550101,en\r\n\
                b0b,sip:bob@example.com,xmpp:robert@example.org,,\r\n";
    std::fs::write(folder.path().join("users.csv"), file).unwrap();
    let trial = cusax(&["account", "import", "users.csv", "--dry-run"], "", folder.path());
    assert_eq!(text(&trial.stdout), "2 accounts can be imported; nothing was changed\n", "{}", text(&trial.stderr));
    assert!(!folder.path().join("cusax.db").exists(), "not even a file was made");

    let imported = cusax(&["account", "import", "users.csv"], "", folder.path());
    assert_eq!(text(&imported.stdout), "imported 2 accounts\n");
    let listed = json(&["account", "list", "--json"], folder.path());
    assert_eq!((&listed[0]["jid"], &listed[1]["jid"]), (&"alice@example.com".into(), &"robert@example.org".into()));
    assert_eq!(listed[0]["numbers"], serde_json::json!(["+14045550100", "+14045550101"]));
    assert_eq!((&listed[0]["language"], &listed[1]["language"]), (&"en".into(), &Value::Null));

    let more = cusax(&["account", "import", "-", "--json"], "sip,password\ncarol,c\n", folder.path());
    let more: Value = serde_json::from_slice(&more.stdout).unwrap();
    assert_eq!((&more["ok"], &more["imported"], &more["accounts"][0]["account"]), (&true.into(), &1.into(), &3.into()));
}

#[test]
fn every_line_that_is_wrong_is_told_and_none_is_imported() {
    let folder = folder();
    let add = cusax(&["account", "add", "alice", "--password-stdin"], "s3cret", folder.path());
    assert_eq!(add.status.code(), Some(0), "{}", text(&add.stderr));
    let file = "sip,jid,numbers,language,password\n\
                bob,,,,b\n\
                carol,,,,\n\
                dave,dave,,,secret-d\n\
                \n\
                erin,,,,e,secret-e\n\
                alice@example.com,alice2@example.com,,,secret-a\n\
                frank@example.net,,,,secret-f\n\
                bobby,bob@example.com,,,secret-b\n\
                grace,,12,,secret-g\n";
    std::fs::write(folder.path().join("users.csv"), file).unwrap();
    let expected = [
        (3, "password: is empty"),
        (4, "JID: \"dave\" is not user@domain"),
        (6, "6 values where the header has 5"),
        (7, "sip:alice@example.com already belongs to account 1"),
        (8, "frank@example.net is not of this service's domain, example.com"),
        (9, "xmpp:bob@example.com is on line 2 as well"),
        (10, "number: \"12\" is not + and 2 to 15 digits (E.164)"),
    ];
    for arguments in [&["account", "import", "users.csv"][..], &["account", "import", "users.csv", "--dry-run"]] {
        let output = cusax(arguments, "", folder.path());
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(output.stdout.is_empty() && !told.contains("secret-"), "{told}");
        let lines = told.lines().collect::<Vec<_>>();
        assert_eq!(lines.len(), expected.len() + 1, "{told}");
        for (line, (number, problem)) in lines.iter().zip(expected) {
            assert!(line.starts_with(&format!("users.csv:{number}: {problem}")), "{line}");
        }
        assert_eq!(lines[expected.len()], "nothing was changed: 7 lines are wrong");

        let output = cusax(&[arguments, &["--json"]].concat(), "", folder.path());
        let page: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&page["ok"], &page["imported"]), (&false.into(), &0.into()));
        assert_eq!(page["errors"].as_array().unwrap().len(), expected.len());
        assert_eq!(page["errors"][0]["line"], 3);
    }
    assert_eq!(json(&["account", "list", "--json"], folder.path()).as_array().unwrap().len(), 1);
}

#[test]
fn a_header_that_is_none_is_told() {
    let folder = folder();
    for (header, problem) in [
        ("sip;password", "the header's value 1 is none of sip,jid,numbers,language,password"),
        ("sip,jid", "the header has no \"password\""),
        ("sip,password,sip", "the header has \"sip\" twice"),
        ("", "the header's value 1 is none of"),
    ] {
        let output = cusax(&["account", "import", "-"], &format!("{header}\nalice,secret\n"), folder.path());
        let told = text(&output.stderr);
        assert!(told.contains(problem) && !told.contains("secret"), "{header:?}: {told}");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// What a trace store holds: how the first request of a phone ended, and what its login came to.
fn remember(folder: &Path, seen: &[(Method, u16, Option<AuthResult>)]) {
    let clock = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut config = cusax_telemetry::Config::new("edge-1", [7; 32], clock);
    config.output = cusax_telemetry::Output::Writer(Box::new(std::io::sink()));
    config.trace = Some(Store::new(folder.join("cusax-trace")));
    let (telemetry, guard) = Telemetry::new(config);
    let remote = "192.0.2.7:5060".parse().unwrap();
    let alice = || Identity::uri("sip:alice@example.com");
    for (method, status, login) in seen {
        let correlation = Correlation { call_id: Some("call-1".into()), ..Correlation::default() };
        let to = if *method == Method::Invite { Identity::uri("sip:bob@example.com") } else { alice() };
        telemetry.emit(&Event::SipMessage(Message {
            leg: Leg::Client,
            direction: Direction::Sent,
            transport: Transport::Udp,
            method: *method,
            status: Some(*status),
            retransmission: false,
            local: remote,
            remote,
            correlation: correlation.clone(),
            summary: Some(Summary {
                first_line: format!("SIP/2.0 {status} Reason").into(),
                cseq: "1".into(),
                from: alice(),
                to,
                notes: Vec::new(),
            }),
        }));
        if let Some(result) = *login {
            let (algorithm, user) = (Algorithm::Sha256, Some(alice()));
            telemetry.emit(&Event::SipAuth(Auth { result, algorithm, user, remote, correlation }));
        }
    }
    guard.flush();
}

#[test]
fn an_account_is_explained_by_what_it_is_and_what_it_did() {
    use AuthResult::{BadCredentials, Challenged, Mismatch, Ok};
    use Method::{Invite, Register};
    for (seen, code, verdict, next) in [
        (
            &[][..],
            0,
            "no phone has registered as it",
            "let a phone register as sip:alice@example.com at udp:127.0.0.1:5060",
        ),
        (
            &[(Register, 401, Some(Challenged))],
            1,
            "a phone was asked for its password at 2023-11-14T22:13:20Z and never gave it",
            "cusax account set-password alice",
        ),
        (
            &[(Register, 401, Some(Challenged)), (Register, 401, Some(BadCredentials))],
            1,
            "the last login was with a wrong password",
            "cusax account set-password alice",
        ),
        (&[(Register, 403, Some(Mismatch))], 1, "From was not this account's", "write sip:alice@example.com"),
        (
            &[(Register, 401, Some(BadCredentials)), (Register, 200, Some(Ok)), (Invite, 486, Some(Ok))],
            0,
            "a phone registered, or unregistered, last at 2023-11-14T22:13:20Z",
            "cusax trace sip:alice@example.com",
        ),
        (
            &[(Register, 200, Some(Ok)), (Register, 503, Some(Ok))],
            1,
            "the last registration was refused at 2023-11-14T22:13:20Z: SIP/2.0 503 Reason",
            "cusax trace call-1",
        ),
    ] {
        let folder = folder();
        let add = ["account", "add", "alice", "--number", "+14045550100", "--password-stdin"];
        assert_eq!(cusax(&add, "s3cret", folder.path()).status.code(), Some(0));
        remember(folder.path(), seen);
        for name in ["alice", "sip:alice@example.com", "xmpp:alice@example.com", "+14045550100"] {
            let output = cusax(&["account", "explain", name], "", folder.path());
            let page = text(&output.stdout);
            assert_eq!(output.status.code(), Some(code), "{page}{}", text(&output.stderr));
            let (facts, judgement) = page.split_once("\n\n").unwrap();
            assert!(judgement.contains(verdict) && judgement.contains(next), "{page}");
            assert!(
                facts.contains("digest    SHA-512-256, SHA-256, MD5 for the user names alice and alice@example.com")
            );
            assert!(facts.contains("(the edge offers SHA-256, MD5)"), "{page}");
            assert_eq!(facts.matches(" shows it").count(), 4, "{page}");
            let refused =
                facts.contains("refused   2023-11-14T22:13:20Z INVITE 486 Reason, from sip:alice@example.com");
            assert_eq!(refused, seen.iter().any(|(method, ..)| *method == Invite), "{page}");
        }
        let page: Value =
            serde_json::from_slice(&cusax(&["account", "explain", "1", "--json"], "", folder.path()).stdout).unwrap();
        assert_eq!((&page["well"], &page["account"]["sip"]), (&(code == 0).into(), &"alice@example.com".into()));
        assert_eq!(page["seen"]["registration"]["status"].is_u64(), !seen.is_empty(), "{page}");
        assert!(page["verdict"].as_str().unwrap().contains(verdict), "{page}");
    }
}

#[test]
fn what_is_no_account_or_leads_nowhere_is_explained() {
    let folder = folder();
    let explain = |name: &str| {
        let output = cusax(&["account", "explain", name], "", folder.path());
        (output.status.code(), text(&output.stdout))
    };
    assert_eq!(cusax(&["account", "add", "alice", "--password-stdin"], "s3cret", folder.path()).status.code(), Some(0));
    let (code, page) = explain("alice");
    assert_eq!(code, Some(0));
    assert!(page.contains("what it did is not known") && page.contains("cusax-trace"), "{page}");
    for (name, says, next) in [
        ("bob", "no account has bob@example.com", "make it: cusax account add bob"),
        ("+14045550109", "no account has +14045550109", "cusax account add USER --number +14045550109"),
        ("sip:bob@example.net", "no account has sip:bob@example.net", "are of the domain example.com"),
    ] {
        let (code, page) = explain(name);
        assert_eq!(code, Some(1));
        assert!(page.contains(says) && page.contains(next), "{page}");
    }
    let file = folder.path().join("cusax.toml");
    std::fs::write(file, "[service]\ndomain = \"example.net\"\n").unwrap();
    let (code, page) = explain("alice@example.com");
    assert_eq!(code, Some(1));
    assert!(page.contains("its SIP domain is not this service's, example.net"), "{page}");
    assert!(page.contains("write [service] domain = \"example.com\""), "{page}");
}

/// A folder with a configuration of example.com.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cusax.toml"), "[service]\ndomain = \"example.com\"\n").unwrap();
    folder
}

fn json(arguments: &[&str], folder: &Path) -> Value {
    let output = cusax(arguments, "", folder);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn cusax(arguments: &[&str], input: &str, folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
    command.args(arguments).args(["--config", "cusax.toml"]).current_dir(folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that reads no input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
