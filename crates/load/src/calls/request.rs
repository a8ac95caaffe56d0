//! The requests of callers: everything in one but the numbers is made before the run.

use std::net::SocketAddr;

use cusax_sip::uri::Scheme;
use cusax_sip::{Flow, Message, Transport, Uri, flow};

use super::common::{Common, put};
use super::number::{ATTEMPTS, COOKIE, Name, Number, Purpose};
use super::plan::End;

/// What is always the same in what one end sends.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) flow: Flow,
    /// `Via` up to the cookie of its branch.
    via: Vec<u8>,
    /// The whole line.
    pub(super) contact: Vec<u8>,
    /// Headers of the body, the empty line and the body.
    pub(super) offer: Vec<u8>,
}

impl Draft {
    pub(super) fn new(end: &End, transport: Transport) -> Self {
        let local = &end.local;
        let parameter = match transport {
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            Transport::Udp | Transport::Ws | Transport::Wss | Transport::Internal => "",
        };
        let host = local.rsplit_once(':').map_or(local.as_str(), |(host, _)| host);
        let (family, address) = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => ("IP6", address),
            None => ("IP4", host),
        };
        // Nobody sends audio: the port is where RTP is thrown away (discard), and the stream says so.
        let body = format!(
            "v=0\r\no=- 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n\
             m=audio 9 RTP/AVP 0\r\na=inactive\r\n"
        );
        let length = body.len();
        let mut via = format!("Via: SIP/2.0/{} {local};rport;branch=", flow::via_name(transport)).into_bytes();
        via.extend_from_slice(COOKIE);
        Self {
            flow: end.flow,
            via,
            contact: format!("Contact: <sip:{local}{parameter}>\r\n").into_bytes(),
            offer: format!("Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes(),
        }
    }
}

/// A caller's call: all else of its INVITE follows from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialled {
    pub(super) number: Number,
    pub(super) end: usize,
    pub(super) caller: usize,
    pub(super) callee: usize,
}

impl Common {
    pub(super) fn dialled(&self, number: Number) -> Dialled {
        let (caller, callee) = self.plan.users.pair(number.serial, self.plan.seed);
        let end = (number.serial % self.callers.len().max(1) as u64) as usize;
        Dialled { number, end, caller, callee }
    }

    pub(super) fn invite(&self, call: Dialled, attempt: u8, credentials: &str, out: &mut Vec<u8>) {
        let uri = &self.plan.users.callee(call.callee).uri;
        self.begin(call, b"INVITE ", uri.as_bytes(), Purpose::Invite, attempt, &self.route, out);
        self.from(call, out);
        put(out, &[b"To: <", uri.as_bytes(), b">\r\n"]);
        self.sequence(call, INVITE[usize::from(attempt)], out);
        let end = &self.callers[call.end];
        put(out, &[&end.contact, &self.headers, credentials.as_bytes(), &end.offer]);
    }

    /// RFC 3261 §9.1: the INVITE's Via, Route and headers.
    pub(super) fn cancel(&self, call: Dialled, attempt: u8, out: &mut Vec<u8>) {
        let uri = &self.plan.users.callee(call.callee).uri;
        self.begin(call, b"CANCEL ", uri.as_bytes(), Purpose::Invite, attempt, &self.route, out);
        self.from(call, out);
        put(out, &[b"To: <", uri.as_bytes(), b">\r\n"]);
        self.sequence(call, CANCEL[usize::from(attempt)], out);
        out.extend_from_slice(EMPTY);
    }

    /// The ACK of a refusal: a part of the INVITE's transaction (RFC 3261 §17.1.1.3).
    pub(super) fn ack_refusal(&self, call: Dialled, attempt: u8, response: &Message, out: &mut Vec<u8>) {
        let uri = &self.plan.users.callee(call.callee).uri;
        self.begin(call, b"ACK ", uri.as_bytes(), Purpose::Invite, attempt, &self.route, out);
        self.from(call, out);
        to_line(response, out);
        self.sequence(call, ACK[usize::from(attempt)], out);
        out.extend_from_slice(EMPTY);
    }

    /// A request in the dialog that a 2xx made (RFC 3261 §12.2.1.1): the ACK, or the BYE. Tells where it goes.
    pub(super) fn in_dialog(
        &self,
        call: Dialled,
        purpose: Purpose,
        attempt: u8,
        response: &Message,
        out: &mut Vec<u8>,
    ) -> Flow {
        let target = response.address(cusax_sip::Name::Contact).map(|contact| contact.uri_text);
        let target = target.unwrap_or(&self.plan.users.callee(call.callee).uri);
        let mut route = Vec::new();
        let mut hops = [const { 0..0 }; MAX_HOPS];
        let mut count = 0;
        for (hop, place) in response.value_spans(cusax_sip::Name::RecordRoute).zip(&mut hops) {
            *place = hop;
            count += 1;
        }
        // §12.1.2: in reverse order.
        for hop in hops[..count].iter().rev() {
            put(&mut route, &[b"Route: ", &response.bytes()[hop.clone()], b"\r\n"]);
        }
        let first = hops[..count].last().and_then(|hop| std::str::from_utf8(&response.bytes()[hop.clone()]).ok());
        let first = first.and_then(cusax_sip::Address::parse).map(|address| address.uri_text);
        let (method, sequences): (&[u8], _) = match purpose {
            Purpose::Bye => (b"BYE ", &BYE),
            Purpose::Call | Purpose::Answer | Purpose::Invite | Purpose::Ack | Purpose::Register => (b"ACK ", &ACK),
        };
        self.begin(call, method, target.as_bytes(), purpose, attempt, &route, out);
        self.from(call, out);
        to_line(response, out);
        self.sequence(call, sequences[usize::from(attempt)], out);
        out.extend_from_slice(EMPTY);
        let flow = self.callers[call.end].flow;
        match flow.transport {
            Transport::Udp => Flow { remote: address(first.unwrap_or(target)).unwrap_or(flow.remote), ..flow },
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss | Transport::Internal => flow,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the first lines of a request have as many parts")]
    fn begin(
        &self,
        call: Dialled,
        method: &[u8],
        uri: &[u8],
        purpose: Purpose,
        attempt: u8,
        route: &[u8],
        out: &mut Vec<u8>,
    ) {
        put(out, &[method, uri, b" SIP/2.0\r\n", &self.callers[call.end].via]);
        self.names.write(Name { purpose, attempt, number: call.number }, out);
        put(out, &[b"\r\n", route, b"Max-Forwards: 70\r\n"]);
    }

    fn from(&self, call: Dialled, out: &mut Vec<u8>) {
        put(out, &[b"From: <", self.plan.users.callers[call.caller].uri.as_bytes(), b">;tag="]);
        self.names.write(Name { purpose: Purpose::Call, attempt: 0, number: call.number }, out);
        out.extend_from_slice(b"\r\n");
    }

    fn sequence(&self, call: Dialled, line: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"Call-ID: ");
        self.names.write(Name { purpose: Purpose::Call, attempt: 0, number: call.number }, out);
        put(out, &[b"\r\n", line]);
    }

    pub(super) fn register(&self, number: Number, user: usize, attempt: u8, credentials: &str, out: &mut Vec<u8>) {
        let Some(draft) = self.registering(number.serial) else { return };
        let uri = self.plan.users.callers[user].uri.as_bytes();
        put(out, &[b"REGISTER ", self.registrar(user).as_bytes(), b" SIP/2.0\r\n", &draft.via]);
        self.names.write(Name { purpose: Purpose::Register, attempt, number }, out);
        put(out, &[b"\r\n", &self.route, b"Max-Forwards: 70\r\nFrom: <", uri, b">;tag="]);
        self.names.write(Name { purpose: Purpose::Call, attempt: 0, number }, out);
        put(out, &[b"\r\nTo: <", uri, b">\r\nCall-ID: "]);
        self.names.write(Name { purpose: Purpose::Register, attempt: 0, number }, out);
        put(out, &[b"\r\n", REGISTER[usize::from(attempt)]]);
        let contact = self.callee.as_ref().unwrap_or(draft);
        put(out, &[&contact.contact, &self.expires, credentials.as_bytes(), EMPTY]);
    }

    /// Where a user is registered: the domain of his address (RFC 3261 §10.2).
    pub(super) fn registrar(&self, user: usize) -> String {
        let uri = &self.plan.users.callers[user].uri;
        let host = Uri::parse(uri).map_or("", |uri| uri.host);
        format!("sip:{host}")
    }

    /// The way that a user registers on: over UDP that of the callees, for servers call him where he registered from.
    pub(super) fn registering(&self, serial: u64) -> Option<&Draft> {
        let callee = self.callee.as_ref().filter(|callee| callee.flow.transport == Transport::Udp);
        callee.or_else(|| self.callers.get((serial % self.callers.len().max(1) as u64) as usize))
    }
}

/// Where a URI leads without DNS: its address and port, or the default one (RFC 3263 §4.2).
fn address(uri: &str) -> Option<SocketAddr> {
    let uri = Uri::parse(uri).filter(|uri| matches!(uri.scheme, Scheme::Sip | Scheme::Sips))?;
    Some(SocketAddr::new(uri.address()?, uri.port.unwrap_or(5060)))
}

fn to_line(response: &Message, out: &mut Vec<u8>) {
    if let Some(to) = response.lines(cusax_sip::Name::To).next() {
        out.extend_from_slice(&response.bytes()[to.line()]);
    }
}

pub(super) const EMPTY: &[u8] = b"Content-Length: 0\r\n\r\n";

/// More Record-Routes than any way has.
const MAX_HOPS: usize = 16;

/// The CSeq lines of each attempt.
type Sequence = [&'static [u8]; ATTEMPTS as usize];
const INVITE: Sequence = [b"CSeq: 1 INVITE\r\n", b"CSeq: 2 INVITE\r\n", b"CSeq: 3 INVITE\r\n"];
const ACK: Sequence = [b"CSeq: 1 ACK\r\n", b"CSeq: 2 ACK\r\n", b"CSeq: 3 ACK\r\n"];
const CANCEL: Sequence = [b"CSeq: 1 CANCEL\r\n", b"CSeq: 2 CANCEL\r\n", b"CSeq: 3 CANCEL\r\n"];
const BYE: Sequence = [b"CSeq: 11 BYE\r\n", b"CSeq: 12 BYE\r\n", b"CSeq: 13 BYE\r\n"];
const REGISTER: Sequence = [b"CSeq: 1 REGISTER\r\n", b"CSeq: 2 REGISTER\r\n", b"CSeq: 3 REGISTER\r\n"];
