//! Phones around a mixer.

use std::net::SocketAddr;
use std::time::Instant;

use cusax_event::LegId;
use cusax_mixer::{
    AddLeg, Command, ConferenceId, Config, Event, Mixer, PortId, Seat, Signalling, TICK, Transmits, Trust,
};
use cusax_rtp::packet::{Header, Packet};
use cusax_rtp::sdp::{self, Direction, LocalMedia, Session, Stream};
use cusax_rtp::{Codec, Frame};

pub(crate) const CONFERENCE: ConferenceId = ConferenceId(1);
pub(crate) const PORT: PortId = PortId(0);
pub(crate) const SEAT: Seat = Seat { port: PORT, turn: 0 };

/// A mixer, the phones that it serves, and their time.
pub(crate) struct World {
    pub(crate) mixer: Mixer,
    pub(crate) now: Instant,
    pub(crate) phones: Vec<Phone>,
    pub(crate) events: Vec<Event>,
    /// Packets that went to nobody's address.
    pub(crate) astray: usize,
    out: Transmits,
}

/// A phone in a conference.
pub(crate) struct Phone {
    pub(crate) leg: LegId,
    pub(crate) address: SocketAddr,
    pub(crate) codec: Codec,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// What it heard, packet by packet.
    pub(crate) heard: Vec<Heard>,
}

/// A packet that a phone got.
#[derive(Clone)]
pub(crate) struct Heard {
    pub(crate) header: Header,
    pub(crate) csrcs: Vec<u32>,
    pub(crate) payload: Vec<u8>,
    pub(crate) frame: Frame,
}

impl World {
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        Self {
            mixer: Mixer::new(config, seed),
            now: base(),
            phones: Vec::new(),
            events: Vec::new(),
            astray: 0,
            out: Transmits::for_legs(16),
        }
    }

    /// A world with so many phones in one conference, every second of them with A-law.
    pub(crate) fn with_phones(count: usize, config: Config) -> Self {
        let mut world = Self::new(config, 7);
        for index in 0..count {
            world.join(Codec::ALL[index % 2]);
        }
        world
    }

    /// A phone joins; returns its index.
    pub(crate) fn join(&mut self, codec: Codec) -> usize {
        let index = u16::try_from(self.phones.len()).expect("few phones");
        let address = SocketAddr::new("192.0.2.1".parse().expect("an address"), 10_000 + index);
        let signalling = Signalling { source: address.ip(), trust: Trust::Access };
        self.join_as(codec, address, signalling, address)
    }

    /// A phone joins that describes one address and sends from another.
    pub(crate) fn join_as(
        &mut self,
        codec: Codec,
        described: SocketAddr,
        signalling: Signalling,
        address: SocketAddr,
    ) -> usize {
        let index = self.phones.len();
        let leg = LegId(index as u64 + 1);
        let ssrc = 0x1000 + u32::try_from(index).expect("few phones");
        let stream = stream(codec, described, Direction::SendRecv);
        self.mixer.handle_command(
            Command::AddLeg(AddLeg {
                leg,
                conference: CONFERENCE,
                seat: SEAT,
                signalling,
                stream,
                muted: false,
                ssrc: !ssrc,
            }),
            self.now,
        );
        let sequence = 65_500 + u16::try_from(index % 30).expect("below 30");
        let phone = Phone { leg, address, codec, ssrc, sequence, timestamp: 9, heard: Vec::new() };
        self.phones.push(phone);
        index
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.mixer.handle_command(command, self.now);
    }

    pub(crate) fn set_muted(&mut self, phone: usize, muted: bool, cause: u64) {
        let leg = self.phones[phone].leg;
        self.command(Command::SetMuted { leg, muted, cause });
    }

    /// Gives the mixer a packet of a phone, from where that phone is.
    pub(crate) fn deliver(&mut self, phone: usize, packet: &[u8]) {
        self.mixer.handle_packet(PORT, self.phones[phone].address, packet, self.now);
    }

    /// A phone says a frame.
    pub(crate) fn say(&mut self, phone: usize, frame: &Frame) {
        let packet = self.phones[phone].packet(frame);
        self.deliver(phone, &packet);
    }

    /// The next tick: its packets reach the phones.
    pub(crate) fn tick(&mut self) {
        self.now = self.mixer.poll_timeout().unwrap_or(self.now + TICK);
        self.out.clear();
        self.mixer.tick(self.now, &mut self.out);
        self.mixer.tick_took(std::time::Duration::from_micros(300));
        for transmit in self.out.iter() {
            let phone = self.phones.iter_mut().find(|phone| phone.address == transmit.to);
            match phone {
                Some(phone) => phone.hear(transmit.bytes),
                None => self.astray += 1,
            }
        }
        self.events.extend(std::iter::from_fn(|| self.mixer.poll_event()));
    }
}

impl Phone {
    /// The next packet, with this frame in it.
    pub(crate) fn packet(&mut self, frame: &Frame) -> Vec<u8> {
        let mut payload = [0; 160];
        self.codec.encode(frame, &mut payload);
        self.packet_with(&payload, self.codec.payload_type())
    }

    pub(crate) fn packet_with(&mut self, payload: &[u8], payload_type: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Self { sequence, timestamp, ssrc, .. } = *self;
        Header { marker: false, payload_type, sequence, timestamp, ssrc }.write(&[], &mut bytes);
        bytes.extend_from_slice(payload);
        self.sequence = sequence.wrapping_add(1);
        self.timestamp = timestamp.wrapping_add(u32::try_from(payload.len()).expect("short"));
        bytes
    }

    /// All that it heard from this packet on.
    pub(crate) fn samples(&self, from: usize) -> Vec<i16> {
        self.heard[from..].iter().flat_map(|heard| heard.frame).collect()
    }

    /// All that it heard in the last 200 ms.
    pub(crate) fn last_200_ms(&self) -> Vec<i16> {
        self.samples(self.heard.len().saturating_sub(10))
    }

    fn hear(&mut self, bytes: &[u8]) {
        let packet = Packet::parse(bytes).expect("RTP");
        assert_eq!(packet.payload_type(), self.codec.payload_type());
        let mut frame = [0; 160];
        let payload = packet.payload();
        self.codec.decode(payload.try_into().expect("20 ms"), &mut frame);
        let header = Header {
            marker: packet.marker(),
            payload_type: packet.payload_type(),
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            ssrc: packet.ssrc(),
        };
        let csrcs = packet.csrcs().collect();
        self.heard.push(Heard { header, csrcs, payload: payload.to_vec(), frame });
    }
}

/// What offer and answer agree with a phone that speaks one codec; `direction` is ours.
pub(crate) fn stream(codec: Codec, remote: SocketAddr, direction: Direction) -> Stream {
    let phone = LocalMedia {
        address: remote.ip(),
        port: remote.port(),
        session_id: 1,
        version: 1,
        codecs: &[codec],
        direction: Direction::SendRecv,
    };
    let offer = Session::parse(&sdp::offer(&phone)).expect("an offer");
    let ours = LocalMedia {
        address: "198.51.100.1".parse().expect("an address"),
        port: 40_000,
        codecs: &Codec::ALL,
        direction,
        ..phone
    };
    sdp::answer(&offer, &ours).expect("an answer").stream
}

/// A generator of bits that depends on its seed only.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub(crate) fn noise(&mut self) -> Frame {
        std::array::from_fn(|_| i16::try_from(self.below(65_536).cast_signed() - 32_768).expect("16 bits"))
    }
}

#[expect(clippy::disallowed_methods, reason = "the base of the virtual clock: only differences count")]
fn base() -> Instant {
    Instant::now()
}
