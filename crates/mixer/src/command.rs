//! What the control plane tells a mixer, and what it hears back.

use std::net::SocketAddr;
use std::time::Instant;

use cusax_event::LegId;
use cusax_rtp::sdp::Stream;

use crate::{Seat, Signalling};

/// A conference, unique in the life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConferenceId(pub u64);

/// What a mixer is told. What is said of a leg that is gone changes nothing.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// A leg joins.
    AddLeg(AddLeg),
    /// A re-offer was answered.
    UpdateLeg(UpdateLeg),
    /// Voice is revoked or granted; confirmed by [`Event::MuteApplied`] with the same cause.
    SetMuted {
        /// The leg.
        leg: LegId,
        /// True where it may not be heard.
        muted: bool,
        /// What the control plane knows this decision by.
        cause: u64,
    },
    /// A leg that no packet came from for long is not waited for any more: another waits behind its address.
    StopWaiting {
        /// The leg.
        leg: LegId,
    },
    /// A leg leaves: no packet is sent to it from now on.
    RemoveLeg {
        /// The leg.
        leg: LegId,
    },
}

/// A leg that joins.
#[derive(Clone, Copy, Debug)]
pub struct AddLeg {
    /// The leg.
    pub leg: LegId,
    /// The conference, which begins with its first leg and ends with its last.
    pub conference: ConferenceId,
    /// The seat that [`Ports`](crate::Ports) gave it.
    pub seat: Seat,
    /// Where its signalling comes from.
    pub signalling: Signalling,
    /// What offer and answer agreed.
    pub stream: Stream,
    /// Whether it joins without voice.
    pub muted: bool,
    /// The SSRC of what it is sent.
    pub ssrc: u32,
}

/// What a re-offer changed.
#[derive(Clone, Copy, Debug)]
pub struct UpdateLeg {
    /// The leg.
    pub leg: LegId,
    /// Its seat from now on.
    pub seat: Seat,
    /// Where its signalling comes from now.
    pub signalling: Signalling,
    /// What offer and answer agreed.
    pub stream: Stream,
}

/// What a mixer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A tick was produced in which the leg's voice was missing altogether, or may be heard.
    MuteApplied {
        /// The leg.
        leg: LegId,
        /// Whether it is muted.
        muted: bool,
        /// The cause given with the command.
        cause: u64,
        /// When the tick was produced.
        at: Instant,
    },
    /// It is known where a leg's packets come from that was waiting for them, or that moved.
    LegLatched {
        /// The leg.
        leg: LegId,
        /// Its seat then.
        seat: Seat,
        /// Their source.
        source: SocketAddr,
    },
    /// Nothing came from a leg for long: perhaps there is nobody any more. Told again as long as nothing comes.
    LegSilent {
        /// The leg.
        leg: LegId,
    },
}
