//! A phone, as the focus sees it behind the edge.

use bytes::Bytes;
use cusax_sip::{Message, Name};

pub(crate) const ROUTE: &str = "<sip:token@edge.example.test;lr>";

/// Somebody's phone and its call.
#[derive(Clone, Debug)]
pub(crate) struct Phone {
    pub(crate) user: &'static str,
    /// Number of its call.
    pub(crate) call: u32,
    pub(crate) cseq: u32,
    /// Where it hears.
    pub(crate) media: String,
    /// Vias below the edge's own.
    pub(crate) vias: String,
    /// How the edge asserts it.
    pub(crate) asserted: String,
    to_tag: String,
}

impl Phone {
    pub(crate) fn new(user: &'static str, call: u32) -> Self {
        Self {
            user,
            call,
            cseq: 1,
            media: format!("192.0.2.{} {}", call % 200 + 1, 10_000 + call),
            vias: format!("SIP/2.0/UDP 192.0.2.{};branch=z9hG4bKp{call}", call % 200 + 1),
            asserted: format!("<sip:{user}@example.test>"),
            to_tag: String::new(),
        }
    }

    pub(crate) fn call_id(&self) -> String {
        format!("call-{}@phone", self.call)
    }

    /// Our half of the Session-ID.
    pub(crate) fn session(&self) -> String {
        format!("{:032x}", 0xc0de_0000 + self.call)
    }

    pub(crate) fn sdp(&self, direction: &str) -> String {
        let (address, port) = self.media.split_once(' ').unwrap();
        format!(
            "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8\r\na={direction}\r\n"
        )
    }

    pub(crate) fn invite(&mut self, uri: &str, body: &str) -> Bytes {
        self.to_tag.clear();
        self.request("INVITE", uri, "", body)
    }

    pub(crate) fn request(&mut self, method: &str, uri: &str, headers: &str, body: &str) -> Bytes {
        if !matches!(method, "ACK" | "CANCEL") {
            self.cseq += 1;
        }
        let tag = if self.to_tag.is_empty() { String::new() } else { format!(";tag={}", self.to_tag) };
        // An ACK to a 2xx is a transaction of its own, a CANCEL has that of its INVITE.
        let branch = format!("{}x{}{}", self.call, self.cseq, if method == "ACK" { "a" } else { "" });
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        // As the edge names itself: calls of the tests that came through the core have further Via values.
        let zone = if self.vias.contains(',') { "core" } else { "access" };
        Bytes::from(format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {zone}.invalid;branch=z9hG4bK{branch}\r\nVia: {}\r\nRecord-Route: {ROUTE}\r\n\
             From: <sip:{}@example.test>;tag=p{}\r\nTo: <{uri}>{tag}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\n\
             Max-Forwards: 69\r\nContact: <sip:{}@192.0.2.9:5070>\r\nP-Asserted-Identity: {}\r\n\
             Session-ID: {};remote=00000000000000000000000000000000\r\n{headers}{content}Content-Length: {}\r\n\r\n{body}",
            self.vias,
            self.user,
            self.call,
            self.call_id(),
            self.cseq,
            self.user,
            self.asserted,
            self.session(),
            body.len(),
        ))
    }

    /// Notes the dialog that a 2xx makes.
    pub(crate) fn hear(&mut self, response: &Message) {
        response.to_tag().clone_into(&mut self.to_tag);
    }
}

/// What the other side answers to a request of the focus.
pub(crate) fn answer(request: &Message, status: u16) -> Bytes {
    cusax_sip::Compose::response(request, status, None, None).empty()
}

/// The text of a header.
pub(crate) fn header(message: &Message, name: Name) -> String {
    message.values(name).collect::<Vec<_>>().join(", ")
}
