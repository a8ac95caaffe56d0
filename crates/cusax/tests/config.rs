//! Bad configuration files, each with the page that its operator sees.
//!
//! `tests/config/NAME.toml` is the file and `NAME.expected` the page; `BLESS=1 cargo test -p cusax --test config`
//! writes the pages anew, to be read before they are committed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

#[test]
fn each_bad_file_is_explained_at_the_place() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    let files = files();
    assert!(!files.is_empty());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let output = check(&["--config", name]);
        let page = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name} is not refused:\n{page}");
        let expected = file.with_extension("expected");
        if bless {
            fs::write(&expected, &page).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != page {
            wrong.push(format!("{name}:\n{page}"));
        }
    }
    assert!(wrong.is_empty(), "other pages than expected:\n{}", wrong.join("\n"));
}

#[test]
fn findings_are_data_with_line_and_column() {
    let output = check(&["--json", "--config", "unknown_key.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let page: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(page["ok"], false);
    let finding = &page["findings"][0];
    assert_eq!((&finding["severity"], &finding["file"]), (&"error".into(), &"unknown_key.toml".into()));
    assert_eq!((&finding["line"], &finding["column"]), (&2.into(), &1.into()));
    assert_eq!(finding["problem"], "unknown key `domian`");
    assert_eq!(finding["advice"], "did you mean `domain`?");
}

#[test]
fn no_file_is_no_mistake_and_its_dead_end_is_told() {
    let output = check(&[]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains("sip.core.targets names no SIP server") && page.contains("add [sip.core]"), "{page}");
    assert!(page.ends_with("the default configuration: nothing is wrong; 1 warning\n"), "{page}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_component_stream_that_leaves_this_host_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("component.secret");
    fs::write(&secret, "s3cret\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    for (server, warned) in [
        ("127.0.0.1:5347", false),
        ("[::1]:5347", false),
        ("[::ffff:127.0.0.1]:5347", false),
        ("localhost:5347", false),
        ("192.0.2.7:5347", true),
        ("[2001:db8::7]:5347", true),
        ("xmpp.example.com:5347", true),
    ] {
        let file = format!("{CORE}[xmpp]\nserver = {server:?}\n{COMPONENT}");
        fs::write(folder.path().join("cusax.toml"), file).unwrap();
        let output = cusax(&["check", "config", "--json", "--config", "cusax.toml"], folder.path());
        assert_eq!(output.status.code(), Some(0), "{server}");
        let page: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(page["ok"], true, "{server}");
        let findings = page["findings"].as_array().unwrap();
        assert_eq!(findings.len(), usize::from(warned), "{server}: {page}");
        for finding in findings {
            assert_eq!((&finding["severity"], &finding["line"]), (&"warning".into(), &10.into()), "{page}");
            assert!(finding["problem"].as_str().unwrap().starts_with("xmpp.server is not a loopback address"));
        }
    }
}

#[test]
fn files_are_looked_for_beside_the_configuration() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = folder.path().join("cusax.toml");
    fs::write(&file, format!("{CORE}[xmpp]\nserver = \"127.0.0.1:5347\"\n{COMPONENT}")).unwrap();
    fs::write(folder.path().join("component.secret"), "s3cret\n").unwrap();
    fs::set_permissions(folder.path().join("component.secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let page = String::from_utf8(cusax(&["check", "config", "-c", file], elsewhere.path()).stdout).unwrap();
    assert_eq!(page, format!("{file}: nothing is wrong\n"));
    fs::remove_file(folder.path().join("component.secret")).unwrap();
    let page = String::from_utf8(cusax(&["check", "config", "-c", file], elsewhere.path()).stdout).unwrap();
    let missing = format!("cannot read {}", folder.path().join("component.secret").display());
    assert!(page.contains(&missing), "{page}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_not_there_is_told_by_name() {
    let output = check(&["--config", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("cannot read nowhere.toml"));
}

#[test]
fn the_documented_default_file_is_right_and_its_keys_are_in_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cusax.toml");
    let default = cusax(&["config", "default"], folder.path());
    fs::write(&file, &default.stdout).unwrap();
    let output = cusax(&["check", "--config", "cusax.toml"], folder.path());
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.ends_with("cusax.toml: nothing is wrong; 1 warning\n"), "{page}");

    let schema = cusax(&["config", "schema"], folder.path());
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    let default: toml::Table = String::from_utf8(default.stdout).unwrap().parse().unwrap();
    assert_known(&schema, &toml::Value::Table(default), "");
}

#[test]
fn a_component_secret_is_read_only_where_nobody_else_can() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[service]\ndomain = \"example.com\"\n[xmpp]\nserver = \"127.0.0.1:5347\"\n\
                component = \"cusax.example.com\"\nsecret_file = \"component.secret\"\n";
    fs::write(folder.path().join("cusax.toml"), file).unwrap();
    let secret = folder.path().join("component.secret");
    for (content, mode, expected) in [
        ("s3cret\n", 0o644, "everybody on this host can read component.secret"),
        ("\n", 0o600, "component.secret holds no secret in its first line"),
        ("s3cret\n", 0o640, "nothing is wrong"),
    ] {
        fs::write(&secret, content).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        let page = String::from_utf8(cusax(&["check", "-c", "cusax.toml"], folder.path()).stdout).unwrap();
        assert!(page.contains(expected), "{mode:o}: {page}");
        assert!(!page.contains("s3cret"), "{page}");
    }
}

#[test]
fn certificates_that_nobody_will_accept_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let issue = |end| {
        let mut params = rcgen::CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
        params.not_after = end;
        let key = rcgen::KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let [(good, key), (expired, expired_key)] = [4000, 2001].map(|year| issue(rcgen::date_time_ymd(year, 1, 1)));
    let now = Duration::from_secs(cusax_net::clock::unix_seconds());
    let (soon, soon_key) = issue(rcgen::date_time_ymd(1970, 1, 1) + now + Duration::from_secs(13 * 86_400));
    let file = format!("{CORE}[tls]\ncertificate = \"cert.pem\"\nprivate_key = \"key.pem\"\n");
    fs::write(folder.path().join("cusax.toml"), file).unwrap();
    for (certificate, key, mode, expected) in [
        (&good, &key, 0o600, "nothing is wrong\n"),
        (&good, &key, 0o644, "everybody on this host can read key.pem"),
        (&good, &expired_key, 0o600, "key.pem is not the key of the first certificate in cert.pem"),
        (&good, &good, 0o600, "key.pem is of no use: there is no private key"),
        (&key, &key, 0o600, "cert.pem is of no use: there is no certificate in the chain"),
        (&expired, &expired_key, 0o600, "cert.pem has expired: nobody who looks at it accepts it"),
        (&expired, &expired_key, 0o600, "nothing is wrong; 1 warning\n"),
        (&soon, &soon_key, 0o600, "cert.pem expires in less than 14 days"),
    ] {
        fs::write(folder.path().join("cert.pem"), certificate).unwrap();
        fs::write(folder.path().join("key.pem"), key).unwrap();
        fs::set_permissions(folder.path().join("key.pem"), fs::Permissions::from_mode(mode)).unwrap();
        let page = String::from_utf8(cusax(&["check", "-c", "cusax.toml"], folder.path()).stdout).unwrap();
        assert!(page.contains(expected), "{page}");
        assert!(!page.contains("BEGIN"), "{page}");
    }
}

/// Every key is a property of a closed table, and every value has the type of its property.
fn assert_known(schema: &serde_json::Value, value: &toml::Value, name: &str) {
    match value {
        toml::Value::Table(table) => {
            assert_eq!(schema["type"], "object", "{name}");
            assert_eq!(schema["additionalProperties"], false, "{name} takes unknown keys");
            for (key, value) in table {
                assert_known(&schema["properties"][key], value, &format!("{name}.{key}"));
            }
        }
        toml::Value::Array(elements) => {
            assert_eq!(schema["type"], "array", "{name}");
            elements.iter().for_each(|element| assert_known(&schema["items"], element, name));
        }
        toml::Value::String(text) => {
            let words = schema["oneOf"].as_array();
            let known = words.is_none_or(|words| words.iter().any(|word| word["const"] == text.as_str()));
            assert!(schema["type"] == "string" || words.is_some(), "{name}: {schema}");
            assert!(known, "{name} does not take {text:?}");
        }
        toml::Value::Integer(_) => assert_eq!(schema["type"], "integer", "{name}"),
        toml::Value::Boolean(_) => assert_eq!(schema["type"], "boolean", "{name}"),
        toml::Value::Float(_) | toml::Value::Datetime(_) => panic!("{name}: nothing is configured by {value}"),
    }
}

/// A service that has a SIP server: nothing in it is warned of.
const CORE: &str = "\
[[sip.listener]]
address = \"udp:127.0.0.1:5060\"
zone = \"access\"
[[sip.listener]]
address = \"udp:127.0.0.1:5070\"
zone = \"core\"
[sip.core]
targets = [\"sip:127.0.0.1:5080\"]
";
const COMPONENT: &str = "component = \"cusax.example.com\"\nsecret_file = \"component.secret\"\n";

fn check(arguments: &[&str]) -> Output {
    cusax(&[&["check", "config"], arguments].concat(), &folder())
}

fn cusax(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cusax")).args(arguments).current_dir(folder).output().unwrap()
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}
