//! What one media thread owns: conferences, their legs, and the ports that they share.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cusax_event::LegId;
use cusax_event::media::{self, DropReason, Report};
use cusax_rtp::jitter::{Content, Statistics};
use cusax_rtp::packet::{Header, Malformed, Packet};
use cusax_rtp::sdp::Format;
use slab::Slab;

use crate::conference::Conference;
use crate::demux::{Demux, Keyed, Stream};
use crate::leg::Leg;
use crate::playout::Playout;
use crate::{AddLeg, Command, ConferenceId, Event, Latch, PortId, Transmits, UpdateLeg};

/// The time of a frame: every leg is sent one packet in each.
pub const TICK: Duration = Duration::from_millis(20);

/// What a mixer is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Legs that there is room for from the beginning.
    pub legs: usize,
    /// Packets of a leg that wait before the first is heard, 1 to 9.
    pub jitter: u64,
    /// Which access legs may latch.
    pub latch: Latch,
}

impl Default for Config {
    /// Room for 1,000 legs, 40 ms against jitter, strict latching.
    fn default() -> Self {
        Self { legs: 1_000, jitter: 2, latch: Latch::Strict }
    }
}

/// The conferences of one media thread.
///
/// Packets and commands go in as they come; [`Self::tick`] is called at [`Self::poll_timeout`]. Once it has met its
/// legs, neither a packet nor a tick allocates.
#[derive(Debug)]
pub struct Mixer {
    config: Config,
    random: u64,
    conferences: Slab<Conference>,
    conference_ids: HashMap<ConferenceId, usize, Keyed>,
    legs: Slab<Leg>,
    leg_ids: HashMap<LegId, usize, Keyed>,
    demux: Demux,
    due: Option<Instant>,
    /// Ticks until it is looked who is silent.
    until_look: u32,
    /// At most one for each command since they were last taken, and two a second for each leg.
    events: VecDeque<Event>,
    report: Report,
    /// How late the last tick began.
    lag: Duration,
}

impl Mixer {
    /// Makes a mixer without legs; the seed is what it takes initial sequence numbers and hash keys from.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let mut random = seed;
        let keys = (next_random(&mut random), next_random(&mut random));
        let hasher = Keyed(keys.0, keys.1);
        Self {
            config,
            random,
            conferences: Slab::new(),
            conference_ids: HashMap::with_hasher(hasher),
            legs: Slab::with_capacity(config.legs),
            leg_ids: HashMap::with_capacity_and_hasher(config.legs, hasher),
            demux: Demux::new(config.latch, hasher, config.legs),
            due: None,
            until_look: LOOK_EVERY,
            events: VecDeque::with_capacity(config.legs),
            report: Report::default(),
            lag: Duration::ZERO,
        }
    }

    /// Takes in a datagram that came to a port.
    pub fn handle_packet(&mut self, port: PortId, source: SocketAddr, datagram: &[u8], now: Instant) {
        if let Err(reason) = self.receive(port, canonical(source), datagram, now) {
            self.report.dropped[reason as usize] += 1;
        }
    }

    /// Takes in a command.
    pub fn handle_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::AddLeg(add) => self.add(&add, now),
            Command::UpdateLeg(update) => self.update(&update, now),
            Command::SetMuted { leg, muted, cause } => {
                if let Some(leg) = self.leg(leg) {
                    leg.confirmations.push(cause);
                    leg.set(leg.stream, muted);
                }
            }
            Command::StopWaiting { leg } => {
                if let Some(&index) = self.leg_ids.get(&leg) {
                    self.demux.stop_waiting(index);
                }
            }
            Command::RemoveLeg { leg } => self.remove(leg),
        }
    }

    /// When the next tick is due; none while there is no leg.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Appends the packets of the tick that is due, if it is.
    ///
    /// After a delay ticks follow one another until time is caught up with; after one of more than 100 ms what was
    /// missed is left out, and timestamps tell the listeners so.
    pub fn tick(&mut self, now: Instant, out: &mut Transmits) {
        let Some(mut due) = self.due.filter(|&due| due <= now) else { return };
        let lag = now - due;
        self.lag = lag;
        if lag > CATCH_UP_MAX {
            let missed = u32::try_from(lag.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
            self.legs.iter_mut().for_each(|(_, leg)| leg.advance(missed));
            due += TICK.saturating_mul(missed);
        }
        self.due = Some(due + TICK);
        let Self { conferences, legs, demux, report, events, .. } = self;
        for (_, conference) in conferences.iter() {
            conference.tick(legs, demux, report, out, |leg| {
                let (id, muted) = (leg.id, leg.muted);
                events.extend(leg.confirmations.drain(..).map(|cause| Event::MuteApplied {
                    leg: id,
                    muted,
                    cause,
                    at: now,
                }));
            });
        }
        self.until_look = self.until_look.checked_sub(1).unwrap_or(LOOK_EVERY);
        if self.until_look == 0 {
            self.tell_silent(now);
        }
    }

    fn tell_silent(&mut self, now: Instant) {
        for (_, leg) in &mut self.legs {
            if now.saturating_duration_since(leg.heard) >= leg.patience() {
                leg.heard = now;
                self.events.push_back(Event::LegSilent { leg: leg.id });
            }
        }
    }

    /// Notes how long a tick took, which only the thread with the clock knows.
    pub fn tick_took(&mut self, busy: Duration) {
        self.report.ticks.record(busy, self.lag);
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What happened since the last report, and how things are now.
    pub fn report(&mut self) -> Report {
        let mut report = std::mem::take(&mut self.report);
        for (_, leg) in &mut self.legs {
            add_statistics(&mut report, leg.playout.take_statistics());
            report.participants[leg.state() as usize] += 1;
        }
        report.conferences = self.conferences.len() as u64;
        report
    }

    /// True where a leg has that port.
    #[must_use]
    pub fn uses(&self, port: PortId) -> bool {
        self.demux.uses(port)
    }

    fn receive(&mut self, port: PortId, source: SocketAddr, datagram: &[u8], now: Instant) -> Result<(), DropReason> {
        let packet = Packet::parse(datagram).map_err(|malformed| match malformed {
            Malformed::Rtcp => DropReason::PayloadType,
            Malformed::Short | Malformed::Version | Malformed::Padding => DropReason::Malformed,
        })?;
        let known = self.demux.known(port, source);
        let stream = Stream { ssrc: packet.ssrc(), sequence: packet.sequence() };
        let index = known.or_else(|| self.demux.candidate(port, source, stream, now)).ok_or(DropReason::Stranger)?;
        let leg = self.legs.get_mut(index).ok_or(DropReason::Stranger)?;
        let Some(format) = leg.stream.formats.format(packet.payload_type()) else {
            // What was not agreed proves nothing about where a leg's packets come from.
            return Err(known.map_or(DropReason::Stranger, |_| DropReason::PayloadType));
        };
        leg.heard = now;
        if self.demux.heard(index, source, stream, now)
            && let Some(endpoint) = self.demux.endpoint(index)
        {
            self.events.push_back(Event::LegLatched { leg: leg.id, seat: endpoint.seat, source });
        }
        let (content, label) = match format {
            Format::Audio(codec) => (Content::Audio, codec.label()),
            Format::TelephoneEvent => (Content::Other, media::Codec::TelephoneEvent),
        };
        self.report.received[label as usize] += 1;
        self.report.received_bytes += datagram.len() as u64;
        leg.insert(&packet, content);
        if leg.is_audible() { Ok(()) } else { Err(DropReason::Muted) }
    }

    fn add(&mut self, add: &AddLeg, now: Instant) {
        self.remove(add.leg);
        let conference = *self
            .conference_ids
            .entry(add.conference)
            .or_insert_with(|| self.conferences.insert(Conference { id: add.conference, legs: Vec::new() }));
        let [a, b, c, d, e, f, ..] = next_random(&mut self.random).to_le_bytes();
        let header = Header {
            marker: false,
            payload_type: add.stream.payload_type,
            sequence: u16::from_le_bytes([a, b]),
            timestamp: u32::from_le_bytes([c, d, e, f]),
            ssrc: add.ssrc,
        };
        let playout = Playout::new(self.config.jitter);
        let ids = (add.leg, conference);
        let index = self.legs.insert(Leg::new(ids, add.stream, add.muted, &header, playout, now));
        self.leg_ids.insert(add.leg, index);
        self.demux.place(index, add.seat, canonical(add.stream.remote), add.signalling);
        if let Some(conference) = self.conferences.get_mut(conference) {
            conference.legs.push(index);
        }
        self.due.get_or_insert(now + TICK);
    }

    fn update(&mut self, update: &UpdateLeg, now: Instant) {
        let Some(&index) = self.leg_ids.get(&update.leg) else { return };
        let Some(leg) = self.legs.get_mut(index) else { return };
        leg.set(update.stream, leg.muted);
        leg.heard = now;
        self.demux.place(index, update.seat, canonical(update.stream.remote), update.signalling);
    }

    fn remove(&mut self, leg: LegId) {
        let Some(index) = self.leg_ids.remove(&leg) else { return };
        let mut leg = self.legs.remove(index);
        add_statistics(&mut self.report, leg.playout.take_statistics());
        self.demux.remove(index);
        if let Some(conference) = self.conferences.get_mut(leg.conference) {
            conference.legs.retain(|&it| it != index);
            if conference.legs.is_empty() {
                self.conference_ids.remove(&conference.id);
                self.conferences.remove(leg.conference);
            }
        }
        if self.legs.is_empty() {
            self.due = None;
        }
    }

    fn leg(&mut self, leg: LegId) -> Option<&mut Leg> {
        self.legs.get_mut(*self.leg_ids.get(&leg)?)
    }
}

fn add_statistics(report: &mut Report, statistics: Statistics) {
    report.lost += statistics.lost;
    report.concealed += statistics.concealed;
    report.reordered += statistics.reordered;
    report.dropped[DropReason::Late as usize] += statistics.late;
    report.dropped[DropReason::Duplicate as usize] += statistics.duplicate;
    report.dropped[DropReason::Overflow as usize] += statistics.overflow;
}

/// A dual-stack socket sees IPv4 as mapped addresses.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// SplitMix64.
const fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A delay up to which ticks are made up for.
const CATCH_UP_MAX: Duration = Duration::from_millis(100);
/// Ticks from one look at who is silent to the next: a second.
const LOOK_EVERY: u32 = 50;
