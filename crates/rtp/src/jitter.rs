//! The jitter buffer of one stream: a fixed ring, no heap after its creation, bounded delay.
//!
//! Packets go in as they come and are taken out in the order of their sequence numbers, one whenever the mixer wants
//! more audio. The delay starts at the target, grows by a packet when the buffer runs dry while its source goes on
//! (that much jitter there is), and shrinks again by one whenever it was longer than the target for a second; a burst
//! that would make it longer than [`DEPTH_MAX`] is cut to the target at once.

mod slot;
mod source;
mod statistics;

use self::slot::{NOWHERE, SLOTS, Slot, index};
use self::source::{Rival, Source};
pub use self::statistics::Statistics;
use crate::packet::Packet;
use crate::seq::Arrival;

/// The most packets that wait, by sequence number: the bound of the delay.
pub const DEPTH_MAX: u64 = 10;

/// The longest payload that fits, in bytes: 60 ms of G.711.
pub const PAYLOAD_MAX: usize = 480;

/// Holds back the packets of one stream until they are in order.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    slots: Box<[Slot; SLOTS]>,
    source: Option<Source>,
    rival: Rival,
    /// No place before this one is played.
    floor: u64,
    /// One behind the newest place that is filled; `floor` where none is.
    end: u64,
    phase: Phase,
    target: u64,
    /// Frames made up while waiting for a packet that may yet come.
    owed: u32,
    /// The shortest depth since the last look at it, and how many packets ago that was.
    shortest: (u64, u32),
    statistics: Statistics,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Audio to be played.
    Audio,
    /// Something else (telephone-event, comfort noise) in a place of its own.
    Other,
}

/// What is to be played next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playout<'a> {
    /// Audio.
    Audio {
        /// Its payload type.
        payload_type: u8,
        /// Its payload.
        payload: &'a [u8],
    },
    /// A packet is missing: make up for it.
    Concealed,
    /// The source says nothing.
    Nothing,
}

impl JitterBuffer {
    /// Makes a buffer that waits for so many packets before it plays the first.
    #[must_use]
    pub fn new(target: u64) -> Self {
        Self {
            slots: Box::new([Slot::EMPTY; SLOTS]),
            source: None,
            rival: Rival::default(),
            floor: 0,
            end: 0,
            phase: Phase::Filling { waited: 0 },
            target: target.clamp(1, DEPTH_MAX - 1),
            owed: 0,
            shortest: (u64::MAX, 0),
            statistics: Statistics::default(),
        }
    }

    /// Takes in a packet. A new SSRC starts afresh with the second of two packets in a row.
    pub fn insert(&mut self, packet: &Packet<'_>, content: Content) {
        let Some(place) = self.place(packet) else { return };
        if place < self.floor || self.end > place + DEPTH_MAX {
            self.statistics.late += 1;
            return;
        }
        if packet.payload().len() > PAYLOAD_MAX {
            self.statistics.overflow += 1;
            return;
        }
        if self.end <= self.floor && self.filling() {
            self.floor = self.floor.max(place.saturating_sub(MISORDER_ROOM));
            self.end = self.floor;
        }
        if place >= self.first() + DEPTH_MAX {
            self.cut(place + 1 - self.target);
        }
        self.end = self.end.max(place + 1);
        self.slots[index(place)].fill(place, packet, content);
    }

    /// Notes that a packet came, without keeping it: what is muted is not played later.
    pub fn pass_over(&mut self, packet: &Packet<'_>) {
        self.place(packet);
    }

    /// Forgets what waits; nothing that was sent up to now is played.
    pub fn clear(&mut self) {
        let next = self.source.as_ref().map_or(0, |source| source.sequence.highest() + 1);
        self.restart(next);
    }

    /// Takes out what is to be played next.
    pub fn take(&mut self) -> Playout<'_> {
        if let Phase::Filling { waited } = self.phase {
            if self.end <= self.floor {
                return Playout::Nothing;
            }
            let first = self.first();
            if self.end - first < self.target && waited < self.target {
                self.phase = Phase::Filling { waited: waited + 1 };
                return Playout::Nothing;
            }
            self.floor = first;
            self.phase = Phase::Playing;
            self.shortest = (u64::MAX, 0);
        }
        self.shorten();
        let mut passed = false;
        while self.floor < self.end {
            let place = self.floor;
            self.floor += 1;
            let slot = &mut self.slots[index(place)];
            match slot.take(place) {
                Some(Content::Audio) => {
                    self.owed = 0;
                    // Borrowed anew: the loop would hold on to `slot`.
                    return self.slots[index(place)].audio();
                }
                Some(Content::Other) => passed = true,
                None if self.owed > 0 => self.owed -= 1,
                None => return self.conceal(),
            }
        }
        self.owed += 1;
        if passed || self.owed > CONCEAL_MAX {
            self.restart(self.floor);
            return Playout::Nothing;
        }
        self.conceal()
    }

    /// The SSRC of the stream, once there was a packet.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    /// Takes the counts since the last time.
    pub fn take_statistics(&mut self) -> Statistics {
        if let Some(source) = &mut self.source {
            let lost = source.sequence.lost();
            // What was missing at the last report may have come since.
            self.statistics.lost += lost.saturating_sub(source.lost);
            source.lost = source.lost.max(lost);
        }
        std::mem::take(&mut self.statistics)
    }

    /// The extended sequence number of a packet that is new.
    fn place(&mut self, packet: &Packet<'_>) -> Option<u64> {
        let known = self.source.as_mut().filter(|source| source.ssrc == packet.ssrc());
        let Some(source) = known else {
            if self.source.is_some() && !self.rival.is_proven_by(packet) {
                self.statistics.late += 1;
                return None;
            }
            let statistics = self.take_statistics();
            let source = Source::new(packet);
            let place = source.sequence.highest();
            self.source = Some(source);
            self.restart(0);
            self.statistics = statistics;
            return Some(place);
        };
        match source.sequence.push(packet.sequence()) {
            Arrival::Newest(place) => return Some(place),
            Arrival::Reordered(place) => {
                if place >= self.floor {
                    self.statistics.reordered += 1;
                }
                return Some(place);
            }
            Arrival::Restarted(place) => {
                self.restart(place);
                return Some(place);
            }
            Arrival::Duplicate => self.statistics.duplicate += 1,
            Arrival::Stale | Arrival::Unproven => self.statistics.late += 1,
        }
        None
    }

    const fn filling(&self) -> bool {
        matches!(self.phase, Phase::Filling { .. })
    }

    /// The place that is played next: while filling, the first that is there.
    fn first(&self) -> u64 {
        if !self.filling() {
            return self.floor;
        }
        let mut places = self.floor..self.end;
        places.find(|&place| self.slots[index(place)].place == place).unwrap_or(self.floor)
    }

    /// Drops a packet where the delay was longer than it need be for the whole of the last second.
    fn shorten(&mut self) {
        let (shortest, takes) = self.shortest;
        self.shortest = (shortest.min(self.end - self.floor), takes + 1);
        if takes + 1 < SHORTEN_AFTER {
            return;
        }
        if self.shortest.0 > self.target {
            self.cut(self.floor + 1);
        }
        self.shortest = (u64::MAX, 0);
    }

    /// Discards what waits before this place.
    fn cut(&mut self, floor: u64) {
        for place in self.floor..floor.min(self.end) {
            if self.slots[index(place)].take(place).is_some() {
                self.statistics.overflow += 1;
            }
        }
        self.floor = floor;
        self.end = self.end.max(floor);
    }

    fn conceal(&mut self) -> Playout<'static> {
        self.statistics.concealed += 1;
        Playout::Concealed
    }

    fn restart(&mut self, floor: u64) {
        self.slots.iter_mut().for_each(|slot| slot.place = NOWHERE);
        self.floor = floor;
        self.end = floor;
        self.owed = 0;
        self.phase = Phase::Filling { waited: 0 };
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Waiting for the target depth, for so many takes already.
    Filling { waited: u64 },
    /// Playing the place at the floor.
    Playing,
}

/// While filling, packets that were sent so much before the first to come still count.
const MISORDER_ROOM: u64 = 3;
/// Frames in a row that are made up before the source is taken to be silent.
const CONCEAL_MAX: u32 = 3;
/// Takes after which a delay that was always too long is shortened: a second at 20 ms.
const SHORTEN_AFTER: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Header;

    #[test]
    fn plays_in_order_after_the_target_is_reached() {
        let mut buffer = JitterBuffer::new(2);
        insert(&mut buffer, 5);
        assert_eq!(take(&mut buffer), None);
        insert(&mut buffer, 6);
        assert_eq!(take(&mut buffer), Some(5));
        insert(&mut buffer, 7);
        assert_eq!(take(&mut buffer), Some(6));
        assert_eq!(buffer.take_statistics(), Statistics::default());
    }

    #[test]
    fn a_single_packet_is_played_too() {
        let mut buffer = JitterBuffer::new(2);
        insert(&mut buffer, 5);
        assert_eq!([take(&mut buffer), take(&mut buffer)], [None, None]);
        assert_eq!(take(&mut buffer), Some(5));
    }

    #[test]
    fn puts_packets_back_in_order_over_the_wrap() {
        let mut buffer = JitterBuffer::new(2);
        for number in [0xfffe, 1, 0xffff, 0] {
            insert(&mut buffer, number);
        }
        assert_eq!(drain(&mut buffer, 4), [0xfffe, 0xffff, 0, 1]);
        assert_eq!(buffer.take_statistics(), Statistics { reordered: 2, ..Statistics::default() });
    }

    #[test]
    fn what_was_sent_before_the_first_that_came_is_played_first() {
        let mut buffer = JitterBuffer::new(2);
        insert(&mut buffer, 0);
        insert(&mut buffer, 0xffff);
        assert_eq!(drain(&mut buffer, 2), [0xffff, 0]);
    }

    #[test]
    fn conceals_a_missing_packet_in_its_place() {
        let mut buffer = playing(0..5, 2);
        insert(&mut buffer, 6);
        assert_eq!(take(&mut buffer), Some(3));
        assert_eq!(take(&mut buffer), Some(4));
        assert_eq!(buffer.take(), Playout::Concealed);
        assert_eq!(take(&mut buffer), Some(6));
        let statistics = buffer.take_statistics();
        assert_eq!((statistics.lost, statistics.concealed), (1, 1));
    }

    #[test]
    fn a_loss_that_was_concealed_while_dry_is_not_concealed_again() {
        let mut buffer = playing(0..5, 2);
        assert_eq!(drain(&mut buffer, 2), [3, 4]);
        assert_eq!(buffer.take(), Playout::Concealed);
        insert(&mut buffer, 6);
        assert_eq!(take(&mut buffer), Some(6));
    }

    #[test]
    fn drops_late_and_duplicate_packets() {
        let mut buffer = playing(0..5, 2);
        insert(&mut buffer, 6);
        insert(&mut buffer, 6);
        assert_eq!(drain(&mut buffer, 2), [3, 4]);
        assert_eq!(buffer.take(), Playout::Concealed);
        insert(&mut buffer, 5);
        let statistics = buffer.take_statistics();
        assert_eq!((statistics.late, statistics.duplicate), (1, 1));
        assert_eq!(take(&mut buffer), Some(6));
    }

    #[test]
    fn says_nothing_when_its_source_stops_and_fills_again_when_it_goes_on() {
        let mut buffer = playing(0..5, 2);
        drain(&mut buffer, 2);
        for _ in 0..CONCEAL_MAX {
            assert_eq!(buffer.take(), Playout::Concealed);
        }
        for _ in 0..100 {
            assert_eq!(buffer.take(), Playout::Nothing);
        }
        insert(&mut buffer, 5);
        assert_eq!(take(&mut buffer), None);
        insert(&mut buffer, 6);
        assert_eq!(drain(&mut buffer, 2), [5, 6]);
    }

    #[test]
    fn an_event_takes_its_place_without_being_played_or_concealed() {
        let mut buffer = playing(0..5, 2);
        insert_as(&mut buffer, 5, 7, Content::Other);
        insert_as(&mut buffer, 6, 7, Content::Other);
        insert(&mut buffer, 7);
        assert_eq!(drain(&mut buffer, 3), [3, 4, 7]);
        insert_as(&mut buffer, 8, 7, Content::Other);
        assert_eq!(buffer.take(), Playout::Nothing);
        assert_eq!(buffer.take_statistics(), Statistics::default());
    }

    #[test]
    fn a_burst_after_a_stall_does_not_lengthen_the_delay() {
        let mut buffer = playing(0..5, 2);
        drain(&mut buffer, 10);
        (5..30).for_each(|number| insert(&mut buffer, number));
        let first = std::iter::from_fn(|| Some(take(&mut buffer))).flatten().next().unwrap();
        assert!(first + DEPTH_MAX >= 30, "{first}");
        let statistics = buffer.take_statistics();
        assert_eq!(statistics.overflow, first - 5);
    }

    #[test]
    fn a_sender_with_a_fast_clock_does_not_lengthen_the_delay() {
        let mut buffer = JitterBuffer::new(2);
        let mut number = 0_u16;
        let mut played = 0;
        for tick in 0..100_000 {
            // Half a percent: far more than the drift of any real clock.
            for _ in 0..if tick % 200 == 0 { 2 } else { 1 } {
                insert(&mut buffer, number);
                number = number.wrapping_add(1);
            }
            if let Some(taken) = take(&mut buffer) {
                played += 1;
                assert!((u64::from(number) + 65_536 - taken) % 65_536 <= 6);
            }
        }
        assert!(played > 99_900);
        assert_eq!(buffer.take_statistics().lost, 0);
    }

    #[test]
    fn a_new_source_starts_afresh_with_its_second_packet_in_a_row() {
        let mut buffer = playing(0..5, 2);
        (40_000..40_003).for_each(|number| insert_as(&mut buffer, number, 8, Content::Audio));
        assert_eq!(drain(&mut buffer, 2), [40_001, 40_002]);
        assert_eq!((buffer.ssrc(), buffer.take_statistics().late), (Some(8), 1));
    }

    #[test]
    fn nothing_from_before_a_clear_is_played() {
        let mut buffer = playing(0..5, 2);
        insert(&mut buffer, 7);
        buffer.clear();
        insert(&mut buffer, 6);
        assert_eq!((take(&mut buffer), take(&mut buffer), take(&mut buffer)), (None, None, None));
        insert(&mut buffer, 8);
        insert(&mut buffer, 9);
        assert_eq!(drain(&mut buffer, 2), [8, 9]);
        assert_eq!(buffer.take_statistics().late, 1);
    }

    #[test]
    fn what_is_passed_over_is_received_but_not_played() {
        let mut buffer = JitterBuffer::new(2);
        let bytes = packet(5, 7);
        buffer.pass_over(&Packet::parse(&bytes).unwrap());
        buffer.clear();
        insert(&mut buffer, 5);
        assert_eq!(take(&mut buffer), None);
        let statistics = buffer.take_statistics();
        assert_eq!((statistics.duplicate, statistics.lost), (1, 0));
    }

    #[test]
    fn survives_any_sequence_of_numbers() {
        let mut random = 1_u64;
        let mut buffer = JitterBuffer::new(3);
        for _ in 0..200_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let [.., low, high, kind, _] = random.to_le_bytes();
            match kind % 8 {
                0..4 => insert(&mut buffer, u16::from(low % 32)),
                4 => insert(&mut buffer, u16::from_le_bytes([low, high])),
                5 => insert_as(&mut buffer, u16::from(low), u32::from(high % 2), Content::Other),
                6 => {
                    take(&mut buffer);
                }
                _ => buffer.clear(),
            }
            assert!(buffer.end - buffer.first() <= DEPTH_MAX);
        }
    }

    /// A buffer that got these numbers and played the first three.
    fn playing(numbers: std::ops::Range<u16>, target: u64) -> JitterBuffer {
        let mut buffer = JitterBuffer::new(target);
        numbers.for_each(|number| insert(&mut buffer, number));
        assert_eq!(drain(&mut buffer, 3), [0, 1, 2]);
        buffer
    }

    fn drain(buffer: &mut JitterBuffer, count: usize) -> Vec<u64> {
        (0..count).filter_map(|_| take(buffer)).collect()
    }

    /// The sequence number of what is played.
    fn take(buffer: &mut JitterBuffer) -> Option<u64> {
        match buffer.take() {
            Playout::Audio { payload, .. } => Some(u16::from_be_bytes(payload.try_into().unwrap()).into()),
            Playout::Concealed | Playout::Nothing => None,
        }
    }

    fn insert(buffer: &mut JitterBuffer, number: u16) {
        insert_as(buffer, number, 7, Content::Audio);
    }

    fn insert_as(buffer: &mut JitterBuffer, number: u16, ssrc: u32, content: Content) {
        buffer.insert(&Packet::parse(&packet(number, ssrc)).unwrap(), content);
    }

    /// A packet whose payload is its number.
    fn packet(number: u16, ssrc: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        Header { marker: false, payload_type: 0, sequence: number, timestamp: 0, ssrc }.write(&[], &mut bytes);
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes
    }
}
