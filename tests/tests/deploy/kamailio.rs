//! `deploy/kamailio/kamailio.cfg`: registrar and proxy that believe the edge.

use std::net::SocketAddr;
use std::time::Duration;

use cusax_tests::interop::{KAMAILIO, SIPP, available};
use cusax_tests::ports::Port;
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{Gateway, Kamailio};
use tokio::net::UdpSocket;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

/// The edge, played by one UDP socket.
struct Edge {
    socket: UdpSocket,
    address: SocketAddr,
    server: SocketAddr,
    sent: u32,
}

impl Edge {
    async fn on(port: &mut Port, server: SocketAddr) -> Self {
        let address = port.release();
        Self { socket: UdpSocket::bind(address).await.unwrap(), address, server, sent: 0 }
    }

    /// Sends a request with a Via of its own; `header` lines end with CRLF.
    async fn send(&mut self, method: &str, uri: &str, call: &str, cseq: u32, to_tag: &str, header: &str) -> String {
        self.sent += 1;
        let request = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{call}{}\r\nMax-Forwards: 69\r\n\
             From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>{to_tag}\r\nCall-ID: {call}\r\n\
             CSeq: {cseq} {method}\r\n{header}Content-Length: 0\r\n\r\n",
            self.address, self.sent
        );
        self.socket.send_to(request.as_bytes(), self.server).await.unwrap();
        request
    }

    async fn answer(&self, request: &str, status: &str) {
        let mut response = format!("SIP/2.0 {status}\r\n");
        for line in request.lines().take_while(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap();
            if ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"].contains(&name) {
                let tag = if name == "To" && !line.contains(";tag=") { ";tag=b" } else { "" };
                response.push_str(&format!("{line}{tag}\r\n"));
            }
        }
        response.push_str("Contact: <sip:bob@192.0.2.7:5099>\r\nContent-Length: 0\r\n\r\n");
        self.socket.send_to(response.as_bytes(), self.server).await.unwrap();
    }

    /// The next message that begins so; others on the way are passed over.
    async fn receive(&self, start: &str) -> String {
        let mut buffer = [0; 65_535];
        let wanted = async {
            loop {
                let length = self.socket.recv(&mut buffer).await.unwrap();
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if message.starts_with(start) {
                    return message;
                }
            }
        };
        timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("nothing that begins with {start:?} came"))
    }

    fn path(&self) -> String {
        format!("<sip:token@{};lr>", self.address)
    }

    /// Registers bob as the edge passes it on.
    async fn register(&mut self) -> String {
        let header =
            format!("Contact: <sip:bob@192.0.2.7:5099>;expires=600\r\nPath: {}\r\nSupported: path\r\n", self.path());
        self.send("REGISTER", "sip:example.com", "register", 1, "", &header).await;
        self.receive("SIP/2.0 200").await
    }
}

fn header<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("{name}: ");
    message.lines().filter_map(|line| line.strip_prefix(start.as_str())).collect()
}

/// A Kamailio, the edge in front of it, and the port of a gateway that is not there yet.
async fn kamailio(scratch: &Scratch) -> (Kamailio, Edge, Port) {
    let mut edge = Port::free().unwrap();
    let gateway = Port::free().unwrap();
    let server = Kamailio::start(scratch, Port::free().unwrap(), edge.address(), gateway.address()).await.unwrap();
    let edge = Edge::on(&mut edge, server.address()).await;
    (server, edge, gateway)
}

#[tokio::test]
async fn kamailio_answers_the_edges_probe_and_nobody_elses() {
    if !available("kamailio", &[KAMAILIO]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let (mut server, mut edge, _gateway) = kamailio(&scratch).await;
    let uri = format!("sip:{}", server.address());
    let mut stranger = Edge::on(&mut Port::free().unwrap(), server.address()).await;
    stranger.send("OPTIONS", &uri, "stranger", 1, "", "").await;
    edge.send("OPTIONS", &uri, "probe", 1, "", "").await;
    edge.receive("SIP/2.0 200").await;
    let mut buffer = [0; 64];
    assert!(stranger.socket.try_recv(&mut buffer).is_err());
    server.says("dropped OPTIONS from").await.unwrap();
}

#[tokio::test]
async fn kamailio_keeps_the_path_and_calls_along_it() {
    if !available("kamailio", &[KAMAILIO]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let (server, mut edge, _gateway) = kamailio(&scratch).await;
    let registered = edge.register().await;
    assert_eq!(header(&registered, "Path"), [edge.path()]);
    assert!(server.bindings().unwrap().contains(&format!("Path: {}", edge.path())));

    let own = format!("Record-Route: <sip:{};lr;x=1>\r\n", edge.address);
    let more = format!(
        "Route: <sip:{};lr>\r\n{own}Contact: <sip:alice@192.0.2.8>\r\nCall-Info: <xmpp:alice@example.com>;purpose=impp\r\n",
        server.address()
    );
    edge.send("INVITE", "sip:bob@example.com", "call", 1, "", &more).await;
    let invite = edge.receive("INVITE sip:bob@192.0.2.7:5099 ").await;
    assert_eq!(header(&invite, "Route"), [edge.path()]);
    assert_eq!(header(&invite, "Call-Info"), ["<xmpp:alice@example.com>;purpose=impp"]);
    let routes = header(&invite, "Record-Route");
    assert!(routes[0].starts_with(&format!("<sip:{};lr", server.address())), "{routes:?}");
    edge.answer(&invite, "200 OK").await;
    edge.receive("SIP/2.0 200").await;

    let route = format!("Route: {}, {}\r\n", routes[0], edge.path());
    edge.send("ACK", "sip:bob@192.0.2.7:5099", "call", 1, ";tag=b", &route).await;
    let ack = edge.receive("ACK sip:bob@192.0.2.7:5099 ").await;
    assert_eq!(header(&ack, "Route"), [edge.path()]);
    edge.send("BYE", "sip:bob@192.0.2.7:5099", "call", 2, ";tag=b", &route).await;
    let bye = edge.receive("BYE sip:bob@192.0.2.7:5099 ").await;
    edge.answer(&bye, "200 OK").await;
    edge.receive("SIP/2.0 200").await;
}

#[tokio::test]
async fn kamailio_cancels_along_the_path() {
    if !available("kamailio", &[KAMAILIO]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let (server, mut edge, _gateway) = kamailio(&scratch).await;
    edge.register().await;
    let request = edge.send("INVITE", "sip:bob@example.com", "call", 1, "", "Contact: <sip:alice@192.0.2.8>\r\n").await;
    let invite = edge.receive("INVITE sip:bob@192.0.2.7:5099 ").await;
    edge.answer(&invite, "180 Ringing").await;
    edge.receive("SIP/2.0 180").await;
    let cancel = request.replace("INVITE", "CANCEL").replace("Contact: <sip:alice@192.0.2.8>\r\n", "");
    edge.socket.send_to(cancel.as_bytes(), server.address()).await.unwrap();
    let cancel = edge.receive("CANCEL sip:bob@192.0.2.7:5099 ").await;
    assert_eq!(header(&cancel, "Route"), [edge.path()]);
    edge.answer(&cancel, "200 OK").await;
    edge.answer(&invite, "487 Request Terminated").await;
    edge.receive("SIP/2.0 487").await;
}

#[tokio::test]
async fn kamailio_sends_numbers_to_the_gateway_which_answers_and_holds() {
    if !available("kamailio and sipp", &[KAMAILIO, SIPP]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let (server, mut edge, port) = kamailio(&scratch).await;
    let gateway = Gateway::start(&scratch, port).await.unwrap();
    let contact = "Contact: <sip:alice@192.0.2.8>\r\n";
    for (uri, user) in [
        ("sip:+19005551234@example.com", "+19005551234"),
        ("tel:+19005550000", "+19005550000"),
        ("sip:911@example.com", "911"),
        ("urn:service:sos", "112"),
    ] {
        edge.send("INVITE", uri, user, 1, "", contact).await;
        edge.receive("SIP/2.0 180").await;
        let answer = edge.receive("SIP/2.0 200").await;
        assert!(answer.contains("m=audio"), "{answer}");
        assert!(gateway.was_called(user), "{user}");
        let tag = header(&answer, "To")[0].split_once(";tag=").unwrap().1.to_owned();
        let route = format!("Route: {}\r\n", header(&answer, "Record-Route")[0]);
        let target = format!("sip:gateway@{}", gateway.address());
        edge.send("ACK", &target, user, 1, &format!(";tag={tag}"), &route).await;
        edge.send("BYE", &target, user, 2, &format!(";tag={tag}"), &route).await;
        edge.receive("SIP/2.0 200").await;
    }
    assert!(server.process().is_running());
}

#[tokio::test]
async fn kamailio_leaves_other_domains_to_the_edge_and_unknown_users_to_nobody() {
    if !available("kamailio", &[KAMAILIO]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let (_server, mut edge, _gateway) = kamailio(&scratch).await;
    let contact = "Contact: <sip:alice@192.0.2.8>\r\n";
    edge.send("INVITE", "sip:bob@biloxi.example", "peer", 1, "", contact).await;
    edge.receive("INVITE sip:bob@biloxi.example ").await;
    edge.send("INVITE", "sip:nobody@example.com", "nobody", 1, "", contact).await;
    edge.receive("SIP/2.0 480").await;
    edge.send("BYE", "sip:bob@192.0.2.7", "lost", 1, ";tag=b", "").await;
    edge.receive("SIP/2.0 481").await;
}
