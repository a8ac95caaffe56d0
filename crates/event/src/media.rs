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
    /// SIP status it was answered with, where it was refused.
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

/// RTP was dropped.
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

/// What a media thread did since its last report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
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
    /// How long the ticks of the period took.
    pub ticks: TickTimes,
}

/// Durations of ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickTimes {
    /// How many.
    pub count: u64,
    /// Together.
    pub busy: Duration,
    /// The longest.
    pub longest: Duration,
    /// How many began later than a quarter of a tick.
    pub late: u64,
    /// The latest start after its due time.
    pub longest_lag: Duration,
}

