//! Users who register before they call.

use cusax_sip::digest::{Algorithm, Credentials, ha1};
use cusax_sip::{Compose, Message, Name};

use super::world::{CALLEE, World, pass, plan};
use crate::calls::{Plan, Register, Users, account};

fn registered(users: usize, calls: u64) -> Plan {
    let callers = (0..users).map(|n| account(&format!("u{n}"), "secret", "example.com").unwrap()).collect();
    Plan {
        users: Users { callers, callees: Vec::new() },
        register: Some(Register { rate: 100.0, expires: 600 }),
        ..plan(calls)
    }
}

/// A registrar of users whose password is `secret`, and a proxy to where they are.
fn registrar(message: &Message) -> Vec<(&'static str, bytes::Bytes)> {
    if message.method_text() != "REGISTER" {
        return pass(message);
    }
    let given = message.first(Name::Authorization).and_then(Credentials::parse);
    let known = |given: &Credentials<'_>| ha1(Algorithm::Sha256, &given.username, "example.com", "secret");
    let response = match given {
        Some(given) if given.verify(&known(&given), "REGISTER") => Compose::response(message, 200, None, Some("r")),
        Some(_) => Compose::response(message, 403, None, Some("r")),
        None => Compose::response(message, 401, None, Some("r"))
            .header("WWW-Authenticate", "Digest realm=\"example.com\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\""),
    };
    vec![(CALLEE, response.empty())]
}

#[test]
fn users_register_where_they_are_called_and_then_call_one_another() {
    let mut world = World::with_server(registered(10, 20), registrar);
    let tally = world.run();
    assert_eq!((tally.register.count(), tally.challenges), (10, 10));
    assert_eq!((tally.calls, tally.succeeded, tally.failed), (20, 20, 0));
    let registers = world.all("REGISTER");
    assert_eq!(registers[0].request_uri_text(), "sip:example.com");
    assert_eq!(
        (registers[0].first(Name::Contact), registers[0].first(Name::Expires)),
        (Some("<sip:192.0.2.1:5060>"), Some("600"))
    );
    assert!(world.times("INVITE")[0] >= 90, "after the last registration");
}

#[test]
fn who_cannot_register_does_not_call() {
    let mut plan = registered(5, 20);
    plan.users.callers[3] = account("u3", "wrong", "example.com").unwrap();
    let tally = World::with_server(plan, registrar).run();
    assert_eq!((tally.register.count(), tally.unregistered["403"], tally.calls), (4, 1, 0));
    let silent = World::with_server(registered(2, 20), |_| Vec::new()).run();
    assert_eq!((silent.unregistered["no_answer"], silent.retransmissions.register), (2, 20));
}

#[test]
fn registrations_get_through_links_that_lose_and_may_be_all_there_is() {
    for seed in 1..10 {
        let mut world = World::with_server(Plan { seed, ..registered(30, 0) }, registrar);
        (world.loss, world.duplicates) = (20, 10);
        let tally = world.run();
        assert_eq!((tally.register.count(), tally.unregistered.len(), tally.calls), (30, 0, 0), "seed {seed}");
    }
}
