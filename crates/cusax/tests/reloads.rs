//! Configurations that change again and again while calls are made, stand and end: the real binary between a phone and two
//! cores, by UDP. Where `CUSAX_LONG` is set, for longer.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cusax_net::clock;
use cusax_sip::{Compose, Message, Method, Name};
use serde_json::Value;

/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(30);
/// Calls that stand at a time.
const STANDING: usize = 10;

struct Service {
    child: Child,
    http: SocketAddr,
}

impl Service {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
        command.args(["serve", "--config", "cusax.toml"]).current_dir(folder);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let started = lines.by_ref().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        let started = started.into_iter().find(|line| line["stage"] == "started").unwrap();
        let (_, http) = started["detail"].as_str().unwrap().rsplit_once("http:").unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, http: http.parse().unwrap() }
    }

    /// Reloads that came to this.
    fn reloads(&self, result: &str) -> u32 {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: cusax\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let series = format!("cusax_config_reloads_total{{result={result:?}}} ");
        page.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Option<(Message, SocketAddr)> {
    let mut datagram = [0; 65_535];
    loop {
        match socket.recv_from(&mut datagram) {
            Ok((length, from)) => return Some((Message::parse(datagram[..length].to_vec().into()).unwrap(), from)),
            // It has a timeout, so a signal to this process ends it as well.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// A core: takes every call, under the tag that it is known by.
fn serve_as_core(socket: &UdpSocket, tag: &str) {
    while let Some((request, from)) = receive(socket) {
        if request.is_request() && request.method() != Method::Ack {
            let here = socket.local_addr().unwrap();
            let answer = Compose::response(&request, 200, None, Some(tag)).copy(&request, Name::RecordRoute);
            let answer = answer.header("Contact", &format!("<sip:bob@{here}>")).empty();
            socket.send_to(&answer, from).unwrap();
        }
    }
}

/// The file with one of the cores, of many keys no two the same in turn; in one step, as who edits files does it.
fn write(folder: &Path, access: SocketAddr, from_core: SocketAddr, core: SocketAddr, turn: u32) {
    let file = format!(
        "[service]\ndomain = \"example.com\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [[sip.listener]]\naddress = \"udp:{access}\"\nzone = \"access\"\n\
         [[sip.listener]]\naddress = \"udp:{from_core}\"\nzone = \"core\"\n\
         [sip.core]\ntargets = [\"sip:{core}\"]\n[sip.auth]\nchallenge = false\n\
         [sip.limits]\ntransactions = {}\nrequests_per_source = 100000\n\
         [caller]\ninsert = {}\n[numbers]\ncountry = \"{}\"\n",
        200_000 + turn,
        turn.is_multiple_of(2),
        if turn.is_multiple_of(3) { "US" } else { "DE" }
    );
    std::fs::write(folder.join("new.toml"), file).unwrap();
    std::fs::rename(folder.join("new.toml"), folder.join("cusax.toml")).unwrap();
}

/// A phone that makes calls and ends them, one after the other.
struct Phone<'a> {
    socket: &'a UdpSocket,
    edge: SocketAddr,
    sent: u32,
}

impl Phone<'_> {
    fn send(&mut self, method: &str, call: u32, to_tag: &str, routes: &[String]) {
        self.sent += 1;
        let (from, number) = (self.socket.local_addr().unwrap(), self.sent);
        let routes: String = routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        let request = format!(
            "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\n{routes}From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>{to_tag}\r\n\
             Call-ID: {call}@{from}\r\nCSeq: {number} {method}\r\nContact: <sip:alice@{from}>\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.socket.send_to(request.as_bytes(), self.edge).unwrap();
    }

    /// Sends a request, and waits for its final response: that of a core.
    fn ask(&mut self, method: &str, call: u32, to_tag: &str, routes: &[String]) -> Message {
        self.send(method, call, to_tag, routes);
        let ours = format!("{} {method}", self.sent);
        loop {
            let (response, _) = receive(self.socket).unwrap_or_else(|| panic!("{method} of call {call} is lost"));
            if response.first(Name::CSeq) == Some(&ours) && response.status() != Some(100) {
                assert_eq!(response.status(), Some(200), "{method} of call {call}");
                return response;
            }
        }
    }
}

#[test]
fn no_call_is_lost_however_often_the_configuration_changes() {
    let turns = if std::env::var_os("CUSAX_LONG").is_some() { 1_000 } else { 50 };
    let folder = tempfile::tempdir().unwrap();
    // Free a moment ago, and not the same.
    let [access, from_core] = [socket(), socket()].map(|socket| socket.local_addr().unwrap());
    let (cores, phone) = ([socket(), socket()], socket());
    let places = cores.each_ref().map(|core| core.local_addr().unwrap());
    write(folder.path(), access, from_core, places[0], 0);
    let service = Service::start(folder.path());
    let [first, second] = cores;
    std::thread::spawn(move || serve_as_core(&first, "first"));
    std::thread::spawn(move || serve_as_core(&second, "second"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 1..=turns {
                let core = places[usize::try_from(turn).unwrap() % 2];
                write(folder.path(), access, from_core, core, turn);
                // Those that come while one is being read are one.
                let id = service.child.id().to_string();
                assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
                assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
                let deadline = clock::now() + SOON;
                while service.reloads("applied") < turn && clock::now() < deadline {}
            }
            done.store(true, Ordering::Relaxed);
        });
        let (mut calls, mut standing) = (0, VecDeque::new());
        let mut phone = Phone { socket: &phone, edge: access, sent: 0 };
        let mut by_core = [0, 0];
        while !done.load(Ordering::Relaxed) || !standing.is_empty() {
            if !done.load(Ordering::Relaxed) {
                calls += 1;
                let answered = phone.ask("INVITE", calls, "", &[]);
                let tag = answered.to_tag().to_owned();
                by_core[usize::from(tag == "second")] += 1;
                let mut routes: Vec<String> = answered.values(Name::RecordRoute).map(str::to_owned).collect();
                routes.reverse();
                phone.send("ACK", calls, &format!(";tag={tag}"), &routes);
                standing.push_back((calls, tag, routes));
            }
            if standing.len() > STANDING || done.load(Ordering::Relaxed) {
                let (call, tag, routes) = standing.pop_front().unwrap();
                let ended = phone.ask("BYE", call, &format!(";tag={tag}"), &routes);
                let via = ended.first(Name::Contact).unwrap().to_owned();
                let its_core = places[usize::from(tag == "second")].to_string();
                assert!(via.contains(&its_core), "call {call} was with {its_core} and ended with {via}");
            }
        }
        assert!(calls >= turns && by_core.iter().all(|calls| *calls > 0), "{calls} calls: {by_core:?}");
    });
    assert!(service.reloads("applied") >= turns);
    assert_eq!(service.reloads("refused"), 0);
}
