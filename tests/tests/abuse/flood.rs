//! Floods, each of so many datagrams at a pace that a small machine can take in; those who do not look at answers get them all the same.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use cusax_sip::digest::{Challenge, Credentials, Qop};
use cusax_sip::{Message, Name};
use cusax_tests::server::DOMAIN;
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Datagrams of one tick.
const BURST: usize = 12;
const TICK: Duration = Duration::from_millis(4);

pub(crate) struct Flood {
    sockets: Vec<UdpSocket>,
    to: SocketAddr,
}

impl Flood {
    /// From so many addresses and ports.
    async fn from(sources: u8, to: SocketAddr) -> Self {
        let mut sockets = Vec::new();
        for host in 1..=sources {
            sockets.push(UdpSocket::bind(SocketAddr::from(([127, 0, 2, host], 0))).await.unwrap());
        }
        Self { sockets, to }
    }

    async fn pour(&self, count: usize, mut make: impl FnMut(usize, &UdpSocket) -> Vec<u8>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0..count {
            if number % BURST == 0 {
                ticks.tick().await;
            }
            let socket = &self.sockets[number % self.sockets.len()];
            // What does not go out at once is not missed.
            let _ = socket.try_send_to(&make(number, socket), self.to);
        }
    }

    pub(crate) async fn garbage(to: SocketAddr, count: usize) {
        let flood = Self::from(20, to).await;
        flood
            .pour(count, |number, _| match number % 4 {
                0 => (1..200_usize).map(|at| (number.wrapping_mul(31) + at * at) as u8 | 1).collect(),
                1 => request("INVITE", "sip:bob@example.com", number, "").into_bytes()[..number % 150 + 20].to_vec(),
                2 => b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
                _ => b"INVITE sip:bob@example.com\0 SIP/2.0\r\n: \r\n".to_vec(),
            })
            .await;
    }

    pub(crate) async fn oversized(to: SocketAddr, count: usize) {
        let flood = Self::from(20, to).await;
        let long = request("MESSAGE", "sip:bob@example.com", 1, &format!("Subject: {}\r\n", "x".repeat(40_000)));
        let lines = request("MESSAGE", "sip:bob@example.com", 2, &"X: y\r\n".repeat(500));
        flood.pour(count, |number, _| if number % 2 == 0 { &long } else { &lines }.clone().into_bytes()).await;
    }

    pub(crate) async fn repeated(to: SocketAddr, count: usize) {
        let flood = Self::from(20, to).await;
        let [invite, register] = ["INVITE", "REGISTER"].map(|method| request(method, "sip:example.com", 7, ""));
        let options = request("OPTIONS", &format!("sip:{to}"), 8, "");
        flood.pour(count, |number, _| [&invite, &register, &options][number % 3].clone().into_bytes()).await;
    }

    /// Responses with branches that nobody made, some of them as ours look.
    pub(crate) async fn forged_answers(to: SocketAddr, count: usize) {
        let flood = Self::from(200, to).await;
        let forge = |number: usize, _: &UdpSocket| {
            let branch = format!("z9hG4bK-{}-{:08x}-{:016x}", number % 64, number.wrapping_mul(2_654_435_761), number);
            let (status, method) = ([200, 180, 486, 603][number % 4], ["INVITE", "BYE", "OPTIONS"][number % 3]);
            format!(
                "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP {to};branch={branch}\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx\r\n\
                 From: <sip:alice@{DOMAIN}>;tag=neighbour\r\nTo: <sip:bob@{DOMAIN}>;tag=evil\r\nCall-ID: call-{number}\r\n\
                 CSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n"
            )
            .into_bytes()
        };
        flood.pour(count, forge).await;
    }

    /// CANCELs by strangers, with the branches that the phone uses.
    pub(crate) async fn cancels(to: SocketAddr, count: usize) {
        let flood = Self::from(200, to).await;
        let cancel = |number: usize, socket: &UdpSocket| {
            let (from, branch) = (socket.local_addr().unwrap(), number % 400);
            format!(
                "CANCEL sip:bob@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bK-{branch}\r\n\
                 From: <sip:alice@{DOMAIN}>;tag=neighbour\r\nTo: <sip:bob@{DOMAIN}>\r\nCall-ID: call-{branch}\r\n\
                 CSeq: {branch} CANCEL\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            .into_bytes()
        };
        flood.pour(count, cancel).await;
    }

    /// Registrations of the phone's own account with passwords that are tried one after the other, with good nonces and bad.
    pub(crate) async fn wrong_passwords(to: SocketAddr, count: usize) {
        let flood = Self::from(50, to).await;
        let mut challenges = Vec::new();
        for (number, socket) in flood.sockets.iter().enumerate() {
            challenges.push(challenged(socket, to, number).await);
        }
        let target = format!("sip:{DOMAIN}");
        let wrong = |number: usize, _: &UdpSocket| {
            let Some(challenge) = &challenges[number % challenges.len()] else { return Vec::new() };
            let mut challenge = challenge.clone();
            if number / challenges.len() % 2 == 1 {
                challenge.nonce = "bm9ib2R5J3M".to_owned();
            }
            let count = u32::try_from(number / challenges.len()).unwrap() + 1;
            let qop = Qop { count, cnonce: "flood".into() };
            let ha1 = format!("{number:032x}");
            let answer = Credentials::answer(&challenge, "alice", &ha1, "REGISTER", &target, qop).to_string();
            request("REGISTER", &target, number, &format!("Authorization: {answer}\r\n")).into_bytes()
        };
        flood.pour(count, wrong).await;
    }

    /// What only the core may say, by others.
    pub(crate) async fn at_the_core(to: SocketAddr, count: usize) {
        let flood = Self::from(100, to).await;
        flood.pour(count, |number, _| request("INVITE", "sip:bob@198.51.100.1", number, "").into_bytes()).await;
    }

    pub(crate) async fn of_one_source(to: SocketAddr, count: usize) {
        let flood = Self::from(1, to).await;
        let methods = ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE"];
        flood.pour(count, |number, _| request(methods[number % 4], "sip:example.com", number, "").into_bytes()).await;
    }
}

async fn challenged(socket: &UdpSocket, to: SocketAddr, number: usize) -> Option<Challenge> {
    let register = request("REGISTER", &format!("sip:{DOMAIN}"), number, "");
    let mut buffer = vec![0; 4_096];
    for _ in 0..5 {
        socket.send_to(register.as_bytes(), to).await.ok()?;
        let Ok(Ok(length)) = timeout(Duration::from_secs(2), socket.recv(&mut buffer)).await else { continue };
        let answer = Message::parse(Bytes::copy_from_slice(&buffer[..length])).ok()?;
        return answer.values(Name::WwwAuthenticate).find_map(Challenge::parse);
    }
    None
}

fn request(method: &str, target: &str, number: usize, lines: &str) -> String {
    format!(
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.200;rport;branch=z9hG4bKf{number}\r\n\
         From: <sip:alice@{DOMAIN}>;tag=f{number}\r\nTo: <sip:alice@{DOMAIN}>\r\nCall-ID: flood-{number}\r\n\
         CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContact: <sip:alice@192.0.2.200>\r\n{lines}Content-Length: 0\r\n\r\n"
    )
}
