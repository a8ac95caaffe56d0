//! Who hears whom: each phone sends a tone of its own, and a filter says whose tones it hears.

use cusax_event::media::{Codec as Label, ParticipantState};
use cusax_mixer::{Command, Config};
use cusax_rtp::tone::{Sine, level};

use crate::phone::World;

pub(crate) const TONES: [f64; 8] = [450.0, 550.0, 650.0, 750.0, 950.0, 1_050.0, 1_150.0, 1_250.0];
pub(crate) const PRESENT: f64 = -26.0;
pub(crate) const ABSENT: f64 = -55.0;

#[test]
fn everyone_hears_all_others_and_not_himself() {
    for count in 3..=8 {
        let mut world = World::with_phones(count, Config::default());
        let mut tones = tones();
        talk(&mut world, &mut tones, 30);
        for listener in 0..count {
            for talker in 0..count {
                expect(&world, listener, talker, listener != talker);
            }
        }
        let report = world.mixer.report();
        assert_eq!(report.conferences, 1);
        assert_eq!(report.participants[ParticipantState::Speaking as usize], count as u64);
        assert_eq!(report.sent.iter().sum::<u64>(), 30 * count as u64);
        assert_eq!(report.received[Label::Pcmu as usize], 30 * count.div_ceil(2) as u64);
        assert_eq!((report.lost, report.concealed, report.dropped), (0, 0, [0; 7]));
    }
}

#[test]
fn conferences_do_not_hear_one_another() {
    let mut world = World::with_phones(2, Config::default());
    let mut elsewhere = World::with_phones(2, Config::default());
    let mut tones = tones();
    for _ in 0..30 {
        world.say(0, &frame(&mut tones[0]));
        elsewhere.say(0, &frame(&mut tones[1]));
        world.tick();
        elsewhere.tick();
    }
    expect(&world, 1, 0, true);
    expect(&world, 1, 1, false);
    expect(&elsewhere, 1, 1, true);
    expect(&elsewhere, 1, 0, false);
}

#[test]
fn who_leaves_is_not_heard_and_gets_nothing() {
    let mut world = World::with_phones(3, Config::default());
    let mut tones = tones();
    talk(&mut world, &mut tones, 20);
    let leg = world.phones[2].leg;
    world.command(Command::RemoveLeg { leg });
    let got = world.phones[2].heard.len();
    talk(&mut world, &mut tones, 20);
    expect(&world, 0, 2, false);
    expect(&world, 0, 1, true);
    assert_eq!(world.phones[2].heard.len(), got);
    for phone in 0..2 {
        let leg = world.phones[phone].leg;
        world.command(Command::RemoveLeg { leg });
    }
    assert_eq!(world.mixer.poll_timeout(), None);
    assert_eq!(world.mixer.report().conferences, 0);
}

#[test]
fn packets_of_any_packet_time_are_heard() {
    for samples in [80, 160, 240, 320, 480] {
        let mut world = World::with_phones(2, Config::default());
        let mut sine = Sine::new(TONES[0], -20.0);
        let (mut said, mut due) = (0, 0);
        for _ in 0..60 {
            due += 160;
            while said + samples <= due {
                let mut pcm = vec![0; samples];
                sine.fill(&mut pcm);
                let payload: Vec<_> = pcm.into_iter().map(cusax_rtp::g711::ulaw_encode_sample).collect();
                let packet = world.phones[0].packet_with(&payload, 0);
                world.deliver(0, &packet);
                said += samples;
            }
            world.tick();
        }
        let heard = level(&world.phones[1].last_200_ms(), TONES[0]);
        assert!((-21.0..-19.0).contains(&heard), "{samples} samples: {heard} dBFS");
    }
}

#[test]
fn telephone_events_are_never_heard() {
    let mut world = World::with_phones(2, Config::default());
    for _ in 0..30 {
        let packet = world.phones[0].packet_with(&[5, 10, 0, 160], 101);
        world.deliver(0, &packet);
        world.tick();
    }
    assert!(world.phones[1].heard.iter().all(|heard| heard.payload == [0xd5; 160]));
    let report = world.mixer.report();
    assert_eq!(report.received[Label::TelephoneEvent as usize], 30);
    assert_eq!(report.concealed, 0);
}

#[test]
fn a_silent_conference_still_sends_a_steady_stream() {
    let mut world = World::with_phones(2, Config::default());
    for _ in 0..30 {
        world.tick();
    }
    for phone in &world.phones {
        assert_eq!(phone.heard.len(), 30);
        assert!(phone.heard[0].header.marker);
        assert!(phone.heard.iter().all(|heard| heard.csrcs.is_empty()));
        for pair in phone.heard.windows(2) {
            let (before, after) = (pair[0].header, pair[1].header);
            assert!(!after.marker);
            assert_eq!(after.sequence, before.sequence.wrapping_add(1));
            assert_eq!(after.timestamp, before.timestamp.wrapping_add(160));
            assert_eq!(after.ssrc, before.ssrc);
        }
    }
}

/// Every phone sends its tone for so many ticks.
pub(crate) fn talk(world: &mut World, tones: &mut [Sine], ticks: usize) {
    for _ in 0..ticks {
        for (phone, tone) in tones.iter_mut().enumerate().take(world.phones.len()) {
            world.say(phone, &frame(tone));
        }
        world.tick();
    }
}

pub(crate) fn tones() -> [Sine; 8] {
    TONES.map(|hertz| Sine::new(hertz, -20.0))
}

pub(crate) fn frame(sine: &mut Sine) -> [i16; 160] {
    let mut frame = [0; 160];
    sine.fill(&mut frame);
    frame
}

pub(crate) fn expect(world: &World, listener: usize, talker: usize, heard: bool) {
    let level = level(&world.phones[listener].last_200_ms(), TONES[talker]);
    let right = if heard { level > PRESENT } else { level < ABSENT };
    assert!(right, "{listener} hears {talker} at {level} dBFS; expected: {heard}");
}
