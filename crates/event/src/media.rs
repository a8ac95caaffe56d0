//! What happened to legs and their audio.

use std::time::Duration;

use crate::{Correlation, Identity, closed_enum};

closed_enum! {
    /// How a leg came or went.
    LegState {
        /// It joined.
        Joined = "joined",
        /// It left by itself.
        Departed = "departed",
        /// A moderator removed it.
        Booted = "booted",
        /// It was not admitted.
        Refused = "refused",
        /// It failed (no ACK, no RTP, transport).
        Failed = "failed",
    }
}

/// A leg joined or left a conference.
#[derive(Clone, Debug, PartialEq)]
pub struct Leg {
    /// How.
    pub state: LegState,
    /// SIP status it was answered with, where it was refused, or by which it was known that nobody is there any more.
    pub status: Option<u16>,
    /// Who.
    pub participant: Option<Identity>,
    /// Codec of its audio.
    pub codec: Option<&'static str>,
    /// Identifiers.
    pub correlation: Correlation,
}

/// A conference began or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Conference {
    /// True when it began.
    pub active: bool,
    /// Identifiers.
    pub correlation: Correlation,
}

closed_enum! {
    /// Why an RTP packet was dropped.
    DropReason {
        /// Not RTP.
        Malformed = "malformed",
        /// It belongs to no leg of its port.
        Stranger = "stranger",
        /// A payload type that was not agreed.
        PayloadType = "payload_type",
        /// Too late for its place.
        Late = "late",
        /// Seen before.
        Duplicate = "duplicate",
        /// No room in the jitter buffer.
        Overflow = "overflow",
        /// The leg is muted or on hold.
        Muted = "muted",
    }
}

/// RTP was dropped where no [`Report`] counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Why.
    pub reason: DropReason,
    /// How many packets since the last such event.
    pub packets: u64,
}

closed_enum! {
    /// What a participant does.
    ParticipantState {
        /// He is heard.
        Speaking = "speaking",
        /// He could be heard.
        Silent = "silent",
        /// He may not be heard.
        Muted = "muted",
        /// He put the call on hold.
        Held = "held",
    }
}

closed_enum! {
    /// A codec as a metric label.
    Codec {
        /// G.711 µ-law.
        Pcmu = "PCMU",
        /// G.711 A-law.
        Pcma = "PCMA",
        /// G.722.
        G722 = "G722",
        /// Opus.
        Opus = "opus",
        /// Telephone-event (RFC 4733).
        TelephoneEvent = "telephone-event",
    }
}

closed_enum! {
    /// What a port of the mixer does.
    PortState {
        /// Legs share it.
        Used = "used",
        /// No leg has it.
        Free = "free",
    }
}

/// What a media thread did since its last report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Which media thread, from 0: what is true *now* is summed over threads.
    pub thread: u8,
    /// Packets in, by codec ([`Codec::ALL`] order).
    pub received: [u64; 5],
    /// Packets out, by codec ([`Codec::ALL`] order).
    pub sent: [u64; 5],
    /// RTP bytes in.
    pub received_bytes: u64,
    /// RTP bytes out.
    pub sent_bytes: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Frames made up for them.
    pub concealed: u64,
    /// Packets that came out of order and in time.
    pub reordered: u64,
    /// Drops by [`DropReason::ALL`] order.
    pub dropped: [u64; 7],
    /// Participants by [`ParticipantState::ALL`] order, now.
    pub participants: [u64; 4],
    /// Conferences, now.
    pub conferences: u64,
    /// Ports by [`PortState::ALL`] order, now; told by the thread, for the mixer knows only the used ones.
    pub ports: [u64; 2],
    /// How long the ticks of the period took.
    pub ticks: TickTimes,
}

/// Upper bounds of the buckets of [`TickTimes`]; one more bucket takes what is longer.
pub const TICK_BOUNDS: [Duration; 9] = [
    Duration::from_micros(1_000),
    Duration::from_micros(2_500),
    Duration::from_micros(5_000),
    Duration::from_micros(7_500),
    Duration::from_micros(10_000),
    Duration::from_micros(15_000),
    Duration::from_micros(20_000),
    Duration::from_micros(30_000),
    Duration::from_micros(50_000),
];

/// A tick that begins later than this after its due time is late: a quarter of 20 ms.
pub const LATE_TICK: Duration = Duration::from_millis(5);

/// A tick that takes longer than this has eaten the time of the next one: 20 ms.
pub const LONGEST_TICK: Duration = Duration::from_millis(20);

/// Durations of ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickTimes {
    /// How many.
    pub count: u64,
    /// Together.
    pub busy: Duration,
    /// The longest.
    pub longest: Duration,
    /// How many took longer than [`LONGEST_TICK`].
    pub overran: u64,
    /// How many began later than [`LATE_TICK`].
    pub late: u64,
    /// The latest start after its due time.
    pub longest_lag: Duration,
    /// All lags together.
    pub lag: Duration,
    /// How many took how long, by [`TICK_BOUNDS`].
    pub took: [u64; TICK_BOUNDS.len() + 1],
    /// How many began how late, by [`TICK_BOUNDS`].
    pub lagged: [u64; TICK_BOUNDS.len() + 1],
}

impl TickTimes {
    /// Adds one tick that began `lag` after its due time and took `busy`; neither allocates nor waits.
    pub fn record(&mut self, busy: Duration, lag: Duration) {
        let bucket = |time: Duration| TICK_BOUNDS.iter().position(|bound| time <= *bound).unwrap_or(TICK_BOUNDS.len());
        self.count += 1;
        self.busy += busy;
        self.longest = self.longest.max(busy);
        self.overran += u64::from(busy > LONGEST_TICK);
        self.late += u64::from(lag > LATE_TICK);
        self.longest_lag = self.longest_lag.max(lag);
        self.lag += lag;
        self.took[bucket(busy)] += 1;
        self.lagged[bucket(lag)] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let mut times = TickTimes::default();
        times.record(Duration::from_micros(1_000), Duration::ZERO);
        times.record(Duration::from_micros(1_001), Duration::from_millis(5));
        times.record(Duration::from_millis(51), Duration::from_micros(5_001));
        assert_eq!(times.took, [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(times.lagged, [1, 0, 1, 1, 0, 0, 0, 0, 0, 0]);
        times.record(LONGEST_TICK, Duration::ZERO);
        assert_eq!((times.count, times.overran, times.late), (4, 1, 1));
        assert_eq!((times.longest, times.longest_lag), (Duration::from_millis(51), Duration::from_micros(5_001)));
        assert_eq!((times.busy, times.lag), (Duration::from_micros(73_001), Duration::from_micros(10_001)));
    }
}
