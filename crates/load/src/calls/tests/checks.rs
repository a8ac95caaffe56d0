//! What is looked at in each call.

use bytes::Bytes;
use cusax_sip::{Message, Name};

use super::world::{CALLEE, World, pass, plan, with_line};
use crate::calls::{CallInfo, Expect, Plan, Role};

const SESSION: &str = "Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000";

fn checked(calls: u64) -> Plan {
    let expect = Expect { status: 200, call_info: Some(CallInfo::new("<xmpp:%u@")), session_id: true };
    Plan { expect, ..plan(calls) }
}

/// A proxy that adds these lines to every other INVITE, and the last to its 2xx.
fn adding(lines: &'static [&'static str]) -> impl FnMut(&Message) -> Vec<(&'static str, Bytes)> {
    move |message| {
        let mut passed = pass(message);
        let number = message.call_id().bytes().last().unwrap_or(0);
        if number % 2 == 0 && message.cseq().is_some_and(|(_, method)| method == "INVITE") {
            for (to, bytes) in &mut passed {
                let lines = if *to == CALLEE { lines } else { &lines[lines.len().saturating_sub(1)..] };
                for line in lines {
                    *bytes = with_line(&Message::parse(bytes.clone()).unwrap(), line);
                }
            }
        }
        passed
    }
}

#[test]
fn calls_without_what_they_must_have_go_on_and_are_failures() {
    let mut world =
        World::with_server(checked(10), adding(&["Call-Info: <xmpp:alice@example.com>;purpose=impp", SESSION]));
    let tally = world.run();
    assert_eq!((tally.calls, tally.succeeded, tally.failures["call_info"]), (10, 5, 5));
    assert_eq!((tally.setup.count(), tally.bye.count(), tally.after_end), (10, 10, 0));
}

#[test]
fn another_users_call_info_and_no_session_are_none() {
    let other = World::with_server(checked(4), adding(&["Call-Info: <xmpp:bob@example.com>", SESSION])).run();
    assert_eq!(other.failures["call_info"], 4);
    let silent = World::with_server(checked(4), adding(&["Call-Info: <xmpp:alice@example.com>"])).run();
    assert_eq!((silent.failures["session_id"], silent.failures["call_info"]), (2, 2));
}

#[test]
fn callers_alone_look_at_the_answer() {
    let expect = Expect { status: 200, call_info: None, session_id: true };
    let answer = |with_session: bool| {
        move |request: &Message| {
            let session = SESSION.split_once(": ").unwrap();
            let lines: &[(&str, &str)] = if with_session { &[session] } else { &[] };
            if request.method_text() == "ACK" { Vec::new() } else { vec![super::world::reply(request, 200, lines)] }
        }
    };
    let plan = Plan { role: Role::Caller, expect, ..plan(2) };
    assert_eq!(World::with_server(plan.clone(), answer(true)).run().succeeded, 2);
    assert_eq!(World::with_server(plan, answer(false)).run().failures["session_id"], 2);
}

#[test]
fn calls_that_get_another_name_on_the_way_are_checked_all_the_same() {
    // A B2BUA: the callees cannot know whose call it is.
    let mut world = World::with_server(checked(1), |message| {
        let rename = |bytes: Bytes, from: &str, to: &str| {
            Bytes::from(String::from_utf8(bytes.to_vec()).unwrap().replace(from, to))
        };
        let own = message.call_id().trim_start_matches("b2b-").to_owned();
        let renamed = |(to, bytes)| {
            let line = format!("Call-ID: {own}");
            let other = format!("Call-ID: b2b-{own}");
            (to, if to == CALLEE { rename(bytes, &line, &other) } else { rename(bytes, &other, &line) })
        };
        pass(message).into_iter().map(renamed).collect()
    });
    let tally = world.run();
    assert_eq!(world.all("INVITE")[0].first(Name::CallInfo), None);
    assert_eq!(tally.failures["call_info"], 1);
}
