//! Whose packets are played.

use crate::packet::Packet;
use crate::seq::Sequence;

/// The source of a stream.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) ssrc: u32,
    pub(super) sequence: Sequence,
    /// Losses already counted.
    pub(super) lost: u64,
}

impl Source {
    /// Begins with its first packet.
    pub(super) fn new(packet: &Packet<'_>) -> Self {
        Self { ssrc: packet.ssrc(), sequence: Sequence::new(packet.sequence()), lost: 0 }
    }
}

/// Another source that may take its place: SSRC and number of the packet that would prove it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rival(Option<(u32, u16)>);

impl Rival {
    /// Notes a packet of another source; true where it is the second in a row. One proves nothing, as one far away proves
    /// no restart (RFC 3550 A.1).
    pub(super) fn is_proven_by(&mut self, packet: &Packet<'_>) -> bool {
        let (ssrc, number) = (packet.ssrc(), packet.sequence());
        let proven = self.0 == Some((ssrc, number));
        self.0 = (!proven).then_some((ssrc, number.wrapping_add(1)));
        proven
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Header;

    #[test]
    fn two_packets_in_a_row_prove_another_source() {
        let mut rival = Rival::default();
        let mut proves = |ssrc, sequence| {
            let mut bytes = Vec::new();
            Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc }.write(&[], &mut bytes);
            bytes.push(0);
            rival.is_proven_by(&Packet::parse(&bytes).unwrap())
        };
        let packets = [(8, 0xffff), (8, 1), (9, 2), (8, 2), (8, 4), (8, 5), (8, 6), (7, 0xffff), (7, 0)];
        let proven: Vec<bool> = packets.into_iter().map(|(ssrc, number)| proves(ssrc, number)).collect();
        assert_eq!(proven, [false, false, false, false, false, true, false, false, true]);
    }
}
