//! Sequence numbers extended beyond 16 bits (RFC 3550 A.1).

/// The sequence numbers of one source.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// Extended number of the first packet since the source (re)started.
    base: u64,
    /// Highest extended number so far.
    highest: u64,
    /// Bit n: `highest - n` came.
    window: u128,
    /// Distinct packets since the source (re)started.
    received: u64,
    /// What would prove that the source restarted.
    successor: Option<u16>,
    /// Lost before it restarted.
    lost: u64,
}

/// What a sequence number tells about its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is the newest.
    Newest(u64),
    /// It comes after one that followed it.
    Reordered(u64),
    /// It came before.
    Duplicate,
    /// It is so old that nothing is known of it.
    Stale,
    /// It is far from the others; only its successor would prove that the source restarted.
    Unproven,
    /// The source restarted, here.
    Restarted(u64),
}

impl Sequence {
    /// Begins with the source's first packet.
    #[must_use]
    pub const fn new(first: u16) -> Self {
        // A cycle ahead of zero, so that what was sent before the first packet has a number too.
        let first = CYCLE + first as u64;
        Self { base: first, highest: first, window: 1, received: 1, successor: None, lost: 0 }
    }

    /// Takes the number of a further packet.
    pub fn push(&mut self, number: u16) -> Arrival {
        let [low, high, ..] = self.highest.to_le_bytes();
        let ahead = number.wrapping_sub(u16::from_le_bytes([low, high]));
        let behind = ahead.wrapping_neg();
        if ahead == 0 {
            return Arrival::Duplicate;
        }
        if ahead < DROPOUT_MAX {
            self.highest += u64::from(ahead);
            self.window = self.window.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.received += 1;
            self.successor = None;
            return Arrival::Newest(self.highest);
        }
        if behind > MISORDER_MAX {
            return self.far(number);
        }
        let bit = 1_u128 << behind;
        if self.window & bit != 0 {
            return Arrival::Duplicate;
        }
        self.window |= bit;
        self.received += 1;
        match self.highest.checked_sub(u64::from(behind)) {
            Some(place) => Arrival::Reordered(place),
            None => Arrival::Stale,
        }
    }

    /// Highest extended number so far.
    #[must_use]
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// Packets that are missing so far (RFC 3550 A.3, duplicates not counted).
    #[must_use]
    pub const fn lost(&self) -> u64 {
        let expected = self.highest - self.base + 1;
        self.lost + expected.saturating_sub(self.received)
    }

    fn far(&mut self, number: u16) -> Arrival {
        if self.successor != Some(number) {
            self.successor = Some(number.wrapping_add(1));
            return Arrival::Unproven;
        }
        let lost = self.lost();
        // The next cycle: extended numbers never fall.
        let start = (self.highest / CYCLE + 1) * CYCLE + u64::from(number);
        *self = Self { base: start, highest: start, lost, ..Self::new(number) };
        Arrival::Restarted(start)
    }
}

const CYCLE: u64 = 1 << 16;
/// A gap up to which packets count as lost (RFC 3550 A.1 `MAX_DROPOUT`).
const DROPOUT_MAX: u16 = 3_000;
/// How far back a packet counts as misordered (RFC 3550 A.1 `MAX_MISORDER`).
const MISORDER_MAX: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_on_over_the_wrap() {
        let mut sequence = Sequence::new(0xfffe);
        let start = sequence.highest();
        for (step, number) in [0xffff, 0, 1].into_iter().enumerate() {
            assert_eq!(sequence.push(number), Arrival::Newest(start + 1 + step as u64));
        }
        assert_eq!(sequence.push(0xffff), Arrival::Duplicate);
        assert_eq!(sequence.lost(), 0);
    }

    #[test]
    fn tells_reordered_from_duplicate_over_the_wrap() {
        let mut sequence = Sequence::new(0xfffe);
        let start = sequence.highest();
        assert_eq!(sequence.push(1), Arrival::Newest(start + 3));
        assert_eq!(sequence.lost(), 2);
        assert_eq!(sequence.push(0xffff), Arrival::Reordered(start + 1));
        assert_eq!(sequence.push(0xffff), Arrival::Duplicate);
        assert_eq!(sequence.push(0xfffe), Arrival::Duplicate);
        assert_eq!(sequence.push(1), Arrival::Duplicate);
        assert_eq!(sequence.lost(), 1);
    }

    #[test]
    fn one_far_packet_proves_nothing_and_two_in_a_row_a_restart() {
        let mut sequence = Sequence::new(10);
        assert_eq!(sequence.push(40_000), Arrival::Unproven);
        assert_eq!(sequence.push(11), Arrival::Newest(CYCLE + 11));
        assert_eq!(sequence.push(40_001), Arrival::Unproven);
        let Arrival::Restarted(place) = sequence.push(40_002) else { panic!("no restart") };
        assert!(place > CYCLE + 11);
        assert_eq!(sequence.push(40_003), Arrival::Newest(place + 1));
        assert_eq!(sequence.lost(), 0);
    }

    #[test]
    fn what_came_before_the_first_has_a_place() {
        let mut sequence = Sequence::new(0);
        assert_eq!(sequence.push(0xffff), Arrival::Reordered(CYCLE - 1));
    }

    #[test]
    fn counts_loss_up_to_the_longest_gap() {
        let mut sequence = Sequence::new(0);
        assert_eq!(sequence.push(2_999), Arrival::Newest(CYCLE + 2_999));
        assert_eq!(sequence.lost(), 2_998);
    }
}
