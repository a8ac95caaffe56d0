//! What a tick of the mixer costs, and a packet on its way in: rooms of 4 and of 50, G.711.
//!
//! `cargo bench -p cusax-benches --bench mix`; the time is for a tick of 1,000 legs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use cusax_event::LegId;
use cusax_mixer::{AddLeg, Command, ConferenceId, Config, Mixer, PortId, Seat, Signalling, TICK, Transmits, Trust};
use cusax_rtp::packet::Header;
use cusax_rtp::sdp::{Direction, LocalMedia, Session, Stream, answer, offer};
use cusax_rtp::{Codec, g711};

criterion_group!(benches, tick, packet, codec);
criterion_main!(benches);

const LEGS: u16 = 1_000;
const PHONES: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A thread full of conferences, a virtual clock, and what each of its phones says.
struct Rooms {
    mixer: Mixer,
    out: Transmits,
    now: Instant,
    sequence: u16,
    size: u16,
    talkers: u16,
}

fn tick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tick");
    group.throughput(Throughput::Elements(LEGS.into()));
    for (size, talkers) in [(4, 0), (4, 1), (4, 4), (50, 0), (50, 1), (50, 3), (50, 50)] {
        let mut rooms = Rooms::new(size, talkers);
        let name = BenchmarkId::new(format!("room_of_{size}"), format!("{talkers}_talk"));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|ticks| (0..ticks).map(|_| rooms.talk_and_time_the_tick()).sum());
        });
    }
    group.finish();
}

fn packet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(LEGS.into()));
    group.bench_function("known_source", |bencher| {
        let mut rooms = Rooms::new(50, 50);
        bencher.iter_custom(|ticks| {
            let mut busy = std::time::Duration::ZERO;
            for _ in 0..ticks {
                let start = clock();
                rooms.talk();
                busy += start.elapsed();
                rooms.tick();
            }
            busy
        });
    });
    group.finish();
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("g711");
    let samples = std::array::from_fn(|at| i16::try_from(at * 200).unwrap_or(0));
    let codes = std::array::from_fn(|at| u8::try_from(at).unwrap_or(0));
    let payload = || ([0_u8; 160], samples);
    let frame = || ([0_i16; 160], codes);
    group.bench_function("ulaw_encode", |bencher| {
        bencher.iter_batched_ref(payload, |(out, of)| g711::ulaw_encode(of, out), BatchSize::SmallInput);
    });
    group.bench_function("ulaw_decode", |bencher| {
        bencher.iter_batched_ref(frame, |(out, of)| g711::ulaw_decode(of, out), BatchSize::SmallInput);
    });
    group.bench_function("alaw_encode", |bencher| {
        bencher.iter_batched_ref(payload, |(out, of)| g711::alaw_encode(of, out), BatchSize::SmallInput);
    });
    group.bench_function("alaw_decode", |bencher| {
        bencher.iter_batched_ref(frame, |(out, of)| g711::alaw_decode(of, out), BatchSize::SmallInput);
    });
    group.finish();
}

impl Rooms {
    fn new(size: u16, talkers: u16) -> Self {
        let now = clock();
        let mut mixer = Mixer::new(Config { legs: LEGS.into(), ..Config::default() }, 1);
        for leg in 0..LEGS {
            mixer.handle_command(
                Command::AddLeg(AddLeg {
                    leg: LegId(leg.into()),
                    conference: ConferenceId(u64::from(leg / size)),
                    seat: Seat { port: PortId(0), turn: 0 },
                    signalling: Signalling { source: PHONES, trust: Trust::Access },
                    stream: stream(leg),
                    muted: false,
                    ssrc: leg.into(),
                }),
                now,
            );
        }
        let out = Transmits::for_legs(LEGS.into());
        Self { mixer, out, now, sequence: 0, size, talkers }
    }

    /// Every phone sends: those who talk noise, the others silence.
    fn talk(&mut self) {
        let mut datagram = Vec::with_capacity(256);
        for leg in 0..LEGS {
            datagram.clear();
            let (sequence, payload_type) = (self.sequence, codec_of(leg).payload_type());
            let header = Header { marker: false, payload_type, sequence, timestamp: 0, ssrc: leg.into() };
            header.write(&[], &mut datagram);
            if leg % self.size < self.talkers {
                datagram.extend((0_u8..160).map(|at| at.wrapping_mul(31) ^ leg.to_le_bytes()[0]));
            } else {
                datagram.extend_from_slice(codec_of(leg).silence());
            }
            self.mixer.handle_packet(PortId(0), address(leg), &datagram, self.now);
        }
        self.sequence = self.sequence.wrapping_add(1);
    }

    fn tick(&mut self) {
        self.now += TICK;
        self.out.clear();
        self.mixer.tick(self.now, &mut self.out);
    }

    fn talk_and_time_the_tick(&mut self) -> std::time::Duration {
        self.talk();
        let start = clock();
        self.tick();
        start.elapsed()
    }
}

fn codec_of(leg: u16) -> Codec {
    Codec::ALL[usize::from(leg % 2)]
}

fn address(leg: u16) -> SocketAddr {
    SocketAddr::new(PHONES, 10_000 + leg)
}

fn stream(leg: u16) -> Stream {
    let phone = LocalMedia {
        address: PHONES,
        port: address(leg).port(),
        session_id: 1,
        version: 1,
        codecs: &[codec_of(leg)],
        direction: Direction::SendRecv,
    };
    let offered = Session::parse(&offer(&phone)).expect("an offer");
    let ours = LocalMedia { codecs: &Codec::ALL, ..phone };
    answer(&offered, &ours).expect("an answer").stream
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn clock() -> Instant {
    Instant::now()
}
