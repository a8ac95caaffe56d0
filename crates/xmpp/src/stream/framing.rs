//! Finds where the header and each top-level element begin and end, byte by byte and without parsing them.

use std::ops::Range;

use super::{Limits, Refusal};

/// A complete unit of the stream, as a range of the buffer.
pub(super) enum Frame {
    Header(Range<usize>),
    Stanza(Range<usize>),
    Close(Range<usize>),
}

/// Where the scanner stands between two bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After `<`.
    Open,
    /// In a start tag.
    Tag { quote: Option<u8>, slash: bool },
    /// In an end tag.
    End,
    /// In the XML declaration; true after `?`.
    Declaration(bool),
    /// After `<!`, with this many bytes of `[CDATA[`.
    Bang(usize),
    /// In CDATA, after this many `]`.
    Cdata(u8),
}

const CDATA: &[u8] = b"[CDATA[";

/// The scanner: linear in the bytes, each of which it sees once.
#[derive(Clone, Debug, Default)]
pub(super) struct Framer {
    state: State,
    opened: bool,
    declared: bool,
    depth: usize,
    start: usize,
    position: usize,
}

impl Framer {
    /// Drops what was framed from the buffer.
    pub(super) fn compact(&mut self, buffer: &mut Vec<u8>) {
        buffer.drain(..self.start.min(buffer.len()));
        self.position = self.position.saturating_sub(self.start);
        self.start = 0;
    }

    pub(super) fn next_frame(&mut self, buffer: &[u8], limits: &Limits) -> Result<Option<Frame>, Refusal> {
        while let Some(&byte) = buffer.get(self.position) {
            self.position += 1;
            let end = self.step(byte, limits)?;
            if self.position - self.start > limits.stanza {
                return Err(Refusal::too_large("a stanza larger than allowed"));
            }
            if let Some(unit) = end {
                let range = self.start..self.position;
                self.start = self.position;
                return Ok(Some(match unit {
                    Unit::Header => Frame::Header(range),
                    Unit::Stanza => Frame::Stanza(range),
                    Unit::Close => Frame::Close(range),
                }));
            }
        }
        Ok(None)
    }

    fn step(&mut self, byte: u8, limits: &Limits) -> Result<Option<Unit>, Refusal> {
        match (self.state, byte) {
            (State::Text, b'<') => self.state = State::Open,
            (State::Text, b' ' | b'\t' | b'\r' | b'\n') if self.depth == 0 => {
                if !self.declared || self.opened {
                    self.start = self.position;
                }
            }
            (State::Text, _) if self.depth == 0 => {
                let bad_format =
                    Refusal { condition: super::Condition::BadFormat, ..Refusal::malformed("text between stanzas") };
                return Err(if self.opened { bad_format } else { Refusal::malformed("not an XML stream") });
            }
            (State::Text, _) => {}
            (State::Open, b'/') if self.opened => self.state = State::End,
            (State::Open, b'?') if !self.opened && !self.declared => {
                self.declared = true;
                self.state = State::Declaration(false);
            }
            (State::Open, b'?') => return Err(Refusal::restricted("a processing instruction")),
            (State::Open, b'!') if self.depth > 0 => self.state = State::Bang(0),
            (State::Open, b'!') => return Err(Refusal::restricted("a comment or document type")),
            (State::Open, b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..) => {
                self.state = State::Tag { quote: None, slash: false }
            }
            (State::Open, _) => return Err(Refusal::malformed("no name after '<'")),
            (State::Bang(matched), byte) if CDATA.get(matched) == Some(&byte) => {
                self.state = if matched + 1 == CDATA.len() { State::Cdata(0) } else { State::Bang(matched + 1) };
            }
            (State::Bang(_), _) => return Err(Refusal::restricted("a comment or document type")),
            (State::Cdata(2), b'>') => self.state = State::Text,
            (State::Cdata(brackets), b']') => self.state = State::Cdata(brackets.saturating_add(1).min(2)),
            (State::Cdata(_), _) => self.state = State::Cdata(0),
            (State::Declaration(true), b'>') => self.state = State::Text,
            (State::Declaration(_), byte) => self.state = State::Declaration(byte == b'?'),
            (State::Tag { .. } | State::End, b'<') => return Err(Refusal::malformed("'<' in a tag")),
            (State::Tag { quote: Some(quote), .. }, byte) => {
                self.state = State::Tag { quote: (byte != quote).then_some(quote), slash: false };
            }
            (State::Tag { slash, .. }, b'>') => return self.start_tag(slash, limits),
            (State::Tag { .. }, b'"' | b'\'') => self.state = State::Tag { quote: Some(byte), slash: false },
            (State::Tag { .. }, byte) => self.state = State::Tag { quote: None, slash: byte == b'/' },
            (State::End, b'>') => return Ok(self.end_tag()),
            (State::End, _) => {}
        }
        Ok(None)
    }

    fn start_tag(&mut self, empty: bool, limits: &Limits) -> Result<Option<Unit>, Refusal> {
        self.state = State::Text;
        if !self.opened {
            if empty {
                return Err(Refusal::malformed("a stream that ends in its header"));
            }
            self.opened = true;
            return Ok(Some(Unit::Header));
        }
        if self.depth >= limits.depth {
            return Err(Refusal::too_large("elements nested deeper than allowed"));
        }
        if empty {
            return Ok((self.depth == 0).then_some(Unit::Stanza));
        }
        self.depth += 1;
        Ok(None)
    }

    fn end_tag(&mut self) -> Option<Unit> {
        self.state = State::Text;
        if self.depth == 0 {
            return Some(Unit::Close);
        }
        self.depth -= 1;
        (self.depth == 0).then_some(Unit::Stanza)
    }
}

/// What ended with a byte.
enum Unit {
    Header,
    Stanza,
    Close,
}
