//! A phone of good manners: it registers and calls, answers challenges, repeats what is not answered, and waits when it is told to.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use cusax_load::phone::within;
use cusax_net::clock;
use cusax_sip::digest::{Challenge, Credentials, Qop, ha1};
use cusax_sip::{Address, Compose, Message, Method, Name};
use cusax_tests::server::DOMAIN;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// For the answer to one request, all repetitions included.
const PATIENCE: Duration = Duration::from_secs(32);
/// RFC 3261 §17.1: T1, and T2.
const REPEATS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));

pub(crate) struct Neighbour {
    user: &'static str,
    password: &'static str,
    socket: UdpSocket,
    address: SocketAddr,
    remote: SocketAddr,
    challenge: Option<Challenge>,
    count: u32,
    number: u32,
    /// Requests that were answered as they should be.
    pub(crate) asked: u64,
    /// How often it was told to come again later.
    pub(crate) busy: u32,
    pub(crate) slowest: Duration,
}

/// A call that stands: what its BYE needs.
pub(crate) struct Standing {
    pub(crate) call: String,
    answer: Message,
}

impl Neighbour {
    pub(crate) async fn new(user: &'static str, password: &'static str, remote: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (challenge, slowest) = (None, Duration::ZERO);
        Self { user, password, socket, address, remote, challenge, count: 0, number: 0, asked: 0, busy: 0, slowest }
    }

    /// A registration, and a call from beginning to end.
    pub(crate) async fn round(&mut self) {
        let answer = self.ask("REGISTER", &format!("sip:{DOMAIN}"), self.user, "register", &[]).await;
        assert_eq!(answer.status(), Some(200));
        let standing = self.call().await;
        self.hang_up(&standing).await;
    }

    /// Calls until it is answered.
    pub(crate) async fn call(&mut self) -> Standing {
        let call = format!("call-{}-{}", self.number, self.address.port());
        let answer = self.ask("INVITE", &format!("sip:bob@{DOMAIN}"), "bob", &call, &[]).await;
        assert_eq!(answer.status(), Some(200), "{}", answer.first_line());
        let standing = Standing { call, answer };
        let ack = self.within(&standing, "ACK").empty();
        self.socket.send_to(&ack, self.remote).await.unwrap();
        standing
    }

    pub(crate) async fn hang_up(&mut self, standing: &Standing) {
        let bye = self.within(standing, "BYE").empty();
        let answer = self.answered(&bye, "BYE").await;
        assert_eq!(answer.status(), Some(200), "{}", answer.first_line());
        self.asked += 1;
    }

    /// Sends a request until somebody takes it.
    async fn ask(&mut self, method: &str, target: &str, to: &str, call: &str, lines: &[(&str, &str)]) -> Message {
        for _ in 0..20 {
            let to = format!("<sip:{to}@{DOMAIN}>");
            let compose = self.begin(method, target, &to, call);
            let mut compose = lines.iter().fold(compose, |compose, (name, value)| compose.header(name, value));
            if let Some(challenge) = &self.challenge {
                self.count += 1;
                let ha1 = ha1(challenge.algorithm, self.user, &challenge.realm, self.password);
                let qop = Qop { count: self.count, cnonce: "neighbour".into() };
                let answer = Credentials::answer(challenge, self.user, &ha1, method, target, qop).to_string();
                let name = if method == "REGISTER" { "Authorization" } else { "Proxy-Authorization" };
                compose = compose.header(name, &answer);
            }
            let request = compose.empty();
            let answer = self.answered(&request, method).await;
            if method == "INVITE" && answer.status() >= Some(300) {
                self.acknowledge(&request, &answer).await;
            }
            let challenge = [Name::WwwAuthenticate, Name::ProxyAuthenticate]
                .into_iter()
                .find_map(|name| answer.values(name).find_map(Challenge::parse));
            match answer.status() {
                Some(401 | 407) => (self.challenge, self.count) = (challenge, 0),
                Some(503) => {
                    self.busy += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                _ => {
                    self.asked += 1;
                    return answer;
                }
            }
        }
        panic!("nobody takes {method}");
    }

    fn begin(&mut self, method: &str, target: &str, to: &str, call: &str) -> Compose {
        self.number += 1;
        let Self { number, address, user, .. } = self;
        Compose::request(method, target)
            .header("Via", &format!("SIP/2.0/UDP {address};rport;branch=z9hG4bK-{number}"))
            .header("Max-Forwards", "70")
            .header("From", &format!("<sip:{user}@{DOMAIN}>;tag=neighbour"))
            .header("To", to)
            .header("Call-ID", call)
            .header("CSeq", &format!("{number} {method}"))
            .header("Contact", &format!("<sip:{user}@{address}>"))
    }

    /// A request within a call; its ACK has the INVITE's number.
    fn within(&mut self, standing: &Standing, method: &str) -> Compose {
        let answer = &standing.answer;
        let contact = answer.first(Name::Contact).and_then(Address::parse).unwrap().uri_text.to_owned();
        if method == "ACK" {
            self.number -= 1;
        }
        let mut compose = self.begin(method, &contact, answer.first(Name::To).unwrap(), &standing.call);
        let mut routes: Vec<_> = answer.values(Name::RecordRoute).collect();
        routes.reverse();
        for route in routes {
            compose = compose.header("Route", route);
        }
        compose
    }

    async fn acknowledge(&self, request: &Bytes, answer: &Message) {
        let request = Message::parse(request.clone()).unwrap();
        let (number, _) = request.cseq().unwrap();
        let ack = Compose::request("ACK", request.request_uri_text())
            .header("Via", request.first(Name::Via).unwrap())
            .header("From", request.first(Name::From).unwrap())
            .header("To", answer.first(Name::To).unwrap())
            .header("Call-ID", request.call_id())
            .header("CSeq", &format!("{number} ACK"))
            .empty();
        self.socket.send_to(&ack, self.remote).await.unwrap();
    }

    /// The final response to a request, which is repeated until it comes.
    async fn answered(&mut self, request: &Bytes, method: &str) -> Message {
        let sent = Message::parse(request.clone()).unwrap();
        let (begun, deadline) = (clock::now(), within(PATIENCE));
        let (mut pause, longest) = REPEATS;
        while clock::now() < deadline {
            self.socket.send_to(request, self.remote).await.unwrap();
            if let Ok(answer) = timeout(pause, self.final_response(&sent)).await {
                self.slowest = self.slowest.max(clock::now() - begun);
                return answer;
            }
            pause = (pause * 2).min(longest);
        }
        panic!("{method} of {} is not answered", sent.call_id());
    }

    async fn final_response(&self, request: &Message) -> Message {
        let mut buffer = vec![0; 65_535];
        loop {
            let length = self.socket.recv(&mut buffer).await.unwrap();
            let Ok(message) = Message::parse(Bytes::copy_from_slice(&buffer[..length])) else { continue };
            let ours = message.call_id() == request.call_id() && message.cseq() == request.cseq();
            if ours && message.status() >= Some(200) && message.method() != Method::Ack {
                return message;
            }
        }
    }
}
