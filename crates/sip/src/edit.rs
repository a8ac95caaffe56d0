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
    splices: Vec<Splice>,
    /// What they put in, one after the other.
    text: String,
}

/// A span of the message, and what stands there instead.
#[derive(Clone, Debug)]
struct Splice {
    order: usize,
    span: Range<usize>,
    text: Range<usize>,
}

impl Edit {
    /// Starts from a message as it came; the topmost Via gets `received` and `rport` where it is owed them.
    #[must_use]
    pub fn new(message: Arc<Message>) -> Self {
        let stamped = message.stamped_via().map(|(span, text)| (span, text.to_owned()));
        let mut edit = Self { splices: Vec::with_capacity(16), text: String::with_capacity(512), message };
        if let Some((span, text)) = stamped {
            edit.splice(span, &[&text]);
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
            self.replace(span, uri);
        }
    }

    /// Puts a line above the first line of its name, or above the first header where there is none.
    pub fn push_above(&mut self, name: Name, value: &str) {
        let at = self.first_line_start(name);
        self.insert(at, name.as_str(), value);
    }

    /// Puts a line above every other header.
    pub fn push_top(&mut self, name: Name, value: &str) {
        let at = self.message.fields().first().map_or(self.message.headers_end(), |field| field.line().start);
        self.insert(at, name.as_str(), value);
    }

    /// Says how long the body is where the message does not: on a stream nobody would know where the next one begins
    /// (RFC 3261 §20.14), and what a datagram brought along could pass for one.
    pub fn set_length(&mut self) {
        if self.message.lines(Name::ContentLength).next().is_none() {
            let length = self.message.body().len().to_string();
            self.append(Name::ContentLength.as_str(), &length);
        }
    }

    /// Puts a line at the end of the header section.
    pub fn append(&mut self, name: &str, value: &str) {
        self.insert(self.message.headers_end(), name, value);
    }

    /// Replaces the value of the first line of a name, or appends one.
    pub fn set(&mut self, name: Name, value: &str) {
        let first = self.message.lines(name).next().map(|field| field.value());
        match first {
            Some(span) => self.replace(span, value),
            None => self.append(name.as_str(), value),
        }
    }

    /// Removes all lines of a name.
    pub fn remove_all(&mut self, name: Name) {
        let message = Arc::clone(&self.message);
        for field in message.lines(name) {
            self.replace(field.line(), "");
        }
    }

    /// Removes the values of a name for which `condemned` answers true; other values of the same line stay as they
    /// were. What is not UTF-8 is shown with replacement characters. Returns how many went.
    pub fn remove_values(&mut self, name: Name, mut condemned: impl FnMut(usize, &str) -> bool) -> usize {
        let (mut removed, mut index) = (0, 0);
        let mut splices = Vec::new();
        for field in self.message.lines(name) {
            // Where the last kept value ends, and what is condemned since.
            let (mut kept_end, mut gone, mut runs) = (None, 0, Vec::new());
            let mut run: Option<Range<usize>> = None;
            for span in self.message.values_of(field) {
                if condemned(index, &String::from_utf8_lossy(&self.message.bytes()[span.clone()])) {
                    gone += 1;
                    run = Some(run.map_or(span.start, |run| run.start)..span.end);
                } else {
                    // A run goes with the comma behind it.
                    runs.extend(run.take().map(|run| run.start..span.start));
                    kept_end = Some(span.end);
                }
                index += 1;
            }
            match (kept_end, run) {
                (None, Some(_)) => splices.push(field.line()),
                // The last run goes with the comma before it.
                (Some(end), Some(run)) => runs.push(end..run.end),
                (_, None) => {}
            }
            splices.append(&mut runs);
            removed += gone;
        }
        for span in splices {
            self.replace(span, "");
        }
        removed
    }

    /// Takes off the topmost values of a list header: Via of a response, Route of a request.
    pub fn pop(&mut self, name: Name, count: usize) {
        self.remove_values(name, |index, _| index < count);
    }

    /// Replaces a span of the message's bytes; a later replacement of the same or a wider span wins.
    pub(crate) fn replace(&mut self, span: Range<usize>, text: &str) {
        self.splices
            .retain(|Splice { span: other, .. }| other.is_empty() || other.start < span.start || other.end > span.end);
        self.splice(span, &[text]);
    }

    /// How long the message is with all edits, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        let grown: usize = self.splices.iter().map(|splice| splice.text.len()).sum();
        let gone: usize = self.splices.iter().map(|splice| splice.span.len()).sum();
        (self.message.bytes().len() + grown).saturating_sub(gone)
    }

    fn insert(&mut self, at: usize, name: &str, value: &str) {
        self.splice(at..at, &[name, ": ", value, "\r\n"]);
    }

    fn splice(&mut self, span: Range<usize>, text: &[&str]) {
        let begin = self.text.len();
        text.iter().for_each(|piece| self.text.push_str(piece));
        let order = self.splices.last().map_or(0, |last| last.order + 1);
        self.splices.push(Splice { order, span, text: begin..self.text.len() });
    }

    fn first_line_start(&self, name: Name) -> usize {
        let first = self.message.lines(name).next().or_else(|| self.message.fields().first());
        first.map_or(self.message.headers_end(), |field| field.line().start)
    }

    /// Writes the edited message. Insertions at one place come out latest first (each goes on top of the last).
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        let source = self.message.bytes();
        let end = self.message.headers_end();
        // At the end of the section lines are appended in order; elsewhere they are stacked. An insertion goes
        // before a replacement that begins at the same byte.
        self.splices.sort_unstable_by_key(|Splice { order, span, .. }| {
            let stacked = if span.start == end { *order } else { usize::MAX - *order };
            (span.start, !span.is_empty(), stacked)
        });
        let mut out = BytesMut::with_capacity(source.len() + self.text.len());
        let mut at = 0;
        for Splice { span, text, .. } in &self.splices {
            if span.start >= at {
                out.put_slice(&source[at..span.start]);
                out.put_slice(&self.text.as_bytes()[text.clone()]);
            }
            // What begins within a span that is gone is gone with it.
            at = at.max(span.end);
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
    fn removals_add_up_and_leave_every_byte_of_the_rest() {
        let line = b"Call-Info: <a:1>,  <b:2>;x=\xff ,\t<c:3>,<d:4>\r\n";
        for (condemned, left) in [
            ("b", &b"Call-Info: <a:1>,  <c:3>,<d:4>\r\n"[..]),
            ("ab", b"Call-Info: <c:3>,<d:4>\r\n"),
            ("d", b"Call-Info: <a:1>,  <b:2>;x=\xff ,\t<c:3>\r\n"),
            ("bcd", b"Call-Info: <a:1>\r\n"),
            ("ac", b"Call-Info: <b:2>;x=\xff ,\t<d:4>\r\n"),
            ("abcd", b""),
        ] {
            let bytes = [b"INVITE sip:b SIP/2.0\r\n", &line[..], b"X: 1\r\n\r\n"].concat();
            let message = Arc::new(Message::parse(Bytes::from(bytes)).unwrap());
            let rest = [b"INVITE sip:b SIP/2.0\r\n", left, b"X: 1\r\n\r\n"].concat();
            let goes = |value: &str, letters: &str| letters.contains(value.as_bytes()[1] as char);
            let mut at_once = Edit::new(Arc::clone(&message));
            at_once.remove_values(Name::CallInfo, |_, value| goes(value, condemned));
            assert_eq!(at_once.finish(), rest, "{condemned}");
            let mut one_by_one = Edit::new(message);
            for letter in condemned.split("").filter(|letter| !letter.is_empty()) {
                one_by_one.remove_values(Name::CallInfo, |_, value| goes(value, letter));
            }
            let after = Message::parse(one_by_one.finish()).unwrap();
            let values: Vec<_> = after.value_spans(Name::CallInfo).map(|span| after.bytes()[span.start + 1]).collect();
            let expected: Vec<_> = b"abcd".iter().copied().filter(|at| !condemned.as_bytes().contains(at)).collect();
            assert_eq!(values, expected, "{condemned}");
        }
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
