//! Messages that this process originates: requests of its user agents, responses of its servers.

use bytes::Bytes;

use crate::Message;
use crate::name::Name;
use crate::status::reason_phrase;

/// A message being written, header by header.
#[derive(Clone, Debug)]
pub struct Compose {
    head: Vec<u8>,
}

impl Compose {
    /// Begins a request.
    #[must_use]
    pub fn request(method: &str, uri: &str) -> Self {
        Self { head: format!("{method} {uri} SIP/2.0\r\n").into_bytes() }
    }

    /// Begins a response to a request: Via, From, To, Call-ID and CSeq are its own (RFC 3261 §8.2.6), and so is Timestamp in
    /// a 100, by which the client measures the way (§8.2.6.1). `tag` is put on To where it has none and the status is not
    /// 100.
    #[must_use]
    pub fn response(request: &Message, status: u16, reason: Option<&str>, tag: Option<&str>) -> Self {
        let line = format!("SIP/2.0 {status} {}\r\n", reason.unwrap_or(reason_phrase(status)));
        let mut compose = Self { head: line.into_bytes() };
        let stamped = request.stamped_via();
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            // Line by line: with a line for each of its values, an answer would be several times as long as what it answers.
            for field in request.lines(name) {
                let span = field.value();
                let here = stamped.as_ref().filter(|(top, _)| span.start <= top.start && top.end <= span.end);
                let with_stamp = here.map(|(top, text)| {
                    let (before, after) = (span.start..top.start, top.end..span.end);
                    [&request.bytes()[before], text.as_bytes(), &request.bytes()[after]].concat()
                });
                let value = with_stamp.as_deref().unwrap_or(&request.bytes()[span]);
                let tag = tag.filter(|_| name == Name::To && status > 100 && request.to_tag().is_empty());
                compose = match tag {
                    Some(tag) => compose.line(name.as_str(), &[value, b";tag=", tag.as_bytes()].concat()),
                    None => compose.line(name.as_str(), value),
                };
            }
        }
        if status == 100 { compose.copy(request, Name::Timestamp) } else { compose }
    }

    /// Adds a header line. Line breaks in a value are not written: a value is one line.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.line(name, value.as_bytes())
    }

    fn line(mut self, name: &str, value: &[u8]) -> Self {
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b": ");
        self.head.extend(value.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
        self.head.extend_from_slice(b"\r\n");
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

    /// Copies all lines of a name from another message: Record-Route into a response (RFC 3261 §12.1.1). They need not be
    /// UTF-8.
    #[must_use]
    pub fn copy(mut self, from: &Message, name: Name) -> Self {
        for span in from.value_spans(name) {
            self = self.line(name.as_str(), &from.bytes()[span]);
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
        self.head.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
        self.head.extend_from_slice(body);
        Bytes::from(self.head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_vias_as_they_came_and_is_not_several_times_as_long() {
        let vias = format!("v: SIP/2.0/UDP a;rport ,b{}", ",c".repeat(500));
        let request = Bytes::from(format!("OPTIONS sip:x SIP/2.0\r\n{vias}\r\nv: SIP/2.0/UDP d\r\n\r\n"));
        let mut request = Message::parse(request).unwrap();
        request.stamp("192.0.2.1:7".parse().unwrap());
        let response = Message::parse(Compose::response(&request, 400, None, None).empty()).unwrap();
        let values: Vec<_> = response.values(Name::Via).collect();
        assert_eq!(values[..2], ["SIP/2.0/UDP a;rport=7;received=192.0.2.1", "b"]);
        assert_eq!((values.len(), values[502]), (503, "SIP/2.0/UDP d"));
        assert!(response.bytes().len() < request.bytes().len() + 100);
    }

    #[test]
    fn only_a_100_says_when_the_request_was_sent() {
        let request = Bytes::from_static(
            b"INVITE sip:x SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTimestamp:  54.32\r\n\r\n",
        );
        let request = Message::parse(request).unwrap();
        for (status, copies) in [(100, 1), (180, 0), (200, 0)] {
            let response = Message::parse(Compose::response(&request, status, None, None).empty()).unwrap();
            assert_eq!(response.values(Name::Timestamp).filter(|value| *value == "54.32").count(), copies, "{status}");
        }
    }

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
