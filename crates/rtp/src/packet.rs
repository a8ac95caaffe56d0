//! RTP packets (RFC 3550 §5.1).

/// A received RTP packet, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    fixed: &'a [u8; FIXED_HEADER],
    csrcs: &'a [u8],
    payload: &'a [u8],
}

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The header says more than there is.
    #[error("shorter than its header says")]
    Short,
    /// Not version 2.
    #[error("not RTP version 2")]
    Version,
    /// The padding count is 0, or more than there is.
    #[error("impossible padding")]
    Padding,
    /// It is RTCP on the port of RTP (RFC 5761 §4).
    #[error("RTCP")]
    Rtcp,
}

impl<'a> Packet<'a> {
    /// Reads a packet; CSRCs, header extension and padding are set apart from the payload.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are not one RTP packet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED_HEADER>().ok_or(Malformed::Short)?;
        let [flags, kind, ..] = *fixed;
        if flags >> 6 != VERSION {
            return Err(Malformed::Version);
        }
        if (192..=223).contains(&kind) {
            return Err(Malformed::Rtcp);
        }
        let csrcs = usize::from(flags & 0x0f) * 4;
        let (csrcs, mut payload) = rest.split_at_checked(csrcs).ok_or(Malformed::Short)?;
        if flags & EXTENSION != 0 {
            let ([_, _, high, low], rest) = payload.split_first_chunk().ok_or(Malformed::Short)?;
            let words = usize::from(u16::from_be_bytes([*high, *low]));
            payload = rest.get(words * 4..).ok_or(Malformed::Short)?;
        }
        if flags & PADDING != 0 {
            let count = usize::from(*payload.last().ok_or(Malformed::Padding)?);
            let end = payload.len().checked_sub(count).ok_or(Malformed::Padding)?;
            if count == 0 {
                return Err(Malformed::Padding);
            }
            payload = payload.get(..end).ok_or(Malformed::Padding)?;
        }
        Ok(Self { fixed, csrcs, payload })
    }

    /// The marker bit.
    #[must_use]
    pub const fn marker(&self) -> bool {
        self.fixed[1] & MARKER != 0
    }

    /// The payload type.
    #[must_use]
    pub const fn payload_type(&self) -> u8 {
        self.fixed[1] & !MARKER
    }

    /// The sequence number.
    #[must_use]
    pub const fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The timestamp, in units of the codec's clock.
    #[must_use]
    pub const fn timestamp(&self) -> u32 {
        let [.., a, b, c, d, _, _, _, _] = *self.fixed;
        u32::from_be_bytes([a, b, c, d])
    }

    /// The synchronisation source.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        let [.., a, b, c, d] = *self.fixed;
        u32::from_be_bytes([a, b, c, d])
    }

    /// The contributing sources.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + 'a {
        self.csrcs.as_chunks().0.iter().map(|csrc| u32::from_be_bytes(*csrc))
    }

    /// The payload without padding.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// The header of a packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The marker bit.
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp, in units of the codec's clock.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Appends the header with its contributing sources, the first [`CSRCS_MAX`] of them.
    pub fn write(&self, csrcs: &[u32], out: &mut Vec<u8>) {
        let csrcs = &csrcs[..csrcs.len().min(CSRCS_MAX)];
        let mut fixed = [0; FIXED_HEADER];
        fixed[0] = VERSION << 6 | u8::try_from(csrcs.len()).unwrap_or(0);
        fixed[1] = self.payload_type & !MARKER | if self.marker { MARKER } else { 0 };
        fixed[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        fixed[8..].copy_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&fixed);
        for csrc in csrcs {
            out.extend_from_slice(&csrc.to_be_bytes());
        }
    }
}

/// The most contributing sources that a header can name.
pub const CSRCS_MAX: usize = 15;

/// The longest header that we write, in bytes.
pub const HEADER_MAX: usize = FIXED_HEADER + 4 * CSRCS_MAX;

const FIXED_HEADER: usize = 12;
const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const MARKER: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header =
        Header { marker: true, payload_type: 8, sequence: 0xfffe, timestamp: 0x0102_0304, ssrc: 0xdead_beef };

    #[test]
    fn reads_back_what_it_wrote() {
        let mut bytes = Vec::new();
        HEADER.write(&[7, 8], &mut bytes);
        bytes.extend_from_slice(b"voice");
        let packet = Packet::parse(&bytes).unwrap();
        assert!(packet.marker());
        assert_eq!(packet.payload_type(), 8);
        assert_eq!(packet.sequence(), 0xfffe);
        assert_eq!(packet.timestamp(), 0x0102_0304);
        assert_eq!(packet.ssrc(), 0xdead_beef);
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [7, 8]);
        assert_eq!(packet.payload(), b"voice");
    }

    #[test]
    fn names_no_more_than_fifteen_contributing_sources() {
        let mut bytes = Vec::new();
        HEADER.write(&[1; 20], &mut bytes);
        assert_eq!(bytes.len(), HEADER_MAX);
        assert_eq!(Packet::parse(&bytes).unwrap().csrcs().count(), CSRCS_MAX);
    }

    #[test]
    fn sets_extension_and_padding_apart_from_the_payload() {
        let mut bytes = vec![0xb1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend_from_slice(&[0, 0, 0, 9]);
        bytes.extend_from_slice(&[0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        bytes.extend_from_slice(b"voice");
        bytes.extend_from_slice(&[0, 0, 3]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.payload(), b"voice");
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn refuses_what_is_no_rtp() {
        let mut packet = Vec::new();
        HEADER.write(&[1], &mut packet);
        for length in 0..packet.len() {
            assert_eq!(Packet::parse(&packet[..length]).unwrap_err(), Malformed::Short);
        }
        let with = |flags: u8, kind: u8, tail: &[u8]| {
            let mut bytes = vec![flags, kind, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
            bytes.extend_from_slice(tail);
            Packet::parse(&bytes).map(|packet| packet.payload().len())
        };
        assert_eq!(with(0x40, 0, b""), Err(Malformed::Version));
        assert_eq!(with(0x80, 200, b""), Err(Malformed::Rtcp));
        assert_eq!(with(0xa0, 0, b""), Err(Malformed::Padding));
        assert_eq!(with(0xa0, 0, &[1, 0]), Err(Malformed::Padding));
        assert_eq!(with(0xa0, 0, &[1, 3]), Err(Malformed::Padding));
        assert_eq!(with(0xa0, 0, &[1, 2]), Ok(0));
        assert_eq!(with(0x90, 0, &[0, 0, 0]), Err(Malformed::Short));
        assert_eq!(with(0x90, 0, &[0, 0, 0xff, 0xff, 1]), Err(Malformed::Short));
    }
}
