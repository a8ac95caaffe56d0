//! Phones and browsers over TLS and WebSockets, in front of a core that is reached by TLS; all by the real binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod authority;
mod certificates;
mod core;
mod reload;
mod service;
mod wire;

use std::net::SocketAddr;

use cusax_sip::Name;
use cusax_sip::digest::{Challenge, Credentials, Qop, ha1};

use authority::Authority;
use core::Core;
use service::{Service, free_addresses};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::Wire;

/// A service with a listener of each kind, and the core behind it.
struct Setup {
    authority: Authority,
    /// That of users' certificates.
    users: Authority,
    service: Service,
    core: Core,
    tls: SocketAddr,
    wss: SocketAddr,
    ws: SocketAddr,
    proxied: SocketAddr,
    proxied_tcp: SocketAddr,
    from_core: SocketAddr,
    folder: tempfile::TempDir,
}

impl Setup {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let users = Authority::new();
        users.write_as_users(folder.path(), &["sip:bob@example.com"]);
        let core = Core::start(&authority, &["localhost"]).await;
        let [tls, wss, ws, proxied, proxied_tcp, from_core] = free_addresses();
        authority.write(folder.path(), &["example.com"]);
        let file = format!(
            r#"
            [service]
            domain = "example.com"
            [tls]
            certificate = "cert.pem"
            private_key = "key.pem"
            client_ca = "ca.pem"
            user_ca = "user-ca.pem"
            user_crl = "user-crl.pem"
            server_ca = "ca.pem"
            [[sip.listener]]
            address = "tls:{tls}"
            zone = "access"
            user_certificates = true
            [[sip.listener]]
            address = "wss:{wss}"
            zone = "access"
            [[sip.listener]]
            address = "ws:{ws}"
            zone = "access"
            origins = ["https://phone.example.com"]
            [[sip.listener]]
            address = "tls:{proxied}"
            zone = "access"
            proxy_protocol = ["127.0.0.1"]
            [[sip.listener]]
            address = "tcp:{proxied_tcp}"
            zone = "access"
            proxy_protocol = ["127.0.0.1"]
            [[sip.listener]]
            address = "tls:{from_core}"
            zone = "core"
            [sip.core]
            targets = ["sip:localhost:{};transport=tls"]
            certificate_names = ["core.example.com"]
            [http]
            listen = "127.0.0.1:0"
            [telemetry]
            level = "debug"
            "#,
            core.port
        );
        std::fs::write(folder.path().join("cusax.toml"), file).unwrap();
        service::add_account(folder.path(), "alice", "s3cret");
        let service = Service::start(folder.path());
        Self { authority, users, service, core, tls, wss, ws, proxied, proxied_tcp, from_core, folder }
    }
}

/// What a balancer sends first, for 192.0.2.7 at port 5060.
const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x13\xc4\x13\xc5";

/// A phone of alice's.
struct Phone {
    wire: Wire,
    /// What its Via and Contact say of the transport.
    transport: &'static str,
    via: &'static str,
}

impl Phone {
    fn request(&self, method: &str, uri: &str, cseq: u32, more: &str) -> String {
        // RFC 7118: a browser does not know its address.
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{} df7jal23ls0d.invalid;branch=z9hG4bK{}{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\nTo: <sip:alice@example.com>\r\n\
             Call-ID: {}-registers\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:alice@df7jal23ls0d.invalid;transport={}>\r\nSupported: path, outbound\r\n{more}\
             Content-Length: 0\r\n\r\n",
            self.via, self.via, self.via, self.transport
        )
    }

    /// Registers with digest through the edge; gives the Path that the core was told.
    async fn register(&mut self, core: &mut Core) -> String {
        self.wire.send(&self.request("REGISTER", "sip:example.com", 1, "")).await;
        let challenged = self.wire.receive().await;
        assert_eq!(challenged.status(), Some(401));
        let challenge = challenged.first(Name::WwwAuthenticate).and_then(Challenge::parse).unwrap();
        let secret = ha1(challenge.algorithm, "alice", &challenge.realm, "s3cret");
        let qop = Qop { cnonce: "c0".into(), count: 1 };
        let answer = Credentials::answer(&challenge, "alice", &secret, "REGISTER", "sip:example.com", qop);
        let line = format!("Authorization: {answer}\r\n");
        self.wire.send(&self.request("REGISTER", "sip:example.com", 2, &line)).await;
        let arrived = core.request("REGISTER").await;
        let path = arrived.first(Name::Path).unwrap().to_owned();
        core.answer(&arrived, "200 OK").await;
        assert_eq!(self.wire.receive().await.status(), Some(200));
        path
    }
}

/// A phone registers, is called back through its flow and no other way, and is gone when its connection is.
async fn lives(mut phone: Phone, setup: &mut Setup) {
    let path = phone.register(&mut setup.core).await;
    let contact = format!("sip:alice@df7jal23ls0d.invalid;transport={}", phone.transport);
    setup.core.call("MESSAGE", &contact, &path, 1).await;
    let called = phone.wire.receive().await;
    assert_eq!(called.request_uri().unwrap().text, contact);
    let via = called.first(Name::Via).unwrap();
    assert!(via.starts_with(&format!("SIP/2.0/{} 127.0.0.1:", phone.via)), "{via}");
    phone.wire.answer(&called, "200 OK").await;
    assert_eq!(setup.core.response().await.status(), Some(200));

    let (leg, transport) = ("client", phone.via.to_ascii_lowercase());
    let open = format!(r#"cusax_sip_connections{{leg="{leg}",transport="{transport}"}}"#);
    setup.service.becomes(&open, 1.0);
    phone.wire.close().await;
    setup.service.becomes(&open, 0.0);
    setup.core.call("MESSAGE", &contact, &path, 2).await;
    assert_eq!(setup.core.response().await.status(), Some(430));
}

#[tokio::test]
async fn phone_over_tls_is_reached_through_its_flow_until_its_connection_ends() {
    let mut setup = Setup::new().await;
    let wire = Wire::tls(setup.tls, &setup.authority, None).await.unwrap();
    lives(Phone { wire, transport: "tls", via: "TLS" }, &mut setup).await;
    let handshakes = |side: &str| {
        let name = "cusax_tls_handshakes_total";
        setup.service.series(&format!(r#"{name}{{aspect="sip",result="ok",side="{side}",version="1.3"}}"#))
    };
    assert_eq!((handshakes("server"), handshakes("client")), (1.0, 1.0));
}

#[tokio::test]
async fn browser_over_wss_and_ws_is_reached_through_its_flow_until_its_connection_ends() {
    let mut setup = Setup::new().await;
    let wire = Wire::wss(setup.wss, &setup.authority).await;
    lives(Phone { wire, transport: "ws", via: "WSS" }, &mut setup).await;
    let wire = Wire::ws(setup.ws).await;
    lives(Phone { wire, transport: "ws", via: "WS" }, &mut setup).await;
}

#[tokio::test]
async fn phone_behind_a_balancer_is_the_one_that_the_balancer_names() {
    let setup = Setup::new().await;
    let wire = Wire::tls(setup.proxied, &setup.authority, Some(HEADER)).await.unwrap();
    let mut phone = Phone { wire, transport: "tls", via: "TLS" };
    let request = phone.request("REGISTER", "sip:example.com", 1, "");
    phone.wire.send(&request).await;
    let challenged = phone.wire.receive().await;
    let via = challenged.first(Name::Via).unwrap();
    assert!(via.contains(";received=192.0.2.7") && via.contains(";rport=5060"), "{via}");
    assert!(Wire::tls(setup.proxied, &setup.authority, None).await.is_err());
    setup.service.becomes(r#"cusax_sip_dropped_total{reason="proxy_header"}"#, 1.0);
}

#[tokio::test]
async fn header_of_who_is_no_balancer_is_no_header() {
    let setup = Setup::new().await;
    let elsewhere = "127.0.0.2".parse().unwrap();
    let wire = Wire::tls_by(elsewhere, setup.proxied, &setup.authority, None).await.unwrap();
    let mut phone = Phone { wire, transport: "tls", via: "TLS" };
    let request = phone.request("REGISTER", "sip:example.com", 1, "");
    phone.wire.send(&request).await;
    let challenged = phone.wire.receive().await;
    let via = challenged.first(Name::Via).unwrap();
    assert!(via.contains(";received=127.0.0.2"), "{via}");
    assert!(Wire::tls_by(elsewhere, setup.proxied, &setup.authority, Some(HEADER)).await.is_err());
    setup.service.becomes(r#"cusax_sip_dropped_total{reason="tls"}"#, 1.0);
    let request = [HEADER, phone.request("REGISTER", "sip:example.com", 2, "").as_bytes()].concat();
    let answer = wire::plain_from(elsewhere, setup.proxied_tcp, &request).await;
    assert_eq!(answer.trim(), "", "nothing of what followed was taken for a request");
    setup.service.becomes(r#"cusax_sip_dropped_total{reason="malformed"}"#, 1.0);
    setup.service.becomes(r#"cusax_sip_dropped_total{reason="proxy_header"}"#, 0.0);
}

#[tokio::test]
async fn page_of_another_origin_opens_no_websocket() {
    let setup = Setup::new().await;
    let upgrade = b"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Protocol: sip\r\nOrigin: https://evil.example\r\n\r\n";
    let answer = wire::plain(setup.ws, upgrade).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    setup.service.becomes(r#"cusax_sip_dropped_total{reason="origin"}"#, 1.0);
}

#[tokio::test]
async fn what_is_no_tls_and_no_websocket_is_dropped_and_counted() {
    let setup = Setup::new().await;
    for address in [setup.tls, setup.wss] {
        wire::plain(address, b"OPTIONS sip:example.com SIP/2.0\r\n\r\n").await;
    }
    wire::plain(setup.ws, b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").await;
    setup.service.becomes(r#"cusax_sip_dropped_total{reason="tls"}"#, 2.0);
    setup.service.becomes(r#"cusax_sip_dropped_total{reason="websocket"}"#, 1.0);
    let failed = r#"cusax_tls_handshakes_total{aspect="sip",result="invalid",side="server",version="none"}"#;
    assert_eq!(setup.service.series(failed), 2.0);
}

#[tokio::test]
async fn all_is_answered_that_comes_at_once_on_a_connection_that_is_read() {
    const REQUESTS: usize = 2_000;
    let setup = Setup::new().await;
    let (mut reads, mut writes) = TcpStream::connect(setup.proxied_tcp).await.unwrap().into_split();
    let at = setup.proxied_tcp;
    let mut sent = HEADER.to_vec();
    for number in 0..REQUESTS {
        let request = format!(
            "OPTIONS sip:{at};transport=tcp SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bK-{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:load@example.com>;tag=1\r\nTo: <sip:{at}>\r\nCall-ID: {number}\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        sent.extend_from_slice(request.as_bytes());
    }
    let write = async { writes.write_all(&sent).await.unwrap() };
    let read = async {
        let mut answers = Vec::new();
        let whole = |answers: &[u8]| answers.windows(12).filter(|window| *window == b"SIP/2.0 200 ").count();
        while whole(&answers) < REQUESTS {
            let count = timeout(wire::SOON, reads.read_buf(&mut answers)).await.unwrap().unwrap();
            assert!(count > 0, "{} answers, and no more", whole(&answers));
        }
    };
    tokio::join!(write, read);
}
