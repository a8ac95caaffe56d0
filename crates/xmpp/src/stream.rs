//! An XML stream (RFC 6120 §4) from bytes to stanzas, within bounds and without what XMPP forbids.

mod condition;
mod framing;
mod restricted;

pub(crate) use condition::describe;
pub use condition::{Condition, Refusal};

use crate::Element;
use framing::{Frame, Framer};
use restricted::Scope;

/// What comes off a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The stream header; its attributes are those of the element.
    Open(Element),
    /// A complete top-level element.
    Stanza(Element),
    /// `</stream:stream>`; nothing follows.
    Close,
}

/// Bounds of one stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the header or of one stanza, counted before anything parses them.
    pub stanza: usize,
    /// Nesting of elements.
    pub depth: usize,
    /// Attributes of one element.
    pub attributes: usize,
}

impl Default for Limits {
    /// 4 MiB, since a list of 50,000 banned users is one stanza; what real stanzas need of the others is below ten.
    fn default() -> Self {
        Self { stanza: 4 * 1024 * 1024, depth: 64, attributes: 64 }
    }
}

/// Parses one stream incrementally; any chunking of the bytes gives the same items.
#[derive(Clone, Debug)]
pub struct StreamParser {
    content: &'static str,
    limits: Limits,
    buffer: Vec<u8>,
    framer: Framer,
    scope: Scope,
    over: bool,
}

impl StreamParser {
    /// Begins a stream whose content namespace is `content` ([`ns::CLIENT`](crate::ns::CLIENT) or
    /// [`ns::COMPONENT`](crate::ns::COMPONENT)).
    #[must_use]
    pub fn new(content: &'static str, limits: Limits) -> Self {
        Self { content, limits, buffer: Vec::new(), framer: Framer::default(), scope: Scope::default(), over: false }
    }

    /// Takes bytes. Drain [`StreamParser::next_item`] before the next call: what is kept then is one incomplete
    /// stanza, at most `Limits::stanza` bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.over {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Returns what is complete, in order; after a refusal or [`Item::Close`] nothing more.
    ///
    /// # Errors
    /// A [`Refusal`] tells what the peer did and the stream error that it is owed.
    pub fn next_item(&mut self) -> Result<Option<Item>, Refusal> {
        if self.over {
            return Ok(None);
        }
        let item = self.advance();
        if !matches!(item, Ok(Some(Item::Open(_) | Item::Stanza(_)) | None)) {
            self.over = true;
            self.buffer = Vec::new();
        }
        item
    }

    fn advance(&mut self) -> Result<Option<Item>, Refusal> {
        let Some(frame) = self.framer.next_frame(&self.buffer, &self.limits)? else {
            self.framer.compact(&mut self.buffer);
            return Ok(None);
        };
        match frame {
            Frame::Header(range) => {
                let header = restricted::header(text(&self.buffer, range)?, self.content, &self.limits)?;
                self.scope = header.scope;
                Ok(Some(Item::Open(header.element)))
            }
            Frame::Stanza(range) => restricted::stanza(text(&self.buffer, range)?, &self.scope, &self.limits)
                .map(|stanza| Some(Item::Stanza(stanza))),
            Frame::Close(range) => {
                if self.scope.is_ended_by(text(&self.buffer, range)?) {
                    Ok(Some(Item::Close))
                } else {
                    Err(Refusal::malformed("an end tag that ends nothing"))
                }
            }
        }
    }
}

fn text(buffer: &[u8], range: std::ops::Range<usize>) -> Result<&str, Refusal> {
    std::str::from_utf8(buffer.get(range).unwrap_or_default())
        .map_err(|_| Refusal { condition: Condition::UnsupportedEncoding, ..Refusal::malformed("not UTF-8") })
}
