//! Tones over links that lose, delay, reorder and repeat.

use cusax_mixer::Config;
use cusax_rtp::tone::level;

use crate::phone::{Random, World};
use crate::tones::{PRESENT, TONES, frame, tones};

fn long() -> bool {
    std::env::var_os("CUSAX_LONG").is_some()
}

#[test]
fn everyone_is_heard_over_lossy_links() {
    for seed in 0..if long() { 500 } else { 8 } {
        let mut link = Link { random: Random(seed), loss: 10, jitter: 3, waiting: Vec::new() };
        let mut world = World::with_phones(4, Config { jitter: 4, ..Config::default() });
        let mut tones = tones();
        for tick in 0..1_000 {
            for (phone, tone) in tones.iter_mut().enumerate().take(4) {
                let packet = world.phones[phone].packet(&frame(tone));
                link.send(tick, phone, packet);
            }
            link.deliver(tick, &mut world);
            world.tick();
        }
        for listener in 0..4 {
            let heard = world.phones[listener].samples(20);
            let windows = || heard.chunks_exact(1_600);
            for (talker, &hertz) in TONES.iter().enumerate().take(4) {
                let present = windows().filter(|window| level(window, hertz) > PRESENT).count();
                if talker == listener {
                    // Gaps in the others' tones are short noises, but no tone.
                    assert_eq!(present, 0, "seed {seed}, {listener}");
                } else {
                    let whole = windows().len();
                    assert!(present * 100 >= whole * 97, "seed {seed}: {present} of {whole}");
                }
            }
        }
        let report = world.mixer.report();
        assert!((300..500).contains(&report.lost), "seed {seed}: {} lost", report.lost);
        assert!(report.reordered > 100, "seed {seed}");
        assert!(report.dropped[cusax_event::media::DropReason::Duplicate as usize] > 100);
    }
}

#[test]
fn a_lost_packet_is_filled_with_what_went_before() {
    let mut world = World::with_phones(2, Config::default());
    let mut tones = tones();
    for tick in 0..60 {
        let packet = world.phones[0].packet(&frame(&mut tones[0]));
        if tick != 30 {
            world.deliver(0, &packet);
        }
        world.tick();
    }
    for frame in &world.phones[1].heard[5..] {
        let heard = level(&frame.frame, TONES[0]);
        assert!((-24.0..-19.0).contains(&heard), "{heard}");
    }
    let report = world.mixer.report();
    assert_eq!((report.lost, report.concealed), (1, 1));
}

#[test]
fn garbage_is_dropped_and_counted() {
    let mut random = Random(1);
    let mut world = World::with_phones(2, Config::default());
    let packets = if long() { 2_000_000 } else { 20_000 };
    for _ in 0..packets {
        let length = usize::try_from(random.below(60)).unwrap();
        let mut bytes: Vec<_> = (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        if let Some(first) = bytes.first_mut().filter(|_| random.below(2) == 0) {
            *first = 0x80 | *first & 0x3f;
        }
        world.deliver(0, &bytes);
        if random.below(4) == 0 {
            world.tick();
        }
    }
    let report = world.mixer.report();
    let dropped: u64 = report.dropped.iter().sum();
    let received: u64 = report.received.iter().sum();
    assert!(dropped + received >= packets);
    assert!(report.dropped[0] > 1_000);
}

/// A link that loses and repeats by the hundred, and delays by up to so many ticks.
struct Link {
    random: Random,
    loss: u64,
    jitter: u64,
    waiting: Vec<(u64, usize, Vec<u8>)>,
}

impl Link {
    fn send(&mut self, tick: u64, phone: usize, packet: Vec<u8>) {
        if self.random.below(100) < 5 {
            self.waiting.push((tick + self.random.below(self.jitter), phone, packet.clone()));
        }
        if self.random.below(100) >= self.loss {
            self.waiting.push((tick + self.random.below(self.jitter), phone, packet));
        }
    }

    fn deliver(&mut self, tick: u64, world: &mut World) {
        for (_, phone, packet) in self.waiting.extract_if(.., |(due, ..)| *due <= tick) {
            world.deliver(phone, &packet);
        }
    }
}
