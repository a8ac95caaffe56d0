//! Once a mixer has met its legs, neither a packet nor a tick allocates.
#![expect(unsafe_code, reason = "a global allocator that counts can only be written so")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Instant;

use cusax_event::LegId;
use cusax_mixer::{AddLeg, Command, ConferenceId, Config, Mixer, PortId, Seat, Signalling, TICK, Transmits, Trust};
use cusax_rtp::packet::Header;
use cusax_rtp::sdp::{Direction, LocalMedia, Session, answer, offer};
use cusax_rtp::{Codec, tone::Sine};

#[test]
fn neither_a_packet_nor_a_tick_allocates() {
    let mut now = base();
    let mut mixer = Mixer::new(Config::default(), 1);
    let sources: Vec<_> = (0..LEGS).map(|leg| SocketAddr::new(PHONES, 10_000 + leg)).collect();
    (0..LEGS).for_each(|leg| mixer.handle_command(join(leg, sources[usize::from(leg)]), now));
    let mut out = Transmits::for_legs(LEGS.into());
    let mut sine = Sine::new(450.0, -20.0);
    let (mut frame, mut datagram) = ([0; 160], Vec::with_capacity(256));
    let mut sent = 0;
    let mut counted = 0;
    for sequence in 0..2_000_u16 {
        sine.fill(&mut frame);
        let before = ALLOCATIONS.get();
        for leg in 0..LEGS {
            // A quarter talks, one of them muted, one losing packets; one is a stranger.
            if leg % 4 != 0 || leg == 8 && sequence % 10 == 0 {
                continue;
            }
            datagram.clear();
            let header = Header {
                marker: false,
                payload_type: codec(leg).payload_type(),
                sequence,
                timestamp: u32::from(sequence) * 160,
                // One has another SSRC in every packet, one in every third, and every other tenth of them is a stray one.
                ssrc: match leg {
                    12 => 1_000 + u32::from(sequence),
                    16 => 10_000 + u32::from(sequence / 3),
                    20 if sequence % 10 == 0 => 100_000 + u32::from(sequence),
                    _ => leg.into(),
                },
            };
            header.write(&[], &mut datagram);
            let mut payload = [0; 160];
            codec(leg).encode(&frame, &mut payload);
            datagram.extend_from_slice(&payload);
            mixer.handle_packet(PortId(0), sources[usize::from(leg)], &datagram, now);
            mixer.handle_packet(PortId(0), SocketAddr::new(PHONES, 9), &datagram, now);
        }
        now += TICK;
        out.clear();
        mixer.tick(now, &mut out);
        sent += out.len();
        // The first second is for meeting: sources become known then.
        if sequence >= 50 {
            counted += ALLOCATIONS.get() - before;
        }
    }
    assert_eq!(sent, 2_000 * usize::from(LEGS));
    // Those who never send are told as silent meanwhile.
    assert!(std::iter::from_fn(|| mixer.poll_event()).count() >= usize::from(LEGS / 2));
    assert!(mixer.report().concealed > 0);
    assert_eq!(counted, 0);
}

const LEGS: u16 = 100;
const PHONES: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn codec(leg: u16) -> Codec {
    Codec::ALL[usize::from(leg / 4 % 2)]
}

fn join(leg: u16, remote: SocketAddr) -> Command {
    let phone = LocalMedia {
        address: remote.ip(),
        port: remote.port(),
        session_id: 1,
        version: 1,
        codecs: &[codec(leg)],
        direction: Direction::SendRecv,
    };
    let offered = Session::parse(&offer(&phone)).expect("an offer");
    let agreed = answer(&offered, &LocalMedia { codecs: &Codec::ALL, ..phone }).expect("an answer");
    Command::AddLeg(AddLeg {
        leg: LegId(leg.into()),
        conference: ConferenceId(u64::from(leg) / 25),
        seat: Seat { port: PortId(0), turn: 0 },
        signalling: Signalling { source: PHONES, trust: Trust::Access },
        stream: agreed.stream,
        muted: leg == 4,
        ssrc: leg.into(),
    })
}

#[expect(clippy::disallowed_methods, reason = "the base of the virtual clock: only differences count")]
fn base() -> Instant {
    Instant::now()
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;
