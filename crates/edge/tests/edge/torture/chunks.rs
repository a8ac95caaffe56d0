//! How a stream brings messages: in any pieces, and the same messages come out.

use bytes::Bytes;
use cusax_sip::Message;
use cusax_sip::framing::{Frame, frame};

use super::{files, message};

/// What is left of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing but empty lines.
    Clean,
    /// Bytes that more must follow.
    Waiting,
    /// It was closed.
    Closed,
}

/// The reading end of a stream.
#[derive(Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    closed: bool,
    pub(super) messages: Vec<Vec<u8>>,
}

impl Reader {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        loop {
            match frame(&self.buffer) {
                Frame::Incomplete => return,
                Frame::Ping(length) | Frame::Skip(length) => drop(self.buffer.drain(..length)),
                Frame::Message(length) => self.messages.push(self.buffer.drain(..length).collect()),
                Frame::Invalid(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    pub(super) fn end(&self) -> End {
        match self {
            Self { closed: true, .. } => End::Closed,
            _ if self.buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => End::Clean,
            _ => End::Waiting,
        }
    }
}

const CORPORA: [&str; 3] = ["rfc4475", "rfc5118", "smuggling"];

fn all() -> impl Iterator<Item = (String, Vec<u8>)> {
    CORPORA.into_iter().flat_map(|corpus| {
        files(corpus).into_iter().map(move |name| {
            let bytes = message(corpus, &name);
            (name, bytes)
        })
    })
}

fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, End) {
    let mut reader = Reader::default();
    pieces.iter().for_each(|piece| reader.feed(piece));
    let end = reader.end();
    (reader.messages, end)
}

#[test]
fn a_stream_gives_the_same_messages_in_whatever_pieces_it_comes() {
    for (name, bytes) in all() {
        let whole = read(&[&bytes]);
        for at in 1..bytes.len() {
            assert_eq!(read(&[&bytes[..at], &bytes[at..]]), whole, "{name} in two, at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single), whole, "{name} byte by byte");
    }
}

#[test]
fn messages_that_come_at_once_are_told_apart() {
    let whole: Vec<_> = all().filter(|(_, bytes)| read(&[bytes]) == (vec![bytes.clone()], End::Clean)).collect();
    assert!(whole.len() > 80, "{} well-formed messages", whole.len());
    let stream: Vec<u8> = whole.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let messages: Vec<_> = whole.into_iter().map(|(_, bytes)| bytes).collect();
    // A prime, so that the pieces begin everywhere.
    for size in [stream.len(), 4_096, 1_460, 61, 1] {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        assert_eq!(read(&pieces), (messages.clone(), End::Clean), "in pieces of {size}");
    }
}

#[test]
fn framer_and_scanner_read_the_same_length() {
    for (name, bytes) in all() {
        for framed in read(&[&bytes]).0 {
            let length = framed.len();
            // What is refused has no length that anybody acts on.
            let scanned = Message::parse(Bytes::from(framed)).ok().filter(|message| message.defect().is_none());
            assert!(scanned.is_none_or(|message| message.bytes().len() == length), "{name}");
        }
    }
}
