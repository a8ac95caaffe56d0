//! Bad input at every door of the real process: it is answered or dropped with a counted reason, and the service goes on.

#![expect(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use cusax_load::phone::within;
use cusax_load::{Phone, PhoneConfig};
use cusax_tests::interop::{CUSAX, KAMAILIO, PROSODY, SIPP, available};
use cusax_tests::ports::Port;
use cusax_tests::process::{Process, Ready};
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{COMPONENT, Cusax, DOMAIN, Settings};
use cusax_tests::tour::Stage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(15);

/// A server that takes the component in and then says what it is told to.
struct Server {
    listener: TcpListener,
}

impl Server {
    async fn bind(port: &mut Port) -> Self {
        Self { listener: TcpListener::bind(port.release()).await.unwrap() }
    }

    async fn take_in(&self) -> TcpStream {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        read_until(&mut stream, b">").await;
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' from='{COMPONENT}' id='1'>"
        );
        stream.write_all(header.as_bytes()).await.unwrap();
        read_until(&mut stream, b"</handshake>").await;
        stream.write_all(b"<handshake/>").await.unwrap();
        stream
    }
}

async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0, "closed after {:?}", String::from_utf8_lossy(&read));
    }
    read
}

struct House {
    cusax: Cusax,
    process: Process,
    _scratch: Scratch,
}

impl House {
    /// cusax beside a component server of ours, with a TCP listener besides.
    async fn open() -> (Self, Server, TcpStream) {
        let scratch = Scratch::new("bad-input").unwrap();
        let [server, mut component, clients] = [(); 3].map(|()| Port::free().unwrap());
        let mut settings = Settings::claim(server.address(), component.address(), clients.address()).unwrap();
        settings.more =
            format!("[[sip.listener]]\naddress = \"tcp:{}\"\nzone = \"access\"\n", settings.access.address());
        let mut cusax = Cusax::install(&scratch, settings).unwrap();
        cusax.add_account("alice", "wonderland-1", &[]).unwrap();
        let server = Server::bind(&mut component).await;
        let (stream, process) = tokio::join!(server.take_in(), cusax.serve());
        (Self { cusax, process: process.unwrap(), _scratch: scratch }, server, stream)
    }

    fn access(&self) -> SocketAddr {
        self.cusax.settings().access.address()
    }

    async fn count(&self, series: &str) -> u64 {
        let page = cusax_tests::http::get(self.cusax.settings().http.address(), "/metrics").await.unwrap();
        page.body.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok()).expect(series)
    }

    /// Waits until a series has come to a value.
    async fn counts(&self, series: &str, least: u64) {
        let deadline = within(SOON);
        while self.count(series).await < least {
            assert!(cusax_net::clock::now() < deadline, "{series} stays below {least}");
            tokio::task::yield_now().await;
        }
    }

    async fn serves(&self) {
        let mut phone = PhoneConfig::new("alice", DOMAIN, "", self.access(), 400.0);
        phone.login = None;
        let phone = Phone::start(phone).unwrap();
        let target = format!("sip:{}", self.access());
        let response = phone.request("OPTIONS", &target, &[], None, within(SOON)).await.unwrap();
        assert_eq!(response.status, 200);
        assert!(self.process.is_running());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_udp_and_strangers_at_the_core_are_counted_and_nobody_else_notices() {
    if !available("bad input", &[CUSAX]) {
        return;
    }
    let (house, _server, _stream) = House::open().await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let smuggled = b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKs\r\n\
        From: <sip:a@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: s\r\nCSeq: 1 INVITE\r\n\
        Call-Info\x01: <xmpp:eve@evil>;purpose=impp\r\n\r\n";
    let nuls = [0_u8; 1_000];
    let huge = vec![b'x'; 60_000];
    for round in 0..300_u32 {
        let noise: Vec<u8> =
            (0..200_u32).map(|at| (round.wrapping_mul(31).wrapping_add(at * at) % 251) as u8).collect();
        for junk in [&noise[..], &nuls, b"INVITE sip:bob@example.com SIP/2.0\r\n", smuggled, &huge[..]] {
            socket.send_to(junk, house.access()).unwrap();
        }
        socket.send_to(b"OPTIONS sip:x SIP/2.0\r\n\r\n", house.cusax.settings().core.address()).unwrap();
        if round % 50 == 0 {
            house.serves().await;
        }
    }
    house.counts("cusax_sip_dropped_total{reason=\"malformed\"}", 300).await;
    house.counts("cusax_sip_dropped_total{reason=\"acl\"}", 100).await;
    house.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_message_on_tcp_is_given_up_and_counted_while_a_slow_one_is_answered() {
    if !available("bad input", &[CUSAX]) {
        return;
    }
    let (house, _server, _stream) = House::open().await;
    let mut half = TcpStream::connect(house.access()).await.unwrap();
    half.write_all(b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKh\r\n")
        .await
        .unwrap();
    let mut slow = TcpStream::connect(house.access()).await.unwrap();
    let options = format!(
        "OPTIONS sip:{} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKo\r\nFrom: <sip:a@example.com>;tag=1\r\n\
         To: <sip:{}>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        house.access(),
        house.access()
    );
    for byte in options.as_bytes() {
        slow.write_all(&[*byte]).await.unwrap();
        slow.flush().await.unwrap();
    }
    let answer = read_until(&mut slow, b"\r\n\r\n").await;
    assert!(answer.starts_with(b"SIP/2.0 200"), "{}", String::from_utf8_lossy(&answer));
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), half.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "half a message is waited for for ever");
    house.counts("cusax_sip_dropped_total{reason=\"deadline\"}", 1).await;
    let mut garbage = TcpStream::connect(house.access()).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let _ = garbage.read_to_end(&mut rest).await;
    house.counts("cusax_sip_dropped_total{reason=\"malformed\"}", 1).await;
    house.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xml_that_xmpp_forbids_ends_the_stream_and_a_new_one_is_opened() {
    if !available("bad input", &[CUSAX]) {
        return;
    }
    let (house, server, mut stream) = House::open().await;
    let lies: [&[u8]; 3] = [
        b"<!DOCTYPE lolz [<!ENTITY lol \"lol\">]><message><body>&lol;</body></message>",
        b"<message><!-- a comment --></message>",
        b"<message from='a@b' to='cusax.example.com'><body>&undefined;</body></message>",
    ];
    for (count, lie) in (1..).zip(lies) {
        stream.write_all(lie).await.unwrap();
        let mut end = Vec::new();
        stream.read_to_end(&mut end).await.unwrap();
        let end = String::from_utf8_lossy(&end).into_owned();
        assert!(end.contains("restricted-xml"), "{end}");
        house.counts("cusax_xmpp_dropped_total{reason=\"restricted\"}", count).await;
        house.serves().await;
        stream = tokio::time::timeout(SOON, server.take_in()).await.expect("the component comes back");
    }
    house.counts("cusax_xmpp_connected{component=\"cusax.example.com\"}", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rtp_from_a_stranger_is_counted_and_never_heard() {
    if !available("bad input", &[CUSAX, KAMAILIO, PROSODY, SIPP]) {
        return;
    }
    let mut stage = Stage::raise("strangers", |_, _| {}).await.unwrap();
    let room = "standup@conference.example.com".parse().unwrap();
    let entered = stage.chat("alice").await.unwrap().enter(&room, "alice", None, within(SOON)).await.unwrap();
    if entered.created {
        stage.chat("alice").await.unwrap().configure(&room, &[], within(SOON)).await.unwrap();
    }
    let mut calls = Vec::new();
    for user in ["alice", "bob"] {
        let call = stage.phone(user, None).unwrap().call("sip:standup@conference.example.com", &[]).unwrap();
        call.answered(within(SOON)).await.unwrap();
        calls.push(call);
    }
    calls[0].until_heard(Stage::hertz("bob"), within(SOON)).await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 160, 9, 9, 9, 9];
    packet.resize(172, 0x10);
    for _ in 0..100 {
        for port in stage.cusax.settings().media.iter().step_by(2) {
            stranger.send_to(&packet, port.address()).unwrap();
        }
    }
    let deadline = within(SOON);
    let series = "cusax_rtp_dropped_total{reason=\"stranger\"}";
    loop {
        let metrics = stage.metrics().await.unwrap();
        let count: u64 = metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok()).unwrap();
        if count >= 1_000 {
            break;
        }
        assert!(cusax_net::clock::now() < deadline, "{count} strangers were counted");
        tokio::task::yield_now().await;
    }
    assert!(calls[0].hears(Stage::hertz("bob")) && calls[1].hears(Stage::hertz("alice")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_directory_still_opens_doors_and_refuses_changes_clearly() {
    if !available("bad input", &[CUSAX]) {
        return;
    }
    let scratch = Scratch::new("read-only").unwrap();
    let [mut server, mut component, clients] = [(); 3].map(|()| Port::free().unwrap());
    // Nobody is there: the system says so at once.
    let core = server.release();
    let settings = Settings::claim(core, component.address(), clients.address()).unwrap();
    let mut cusax = Cusax::install(&scratch, settings).unwrap();
    cusax.add_account("alice", "wonderland-1", &[]).unwrap();
    // Who runs as root may write anything: then the service runs as somebody else.
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    std::fs::set_permissions(cusax.directory(), std::fs::Permissions::from_mode(0o444)).unwrap();
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let nobody = 65_534;
    if root {
        std::os::unix::fs::chown(cusax.dir(), Some(nobody), Some(nobody)).unwrap();
        std::os::unix::fs::chown(cusax.secret_file(), Some(nobody), Some(nobody)).unwrap();
    }
    // Where it was built, somebody else may not be able to read it.
    let program = scratch.path().join("program");
    std::fs::copy(CUSAX.find().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).args(["--config", "cusax.toml"]).current_dir(cusax.dir());
        if root {
            command.uid(nobody).gid(nobody);
        }
        command
    };
    let refused = command(&["account", "remove", "alice@example.com"]).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("read-only") || words.contains("read only"), "{words}");
    let serve = command(&["serve"]);
    let fake = Server::bind(&mut component).await;
    let access = cusax.settings().access.address();
    let http = cusax.settings().http.address();
    let process = async {
        let dir = cusax.dir().to_owned();
        cusax.hand_over().unwrap();
        let mut process = Process::start("cusax", serve, dir).unwrap();
        process.ready(Ready::Http(http, "/livez"), Duration::from_secs(30)).await.unwrap();
        process
    };
    let (_stream, process) = tokio::join!(fake.take_in(), process);
    let phone = Phone::start(PhoneConfig::new("alice", DOMAIN, "wonderland-1", access, 400.0)).unwrap();
    // There is no core behind this edge: credentials that are right lead there, and nobody is there.
    let response = phone.register(60, within(SOON)).await.unwrap();
    assert!(response.status >= 500, "{}", response.status);
    let metrics = cusax_tests::http::get(http, "/metrics").await.unwrap().body;
    assert!(metrics.contains("cusax_sip_auth_total{algorithm=\"SHA-256\",result=\"ok\"} 1"), "{metrics}");
    let log = process.log();
    assert!(log.contains("\"state\":\"read_only\""), "{log}");
    assert!(process.is_running());
}
