//! `deploy/prosody/prosody.cfg.lua` as an operator runs it: without the try-out's relaxations, by a user of its own who is let into
//! cusax's group as README.md says.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use cusax_tests::interop::{CUSAX, OPENSSL, PROSODY, available};
use cusax_tests::ports::Port;
use cusax_tests::process::{Process, Ready, output};
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{COMPONENT, Cusax, DOMAIN, ROOMS, Settings, source_root};
use cusax_xmpp::client;
use cusax_xmpp::sasl::Mechanism;
use tokio::process::ChildStdout;

use crate::session::Session;

const START: Duration = Duration::from_secs(30);
/// Users of nobody's machine; each has a group of the same number.
const CUSAX_USER: u32 = 64_001;
const PROSODY_USER: u32 = 64_002;

/// cusax and Prosody, each with its user where this is root, else both with ours.
struct House {
    root: bool,
    program: PathBuf,
    cusax: Cusax,
    clients: Port,
    component: Port,
    servers: Port,
    scratch: Scratch,
}

impl House {
    fn build() -> Self {
        let scratch = Scratch::new("operator").unwrap();
        let [clients, component, servers, core] = [(); 4].map(|()| Port::free().unwrap());
        let settings = Settings::claim(core.address(), component.address(), clients.address()).unwrap();
        let cusax = Cusax::install(&scratch, settings).unwrap();
        let root = fs::metadata("/proc/self").unwrap().uid() == 0;
        // Where it was built and checked out, others may not be able to read.
        let program = scratch.path().join("program");
        fs::copy(CUSAX.find().unwrap(), &program).unwrap();
        let house = Self { root, program, cusax, clients, component, servers, scratch };
        house.lay_out();
        house
    }

    /// README.md, step 3.
    fn lay_out(&self) {
        let (path, source) = (self.scratch.path(), source_root().join("deploy/prosody"));
        set_mode(path, 0o755);
        set_mode(&self.program, 0o755);
        self.give(self.cusax.dir(), CUSAX_USER, CUSAX_USER, 0o750);
        self.give(&self.cusax.secret_file(), 0, CUSAX_USER, 0o640);
        set_mode(&self.cusax.dir().join("cusax.toml"), 0o644);
        let modules = self.scratch.directory("modules").unwrap();
        fs::copy(source.join("modules/mod_cusax_rooms.lua"), modules.join("mod_cusax_rooms.lua")).unwrap();
        fs::copy(source.join("prosody.cfg.lua"), path.join("prosody.cfg.lua")).unwrap();
        let data = self.scratch.directory("data").unwrap();
        self.give(&data, PROSODY_USER, PROSODY_USER, 0o750);
        let certificates = self.scratch.directory("certs").unwrap();
        let (key, certificate) = (certificates.join("example.com.key"), certificates.join("example.com.crt"));
        let mut make = Command::new(OPENSSL.find().unwrap());
        make.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=example.com", "-addext", "subjectAltName=DNS:example.com", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate);
        let made = output(&mut make, "").unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.give(&key, 0, PROSODY_USER, 0o640);
    }

    fn give(&self, path: &Path, user: u32, group: u32, mode: u32) {
        set_mode(path, mode);
        if self.root {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// Runs a program as a user; `groups` are all that he is in besides his own.
    fn run_as(&self, user: u32, groups: &str, program: &Path) -> Command {
        if !self.root {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
        match groups {
            "" => command.arg("--clear-groups"),
            groups => command.arg(format!("--groups={groups}")),
        };
        command.arg(program);
        command
    }

    fn cusax(&self, arguments: &[&str]) -> Command {
        let mut command = self.run_as(CUSAX_USER, "", &self.program);
        command.args(arguments).args(["--config", "cusax.toml"]).current_dir(self.cusax.dir());
        command
    }

    fn set_password(&self, verb: &[&str], password: &str) {
        let done = output(&mut self.cusax(&[verb, &["--password-stdin"]].concat()), &format!("{password}\n")).unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn prosody(&mut self, groups: &str) -> Process {
        let (clients, component) = (self.clients.hand_over().unwrap(), self.component.hand_over().unwrap());
        let servers = self.servers.hand_over().unwrap();
        let path = self.scratch.path();
        let mut command = self.run_as(PROSODY_USER, groups, &PROSODY.find().unwrap());
        command
            .arg("-F")
            .arg("--config")
            .arg(path.join("prosody.cfg.lua"))
            .env_remove("CUSAX_TRYOUT")
            .env("CUSAX_XMPP_DOMAIN", DOMAIN)
            .env("CUSAX_XMPP_ROOMS", ROOMS)
            .env("CUSAX_XMPP_COMPONENT", COMPONENT)
            .env("CUSAX_XMPP_ADDRESS", "127.0.0.1")
            .env("CUSAX_XMPP_CLIENT_PORT", clients.port().to_string())
            .env("CUSAX_XMPP_SERVER_PORT", servers.port().to_string())
            .env("CUSAX_XMPP_COMPONENT_PORT", component.port().to_string())
            .env("CUSAX_XMPP_CERTIFICATES", path.join("certs"))
            .env("CUSAX_DIRECTORY", self.cusax.directory())
            .env("CUSAX_COMPONENT_SECRET_FILE", self.cusax.secret_file())
            .env("CUSAX_PROSODY_DATA", path.join("data"))
            .env("CUSAX_PROSODY_MODULES", path.join("modules"));
        Process::start("prosody", command, self.scratch.directory("prosody").unwrap()).unwrap()
    }

    /// Logs in over TLS.
    async fn login(&self, password: &str) -> client::Output {
        let mut command = tokio::process::Command::new(OPENSSL.find().unwrap());
        command
            .args(["s_client", "-quiet", "-starttls", "xmpp", "-xmpphost", DOMAIN, "-connect"])
            .arg(self.clients.address().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut tunnel = command.spawn().unwrap();
        let (stdout, stdin): (ChildStdout, _) = (tunnel.stdout.take().unwrap(), tunnel.stdin.take().unwrap());
        let (_, outcome) = Session::login_over(tokio::io::join(stdout, stdin), password).await;
        outcome
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn prosody_under_its_own_user_reads_accounts_and_secret_through_cusaxs_group() {
    if !available("operator", &[CUSAX, PROSODY, OPENSSL]) {
        return;
    }
    let mut house = House::build();
    house.set_password(&["account", "add", "alice@example.com"], "correct horse");
    if house.root {
        // Who is not in the group is refused, and told what.
        let mut outside = house.prosody("");
        let refused = outside.ready(Ready::Tcp(house.component.address()), START).await.unwrap_err().to_string();
        assert!(refused.contains("the component's secret") && refused.contains("Permission denied"), "{refused}");
    }
    let mut prosody = house.prosody(&CUSAX_USER.to_string());
    prosody.ready(Ready::Tcp(house.clients.address()), START).await.unwrap();
    if house.root {
        assert_eq!(fs::metadata(format!("/proc/{}", prosody.pid())).unwrap().uid(), PROSODY_USER);
        let database = fs::metadata(house.cusax.directory()).unwrap();
        assert_eq!((database.uid(), database.gid(), database.mode() & 0o777), (CUSAX_USER, CUSAX_USER, 0o640));
    }
    let outcome = house.login("correct horse").await;
    let client::Output::Online { jid, mechanism } = outcome else { panic!("{outcome:?}: {}", prosody.log()) };
    assert!(jid.as_str().starts_with("alice@example.com/") && mechanism == Mechanism::ScramSha256);
    let outcome = house.login("wrong").await;
    assert!(matches!(outcome, client::Output::AuthFailed { .. }), "{outcome:?}");
    // What cusax changes is seen at once.
    house.set_password(&["account", "set-password", "alice@example.com"], "battery staple");
    assert!(matches!(house.login("correct horse").await, client::Output::AuthFailed { .. }));
    assert!(matches!(house.login("battery staple").await, client::Output::Online { .. }));
    // No password without TLS.
    let (_, outcome) = Session::login(house.clients.address(), "battery staple").await;
    assert!(!matches!(outcome, client::Output::Online { .. }), "{outcome:?}");

    house.cusax.hand_over().unwrap();
    let dir = house.cusax.dir().to_owned();
    let mut process = Process::start("cusax", house.cusax(&["serve"]), dir).unwrap();
    // There is no SIP server in this house: alive, and not ready.
    process
        .ready(Ready::Line("\"event\":\"xmpp.link\",\"node\":\"edge-1\",\"state\":\"connected\""), START)
        .await
        .unwrap();
    assert!(prosody.log().contains("External component successfully authenticated"), "{}", prosody.log());
}

#[test]
fn the_files_that_prosody_reads_are_those_that_the_readme_makes() {
    let read = |name: &str| fs::read_to_string(source_root().join(name)).unwrap();
    let (configuration, readme) = (read("deploy/prosody/prosody.cfg.lua"), read("README.md"));
    let files: Vec<_> =
        configuration.split('"').filter(|text| text.starts_with('/') && text.contains("/cusax")).collect();
    assert_eq!(files, ["/etc/cusax/component.secret", "/usr/share/cusax/prosody", "/var/lib/cusax/cusax.db"]);
    for file in files {
        assert!(readme.contains(file), "README.md does not tell how {file} comes to be");
    }
}
