//! What is no message, or nearly one.

use std::time::Duration;

use super::world::{CALLEE, CALLER, World, plan};
use crate::calls::{Plan, Role};

#[test]
fn what_is_no_message_is_counted() {
    let mut world = World::direct(Plan { role: Role::Callee, ..plan(1) });
    for (noise, counted) in [("\r\n\r\n", 0), ("\0\0\0\0", 0), ("", 0), ("hello", 1), ("SIP/2.0 200 OK\r\n", 2)] {
        world.inject(CALLER, CALLEE, noise);
        assert_eq!(world.calls.tally().malformed, counted, "{noise:?}");
    }
    world.inject(CALLER, CALLEE, "INVITE sip:x SIP/2.0\r\nContent-Length: 9\r\n\r\n");
    world.inject(CALLER, CALLEE, "INVITE sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((world.calls.tally().malformed, world.calls.tally().calls), (3, 0));
}

#[test]
fn messages_with_bytes_changed_or_cut_off_break_nothing() {
    for seed in 1..30 {
        let hold = Duration::from_millis(20);
        let mut world = World::direct(Plan { seed, hold, ring: hold, ..plan(20) });
        let mut sent = 0;
        while world.calls.tally().calls < 20 || world.calls.live() > 0 {
            world.step();
            // Whatever was just sent also arrives in other forms, on either side.
            let fresh: Vec<_> = world.sent[sent..].iter().map(|message| message.bytes().to_vec()).collect();
            sent += fresh.len();
            for mut bytes in fresh.into_iter().take(8) {
                for _ in 0..1 + world.draw(3) {
                    let at = world.draw(bytes.len() as u64) as usize;
                    match world.draw(4) {
                        0 => bytes.truncate(at + 1),
                        1 => bytes[at] ^= 1 << world.draw(8),
                        2 => bytes[at] = b'\n',
                        _ => drop(bytes.remove(at)),
                    }
                    if bytes.is_empty() {
                        break;
                    }
                }
                let to = if world.draw(2) == 0 { CALLEE } else { CALLER };
                world.inject_quietly(CALLER, to, bytes);
            }
        }
        let tally = world.calls.tally();
        assert_eq!(tally.calls, tally.succeeded + tally.failed, "seed {seed}");
        assert!(tally.malformed + tally.unmatched > 0, "seed {seed}");
    }
}

#[test]
fn responses_to_what_was_never_sent_break_nothing() {
    let response = |status: u16, branch: &str| {
        format!(
            "SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{branch}\r\nTo: <sip:a@b>;tag=t\r\nCSeq: 1 INVITE\r\n\r\n"
        )
    };
    for role in [Role::Both, Role::Callee, Role::Caller] {
        let mut world = World::direct(Plan { role, ..plan(1) });
        for purpose in ["c", "u", "i", "a", "b", "r"] {
            for attempt in 0..10 {
                for number in ["0000000000000000", "00ffff00000000ff", "ffffffffffffffff"] {
                    for status in [180, 200, 407, 603] {
                        let branch = format!("{purpose}{attempt}0000cafe{number}");
                        world.inject_quietly(CALLER, CALLEE, response(status, &branch).into());
                    }
                }
            }
        }
        let tally = world.calls.tally();
        assert_eq!((tally.received, tally.malformed), (720, 0));
        assert_eq!(tally.unmatched + tally.after_end, 720, "{role:?}");
    }
}
