//! Mute, unmute and hold.

use std::time::Duration;

use cusax_event::media::{DropReason, ParticipantState};
use cusax_mixer::{Command, Config, Event, Signalling, TICK, Trust, UpdateLeg};
use cusax_rtp::sdp::Direction;
use cusax_rtp::tone::level;

use crate::phone::{SEAT, World, stream};
use crate::tones::{TONES, expect, frame, talk, tones};

#[test]
fn one_who_is_muted_hears_but_is_not_heard_until_unmuted() {
    let mut world = World::with_phones(4, Config::default());
    let mut tones = tones();
    talk(&mut world, &mut tones, 20);
    world.set_muted(1, true, 42);
    talk(&mut world, &mut tones, 12);
    for listener in 0..4 {
        for talker in 0..4 {
            expect(&world, listener, talker, talker != 1 && talker != listener);
        }
    }
    let report = world.mixer.report();
    assert_eq!(report.participants[ParticipantState::Muted as usize], 1);
    assert_eq!(report.dropped[DropReason::Muted as usize], 12);
    world.set_muted(1, false, 43);
    talk(&mut world, &mut tones, 15);
    expect(&world, 0, 1, true);
    let applied: Vec<_> = world.events.iter().filter_map(applied).collect();
    assert_eq!(applied.iter().map(|it| (it.0, it.1)).collect::<Vec<_>>(), [(true, 42), (false, 43)]);
}

#[test]
fn a_mute_is_confirmed_by_the_first_tick_without_the_voice() {
    let mut world = World::with_phones(3, Config::default());
    let mut tones = tones();
    talk(&mut world, &mut tones, 20);
    let asked = world.now;
    world.set_muted(0, true, 1);
    talk(&mut world, &mut tones, 1);
    assert_eq!(world.events, []);
    let fading = &world.phones[2].heard.last().unwrap().csrcs;
    assert!(fading.contains(&world.phones[0].ssrc));
    talk(&mut world, &mut tones, 1);
    let (muted, cause, after) = applied(&world.events[0]).map(|(m, c, at)| (m, c, at - asked)).unwrap();
    assert_eq!((muted, cause, after), (true, 1, 2 * TICK));
    assert_eq!(world.phones[2].heard.last().unwrap().csrcs, [world.phones[1].ssrc]);
}

#[test]
fn one_who_says_nothing_is_muted_at_the_next_tick() {
    let mut world = World::with_phones(3, Config::default());
    world.tick();
    let asked = world.now;
    world.set_muted(0, true, 1);
    world.set_muted(0, false, 2);
    world.tick();
    let applied: Vec<_> = world.events.iter().filter_map(applied).collect();
    assert_eq!(applied, [(false, 1, asked + TICK), (false, 2, asked + TICK)]);
}

#[test]
fn nothing_that_was_said_while_muted_is_heard_later() {
    let mut world = World::with_phones(2, Config::default());
    let mut tones = tones();
    for turn in 0..10 {
        for _ in 0..20 {
            world.say(0, &frame(&mut tones[0]));
            world.tick();
        }
        world.set_muted(0, true, turn);
        for _ in 0..20 {
            world.say(0, &frame(&mut tones[1]));
            world.tick();
        }
        world.set_muted(0, false, turn);
    }
    let heard = world.phones[1].samples(0);
    for window in heard.chunks(1_600) {
        assert!(level(window, TONES[1]) < -60.0);
    }
    assert!(heard.chunks(1_600).filter(|window| level(window, TONES[0]) > -26.0).count() >= 10);
}

#[test]
fn what_was_said_while_muted_and_comes_late_is_not_heard() {
    let mut world = World::with_phones(2, Config::default());
    let mut tones = tones();
    world.set_muted(0, true, 1);
    world.say(0, &frame(&mut tones[0]));
    world.tick();
    let late = world.phones[0].packet(&frame(&mut tones[0]));
    world.say(0, &frame(&mut tones[0]));
    world.set_muted(0, false, 2);
    world.deliver(0, &late);
    for _ in 0..5 {
        world.tick();
    }
    assert!(world.phones[1].heard.iter().all(|heard| heard.csrcs.is_empty()));
    assert_eq!(world.mixer.report().dropped[DropReason::Late as usize], 1);
}

#[test]
fn mute_and_unmute_do_not_click() {
    let mut world = World::with_phones(2, Config::default());
    // A constant is the worst: all of it would be a step.
    let loud = [8_000; 160];
    for muted in [false, true, false] {
        world.set_muted(0, muted, 1);
        for _ in 0..20 {
            world.say(0, &loud);
            world.tick();
        }
    }
    let heard = world.phones[1].samples(0);
    let step = heard.windows(2).map(|pair| (pair[0] - pair[1]).abs()).max().unwrap();
    assert!((100..600).contains(&step), "{step}");
}

#[test]
fn a_phone_on_hold_is_neither_heard_nor_sent_to_and_comes_back_at_once() {
    for hold in [Direction::RecvOnly, Direction::Inactive] {
        let mut world = World::with_phones(3, Config::default());
        let mut tones = tones();
        talk(&mut world, &mut tones, 20);
        redirect(&mut world, 0, hold);
        talk(&mut world, &mut tones, 1);
        let got = world.phones[0].heard.len();
        talk(&mut world, &mut tones, 12);
        assert_eq!(world.phones[0].heard.len(), got);
        expect(&world, 1, 0, false);
        expect(&world, 1, 2, true);
        assert_eq!(world.mixer.report().participants[ParticipantState::Held as usize], 1);
        redirect(&mut world, 0, Direction::SendRecv);
        talk(&mut world, &mut tones, 15);
        expect(&world, 1, 0, true);
        expect(&world, 0, 1, true);
        let resumed = &world.phones[0].heard[got];
        let before = &world.phones[0].heard[got - 1];
        assert!(resumed.header.marker);
        assert_eq!(resumed.header.sequence, before.header.sequence.wrapping_add(1));
        let pause = resumed.header.timestamp.wrapping_sub(before.header.timestamp);
        assert_eq!(pause, 14 * 160 - if got == 20 { 0 } else { 160 });
    }
}

#[test]
fn a_listener_by_choice_is_sent_to_and_not_heard() {
    let mut world = World::with_phones(2, Config::default());
    let mut tones = tones();
    redirect(&mut world, 0, Direction::SendOnly);
    talk(&mut world, &mut tones, 20);
    expect(&world, 0, 1, true);
    expect(&world, 1, 0, false);
}

#[test]
fn a_leg_may_join_muted() {
    let mut world = World::with_phones(2, Config::default());
    world.set_muted(0, true, 1);
    let mut tones = tones();
    talk(&mut world, &mut tones, 20);
    assert!(world.phones[1].heard.iter().all(|heard| heard.csrcs.is_empty()));
}

#[test]
fn after_a_stall_time_is_caught_up_with_and_a_long_one_is_left_out() {
    let mut world = World::with_phones(2, Config::default());
    world.tick();
    world.mixer.report();
    let mut out = cusax_mixer::Transmits::default();
    for (stall, packets, ticks) in [(60, 2 * 4, 4), (500, 2, 1)] {
        out.clear();
        let now = world.mixer.poll_timeout().unwrap() + Duration::from_millis(stall);
        while world.mixer.poll_timeout().is_some_and(|due| due <= now) {
            world.mixer.tick(now, &mut out);
            world.mixer.tick_took(Duration::from_micros(300));
        }
        assert_eq!(out.len(), packets, "{stall}");
        let times = world.mixer.report().ticks;
        assert_eq!((times.count, times.took.iter().sum::<u64>()), (ticks, ticks));
        assert!(times.late >= 1);
        assert_eq!(times.longest_lag, Duration::from_millis(stall));
    }
    let last = out.iter().next().unwrap().bytes;
    let timestamp = cusax_rtp::packet::Packet::parse(last).unwrap().timestamp();
    let first = world.phones[0].heard[0].header.timestamp;
    assert_eq!(timestamp.wrapping_sub(first), (4 + 26) * 160);
}

fn redirect(world: &mut World, phone: usize, direction: Direction) {
    let phone = &world.phones[phone];
    let update = UpdateLeg {
        leg: phone.leg,
        seat: SEAT,
        signalling: Signalling { source: phone.address.ip(), trust: Trust::Access },
        stream: stream(phone.codec, phone.address, direction),
    };
    world.command(Command::UpdateLeg(update));
}

fn applied(event: &Event) -> Option<(bool, u64, std::time::Instant)> {
    match *event {
        Event::MuteApplied { muted, cause, at, .. } => Some((muted, cause, at)),
        Event::LegLatched { .. } | Event::LegSilent { .. } => None,
    }
}
