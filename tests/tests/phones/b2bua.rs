//! A core that is a back-to-back user agent, as Asterisk and FreeSWITCH are: its second leg is a call of its own, and all that it says of
//! the caller is P-Asserted-Identity.

use std::collections::HashMap;
use std::net::SocketAddr;

use cusax_sip::Name;
use cusax_tests::interop::{CUSAX, available};
use cusax_tests::ports::Port;
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{Edge, Hop};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::call::{connect, hang_up, hold};
use crate::stage::{USERS, phone, soon};
use crate::wire::Text;

/// One side of a call: the core's dialog with a phone.
#[derive(Clone, Default)]
struct Leg {
    call: String,
    /// From or To of the core, with its tag.
    local: String,
    /// From or To of the phone.
    remote: String,
    target: String,
    routes: Vec<String>,
    cseq: u32,
    /// The Call-ID of the other side.
    peer: String,
}

/// The core: a socket, bindings, legs by Call-ID.
struct Core {
    socket: UdpSocket,
    address: SocketAddr,
    edge: SocketAddr,
    bindings: HashMap<String, (String, Vec<String>)>,
    legs: HashMap<String, Leg>,
    /// Requests of one leg that were sent on in the other, by Call-ID and CSeq there.
    pending: HashMap<(String, String), Text>,
    branches: u32,
}

impl Core {
    async fn run(mut self) {
        let mut buffer = vec![0; 65_535];
        loop {
            let length = self.socket.recv(&mut buffer).await.unwrap();
            let message = Text { text: String::from_utf8_lossy(&buffer[..length]).into_owned() };
            if message.text.starts_with("SIP/2.0 ") {
                self.response(&message).await;
            } else {
                self.request(message).await;
            }
        }
    }

    async fn request(&mut self, request: Text) {
        let method = request.text.split(' ').next().unwrap().to_owned();
        match method.as_str() {
            "OPTIONS" => self.send(&request.ok()).await,
            "REGISTER" => self.register(&request).await,
            "ACK" => self.acknowledge(&request).await,
            _ if self.pending.values().any(|pending| pending.text == request.text) => {}
            "INVITE" if !request.one("To").contains(";tag=") => self.invite(request).await,
            _ => {
                let Some(leg) = self.legs.get(request.one("Call-ID")) else {
                    return self.send(&request.answer("481 Call/Transaction Does Not Exist", "")).await;
                };
                let peer = leg.peer.clone();
                let rack = request.header("RAck").map(|rack| self.rack(rack, &peer)).next().unwrap_or_default();
                self.pass(&method, &peer, request, &rack).await;
            }
        }
    }

    async fn register(&mut self, request: &Text) {
        let user = user_of(request.one("To"));
        let contact = uri_of(request.one("Contact"));
        let path: Vec<_> = request.header("Path").map(str::to_owned).collect();
        let answer = request.answer("200 OK", &format!("Contact: <{contact}>;expires=600\r\n"));
        self.bindings.insert(user, (contact, path));
        self.send(&answer).await;
    }

    /// A new call, whose second leg tells no more than whom we assert and what privacy is wanted.
    async fn invite(&mut self, request: Text) {
        let Some((contact, path)) = self.bindings.get(&user_of(request.one("To"))).cloned() else {
            return self.send(&request.answer("404 Not Found", "")).await;
        };
        let (call, second) = (request.one("Call-ID").to_owned(), format!("second-{}", request.one("Call-ID")));
        let routes = request.header("Record-Route").map(str::to_owned).collect();
        let first = Leg {
            call: call.clone(),
            local: format!("{};tag=core", request.one("To")),
            remote: request.one("From").to_owned(),
            target: uri_of(request.one("Contact")),
            routes,
            cseq: 0,
            peer: second.clone(),
        };
        let leg = Leg {
            call: second.clone(),
            local: format!("{};tag=core", request.one("From").split(";tag=").next().unwrap()),
            remote: request.one("To").to_owned(),
            target: contact,
            routes: path,
            cseq: 0,
            peer: call.clone(),
        };
        self.legs.extend([(call.clone(), first), (second.clone(), leg)]);
        let asserted =
            request.header("X-Assert").chain(request.header("P-Asserted-Identity")).next().unwrap_or_default();
        let mut lines = format!("P-Asserted-Identity: {asserted}\r\n");
        lines.extend(request.header("Supported").map(|value| format!("Supported: {value}\r\n")));
        lines.extend(request.header("Privacy").map(|value| format!("Privacy: {value}\r\n")));
        self.pass("INVITE", &second, request, &lines).await;
    }

    /// What a PRACK of one leg acknowledges in the other: the same response, to the INVITE there.
    fn rack(&self, rack: &str, to: &str) -> String {
        let invite = self.pending.keys().find(|(call, cseq)| call == to && cseq.ends_with("INVITE")).unwrap();
        format!("RAck: {} {}\r\n", rack.split(' ').next().unwrap(), invite.1)
    }

    /// Sends a request of one leg as the core's own in the other.
    async fn pass(&mut self, method: &str, to: &str, request: Text, lines: &str) {
        let Some(leg) = self.legs.get_mut(to) else { return };
        leg.cseq += 1;
        let cseq = format!("{} {method}", leg.cseq);
        let text = self.compose(to, method, &cseq, lines, request.body());
        if method == "INVITE" {
            self.send(&request.answer("100 Trying", "")).await;
        }
        self.pending.insert((to.to_owned(), cseq), request);
        self.send(&text).await;
    }

    async fn response(&mut self, response: &Text) {
        let (call, cseq) = (response.one("Call-ID").to_owned(), response.one("CSeq").to_owned());
        let line = response.text.split("\r\n").next().unwrap()["SIP/2.0 ".len()..].to_owned();
        let Some(leg) = self.legs.get_mut(&call) else { return };
        if !leg.remote.contains(";tag=") {
            leg.remote = response.one("To").to_owned();
        }
        if matches!(line.as_bytes()[0], b'1' | b'2') && !line.starts_with("100") && cseq.ends_with("INVITE") {
            leg.target = uri_of(response.one("Contact"));
            leg.routes = response.header("Record-Route").map(str::to_owned).collect();
            leg.routes.reverse();
        }
        let Some(request) = self.pending.get(&(call.clone(), cseq.clone())) else { return };
        if line.starts_with("100") {
            return;
        }
        let mut lines = format!("Contact: <sip:core@{}>\r\n", self.address);
        for name in ["Require", "RSeq"] {
            lines.extend(response.header(name).map(|value| format!("{name}: {value}\r\n")));
        }
        let answer = request.answer_as(&line, "core", &lines, response.body());
        self.send(&answer).await;
        if !line.starts_with('1') {
            if cseq.ends_with("INVITE") && !line.starts_with('2') {
                let number = cseq.replace("INVITE", "ACK");
                let ack = self.compose(&call, "ACK", &number, "", "");
                self.send(&ack).await;
            }
            if cseq.ends_with("BYE") {
                self.pending.remove(&(call, cseq));
            }
        }
    }

    /// The ACK of one leg to a 2xx is the other's too.
    async fn acknowledge(&mut self, ack: &Text) {
        let Some(leg) = self.legs.get(ack.one("Call-ID")) else { return };
        let peer = leg.peer.clone();
        let number = self.legs[&peer].cseq;
        let text = self.compose(&peer, "ACK", &format!("{number} ACK"), "", ack.body());
        self.send(&text).await;
    }

    fn compose(&mut self, call: &str, method: &str, cseq: &str, lines: &str, body: &str) -> String {
        self.branches += 1;
        let (address, branch) = (self.address, self.branches);
        let Leg { call, local, remote, target, routes, .. } = &self.legs[call];
        let routes: String = routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bKcore{branch}\r\n{routes}Max-Forwards: 70\r\n\
             From: {local}\r\nTo: {remote}\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\nContact: <sip:core@{address}>\r\n{lines}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.edge).await.unwrap();
    }
}

fn uri_of(address: &str) -> String {
    address.split(['<', '>']).nth(1).unwrap_or(address).to_owned()
}

fn user_of(address: &str) -> String {
    uri_of(address).trim_start_matches("sip:").split('@').next().unwrap_or_default().to_owned()
}

/// The edge before such a core.
pub(crate) struct Stage {
    pub(crate) edge: Edge,
    core: JoinHandle<()>,
    _port: Port,
    _scratch: Scratch,
}

impl Stage {
    pub(crate) async fn raise() -> Self {
        let scratch = Scratch::new("b2bua").unwrap();
        let mut port = Port::free().unwrap();
        let mut edge = Edge::install(&scratch, port.address(), Hop::Udp, &USERS, "").unwrap();
        let address = port.release();
        let core = Core {
            socket: UdpSocket::bind(address).await.unwrap(),
            address,
            edge: edge.core(),
            bindings: HashMap::new(),
            legs: HashMap::new(),
            pending: HashMap::new(),
            branches: 0,
        };
        let core = tokio::spawn(core.run());
        edge.serve().await.unwrap();
        Self { edge, core, _port: port, _scratch: scratch }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.core.abort();
    }
}

const ALICE: f64 = 700.0;
const BOB: f64 = 1_100.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_leg_names_the_caller_that_the_core_asserts() {
    if !available("b2bua", &[CUSAX]) {
        return;
    }
    let stage = Stage::raise().await;
    let (alice, bob) = (phone(&stage.edge, "alice", ALICE).await, phone(&stage.edge, "bob", BOB).await);
    let ours = "<xmpp:alice@example.com>;purpose=impp";
    for (headers, told, asserted) in [
        (&[][..], Some(ours), Some("<sip:alice@example.com>")),
        (&[("Privacy", "id")][..], None, None),
        // Whom the core asserts is what counts, not who called.
        (
            &[("X-Assert", "<sip:carol@example.com>")][..],
            Some("<xmpp:carol@example.com>;purpose=impp"),
            Some("<sip:carol@example.com>"),
        ),
        (&[("X-Assert", "<sip:stranger@biloxi.example>")][..], None, Some("<sip:stranger@biloxi.example>")),
    ] {
        let call = alice.call("sip:bob@example.com", headers).unwrap();
        let incoming = bob.incoming(soon()).await.unwrap();
        let invite = &incoming.invite().message;
        assert!(invite.call_id().starts_with("second-"), "a call of its own");
        assert_eq!(invite.first(Name::CallInfo), told, "{headers:?}");
        assert_eq!(invite.first(Name::PAssertedIdentity), asserted, "{headers:?}");
        incoming.reject(486, &[]);
        assert!(call.answered(soon()).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_through_a_b2bua_are_held_and_hung_up_from_both_sides() {
    if !available("b2bua", &[CUSAX]) {
        return;
    }
    let stage = Stage::raise().await;
    let (alice, bob) = (phone(&stage.edge, "alice", ALICE).await, phone(&stage.edge, "bob", BOB).await);
    for (caller, callee, hears) in [(&alice, &bob, [BOB, ALICE]), (&bob, &alice, [ALICE, BOB])] {
        let (outgoing, incoming) = connect(caller, callee, hears).await;
        hold(&outgoing, &incoming).await;
        hold(&incoming, &outgoing).await;
        hang_up(&incoming, &outgoing).await;
    }
}
