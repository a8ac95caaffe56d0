//! What is told of a message that this process wrote itself: a walk over its lines that proves nothing.

use memchr::memchr;

use crate::method::{Method, method_of};
use crate::value;

/// The first line and the identifiers of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Glance<'a> {
    /// The status of a response.
    pub status: Option<u16>,
    method: &'a str,
    /// The value of Call-ID; empty where there is none.
    pub call_id: &'a str,
    /// The value of Session-ID.
    pub session_id: Option<&'a str>,
}

impl<'a> Glance<'a> {
    /// Looks at a message that is known to be one.
    #[must_use]
    pub fn at(bytes: &'a [u8]) -> Self {
        let mut glance = Self::default();
        let mut rest = bytes;
        let mut line = take_line(&mut rest);
        match line.strip_prefix(b"SIP/2.0 ") {
            Some(status) => glance.status = text(status.get(..3).unwrap_or_default()).parse().ok(),
            None => glance.method = text(&line[..memchr(b' ', line).unwrap_or(0)]),
        }
        loop {
            line = take_line(&mut rest);
            let Some(first) = line.first() else { return glance };
            if !matches!(first | 0x20, b'c' | b'i' | b's') {
                continue;
            }
            let Some(colon) = memchr(b':', line) else { continue };
            let value = || text(&line[value::trim(line, colon + 1..line.len())]);
            match &line[value::trim(line, 0..colon)] {
                name if name.eq_ignore_ascii_case(b"Call-ID") || name.eq_ignore_ascii_case(b"i") => {
                    glance.call_id = value();
                }
                name if name.eq_ignore_ascii_case(b"Session-ID") => glance.session_id = Some(value()),
                name if glance.status.is_some() && name.eq_ignore_ascii_case(b"CSeq") => {
                    glance.method = value().rsplit(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
                }
                _ => {}
            }
        }
    }

    /// The method: of a response, that of its request.
    #[must_use]
    pub fn method(&self) -> Method {
        method_of(self.method)
    }
}

/// Takes a line without its end; an empty one is the last of the headers.
fn take_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = memchr(b'\n', rest).unwrap_or(rest.len());
    let line = &rest[..end];
    *rest = rest.get(end + 1..).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Name};

    #[test]
    fn sees_what_a_scan_finds() {
        for message in [
            &b"INVITE sip:b@x SIP/2.0\r\nVia: a\r\ni: 1@x\r\nCSeq: 1 INVITE\r\nsession-id: ab\r\nC: d\r\n\r\nCall-ID: no"[..],
            b"SIP/2.0 180 Ringing\r\nCall-ID :  2\r\nCSeq: 7  BYE\r\nSubject: x\r\n\r\n",
            b"NEW sip:b@x SIP/2.0\r\n\r\n",
        ] {
            let scanned = Message::parse(bytes::Bytes::copy_from_slice(message)).unwrap();
            let glance = Glance::at(message);
            assert_eq!((glance.status, glance.method()), (scanned.status(), scanned.method()));
            assert_eq!((glance.call_id, glance.session_id), (scanned.call_id(), scanned.first(Name::SessionId)));
        }
        assert_eq!(Glance::at(b""), Glance::default());
    }
}
