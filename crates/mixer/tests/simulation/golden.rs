//! The mix, bit for bit: against a plain model, with noise so loud that sums clip.

use cusax_mixer::Config;
use cusax_rtp::Codec;

use crate::phone::{Random, World};

#[test]
fn every_packet_is_what_the_model_says() {
    for (seed, count) in [(1, 2), (2, 3), (3, 5), (4, 20)] {
        let mut random = Random(seed);
        // A packet that comes before a tick is heard in it.
        let mut world = World::with_phones(count, Config { jitter: 1, ..Config::default() });
        for tick in 0..200 {
            let mut said = vec![None; count];
            for (phone, said) in said.iter_mut().enumerate() {
                let talks = tick < 2 || random.below(3) == 0;
                // The first frame of each phone fades in.
                let frame = if tick == 0 { [8_000; 160] } else { random.noise() };
                let codec = world.phones[phone].codec;
                let payload = if talks { encode(codec, &frame) } else { *codec.silence() };
                let packet = world.phones[phone].packet_with(&payload, codec.payload_type());
                world.deliver(phone, &packet);
                *said = talks.then(|| decode(codec, &payload));
            }
            world.tick();
            if tick > 0 {
                check(&world, &said, &format!("seed {seed}, tick {tick}"));
            }
        }
    }
}

fn check(world: &World, said: &[Option<[i16; 160]>], at: &str) {
    for (listener, phone) in world.phones.iter().enumerate() {
        let others = || said.iter().enumerate().filter(|(talker, _)| *talker != listener);
        let heard = phone.heard.last().expect("a packet");
        let talkers = others().filter(|(_, said)| said.is_some());
        let ssrcs: Vec<_> = talkers.map(|(talker, _)| world.phones[talker].ssrc).take(15).collect();
        assert_eq!(heard.csrcs, ssrcs, "{at}, {listener}");
        let mix: [i16; 160] = std::array::from_fn(|sample| {
            let sum: i64 = others().filter_map(|(_, said)| said.as_ref()).map(|it| i64::from(it[sample])).sum();
            i16::try_from(sum.clamp(-32_768, 32_767)).expect("clamped")
        });
        let expected = if ssrcs.is_empty() { *phone.codec.silence() } else { encode(phone.codec, &mix) };
        assert!(heard.payload == expected, "{at}, {listener}");
    }
}

fn encode(codec: Codec, frame: &[i16; 160]) -> [u8; 160] {
    let mut payload = [0; 160];
    codec.encode(frame, &mut payload);
    payload
}

fn decode(codec: Codec, payload: &[u8; 160]) -> [i16; 160] {
    let mut frame = [0; 160];
    codec.decode(payload, &mut frame);
    frame
}
