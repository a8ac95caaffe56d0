//! Splices over a received message: what is not touched leaves as it came, byte for byte.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::Message;
use crate::name::Name;

/// Changes to a message, applied in one copy by [`Edit::finish`].
#[derive(Clone, Debug)]
pub struct Edit {
    message: Arc<Message>,
    splices: Vec<(Range<usize>, String)>,
}

impl Edit {
    /// Starts from a message as it came; the topmost Via gets `received` and `rport` where it is owed them.
    #[must_use]
    pub fn new(message: Arc<Message>) -> Self {
        let mut edit = Self { splices: Vec::with_capacity(8), message };
        if let Some((span, text)) = edit.message.stamped_via() {
            let text = text.to_owned();
            edit.splices.push((span, text));
        }
        edit
    }

    /// The message that is edited.
    #[must_use]
    pub fn message(&self) -> &Arc<Message> {
        &self.message
    }

    /// Replaces the Request-URI.
    pub fn set_request_uri(&mut self, uri: &str) {
        if let Some(span) = self.message.request_uri_span() {
            self.replace(span, uri.to_owned());
        }
    }

    /// Puts a line above the first line of its name, or above the first header where there is none.
    pub fn push_above(&mut self, name: Name, value: &str) {
        let at = self.first_line_start(name);
        self.insert(at, format!("{}: {value}\r\n", name.as_str()));
    }

    /// Puts a line above every other header.
    pub fn push_top(&mut self, name: Name, value: &str) {
        let at = self.message.fields().first().map_or(self.message.headers_end(), |field| field.line.start);
        self.insert(at, format!("{}: {value}\r\n", name.as_str()));
    }

    /// Puts a line at the end of the header section.
    pub fn append(&mut self, name: &str, value: &str) {
        self.insert(self.message.headers_end(), format!("{name}: {value}\r\n"));
    }

    /// Replaces the value of the first line of a name, or appends one.
    pub fn set(&mut self, name: Name, value: &str) {
        let first = self.message.lines(name).next().map(|field| field.value.clone());
        match first {
            Some(span) => self.replace(span, value.to_owned()),
            None => self.append(name.as_str(), value),
        }
    }

    /// Removes all lines of a name.
    pub fn remove_all(&mut self, name: Name) {
        let lines: Vec<_> = self.message.lines(name).map(|field| field.line.clone()).collect();
        for line in lines {
            self.replace(line, String::new());
        }
    }

    /// Removes the values of a name for which `condemned` answers true; other values of the same line stay as they
    /// were. Returns how many went.
    pub fn remove_values(&mut self, name: Name, mut condemned: impl FnMut(usize, &str) -> bool) -> usize {
        let (mut removed, mut index) = (0, 0);
        let mut splices = Vec::new();
        for field in self.message.lines(name) {
            let (mut kept, mut gone) = (Vec::new(), 0);
            for span in self.message.values_of(field) {
                let text = self.message.text(span);
                if condemned(index, text) {
                    gone += 1;
                } else {
                    kept.push(text);
                }
                index += 1;
            }
            match (gone, kept.is_empty()) {
                (0, _) => {}
                (_, true) => splices.push((field.line.clone(), String::new())),
                (_, false) => splices.push((field.value.clone(), kept.join(", "))),
            }
            removed += gone;
        }
        for (span, text) in splices {
            self.replace(span, text);
        }
        removed
    }

    /// Takes off the topmost values of a list header: Via of a response, Route of a request.
    pub fn pop(&mut self, name: Name, count: usize) {
        self.remove_values(name, |index, _| index < count);
    }

    /// Replaces a span of the message's bytes; a later replacement of the same or a wider span wins.
    pub(crate) fn replace(&mut self, span: Range<usize>, text: String) {
        self.splices.retain(|(other, _)| other.is_empty() || other.end <= span.start || other.start >= span.end);
        self.splices.push((span, text));
    }

    fn insert(&mut self, at: usize, text: String) {
        self.splices.push((at..at, text));
    }

    fn first_line_start(&self, name: Name) -> usize {
        let first = self.message.lines(name).next().or_else(|| self.message.fields().first());
        first.map_or(self.message.headers_end(), |field| field.line.start)
    }

    /// Writes the edited message. Insertions at one place come out latest first (each goes on top of the last).
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        let source = self.message.bytes();
        let end = self.message.headers_end();
        let mut splices: Vec<(usize, Range<usize>, String)> =
            self.splices.drain(..).enumerate().map(|(order, (span, text))| (order, span, text)).collect();
        // At the end of the section lines are appended in order; elsewhere they are stacked. An insertion goes
        // before a replacement that begins at the same byte.
        splices.sort_by_key(|(order, span, _)| {
            let stacked = if span.start == end { *order } else { usize::MAX - *order };
            (span.start, !span.is_empty(), stacked)
        });
        let grown: usize = splices.iter().map(|(_, _, text)| text.len()).sum();
        let mut out = BytesMut::with_capacity(source.len() + grown);
        let mut at = 0;
        for (_, span, text) in &splices {
            if span.start >= at {
                out.put_slice(&source[at..span.start]);
                at = span.end;
            } else {
                at = at.max(span.end);
            }
            out.put_slice(text.as_bytes());
        }
        out.put_slice(&source[at..]);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2\r\n\
        Call-Info: <http://x/i.png>;purpose=icon,\r\n <xmpp:eve@evil>;purpose=impp\r\n\
        X-Odd:   kept  as it is \r\n\
        Content-Length: 3\r\n\r\nab\u{ff}";

    fn edit() -> Edit {
        let bytes = INVITE.as_bytes();
        let length = bytes.len();
        // The last character of the fixture is two bytes of UTF-8; Content-Length cuts the second off.
        let message = Message::parse(Bytes::from(bytes)).unwrap();
        assert_eq!(message.bytes().len(), length - 1);
        Edit::new(Arc::new(message))
    }

    #[test]
    fn an_untouched_message_comes_out_byte_for_byte() {
        let edit = edit();
        let before = edit.message().bytes().clone();
        assert_eq!(edit.finish(), before);
    }

    #[test]
    fn removes_one_value_and_keeps_its_neighbour_and_every_other_byte() {
        let mut edit = edit();
        let before = edit.message().bytes().clone();
        assert_eq!(edit.remove_values(Name::CallInfo, |_, value| value.contains("impp")), 1);
        edit.push_above(Name::CallInfo, "<xmpp:alice@example.com>;purpose=impp");
        edit.pop(Name::Via, 1);
        edit.push_above(Name::Via, "SIP/2.0/UDP c;branch=z9hG4bK3");
        let after = edit.finish();
        let text = String::from_utf8_lossy(&after);
        assert!(
            text.contains("Via: SIP/2.0/UDP c;branch=z9hG4bK3\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK2\r\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "Call-Info: <xmpp:alice@example.com>;purpose=impp\r\nCall-Info: <http://x/i.png>;purpose=icon\r\n"
            ),
            "{text}"
        );
        assert!(text.contains("X-Odd:   kept  as it is \r\n"));
        assert_eq!(after.last(), before.last());
    }

    #[test]
    fn stacks_lines_pushed_at_one_place_and_appends_in_order() {
        let mut edit = edit();
        edit.push_above(Name::RecordRoute, "<sip:in;lr>");
        edit.push_above(Name::RecordRoute, "<sip:out;lr>");
        edit.append("A", "1");
        edit.append("B", "2");
        let after = edit.finish();
        let text = String::from_utf8_lossy(&after);
        assert!(text.contains("SIP/2.0\r\nRecord-Route: <sip:out;lr>\r\nRecord-Route: <sip:in;lr>\r\nVia"), "{text}");
        assert!(text.contains("Content-Length: 3\r\nA: 1\r\nB: 2\r\n\r\n"), "{text}");
    }
}
