//! The running service as its operator meets it: its log, its metrics, and what it does without what it needs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
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
        Self::run(Command::new(env!("CARGO_BIN_EXE_cusax")), folder)
    }

    /// In a shell that says first how many descriptors it may open.
    fn start_limited(folder: &Path, limit: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_cusax")]);
        Self::run(command, folder)
    }

    /// As somebody whom permissions bind, where this process is root's.
    fn start_unprivileged(folder: &Path) -> Self {
        // By its descriptor, so that it needs no right to the directories on the way to the binary.
        let binary = File::open(env!("CARGO_BIN_EXE_cusax")).unwrap();
        let mut command = Command::new(format!("/proc/self/fd/{}", binary.as_raw_fd()));
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(65_534).gid(65_534);
        }
        Self::run(command, folder)
    }

    fn run(mut command: Command, folder: &Path) -> Self {
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

    /// Waits until it listens, and tells where `/metrics` is.
    fn started(&self) -> SocketAddr {
        let line = self.stage("started");
        let (_, http) = line["detail"].as_str().unwrap().rsplit_once("http:").unwrap();
        http.parse().unwrap()
    }

    fn hang_up(&self) {
        assert!(Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap().success());
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

/// What an HTTP server answers to a GET.
fn get(http: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of a series of `/metrics`.
fn series(http: SocketAddr, name: &str) -> Option<f64> {
    let metrics = get(http, "/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// Asks until a series has the value: what is true now is told once a second.
fn becomes(http: SocketAddr, name: &str, value: f64) {
    let deadline = clock::now() + SOON;
    loop {
        let now = series(http, name);
        if now == Some(value) {
            return;
        }
        assert!(clock::now() < deadline, "{name} is {now:?}, not {value}");
    }
}

/// An address that was free a moment ago, for UDP and TCP.
fn free_address() -> SocketAddr {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
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

#[test]
fn stores_that_cannot_be_written_are_told_counted_and_served() {
    let folder = tempfile::tempdir().unwrap();
    default_file(folder.path(), "");
    Service::start(folder.path()).started();
    let mut add = Command::new(env!("CARGO_BIN_EXE_cusax"));
    add.args(["account", "add", "alice", "--password-stdin", "-c", "cusax.toml"]).current_dir(folder.path());
    let mut add = add.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    add.stdin.take().unwrap().write_all(b"s3cret\n").unwrap();
    assert!(add.wait().unwrap().success());
    for file in ["cusax.db", "cusax-state.db"] {
        fs::set_permissions(folder.path().join(file), Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();

    let service = Service::start_unprivileged(folder.path());
    for (state, accounts) in [("read_only", Value::from(1)), ("state_read_only", Value::Null)] {
        let line = service.line(state, |line| line["event"] == "directory.snapshot" && line["state"] == state);
        assert_eq!((&line["level"], &line["accounts"]), (&"WARN".into(), &accounts), "{line}");
        assert!(line["detail"].as_str().unwrap().ends_with("readonly database"), "{line}");
    }
    let http = service.started();
    assert_eq!(series(http, "cusax_directory_accounts"), Some(1.0));
    for state in ["loaded", "read_only", "state_read_only"] {
        assert_eq!(series(http, &format!("cusax_directory_snapshots_total{{state={state:?}}}")), Some(1.0), "{state}");
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn half_sent_http_requests_keep_nobody_from_the_metrics() {
    let folder = tempfile::tempdir().unwrap();
    default_file(folder.path(), "");
    let service = Service::start(folder.path());
    let http = service.started();
    let half_sent = |_| {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap();
        stream
    };
    let mut crowd = (0..300).map(half_sent).collect::<Vec<_>>();
    assert!(get(http, "/metrics").starts_with("HTTP/1.1 200 OK\r\n"));
    let closed = series(http, "cusax_http_dropped_total{reason=\"overload\"}").unwrap();
    assert!(closed >= 172.0, "{closed}");
    // Of those that were left, none stays: the last one's end is the server's doing, and it got no answer.
    let mut last = crowd.pop().unwrap();
    last.set_read_timeout(Some(SOON)).unwrap();
    let mut answer = Vec::new();
    last.read_to_end(&mut answer).unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), "");
    assert!(series(http, "cusax_http_dropped_total{reason=\"deadline\"}").unwrap() >= 1.0);
}

#[test]
fn the_process_may_open_as_many_descriptors_as_its_hard_limit_says() {
    let folder = tempfile::tempdir().unwrap();
    default_file(folder.path(), "");
    let service = Service::start_limited(folder.path(), "-S -n 256");
    service.started();
    let limits = fs::read_to_string(format!("/proc/{}/limits", service.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words = line.split_whitespace().collect::<Vec<_>>();
    assert_eq!(words[3], words[4], "{line}");
    assert_ne!(words[3], "256", "{line}");
}

#[test]
fn connections_that_cannot_be_accepted_are_told_once_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    default_file(folder.path(), "");
    let file = folder.path().join("cusax.toml");
    let sip = free_address();
    let text = fs::read_to_string(&file).unwrap().replace("tcp:127.0.0.1:0", &format!("tcp:{sip}"));
    fs::write(&file, text).unwrap();
    let service = Service::start_limited(folder.path(), "-n 64");
    let short = service.stage("degraded");
    assert!(short["detail"].as_str().unwrap().contains("this process may open 64 descriptors"), "{short}");
    let http = service.started();
    // The kernel accepts them all, the process as many as it has descriptors for.
    let crowd = (0..100).map(|_| TcpStream::connect(sip).unwrap()).collect::<Vec<_>>();
    let full = |line: &Value| line["detail"].as_str().is_some_and(|detail| detail.contains("cannot be accepted"));
    let told = service.line("too many", full);
    assert_eq!(told["level"], "WARN");
    assert!(told["detail"].as_str().unwrap().contains("Too many open files"), "{told}");
    drop(crowd);
    let counted = series(http, "cusax_sip_dropped_total{reason=\"accept_failed\"}").unwrap();
    assert!(counted >= 1.0, "{counted}");
    assert!(!service.log.try_iter().any(|line| full(&line) && line["detail"] == told["detail"]), "told twice");
}

#[test]
fn what_lives_in_the_edge_and_how_long_requests_stay_is_in_the_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let core = UdpSocket::bind("127.0.0.1:0").unwrap();
    core.set_read_timeout(Some(SOON)).unwrap();
    let (access, target) = (free_address(), core.local_addr().unwrap());
    let more = format!(
        "[[sip.listener]]\naddress = \"udp:127.0.0.1:0\"\nzone = \"core\"\n[sip.core]\ntargets = [\"sip:{target}\"]\n"
    );
    default_file(folder.path(), &more);
    let file = folder.path().join("cusax.toml");
    let text = fs::read_to_string(&file).unwrap().replace("challenge = true", "challenge = false");
    let text = ["udp", "tcp"].iter().fold(text, |text, transport| {
        text.replacen(&format!("{transport}:127.0.0.1:0"), &format!("{transport}:{access}"), 1)
    });
    fs::write(&file, text).unwrap();
    let service = Service::start(folder.path());
    let http = service.started();

    let metrics = get(http, "/metrics");
    let build = metrics.lines().find(|line| line.starts_with("cusax_build_info{")).unwrap();
    let revision = build.split("revision=\"").nth(1).unwrap().split('"').next().unwrap();
    let commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(commit || revision == "unknown", "{build}");
    assert!(!metrics.contains("component="), "there is none");

    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let from = phone.local_addr().unwrap();
    let register = format!(
        "REGISTER sip:localhost SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@localhost>;tag=1\r\nTo: <sip:alice@localhost>\r\nCall-ID: 1@{from}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:alice@{from}>\r\nContent-Length: 0\r\n\r\n"
    );
    phone.send_to(register.as_bytes(), access).unwrap();
    let mut datagram = [0; 4_096];
    // The edge asks whether the core is there as well.
    let first_words = std::iter::repeat_with(|| {
        let (length, _) = core.recv_from(&mut datagram).unwrap();
        String::from_utf8_lossy(&datagram[..length]).split(' ').next().unwrap_or("").to_owned()
    });
    assert_eq!(first_words.into_iter().find(|word| word != "OPTIONS").as_deref(), Some("REGISTER"));
    becomes(http, "cusax_sip_proxy_delay_seconds_count", 1.0);
    let seconds = series(http, "cusax_sip_proxy_delay_seconds_sum").unwrap();
    assert!(seconds > 0.0 && seconds < 1.0, "{seconds}");
    for role in ["client", "server"] {
        becomes(http, &format!("cusax_sip_transactions{{kind=\"non_invite\",role={role:?}}}"), 1.0);
        becomes(http, &format!("cusax_sip_transactions{{kind=\"invite\",role={role:?}}}"), 0.0);
    }

    let open = "cusax_sip_connections{leg=\"client\",transport=\"tcp\"}";
    assert_eq!(series(http, open), Some(0.0));
    let connection = TcpStream::connect(access).unwrap();
    becomes(http, open, 1.0);
    drop(connection);
    becomes(http, open, 0.0);
    for result in ["accepted", "closed"] {
        let name = format!("cusax_sip_connections_total{{leg=\"client\",result={result:?},transport=\"tcp\"}}");
        assert_eq!(series(http, &name), Some(1.0), "{result}");
    }
}

#[test]
fn hangups_of_a_service_that_stops_are_nothing() {
    let folder = tempfile::tempdir().unwrap();
    default_file(folder.path(), "");
    let mut service = Service::start(folder.path());
    service.started();
    service.hang_up();
    assert!(Command::new("kill").arg(service.child.id().to_string()).status().unwrap().success());
    (0..20).for_each(|_| service.hang_up());
    service.stage("stopped");
    assert!(service.child.wait().unwrap().success());
}
