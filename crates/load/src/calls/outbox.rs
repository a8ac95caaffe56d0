//! Messages that wait to be sent, one behind the other in memory that is used again and again.

use cusax_sip::Flow;

/// A message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// On which way.
    pub flow: Flow,
    /// All of it.
    pub bytes: &'a [u8],
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// Where each message ends.
    queued: Vec<(Flow, usize)>,
    taken: usize,
    begin: usize,
}

impl Outbox {
    /// Appends a message that `write` makes, which tells its way.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Flow) {
        let flow = write(&mut self.bytes);
        self.queued.push((flow, self.bytes.len()));
    }

    pub(super) fn poll(&mut self) -> Option<Transmit<'_>> {
        let Some((flow, end)) = self.queued.get(self.taken).copied() else {
            (self.taken, self.begin) = (0, 0);
            self.queued.clear();
            self.bytes.clear();
            return None;
        };
        let begin = std::mem::replace(&mut self.begin, end);
        self.taken += 1;
        Some(Transmit { flow, bytes: &self.bytes[begin..end] })
    }
}
