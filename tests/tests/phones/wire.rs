//! A user agent that is nothing but a UDP socket and a script: it sends what it is told, as often as it is told.

use std::net::SocketAddr;
use std::time::Duration;

use cusax_sip::digest::{Challenge, Credentials, Qop, ha1};
use cusax_tests::server::DOMAIN;
use tokio::net::UdpSocket;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// The socket and where it sends to.
pub(crate) struct Wire {
    user: String,
    socket: UdpSocket,
    address: SocketAddr,
    remote: SocketAddr,
}

/// A message as it came.
pub(crate) struct Text {
    pub(crate) text: String,
}

impl Text {
    /// The values of a header, in order.
    pub(crate) fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.split("\r\n").filter_map(move |line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// One value of a header.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> &'a str {
        self.header(name).next().unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }

    /// What follows the header.
    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// A response to it, with these lines besides; each ends with CRLF. A To without a tag gets one.
    pub(crate) fn answer(&self, status: &str, lines: &str) -> String {
        self.answer_as(status, "wire", lines, "")
    }

    /// A response to it with a tag of this name, and a session description where there is one.
    pub(crate) fn answer_as(&self, status: &str, tag: &str, lines: &str, body: &str) -> String {
        let mut response = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in self.header(name) {
                let new = name == "To" && !value.contains(";tag=") && !status.starts_with("100");
                let tag = if new { format!(";tag={tag}") } else { String::new() };
                response.push_str(&format!("{name}: {value}{tag}\r\n"));
            }
        }
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!("{response}{lines}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
    }

    /// The CSeq number.
    pub(crate) fn number(&self) -> u32 {
        self.one("CSeq").split(' ').next().unwrap().parse().unwrap()
    }

    /// `200 OK` to it.
    pub(crate) fn ok(&self) -> String {
        self.answer("200 OK", "")
    }
}

impl Wire {
    /// One on a port that the system gives.
    pub(crate) async fn new(user: &str, remote: SocketAddr) -> Self {
        Self::on(user, ([127, 0, 0, 1], 0).into(), remote).await
    }

    /// One at this address.
    pub(crate) async fn on(user: &str, address: SocketAddr, remote: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).await.unwrap();
        let address = socket.local_addr().unwrap();
        Self { user: user.to_owned(), socket, address, remote }
    }

    /// The INVITE of a call whose Call-ID this is.
    pub(crate) fn invite(&self, target: &str, call: &str) -> String {
        self.request("INVITE", target, 1, &format!("<{target}>"), call, &self.contact())
    }

    /// Where it is called.
    pub(crate) fn contact(&self) -> String {
        format!("Contact: <sip:{}@{}>\r\n", self.user, self.address)
    }

    /// A REGISTER of its own address.
    pub(crate) fn register(&self) -> String {
        let (registrar, record) = (format!("sip:{DOMAIN}"), format!("<sip:{}@{DOMAIN}>", self.user));
        let contact = self.contact() + "Expires: 600\r\n";
        self.request("REGISTER", &registrar, 1, &record, "register", &contact)
    }

    /// A request within the dialog that this response to our INVITE made.
    pub(crate) fn within(&self, answer: &Text, method: &str, cseq: u32) -> String {
        self.within_with(answer, method, cseq, "")
    }

    /// The same with these lines besides; each ends with CRLF.
    pub(crate) fn within_with(&self, answer: &Text, method: &str, cseq: u32, lines: &str) -> String {
        let target = answer.one("Contact").split(['<', '>']).nth(1).unwrap();
        let mut routes: Vec<_> = answer.header("Record-Route").collect();
        routes.reverse();
        let routes: String = routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        self.request(method, target, cseq, answer.one("To"), answer.one("Call-ID"), &(routes + lines))
    }

    /// A request within the dialog that our answer to this INVITE made.
    pub(crate) fn back(&self, invite: &Text, method: &str, cseq: u32, lines: &str) -> String {
        let target = invite.one("Contact").split(['<', '>']).nth(1).unwrap();
        let routes: String = invite.header("Record-Route").map(|route| format!("Route: {route}\r\n")).collect();
        self.request(method, target, cseq, invite.one("From"), invite.one("Call-ID"), &(routes + lines))
    }

    /// Sends a request and, once it is challenged, sends it again with credentials; what was sent at last.
    pub(crate) async fn send_proven(&mut self, request: &str, password: &str) -> String {
        let (method, rest) = request.split_once(' ').unwrap();
        let uri = rest.split(' ').next().unwrap();
        let (challenges, answers) = match method {
            "REGISTER" => ("WWW-Authenticate", "Authorization"),
            _ => ("Proxy-Authenticate", "Proxy-Authorization"),
        };
        self.send(request, 1).await;
        let refused = self.receive("SIP/2.0 40", method).await;
        if method == "INVITE" {
            self.send(&self.ack(request, &refused), 1).await;
        }
        let challenge = Challenge::parse(refused.one(challenges)).unwrap();
        let secret = ha1(challenge.algorithm, &self.user, &challenge.realm, password);
        let qop = Qop { cnonce: "wire".into(), count: 1 };
        let answer = Credentials::answer(&challenge, &self.user, &secret, method, uri, qop);
        let cseq = request.split("\r\nCSeq: ").nth(1).unwrap().split(' ').next().unwrap();
        let next = cseq.parse::<u32>().unwrap() + 1;
        let proven = request
            .replace(&format!("-{method}-{cseq}\r\n"), &format!("-{method}-{next}\r\n"))
            .replace(&format!("\r\nCSeq: {cseq} "), &format!("\r\n{answers}: {answer}\r\nCSeq: {next} "));
        self.send(&proven, 1).await;
        proven
    }

    /// The CANCEL of this INVITE.
    pub(crate) fn cancel(&self, invite: &str) -> String {
        let lines = invite.split_inclusive("\r\n").filter(|line| !line.starts_with("Contact:"));
        let text: String = lines.collect();
        text.replacen("INVITE ", "CANCEL ", 1).replace(" INVITE\r\n", " CANCEL\r\n")
    }

    /// The ACK to this refusal of this INVITE.
    pub(crate) fn ack(&self, invite: &str, refusal: &Text) -> String {
        let text = invite.replacen("INVITE ", "ACK ", 1).replace(" INVITE\r\n", " ACK\r\n");
        let to = text.split("\r\n").find(|line| line.starts_with("To: ")).unwrap().to_owned();
        text.replace(&to, &format!("To: {}", refusal.one("To")))
    }

    fn request(&self, method: &str, uri: &str, cseq: u32, to: &str, call: &str, lines: &str) -> String {
        let Self { user, address, .. } = self;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch=z9hG4bK-{call}-{method}-{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{DOMAIN}>;tag=wire\r\nTo: {to}\r\nCall-ID: {call}\r\n\
             CSeq: {cseq} {method}\r\n{lines}Content-Length: 0\r\n\r\n"
        )
    }

    /// Sends a message so many times at once.
    pub(crate) async fn send(&self, message: &str, times: usize) {
        for _ in 0..times {
            self.socket.send_to(message.as_bytes(), self.remote).await.unwrap();
        }
    }

    /// The next message that begins so, however its headers are written.
    pub(crate) async fn any(&mut self, start: &str) -> String {
        self.next(|text| text.text.starts_with(start)).await.text
    }

    /// The next message that begins so and whose CSeq is of this method; others are passed over.
    pub(crate) async fn receive(&mut self, start: &str, method: &str) -> Text {
        self.next(|text| text.text.starts_with(start) && text.one("CSeq").ends_with(method)).await
    }

    /// Whether a message that begins so is there already; those before it are passed over.
    pub(crate) fn has(&self, start: &str) -> bool {
        let mut buffer = vec![0; 65_535];
        while let Ok(length) = self.socket.try_recv(&mut buffer) {
            if buffer[..length].starts_with(start.as_bytes()) {
                return true;
            }
        }
        false
    }

    async fn next(&mut self, wanted: impl Fn(&Text) -> bool) -> Text {
        let next = async {
            let mut buffer = vec![0; 65_535];
            loop {
                let length = self.socket.recv(&mut buffer).await.unwrap();
                let text = Text { text: String::from_utf8_lossy(&buffer[..length]).into_owned() };
                if wanted(&text) {
                    return text;
                }
            }
        };
        timeout(PATIENCE, next).await.expect("the message that the script waits for")
    }
}
