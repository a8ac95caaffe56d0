//! One leg in its conference: what is heard of it, and the stream that it is sent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cusax_event::LegId;
use cusax_event::media::ParticipantState;
use cusax_rtp::jitter::Content;
use cusax_rtp::packet::{Header, Packet};
use cusax_rtp::sdp::{Direction, Stream};
use cusax_rtp::{FRAME_SAMPLES, Frame};

use crate::gate::Gate;
use crate::playout::Playout;
use crate::{PortId, Transmits};

/// A leg.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    /// The index of its conference.
    pub(crate) conference: usize,
    /// What was agreed.
    pub(crate) stream: Stream,
    pub(crate) muted: bool,
    /// Causes of mutes and unmutes to be confirmed: as many as came since the last tick.
    pub(crate) confirmations: Vec<u64>,
    /// The SSRC of what it sends, once it has.
    pub(crate) source: Option<u32>,
    /// When a packet of it came last, or its silence was told, or it described itself.
    pub(crate) heard: Instant,
    /// Its voice in this tick, where [`Self::voiced`].
    pub(crate) frame: Frame,
    pub(crate) voiced: bool,
    pub(crate) playout: Playout,
    gate: Gate,
    out: Out,
}

/// The stream that a leg is sent: continuous, whoever is heard in it.
#[derive(Clone, Debug)]
struct Out {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Whether the last tick sent nothing.
    paused: bool,
}

impl Leg {
    pub(crate) fn new(
        (id, conference): (LegId, usize),
        stream: Stream,
        muted: bool,
        header: &Header,
        playout: Playout,
        now: Instant,
    ) -> Self {
        let Header { ssrc, sequence, timestamp, .. } = *header;
        Self {
            id,
            conference,
            stream,
            muted,
            confirmations: Vec::new(),
            source: None,
            heard: now,
            frame: [0; FRAME_SAMPLES],
            voiced: false,
            playout,
            gate: Gate::new(Self::may_be_heard(&stream, muted)),
            out: Out { ssrc, sequence, timestamp, paused: true },
        }
    }

    /// Whether what it sends now is to be heard.
    pub(crate) const fn is_audible(&self) -> bool {
        self.gate.is_audible()
    }

    /// Takes a new state of mute and stream; what was sent before it is not heard after it.
    pub(crate) fn set(&mut self, stream: Stream, muted: bool) {
        self.stream = stream;
        self.muted = muted;
        let before = self.gate;
        self.gate.set(Self::may_be_heard(&stream, muted));
        if self.gate != before && self.gate != Gate::Closing {
            self.playout.clear();
        }
    }

    /// Takes in a packet whose payload type was agreed.
    pub(crate) fn insert(&mut self, packet: &Packet<'_>, content: Content) {
        if self.gate.is_audible() {
            self.playout.insert(packet, content);
        } else {
            self.playout.pass_over(packet);
        }
        self.source = self.playout.source();
    }

    /// Produces its voice for this tick. True where mutes and unmutes so far have come into effect.
    pub(crate) fn produce(&mut self) -> bool {
        self.voiced = self.gate != Gate::Closed && self.playout.next(&self.stream.formats, &mut self.frame);
        let fades_out = self.gate == Gate::Closing;
        if self.voiced {
            self.gate.pass(&mut self.frame);
        }
        if fades_out {
            self.gate = Gate::Closed;
            self.playout.clear();
        }
        !(fades_out && self.voiced)
    }

    /// How long nothing may come from it before that is told: who is on hold may send nothing for as long as he likes.
    pub(crate) const fn patience(&self) -> Duration {
        match self.stream.direction {
            Direction::SendRecv => SILENCE,
            Direction::SendOnly | Direction::RecvOnly | Direction::Inactive => HELD,
        }
    }

    /// Whether it is sent anything.
    pub(crate) const fn listens(&self) -> bool {
        self.stream.direction.sends()
    }

    /// Sends it a frame; returns the packet's length.
    pub(crate) fn send(
        &mut self,
        to: (PortId, SocketAddr),
        csrcs: &[u32],
        payload: &[u8; FRAME_SAMPLES],
        out: &mut Transmits,
    ) -> usize {
        let header = Header {
            marker: self.out.paused,
            payload_type: self.stream.payload_type,
            sequence: self.out.sequence,
            timestamp: self.out.timestamp,
            ssrc: self.out.ssrc,
        };
        self.out.sequence = self.out.sequence.wrapping_add(1);
        self.out.paused = false;
        out.push(to, &header, csrcs, payload)
    }

    /// Sends it nothing in this tick.
    pub(crate) const fn pause(&mut self) {
        self.out.paused = true;
    }

    /// Moves the time of what it is sent on by so many ticks.
    pub(crate) const fn advance(&mut self, ticks: u32) {
        let samples = ticks.wrapping_mul(FRAME_SAMPLES as u32);
        self.out.timestamp = self.out.timestamp.wrapping_add(samples);
    }

    /// What it does, for the report.
    pub(crate) const fn state(&self) -> ParticipantState {
        match self.stream.direction {
            Direction::RecvOnly | Direction::Inactive => ParticipantState::Held,
            Direction::SendOnly => ParticipantState::Muted,
            Direction::SendRecv if self.muted => ParticipantState::Muted,
            Direction::SendRecv if self.voiced => ParticipantState::Speaking,
            Direction::SendRecv => ParticipantState::Silent,
        }
    }

    /// A phone that holds may send music: only who sends and receives is heard.
    const fn may_be_heard(stream: &Stream, muted: bool) -> bool {
        !muted && matches!(stream.direction, Direction::SendRecv)
    }
}

/// A silence after which somebody may be gone: far more than comfort noise and lost networks make.
const SILENCE: Duration = Duration::from_secs(30);
/// The same for who is on hold.
const HELD: Duration = Duration::from_secs(180);
