//! Whose packet it is: exact sources, NATs, strangers.

use std::net::SocketAddr;
use std::time::Duration;

use cusax_event::LegId;
use cusax_event::media::DropReason;
use cusax_mixer::{AddLeg, Command, ConferenceId, Config, Event, Latch, PortId, Seat, Signalling, Trust};
use cusax_rtp::Codec;
use cusax_rtp::sdp::Direction;

use crate::phone::{PORT, SEAT, World, stream};

#[test]
fn a_phone_behind_a_nat_is_found_by_where_its_signalling_comes_from() {
    let mut world = World::with_phones(1, Config::default());
    let phone = world.join_as(Codec::Pcmu, at("10.0.0.5:4000"), access("203.0.113.9"), at("203.0.113.9:61000"));
    world.tick();
    // Nobody is sent anything at an address that somebody else named, before he sends from there.
    assert_eq!(world.astray, 0);
    speak(&mut world, phone);
    assert!(heard_by(&world, 0, phone));
    assert!(!world.phones[phone].heard.is_empty());
    assert_eq!(world.events, [Event::LegLatched { leg: LegId(2), seat: SEAT, source: at("203.0.113.9:61000") }]);
    move_to(&mut world, phone, "10.0.0.5:4000");
    assert_eq!(strangers(&mut world, phone), 10);
}

#[test]
fn a_stranger_is_not_heard() {
    let mut world = World::with_phones(2, Config::default());
    speak(&mut world, 0);
    for elsewhere in ["192.0.2.1:9", "203.0.113.1:10000", "10.0.0.5:10000"] {
        move_to(&mut world, 0, elsewhere);
        assert_eq!(strangers(&mut world, 0), 10, "{elsewhere}");
    }
    assert_eq!(world.events, []);
}

#[test]
fn a_leg_of_the_core_never_latches() {
    let mut world = World::with_phones(1, Config::default());
    let core = Signalling { source: at("203.0.113.9:0").ip(), trust: Trust::Core };
    let phone = world.join_as(Codec::Pcmu, at("10.0.0.5:4000"), core, at("203.0.113.9:4000"));
    assert_eq!(strangers(&mut world, phone), 10);
    move_to(&mut world, phone, "10.0.0.5:4000");
    assert_eq!(strangers(&mut world, phone), 0);
    move_to(&mut world, phone, "10.0.0.5:4002");
    world.now += Duration::from_secs(5);
    assert_eq!(strangers(&mut world, phone), 10);
}

#[test]
fn where_two_could_be_meant_neither_is() {
    let mut world = World::with_phones(1, Config::default());
    for port in [4000, 4002] {
        let described = SocketAddr::new(at("10.0.0.5:0").ip(), port);
        world.join_as(Codec::Pcmu, described, access("203.0.113.9"), at("203.0.113.9:61000"));
    }
    assert_eq!(strangers(&mut world, 1), 10);
    let leg = world.phones[2].leg;
    world.command(Command::RemoveLeg { leg });
    assert_eq!(strangers(&mut world, 1), 0);
}

#[test]
fn a_packet_that_was_not_agreed_does_not_latch() {
    let mut world = World::with_phones(1, Config::default());
    let phone = world.join_as(Codec::Pcmu, at("10.0.0.5:4000"), access("203.0.113.9"), at("203.0.113.9:61000"));
    for payload_type in [8, 96, 72] {
        let packet = world.phones[phone].packet_with(&[0; 160], payload_type);
        world.deliver(phone, &packet);
    }
    world.tick();
    assert_eq!(world.events, []);
}

#[test]
fn a_nat_may_change_the_port_of_one_who_was_silent() {
    let mut world = World::with_phones(2, Config::default());
    speak(&mut world, 0);
    move_to(&mut world, 0, "192.0.2.1:20000");
    assert_eq!(strangers(&mut world, 0), 10);
    wait(&mut world, Duration::from_secs(1));
    let ssrc = std::mem::replace(&mut world.phones[0].ssrc, 1);
    assert_eq!(strangers(&mut world, 0), 10, "another SSRC");
    world.phones[0].ssrc = ssrc;
    assert_eq!(strangers(&mut world, 0), 0);
    assert_eq!(world.events, [Event::LegLatched { leg: LegId(1), seat: SEAT, source: at("192.0.2.1:20000") }]);
    move_to(&mut world, 0, "192.0.2.2:20000");
    wait(&mut world, Duration::from_secs(5));
    assert_eq!(strangers(&mut world, 0), 10, "another address");
    // Somebody behind the same NAT who has seen the SSRC, but not where the stream is now.
    move_to(&mut world, 0, "192.0.2.1:20002");
    for far in [20_000, 40_000] {
        world.phones[0].sequence = world.phones[0].sequence.wrapping_add(far);
        assert_eq!(strangers(&mut world, 0), 10, "{far} packets on");
    }
}

#[test]
fn whoever_describes_somebody_elses_address_gets_none_of_his_packets() {
    let mut world = World::with_phones(1, Config::default());
    let victim = at("203.0.113.9:4000");
    let thief = world.join_as(Codec::Pcmu, victim, access("198.51.100.66"), at("198.51.100.66:4000"));
    let phone = world.join_as(Codec::Pcmu, victim, access("203.0.113.9"), victim);
    speak(&mut world, phone);
    assert!(heard_by(&world, 0, phone));
    assert_eq!(world.events, [], "nobody latched");
    assert!(world.phones[thief].heard.is_empty());
}

#[test]
fn a_leg_that_is_not_waited_for_any_more_leaves_its_place_to_another() {
    let mut world = World::with_phones(1, Config::default());
    let described = |port| SocketAddr::new(at("10.0.0.5:0").ip(), port);
    let silent = world.join_as(Codec::Pcmu, described(4000), access("203.0.113.9"), at("203.0.113.9:60000"));
    let leg = world.phones[silent].leg;
    world.command(Command::StopWaiting { leg });
    let other = world.join_as(Codec::Pcmu, described(4002), access("203.0.113.9"), at("203.0.113.9:61000"));
    speak(&mut world, other);
    assert!(heard_by(&world, 0, other));
    assert_eq!(strangers(&mut world, silent), 10);
    assert_eq!(world.astray, 0, "nor is it sent anything");
}

#[test]
fn silence_is_told_and_sooner_of_who_should_send() {
    let mut world = World::with_phones(2, Config::default());
    for phone in [0, 1] {
        speak(&mut world, phone);
    }
    let held = world.phones[1].leg;
    let address = world.phones[1].address;
    let stream = stream(Codec::Pcma, address, Direction::SendOnly);
    let signalling = access("192.0.2.1");
    world.command(Command::UpdateLeg(cusax_mixer::UpdateLeg { leg: held, seat: SEAT, signalling, stream }));
    wait(&mut world, Duration::from_secs(29));
    assert_eq!(world.events, []);
    wait(&mut world, Duration::from_secs(3));
    assert_eq!(world.events, [Event::LegSilent { leg: LegId(1) }]);
    world.events.clear();
    speak(&mut world, 0);
    wait(&mut world, Duration::from_secs(29));
    assert_eq!(world.events, []);
    wait(&mut world, Duration::from_secs(122));
    let of = |leg| world.events.iter().filter(|event| **event == Event::LegSilent { leg }).count();
    assert_eq!((of(LegId(1)), of(held)), (4, 1));
}

#[test]
fn a_re_offer_moves_a_leg_and_one_that_changes_nothing_keeps_its_latch() {
    let mut world = World::with_phones(1, Config::default());
    let signalling = access("203.0.113.9");
    let phone = world.join_as(Codec::Pcmu, at("10.0.0.5:4000"), signalling, at("203.0.113.9:61000"));
    speak(&mut world, phone);
    re_offer(&mut world, phone, "10.0.0.5:4000", signalling);
    assert_eq!(strangers(&mut world, phone), 0);
    re_offer(&mut world, phone, "0.0.0.0:4000", signalling);
    assert_eq!(strangers(&mut world, phone), 0);
    re_offer(&mut world, phone, "10.0.0.5:4002", signalling);
    move_to(&mut world, phone, "203.0.113.9:61002");
    assert_eq!(strangers(&mut world, phone), 0);
    move_to(&mut world, phone, "203.0.113.9:61000");
    assert_eq!(strangers(&mut world, phone), 10);
}

#[test]
fn relaxed_latching_finds_a_phone_whose_port_is_not_what_it_describes() {
    for (latch, expected) in [(Latch::Strict, 10), (Latch::Relaxed, 0)] {
        let mut world = World::with_phones(0, Config { latch, ..Config::default() });
        let phone = world.join_as(Codec::Pcmu, at("192.0.2.9:4000"), access("192.0.2.9"), at("192.0.2.9:4002"));
        assert_eq!(strangers(&mut world, phone), expected);
    }
}

#[test]
fn thousands_of_legs_from_one_address_are_told_apart() {
    let mut world = World::new(Config { legs: 4_000, ..Config::default() }, 1);
    for index in 0..4_000_u16 {
        let remote = SocketAddr::new(at("192.0.2.1:0").ip(), 10_000 + index);
        world.command(Command::AddLeg(AddLeg {
            leg: LegId(index.into()),
            conference: ConferenceId(u64::from(index) / 4),
            seat: SEAT,
            signalling: access("192.0.2.1"),
            stream: stream(Codec::Pcmu, remote, Direction::SendRecv),
            muted: false,
            ssrc: index.into(),
        }));
    }
    let mut phone = World::with_phones(1, Config::default()).phones.remove(0);
    for _ in 0..3 {
        let packet = phone.packet(&[9_000; 160]);
        for index in 0..4_000_u16 {
            let source = SocketAddr::new(at("192.0.2.1:0").ip(), 10_000 + index);
            world.mixer.handle_packet(PORT, source, &packet, world.now);
        }
        world.tick();
    }
    assert_eq!(world.astray, 12_000);
    let report = world.mixer.report();
    assert_eq!(report.received[0], 12_000);
    assert_eq!((report.conferences, report.participants[0], report.dropped), (1_000, 4_000, [0; 7]));
}

#[test]
fn legs_on_different_ports_may_have_one_source() {
    let mut world = World::with_phones(1, Config::default());
    let remote = world.phones[0].address;
    world.command(Command::AddLeg(AddLeg {
        leg: LegId(9),
        conference: ConferenceId(9),
        seat: Seat { port: PortId(1), turn: 0 },
        signalling: access("192.0.2.1"),
        stream: stream(Codec::Pcmu, remote, Direction::SendRecv),
        muted: false,
        ssrc: 9,
    }));
    let packet = world.phones[0].packet(&[9_000; 160]);
    for port in [PortId(0), PortId(1), PortId(2)] {
        world.mixer.handle_packet(port, remote, &packet, world.now);
    }
    let report = world.mixer.report();
    assert_eq!(report.received[0], 2);
    assert_eq!(report.dropped[DropReason::Stranger as usize], 1);
}

/// The phone says ten packets; how many of them were a stranger's?
fn strangers(world: &mut World, phone: usize) -> u64 {
    world.mixer.report();
    speak(world, phone);
    world.mixer.report().dropped[DropReason::Stranger as usize]
}

fn speak(world: &mut World, phone: usize) {
    for _ in 0..10 {
        world.say(phone, &[9_000; 160]);
        world.tick();
    }
}

fn wait(world: &mut World, time: Duration) {
    let until = world.now + time;
    while world.now < until {
        world.tick();
    }
}

fn heard_by(world: &World, listener: usize, talker: usize) -> bool {
    let ssrc = world.phones[talker].ssrc;
    world.phones[listener].heard.iter().any(|heard| heard.csrcs.contains(&ssrc))
}

fn move_to(world: &mut World, phone: usize, address: &str) {
    world.phones[phone].address = at(address);
}

fn re_offer(world: &mut World, phone: usize, described: &str, signalling: Signalling) {
    let Some(held) = world.phones.get(phone) else { return };
    let stream = stream(held.codec, at(described), Direction::SendRecv);
    let update = cusax_mixer::UpdateLeg { leg: held.leg, seat: SEAT, signalling, stream };
    world.command(Command::UpdateLeg(update));
}

fn access(source: &str) -> Signalling {
    Signalling { source: source.parse().expect("an address"), trust: Trust::Access }
}

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}
