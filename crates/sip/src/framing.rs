//! Where a message ends in a byte stream (RFC 3261 §18.3, RFC 5626 §3.5.1 keep-alives).

use memchr::memmem;

use crate::message::MAX_HEADER_BYTES;
use crate::name::Name;
use crate::value::{length, trim};

/// Longest body on a stream, in bytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// What the bytes at the start of a stream's buffer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// More bytes are needed.
    Incomplete,
    /// A double CRLF of this length: a ping that is owed one CRLF (RFC 5626 §4.4.1).
    Ping(usize),
    /// A single CRLF of this length to skip.
    Skip(usize),
    /// A message of this length.
    Message(usize),
    /// Nothing that can be framed: the connection is of no more use.
    Invalid(&'static str),
}

/// Looks at the start of a buffer.
#[must_use]
pub fn frame(buffer: &[u8]) -> Frame {
    match buffer {
        [b'\r', b'\n', b'\r', b'\n', ..] => return Frame::Ping(4),
        [b'\r', b'\n', b'\r'] | [b'\r', b'\n'] | [b'\r'] | [] => return Frame::Incomplete,
        [b'\r', b'\n', ..] => return Frame::Skip(2),
        // It goes on so: two line ends and this begin a PROXY header, where none is expected.
        [0, ..] => return Frame::Invalid("begins with NUL"),
        _ => {}
    }
    let Some(head) = memmem::find(buffer, b"\r\n\r\n") else {
        return if buffer.len() > MAX_HEADER_BYTES {
            Frame::Invalid("header section too long")
        } else {
            Frame::Incomplete
        };
    };
    if head > MAX_HEADER_BYTES {
        return Frame::Invalid("header section too long");
    }
    let Some(length) = content_length(&buffer[..head]) else {
        // RFC 3261 §20.14: required on streams; without it nobody knows where the next message begins.
        return Frame::Invalid("no usable Content-Length");
    };
    if length > MAX_BODY_BYTES {
        return Frame::Invalid("body too long");
    }
    let total = head + 4 + length;
    if buffer.len() < total { Frame::Incomplete } else { Frame::Message(total) }
}

/// Reads the length as [`crate::Message`] does: where the two differed, one would take for a message what the other takes
/// for a body.
fn content_length(head: &[u8]) -> Option<usize> {
    let (mut found, mut begin) = (None, 0);
    while begin < head.len() {
        let mut end = begin;
        loop {
            end += memchr::memchr(b'\n', &head[end..]).map_or(head.len() - end, |at| at + 1);
            // A line that begins with white space goes on with the one before: no header, whatever it looks like.
            if !matches!(head.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let line = begin..end;
        begin = end;
        let Some(colon) = memchr::memchr(b':', &head[line.clone()]).map(|at| line.start + at) else { continue };
        let blanks = head[line.start..colon].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if Name::of(&head[line.start..colon - blanks]) != Name::ContentLength {
            continue;
        }
        let length = length(std::str::from_utf8(&head[trim(head, colon + 1..line.end)]).ok()?)?;
        if found.is_some_and(|other| other != length) {
            return None;
        }
        found = Some(length);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nl : 2\r\n\r\nhi";

    #[test]
    fn frames_a_message_however_it_arrives() {
        for length in 1..MESSAGE.len() {
            assert_eq!(frame(&MESSAGE[..length]), Frame::Incomplete, "{length}");
        }
        assert_eq!(frame(MESSAGE), Frame::Message(MESSAGE.len()));
        assert_eq!(frame(&[MESSAGE, MESSAGE].concat()), Frame::Message(MESSAGE.len()));
    }

    #[test]
    fn tells_keepalives_from_messages() {
        assert_eq!(frame(b"\r\n\r\nOPTIONS"), Frame::Ping(4));
        assert_eq!(frame(b"\r\nOPTIONS"), Frame::Skip(2));
        assert_eq!(frame(b"\r\n"), Frame::Incomplete);
    }

    #[test]
    fn gives_up_on_what_cannot_be_framed() {
        assert!(matches!(frame(b"OPTIONS sip:a SIP/2.0\r\n\r\n"), Frame::Invalid(_)));
        let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
        assert_eq!(frame(header), Frame::Ping(4));
        assert!(matches!(frame(&header[4..]), Frame::Invalid(_)));
        assert!(matches!(frame(b"O\r\nContent-Length: 1\r\nl: 2\r\n\r\n"), Frame::Invalid(_)));
        assert!(matches!(frame(&vec![b'x'; MAX_HEADER_BYTES + 1]), Frame::Invalid(_)));
        assert!(matches!(frame(b"O\r\nX: y\r\n l: 2\r\n\r\nhi"), Frame::Invalid(_)), "a folded line is no header");
    }
}
