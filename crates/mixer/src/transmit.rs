//! The packets of a tick.

use std::net::SocketAddr;

use cusax_rtp::FRAME_SAMPLES;
use cusax_rtp::packet::{HEADER_MAX, Header};

use crate::PortId;

/// What a tick sends: one arena that its owner keeps and clears, so that no tick allocates.
#[derive(Clone, Debug, Default)]
pub struct Transmits {
    bytes: Vec<u8>,
    packets: Vec<Packet>,
}

/// A packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// From this port.
    pub port: PortId,
    /// To there.
    pub to: SocketAddr,
    /// The datagram.
    pub bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    port: PortId,
    to: SocketAddr,
    start: usize,
    end: usize,
}

impl Transmits {
    /// Makes an arena with room for a packet to each of so many legs; more make it grow, once.
    #[must_use]
    pub fn for_legs(legs: usize) -> Self {
        Self { bytes: Vec::with_capacity(legs * (HEADER_MAX + FRAME_SAMPLES)), packets: Vec::with_capacity(legs) }
    }

    /// Empties the arena.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
    }

    /// How many packets there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The packets.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Transmit<'_>> {
        self.packets.iter().map(|&Packet { port, to, start, end }| Transmit {
            port,
            to,
            bytes: &self.bytes[start..end],
        })
    }

    /// Appends a packet; returns its length.
    pub(crate) fn push(
        &mut self,
        (port, to): (PortId, SocketAddr),
        header: &Header,
        csrcs: &[u32],
        payload: &[u8],
    ) -> usize {
        let start = self.bytes.len();
        header.write(csrcs, &mut self.bytes);
        self.bytes.extend_from_slice(payload);
        let end = self.bytes.len();
        self.packets.push(Packet { port, to, start, end });
        end - start
    }
}
