//! Cues about charges: the early dialog of the virtual UAS beside the real call.

use cusax_edge::config::Action;
use cusax_event::sip::{CueKind, NumberClass};
use cusax_event::{Event, SessionId};
use cusax_sip::Name;

use crate::draft::Draft;
use crate::world::{ALICE, CORE, STRANGER, Sent, World, config};

const CHARGED: &str = "sip:+12125550123@example.com";

fn cues(world: &World) -> Vec<(CueKind, NumberClass)> {
    let told = |event: &Event| if let Event::Cue(told) = event { Some((told.kind, told.class)) } else { None };
    world.events.iter().filter_map(told).collect()
}

/// Alice dials a charged number; the cue that she gets and the call that the core gets.
fn charged(world: &mut World) -> (Draft, Sent, Sent) {
    let invite = world.send(ALICE, "alice", Draft::invite(CHARGED).header("Supported: 100rel"));
    (invite, world.one_to(ALICE), world.one_to(CORE))
}

/// A request on the cue's early dialog.
fn on_the_cue(method: &'static str, invite: &Draft, cue: &Sent) -> Draft {
    let contact = cue.message.address(Name::Contact).unwrap().uri_text;
    let mut routes = cue.lines(Name::RecordRoute);
    routes.reverse();
    let to = cue.message.first(Name::To).unwrap();
    let mut draft = Draft::new(method, contact).from(&invite.from).to(to).routes(routes.into_iter());
    draft.via = format!("{}{method}", draft.via);
    draft
}

#[test]
fn a_charged_call_gets_a_183_with_a_warning_and_the_caller_a_headline() {
    let mut world = World::new();
    let (_, cue, call) = charged(&mut world);
    assert_eq!(cue.message.status(), Some(183), "{}", cue.text());
    let warning = cue.message.first(Name::Warning).unwrap();
    assert!(warning.starts_with("399 example.com \"") && warning.contains("+12125550123"), "{warning}");
    assert!(cue.message.body().is_empty() && !cue.message.to_tag().is_empty());
    assert_eq!(cue.lines(Name::Via).len(), 1);
    assert_eq!(cue.lines(Name::RecordRoute).len(), 1);
    assert_eq!(cue.lines(Name::AlertInfo).len(), 0);
    assert_eq!(call.message.request_uri_text(), CHARGED);
    let headline = world.headlines.remove(0);
    assert_eq!((headline.to.as_str(), headline.number.as_str()), ("alice@example.com", "+12125550123"));
    let session: Option<SessionId> =
        call.message.first(Name::SessionId).and_then(cusax_sip::session_id::SessionId::parse).and_then(|id| id.local);
    assert_eq!(headline.session, session);
    assert_eq!(cues(&world).iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [CueKind::Header, CueKind::Message]);
    assert_eq!(world.edge.counts()[3], 1);
}

#[test]
fn the_real_answer_comes_through_with_its_own_tag_and_the_cue_ends() {
    let mut world = World::new();
    let (_, cue, call) = charged(&mut world);
    world.core_answers(&call, 180, &[]);
    let ringing = world.one_to(ALICE);
    assert_eq!(ringing.lines(Name::AlertInfo), ["<urn:alert:source:external>"]);
    assert_ne!(ringing.message.to_tag(), cue.message.to_tag());
    world.core_answers(&call, 200, &[("Contact", "<sip:gw@192.0.2.20:5080>")]);
    let answered = world.one_to(ALICE);
    assert_eq!((answered.message.status(), answered.message.to_tag()), (Some(200), "core"));
    assert_eq!(answered.lines(Name::AlertInfo).len(), 0);
    assert_eq!(world.edge.counts()[3], 0, "the cue is over");
    world.ends_empty();
}

#[test]
fn a_failure_of_the_real_call_is_the_calls_failure() {
    for status in [404, 486, 603] {
        let mut world = World::new();
        let (invite, _, call) = charged(&mut world);
        world.core_answers(&call, status, &[]);
        let failed = world.one_to(ALICE);
        assert_eq!(failed.message.status(), Some(status));
        world.receive(ALICE, crate::world::ack_to(&invite, &failed));
        assert_eq!(world.edge.counts()[3], 0);
        world.ends_empty();
    }
}

#[test]
fn silence_of_the_core_is_408_in_spite_of_the_cue() {
    let mut world = World::new();
    let (invite, _, _) = charged(&mut world);
    world.pass(std::time::Duration::from_secs(33));
    let failed: Vec<_> = world.sent_to(ALICE).into_iter().filter(|sent| sent.message.status() == Some(408)).collect();
    assert!(!failed.is_empty());
    world.receive(ALICE, crate::world::ack_to(&invite, &failed[0]));
    world.ends_empty();
}

#[test]
fn the_cue_answers_on_its_dialog_and_not_on_another() {
    let cases = [
        ("PRACK", "", 200, None),
        ("UPDATE", "", 200, None),
        ("UPDATE", "v=0\r\n", 500, Some("Retry-After")),
        ("INVITE", "v=0\r\n", 500, Some("Retry-After")),
        ("INFO", "x", 200, None),
        ("BYE", "", 200, None),
        ("NOTIFY", "", 405, Some("Allow")),
    ];
    for (method, body, status, header) in cases {
        for known in [true, false] {
            let mut world = World::new();
            let (invite, cue, _) = charged(&mut world);
            let mut draft = on_the_cue(method, &invite, &cue).body(body);
            if !known {
                draft.to = "<sip:x@example.com>;tag=other".to_owned();
            }
            world.receive(ALICE, draft.bytes());
            let mut first = world.one_to(ALICE);
            if first.message.status() == Some(407) {
                let credentials = world.credentials(&first, "alice", &draft);
                world.receive(ALICE, draft.next().header(&credentials).bytes());
                first = world.one_to(ALICE);
            }
            let expected = if known { status } else { 481 };
            assert_eq!(first.message.status(), Some(expected), "{method} {known}");
            if let Some(name) = header.filter(|_| known) {
                assert!(first.text().contains(&format!("\r\n{name}: ")), "{}", first.text());
            }
            assert_eq!(first.message.to_tag(), if known { cue.message.to_tag() } else { "other" });
            assert_eq!(world.sent_to(CORE).len(), 0, "{method}");
        }
    }
}

#[test]
fn a_bye_ends_the_cue_and_leaves_the_call() {
    let mut world = World::new();
    let (invite, cue, call) = charged(&mut world);
    world.receive(ALICE, on_the_cue("BYE", &invite, &cue).bytes());
    assert_eq!(world.one_to(ALICE).message.status(), Some(200));
    assert_eq!(world.edge.counts()[3], 0);
    let mut again = on_the_cue("BYE", &invite, &cue);
    again.via.push('2');
    world.receive(ALICE, again.bytes());
    assert_eq!(world.one_to(ALICE).message.status(), Some(481));
    world.core_answers(&call, 200, &[("Contact", "<sip:gw@192.0.2.20:5080>")]);
    assert_eq!(world.one_to(ALICE).message.status(), Some(200));
    world.ends_empty();
}

#[test]
fn a_caller_who_gives_up_during_the_cue_leaves_nothing_behind() {
    let mut world = World::new();
    let (mut invite, _, call) = charged(&mut world);
    invite.method = "CANCEL";
    world.receive(ALICE, invite.bytes());
    assert_eq!(world.one_to(ALICE).message.status(), Some(200));
    assert_eq!(world.edge.counts()[3], 0);
    world.core_answers(&call, 180, &[]);
    world.sent_to(ALICE);
    assert_eq!(world.one_to(CORE).message.method_text(), "CANCEL");
    world.core_answers(&call, 487, &[]);
    assert_eq!(world.one_to(ALICE).message.status(), Some(487));
    world.ends_empty();
}

#[test]
fn two_calls_that_look_like_one_leave_nothing_behind() {
    let mut world = World::new();
    for cseq in [10, 20] {
        let mut draft = Draft::invite(CHARGED);
        draft.cseq = cseq;
        draft.via = format!("{}-{cseq}", draft.via);
        world.send(ALICE, "alice", draft);
        world.sent_to(ALICE);
    }
    assert_eq!(world.edge.counts()[3], 1);
    world.ends_empty();
}

#[test]
fn a_phone_that_requires_reliable_answers_is_told_over_xmpp_only() {
    let mut world = World::new();
    world.send(ALICE, "alice", Draft::invite(CHARGED).header("Require: 100rel"));
    assert!(world.sent_to(ALICE).iter().all(|sent| sent.message.status() == Some(100)));
    assert_eq!(world.sent_to(CORE).len(), 1);
    assert_eq!(world.headlines.len(), 1);
}

#[test]
fn headlines_are_for_those_who_want_them() {
    let mut settings = config();
    settings.numbers.message = false;
    let mut world = World::with(settings);
    charged(&mut world);
    assert!(world.headlines.is_empty());
}

#[test]
fn a_blocked_class_is_refused_with_the_reason() {
    let mut world = World::new();
    world.send(ALICE, "alice", Draft::invite("sip:+19005551234@example.com"));
    let refused = world.one_to(ALICE);
    assert_eq!(refused.message.status(), Some(403));
    assert!(refused.message.reason().contains("premium-rate"), "{}", refused.text());
    assert!(refused.message.first(Name::Warning).unwrap().starts_with("399 example.com \""));
    assert_eq!(world.sent_to(CORE).len(), 0);
    assert_eq!(cues(&world), [(CueKind::Blocked, NumberClass::Premium)]);
    world.ends_empty();
}

#[test]
fn own_numbers_own_users_and_other_methods_get_no_cue() {
    for draft in [
        Draft::invite("sip:+14045550123@example.com"),
        Draft::invite("sip:bob@example.com"),
        Draft::new("MESSAGE", CHARGED),
    ] {
        let mut world = World::new();
        let uri = draft.uri.clone();
        world.at_core(draft);
        assert!(world.sent_to(ALICE).iter().all(|sent| sent.message.status() == Some(100)), "{uri}");
        assert!(cues(&world).is_empty() && world.headlines.is_empty(), "{uri}");
    }
}

#[test]
fn a_to_tag_without_a_route_of_ours_is_no_dialog_and_saves_no_charge() {
    let mut world = World::new();
    world.receive(ALICE, Draft::invite(CHARGED).to("<sip:x@example.com>;tag=there").bytes());
    assert_eq!(world.one_to(ALICE).message.status(), Some(481));
    let path = world.path_of(crate::world::udp(ALICE));
    world.receive(
        ALICE,
        Draft::invite(CHARGED).to("<sip:x@example.com>;tag=there").routes([path.as_str()].into_iter()).bytes(),
    );
    assert_eq!(world.one_to(ALICE).message.status(), Some(481), "a Path is no proof of a dialog");
    assert!(world.sent_to(CORE).is_empty());
}

#[test]
fn only_a_call_is_an_emergency() {
    for method in ["REGISTER", "MESSAGE", "SUBSCRIBE", "REFER", "INFO"] {
        let mut world = World::new();
        world.receive(STRANGER, Draft::new(method, "sip:112@example.com").bytes());
        assert!(matches!(world.one_to(STRANGER).message.status(), Some(401 | 407)), "{method}");
        assert!(world.sent_to(CORE).is_empty(), "{method}");
    }
}

#[test]
fn an_emergency_call_waits_for_nobody() {
    for uri in ["sip:112@example.com", "sip:911@example.com", "tel:112", "urn:service:sos", "urn:service:sos.fire"] {
        for from in ["<sip:alice@example.com>;tag=1", "<sip:x@elsewhere.example>;tag=1"] {
            let mut settings = config();
            settings.numbers.policy.insert(NumberClass::Emergency, Action::Block);
            let mut world = World::with(settings);
            world.receive(STRANGER, Draft::invite(uri).from(from).bytes());
            let call = world.one_to(CORE);
            assert_eq!(call.message.request_uri_text(), uri);
            assert_eq!(call.lines(Name::PAssertedIdentity).len(), 0);
            assert_eq!(call.lines(Name::CallInfo).len(), 0);
            assert!(world.sent_to(STRANGER).iter().all(|sent| sent.message.status() == Some(100)), "{uri}");
            assert!(cues(&world).is_empty() && world.headlines.is_empty());
        }
    }
}

#[test]
fn an_emergency_call_goes_to_the_core_whatever_host_it_names() {
    for uri in ["sip:112@203.0.113.66", "sip:112@conference.example.com", "sip:911@192.0.2.1"] {
        let mut world = World::new();
        world.receive(STRANGER, Draft::invite(uri).header("Route: <sip:203.0.113.66;lr>").bytes());
        assert_eq!(world.focus.len(), 0, "{uri}");
        assert!(world.sent.iter().all(|sent| sent.lines(Name::Route).is_empty()), "{uri}");
        let to: Vec<_> = world.sent.iter().map(|sent| sent.flow.remote.to_string()).collect();
        assert_eq!(to.iter().filter(|to| *to == CORE).count(), 1, "{uri}: {to:?}");
    }
}
