//! Messages that this process originates: requests of its user agents, responses of its servers.

use std::fmt::Write;

use bytes::Bytes;

use crate::Message;
use crate::name::Name;
use crate::status::reason_phrase;

/// A message being written, header by header.
#[derive(Clone, Debug)]
pub struct Compose {
    head: String,
}

impl Compose {
    /// Begins a request.
    #[must_use]
    pub fn request(method: &str, uri: &str) -> Self {
        Self { head: format!("{method} {uri} SIP/2.0\r\n") }
    }

    /// Begins a response to a request: Via, From, To, Call-ID and CSeq are its own (RFC 3261 §8.2.6). `tag` is put on
    /// To where it has none and the status is not 100.
    #[must_use]
    pub fn response(request: &Message, status: u16, reason: Option<&str>, tag: Option<&str>) -> Self {
        let mut compose = Self { head: format!("SIP/2.0 {status} {}\r\n", reason.unwrap_or(reason_phrase(status))) };
        let stamped = request.stamped_via();
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            for span in request.value_spans(name) {
                let text = match &stamped {
                    Some((top, text)) if *top == span => text,
                    _ => request.text(span),
                };
                let tag = tag.filter(|_| name == Name::To && status > 100 && request.to_tag().is_empty());
                compose = match tag {
                    Some(tag) => compose.header(name.as_str(), &format!("{text};tag={tag}")),
                    None => compose.header(name.as_str(), text),
                };
            }
        }
        compose
    }

    /// Adds a header line. Line breaks in a value are not written: a value is one line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(name);
        self.head.push_str(": ");
        self.head.extend(value.chars().filter(|c| !matches!(c, '\r' | '\n')));
        self.head.push_str("\r\n");
        self
    }

    /// Adds a header line where there is a value.
    #[must_use]
    pub fn header_opt(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Copies all lines of a name from another message: Record-Route into a response (RFC 3261 §12.1.1).
    #[must_use]
    pub fn copy(mut self, from: &Message, name: Name) -> Self {
        for value in from.values(name) {
            self = self.header(name.as_str(), value);
        }
        self
    }

    /// Ends the message with a body and its length.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Bytes {
        self = self.header("Content-Type", content_type);
        self.end(body)
    }

    /// Ends the message without a body.
    #[must_use]
    pub fn empty(self) -> Bytes {
        self.end(&[])
    }

    fn end(mut self, body: &[u8]) -> Bytes {
        // Writing to a String cannot fail.
        let _ = write!(self.head, "Content-Length: {}\r\n\r\n", body.len());
        let mut bytes = self.head.into_bytes();
        bytes.extend_from_slice(body);
        Bytes::from(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_with_the_requests_own_headers_and_a_tag() {
        let request = Bytes::from_static(
            b"OPTIONS sip:x SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nf: <sip:a>;tag=1\r\nt: <sip:b>\r\ni: c\r\nCSeq: 1 OPTIONS\r\n\r\n",
        );
        let request = Message::parse(request).unwrap();
        let response = Compose::response(&request, 200, None, Some("xyz")).header("Server", "a\r\nb").empty();
        let text = std::str::from_utf8(&response).unwrap();
        assert_eq!(
            text,
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=xyz\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nServer: ab\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
