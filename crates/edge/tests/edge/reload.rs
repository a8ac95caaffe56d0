//! Another configuration between two messages: what is new goes by it at once, what was begun goes on.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cusax_edge::config::{Action, Config, CoreTarget, Forged, Limits, Listener, Peer, Zone};
use cusax_event::Event;
use cusax_event::sip::{DropReason, NumberClass, UpstreamState};
use cusax_sip::digest::Algorithm;
use cusax_sip::{Flow, ListenerId, Name, Transport};

use crate::dialog::{call, callees_routes, callers_routes, within};
use crate::draft::Draft;
use crate::world::{ALICE, CORE, Sent, World, answer, config};

const SECOND: &str = "192.0.2.21:5080";
const PEER: &str = "192.0.2.130:5099";

fn target(address: &str) -> CoreTarget {
    let name = Arc::from(format!("sip:{address}"));
    CoreTarget { name, address: address.parse().unwrap(), transport: Transport::Udp }
}

fn reload(world: &mut World, config: Config) {
    world.alive.extend(config.core.iter().map(|core| (core.address, 200)));
    world.edge.handle_config(config, world.now);
    world.settle();
}

fn invite(number: usize) -> Draft {
    let mut draft = Draft::invite("sip:bob@example.com").call_id(&format!("call number {number}"));
    draft.via = format!("SIP/2.0/UDP {ALICE};branch=z9hG4bK-{number}");
    draft
}

fn last_drop(world: &World) -> Option<DropReason> {
    world.dropped().last().map(|dropped| dropped.reason)
}

#[test]
fn new_calls_go_to_the_new_core_and_each_call_ends_where_it_began() {
    let mut world = World::new();
    let (_, answered) = call(&mut world);
    world.receive(ALICE, within("ACK", "sip:bob@192.0.2.20:5080", &callers_routes(&answered)).bytes());
    world.sent_to(CORE);
    world.send(ALICE, "alice", invite(2));
    let early = world.one_to(CORE);
    world.sent_to(ALICE);

    reload(&mut world, Config { core: vec![target(SECOND)], ..config() });
    world.send(ALICE, "alice", invite(3));
    assert_eq!(world.one_to(SECOND).message.method_text(), "INVITE");
    world.sent_to(ALICE);
    world.core_answers(&early, 200, &[("Contact", "<sip:bob@192.0.2.20:5080>")]);
    assert_eq!(world.one_to(ALICE).message.status(), Some(200), "set up before, answered after");
    let bye = within("BYE", "sip:bob@192.0.2.20:5080", &callers_routes(&answered)).next();
    world.receive(ALICE, bye.bytes());
    let bye = world.one_to(CORE);
    world.core_answers(&bye, 200, &[]);
    assert_eq!(world.one_to(ALICE).message.status(), Some(200));
}

#[test]
fn the_core_that_left_is_heard_by_its_old_certificate_and_reached_by_it() {
    let secure = |address: &str, identity: &str| {
        let mut config = config();
        let (transport, at) = (Transport::Tls, "192.0.2.1:5071");
        let listener = Listener { transport, address: at.parse().unwrap(), sent_by: at.to_owned(), zone: Zone::Core };
        config.listeners.push(listener);
        config.core = vec![CoreTarget { transport, ..target(address) }];
        config.core_identities = vec![identity.to_owned()];
        config
    };
    let flow = |address: &str| {
        let remote = address.parse().unwrap();
        Flow { listener: ListenerId(4), transport: Transport::Tls, remote, connection: None, domain: None }
    };
    let mut world = World::with(secure(CORE, "old.example.com"));
    reload(&mut world, secure(SECOND, "new.example.com"));
    assert_eq!(world.edge.domains_at(&flow(CORE)), ["old.example.com"]);
    assert_eq!(world.edge.domains_at(&flow(SECOND)), ["new.example.com"]);
}

#[test]
fn a_target_that_stays_keeps_what_is_known_of_it() {
    let both = || Config { core: vec![target(CORE), target(SECOND)], ..config() };
    let mut world = World::with(both());
    world.alive.remove(&CORE.parse().unwrap());
    world.pass(Duration::from_secs(9));
    let probes = world.probes.len();
    world.edge.handle_config(both(), world.now);
    world.settle();
    assert_eq!(world.probes.len(), probes, "nobody is asked for it");
    world.send(ALICE, "alice", invite(1));
    assert_eq!(world.sent_to(SECOND).len(), 1, "the first is still down");
    let changes = world.events.iter().filter(|event| matches!(event, Event::SipUpstreamChanged(_))).count();
    assert_eq!(changes, 1, "{:?} is told once", UpstreamState::Down);
}

#[test]
fn domain_listeners_and_keys_stay_whatever_the_file_says() {
    let mut world = World::new();
    let (_, answered) = call(&mut world);
    let mut other = config();
    "elsewhere.example".clone_into(&mut other.domain);
    other.listeners.truncate(1);
    other.keys.token = vec![[9; 32]];
    reload(&mut world, other);
    world.receive(ALICE, within("BYE", "sip:bob@192.0.2.20:5080", &callers_routes(&answered)).bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "BYE");
    world.receive(ALICE, invite(2).bytes());
    let challenge = world.one_to(ALICE);
    assert!(challenge.text().contains("realm=\"example.com\""), "{}", challenge.text());
}

/// A call of a provider's user to alice, answered by the core; as both sides saw it.
fn call_of_peer(world: &mut World) -> (Draft, Sent, Sent) {
    let mut draft = Draft::invite("sip:alice@example.com").from("<sip:carol@biloxi.example>;tag=carol");
    draft.via = format!("SIP/2.0/UDP {PEER};branch=z9hG4bK-carol");
    world.receive(PEER, draft.bytes());
    let arrived = world.one_to(CORE);
    world.sent_to(PEER);
    world.core_answers(&arrived, 200, &[("Contact", "<sip:alice@192.0.2.20:5080>")]);
    let answered = world.one_to(PEER);
    (draft, arrived, answered)
}

#[test]
fn a_provider_who_left_ends_his_calls_and_begins_none() {
    let mut world = World::new();
    let (draft, arrived, answered) = call_of_peer(&mut world);
    let mut ringing = draft.clone().call_id("ringing");
    ringing.via = format!("SIP/2.0/UDP {PEER};branch=z9hG4bK-ringing");
    world.receive(PEER, ringing.bytes());
    world.sent_to(CORE);
    world.sent_to(PEER);
    reload(&mut world, Config { peers: vec![config().peers.remove(1)], ..config() });

    let mut again = draft.clone().call_id("again");
    again.via = format!("SIP/2.0/UDP {PEER};branch=z9hG4bK-again");
    world.receive(PEER, again.bytes());
    assert_eq!((world.sent.len(), last_drop(&world)), (0, Some(DropReason::Acl)));

    let mut bye = draft.routes(callers_routes(&answered).iter().map(String::as_str)).next();
    for method in ["INVITE", "UPDATE", "INFO"] {
        let mut refresh = bye.clone();
        refresh.method = method;
        refresh.to = answered.message.first(Name::To).unwrap().to_owned();
        refresh.via = format!("SIP/2.0/UDP {PEER};branch=z9hG4bK-{method}");
        world.receive(PEER, refresh.bytes());
        assert_eq!(world.one_to(CORE).message.method_text(), method, "his session timer runs on");
        world.sent_to(PEER);
    }
    bye.method = "BYE";
    bye.to = answered.message.first(Name::To).unwrap().to_owned();
    bye.via = format!("SIP/2.0/UDP {PEER};branch=z9hG4bK-bye");
    let mut forged = bye.clone().call_id("of another call");
    forged.via = format!("SIP/2.0/UDP {PEER};branch=z9hG4bK-forged");
    world.receive(PEER, bye.bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "BYE");
    world.receive(PEER, forged.bytes());
    assert_eq!(world.one_status(PEER), Some(403), "its route is of another call");

    let mut cancel = ringing;
    cancel.method = "CANCEL";
    world.receive(PEER, cancel.bytes());
    let sent: Vec<_> = world.sent_to(PEER).iter().filter_map(|sent| sent.message.status()).collect();
    assert!(sent.contains(&200), "{sent:?}");

    let mut back = Draft::new("BYE", "sip:carol@192.0.2.130:5099")
        .from("<sip:alice@example.com>;tag=core")
        .to("<sip:carol@biloxi.example>;tag=carol")
        .routes(callees_routes(&arrived).iter().map(String::as_str));
    back.via = format!("SIP/2.0/UDP {CORE};branch=z9hG4bK-back");
    world.receive(CORE, back.bytes());
    assert_eq!(world.one_to(PEER).message.method_text(), "BYE", "the other side may end it too");
}

#[test]
fn a_provider_is_let_in_and_believed_from_the_next_message_on() {
    let none = Config { peers: Vec::new(), ..config() };
    let mut world = World::with(none);
    let mut draft = Draft::invite("sip:alice@example.com").from("<sip:alice@example.com>;tag=carol");
    draft.via = format!("SIP/2.0/UDP {PEER};branch=z9hG4bK-carol");
    world.receive(PEER, draft.bytes());
    assert_eq!(last_drop(&world), Some(DropReason::Acl));
    let sources = vec![("192.0.2.128".parse().unwrap(), 28)];
    let peer = |trusted| vec![Peer { sources: sources.clone(), identities: Vec::new(), trusted }];
    reload(&mut world, Config { peers: peer(false), ..config() });
    assert_eq!(world.status_of(PEER, draft.bytes()), 403, "another's identity");
    reload(&mut world, Config { peers: peer(true), ..config() });
    draft.via = format!("SIP/2.0/UDP {PEER};branch=z9hG4bK-carol2");
    world.receive(PEER, draft.bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "INVITE");
}

#[test]
fn limits_are_others_at_once_and_who_used_his_up_has_not_got_it_back() {
    let mut world = World::new();
    let rate = |per_second| Config {
        limits: Limits { per_source: NonZeroU32::new(per_second), ..Limits::default() },
        ..config()
    };
    let mut number = 0;
    let mut let_in = |world: &mut World| {
        for _ in 0..100 {
            number += 1;
            let mut draft = Draft::new("OPTIONS", "sip:bob@example.com").call_id(&format!("options {number}"));
            draft.via = format!("SIP/2.0/UDP {ALICE};branch=z9hG4bK-o{number}");
            world.receive(ALICE, draft.bytes());
        }
        world.sent_to(ALICE).iter().filter(|sent| sent.message.status() == Some(407)).count()
    };
    assert_eq!(let_in(&mut world), 100);
    reload(&mut world, rate(10));
    assert_eq!(let_in(&mut world), 20);
    reload(&mut world, rate(10));
    assert_eq!(let_in(&mut world), 0, "a reload empties no bucket");

    let few = |transactions| Config { limits: Limits { transactions, ..Limits::default() }, ..config() };
    let mut world = World::new();
    let (_, answered) = call(&mut world);
    reload(&mut world, few(3));
    assert_eq!(world.status_of(ALICE, invite(2).bytes()), 503);
    world.receive(ALICE, within("BYE", "sip:bob@192.0.2.20:5080", &callers_routes(&answered)).bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "BYE", "a call that stands ends all the same");
    reload(&mut world, few(1_000));
    assert_eq!(world.status_of(ALICE, invite(3).bytes()), 407);
}

#[test]
fn challenges_callers_and_numbers_go_by_the_new_policy() {
    let mut world = World::new();
    let first = invite(1);
    world.receive(ALICE, first.bytes());
    let challenged = world.one_to(ALICE);
    assert_eq!(challenged.lines(Name::ProxyAuthenticate).len(), 2);
    let mut next = Config { algorithms: vec![Algorithm::Sha256], ..config() };
    next.caller.insert = false;
    next.caller.forged = Forged::Reject;
    next.numbers.policy.insert(NumberClass::International, Action::Block);
    next.dial_in.insert("+14045550901".to_owned(), "sip:retro@conference.example.com".to_owned());
    reload(&mut world, next);

    // A challenge from before is good after.
    let credentials = world.credentials(&challenged, "alice", &first);
    world.receive(ALICE, first.next().header(&credentials).bytes());
    assert!(!world.one_to(CORE).text().contains("purpose=impp"));
    world.sent_to(ALICE);
    world.receive(ALICE, invite(2).bytes());
    assert_eq!(world.one_to(ALICE).lines(Name::ProxyAuthenticate).len(), 1);

    let statuses = |world: &mut World, draft: Draft| {
        world.send(ALICE, "alice", draft);
        world.sent_to(ALICE).iter().filter_map(|sent| sent.message.status()).max()
    };
    let forged = invite(3).header("Call-Info: <xmpp:boss@example.com>;purpose=impp");
    assert_eq!(statuses(&mut world, forged), Some(403));
    let mut abroad = invite(4);
    "sip:+442079460000@example.com".clone_into(&mut abroad.uri);
    assert_eq!(statuses(&mut world, abroad), Some(403));
    let mut dialled = invite(5);
    "sip:+14045550901@example.com".clone_into(&mut dialled.uri);
    world.send(ALICE, "alice", dialled);
    assert_eq!(world.focus.pop().unwrap().request_uri_text(), "sip:retro@conference.example.com");
}

/// Whatever is under way when it comes: nothing is lost, and nothing stays behind.
#[test]
fn a_reload_between_any_two_messages_of_a_call_changes_nothing_of_it() {
    for at in 0..6 {
        let mut world = World::new();
        let mut step = 0;
        let mut may_reload = |world: &mut World| {
            if step == at {
                reload(world, Config { core: vec![target(SECOND)], peers: Vec::new(), ..config() });
            }
            step += 1;
        };
        may_reload(&mut world);
        let core = if at <= 1 { SECOND } else { CORE };
        let draft = invite(1);
        world.receive(ALICE, draft.bytes());
        let challenged = world.one_to(ALICE);
        world.receive(ALICE, crate::world::ack_to(&draft, &challenged));
        may_reload(&mut world);
        let credentials = world.credentials(&challenged, "alice", &draft);
        world.receive(ALICE, draft.next().header(&credentials).bytes());
        let arrived = world.one_to(core);
        world.sent_to(ALICE);
        may_reload(&mut world);
        let contact = format!("<sip:bob@{core}>");
        world.receive(core, answer(&arrived.message, 180, "core", &[("Contact", &contact)]));
        assert_eq!(world.one_to(ALICE).message.status(), Some(180));
        may_reload(&mut world);
        world.receive(core, answer(&arrived.message, 200, "core", &[("Contact", &contact)]));
        let answered = world.one_to(ALICE);
        may_reload(&mut world);
        let within = |method| {
            let mut draft = within(method, &format!("sip:bob@{core}"), &callers_routes(&answered));
            "call number 1".clone_into(&mut draft.call_id);
            draft
        };
        world.receive(ALICE, within("ACK").bytes());
        assert_eq!(world.one_to(core).message.method_text(), "ACK", "{at}");
        may_reload(&mut world);
        world.receive(ALICE, within("BYE").next().bytes());
        let bye = world.one_to(core);
        assert_eq!(bye.message.method_text(), "BYE", "{at}");
        world.receive(core, answer(&bye.message, 200, "core", &[]));
        assert_eq!(world.one_to(ALICE).message.status(), Some(200));
        assert_eq!(step, 6);
        world.ends_empty();
    }
}
