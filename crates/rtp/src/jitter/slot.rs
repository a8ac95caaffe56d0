//! The ring of the jitter buffer.

use super::{Content, PAYLOAD_MAX, Playout};
use crate::packet::Packet;

/// A packet that waits, or none.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Where it belongs; [`NOWHERE`] where the slot is empty.
    pub(super) place: u64,
    content: Content,
    payload_type: u8,
    length: usize,
    payload: [u8; PAYLOAD_MAX],
}

impl Slot {
    /// A slot without a packet.
    pub(super) const EMPTY: Self =
        Self { place: NOWHERE, content: Content::Other, payload_type: 0, length: 0, payload: [0; PAYLOAD_MAX] };

    /// Puts a packet in.
    pub(super) fn fill(&mut self, place: u64, packet: &Packet<'_>, content: Content) {
        let payload = packet.payload();
        self.place = place;
        self.content = content;
        self.payload_type = packet.payload_type();
        self.length = payload.len();
        self.payload[..payload.len()].copy_from_slice(payload);
    }

    /// Empties the slot, if that place is in it; what it held can be read until it is filled again.
    pub(super) fn take(&mut self, place: u64) -> Option<Content> {
        (self.place == place).then(|| {
            self.place = NOWHERE;
            self.content
        })
    }

    /// The packet that was taken last.
    pub(super) fn audio(&self) -> Playout<'_> {
        Playout::Audio { payload_type: self.payload_type, payload: &self.payload[..self.length] }
    }
}

/// The slot of a place.
pub(super) const fn index(place: u64) -> usize {
    (place % SLOTS as u64) as usize
}

/// More than ever wait, so that no two places share one.
pub(super) const SLOTS: usize = 16;
/// No place: extended numbers begin a cycle above it.
pub(super) const NOWHERE: u64 = 0;
