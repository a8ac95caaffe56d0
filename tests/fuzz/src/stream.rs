//! A byte stream: what comes of it does not depend on how it was cut, and who frames and who parses find the same end.

use bytes::Bytes;
use cusax_sip::Message;
use cusax_sip::framing::{Frame, frame};

use super::input::Input;

/// Reads it at once and in pieces.
pub fn target(data: &[u8]) {
    let mut input = Input(data);
    let sizes = [input.byte(), input.byte(), input.byte()];
    let stream = input.0;
    let at_once = read(stream, |_| stream.len());
    let mut piece = 0;
    let in_pieces = read(stream, |_| {
        piece += 1;
        1 + usize::from(sizes[piece % sizes.len()])
    });
    assert_eq!(at_once, in_pieces, "how a stream is cut changes what it says");
    if stream.len() < 4_096 {
        assert_eq!(at_once, read(stream, |_| 1), "byte by byte it says something else");
    }
    for message in at_once.iter().filter_map(|piece| if let Piece::Message(bytes) = piece { Some(bytes) } else { None })
    {
        let Ok(parsed) = Message::parse(Bytes::copy_from_slice(message)) else { continue };
        if parsed.defect().is_none() {
            let leading = message.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            assert_eq!(parsed.bytes().len() + leading, message.len(), "the next message begins elsewhere for each");
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Ping,
    Message(Vec<u8>),
    /// Nothing after it counts.
    Invalid,
}

fn read(stream: &[u8], mut next: impl FnMut(usize) -> usize) -> Vec<Piece> {
    let (mut buffer, mut at, mut found) = (Vec::new(), 0, Vec::new());
    while at < stream.len() {
        let end = (at + next(at).max(1)).min(stream.len());
        buffer.extend_from_slice(&stream[at..end]);
        at = end;
        let mut begin = 0;
        loop {
            match frame(&buffer[begin..]) {
                Frame::Incomplete => break,
                Frame::Skip(length) => begin += length,
                Frame::Ping(length) => {
                    found.push(Piece::Ping);
                    begin += length;
                }
                Frame::Message(length) => {
                    found.push(Piece::Message(buffer[begin..begin + length].to_vec()));
                    begin += length;
                }
                Frame::Invalid(_) => {
                    found.push(Piece::Invalid);
                    return found;
                }
            }
        }
        buffer.drain(..begin);
    }
    found
}
