//! Calls that go through: routes, dialogs through tokens, flows, conferences.

use cusax_event::sip::DropReason;
use cusax_sip::{Message, Name};

use crate::draft::Draft;
use crate::world::{ACCESS_SIDE, ALICE, BOB, CORE, CORE_SIDE, STRANGER, Sent, World, answer, inside, tcp, udp};

/// What a later request of the caller's side is routed by: its view of the route set.
pub(crate) fn callers_routes(answered: &Sent) -> Vec<String> {
    let mut routes: Vec<_> = answered.lines(Name::RecordRoute).into_iter().map(str::to_owned).collect();
    routes.reverse();
    routes
}

/// What a later request of the callee's side is routed by.
pub(crate) fn callees_routes(call: &Sent) -> Vec<String> {
    call.lines(Name::RecordRoute).into_iter().map(str::to_owned).collect()
}

/// Alice's call to bob, answered by the core.
pub(crate) fn call(world: &mut World) -> (Sent, Sent) {
    let call = world.at_core(Draft::invite("sip:bob@example.com"));
    world.sent_to(ALICE);
    world.core_answers(&call, 200, &[("Contact", "<sip:bob@192.0.2.20:5080>")]);
    let answered = world.one_to(ALICE);
    (call, answered)
}

pub(crate) fn within(method: &'static str, uri: &str, routes: &[String]) -> Draft {
    Draft::new(method, uri).to("<sip:bob@example.com>;tag=core").routes(routes.iter().map(String::as_str)).next()
}

/// The same from the callee's side, as the core sends it.
fn back(method: &'static str, routes: &[String]) -> Draft {
    let mut draft = Draft::new(method, "sip:alice@198.51.100.1:5060")
        .from("<sip:bob@example.com>;tag=core")
        .to("<sip:alice@example.com>;tag=alice1")
        .routes(routes.iter().map(String::as_str));
    draft.via = "SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-back".to_owned();
    draft
}

#[test]
fn a_call_is_recorded_on_both_sides_and_the_answer_leaves_our_via_behind() {
    let mut world = World::new();
    let (call, answered) = call(&mut world);
    let routes = call.lines(Name::RecordRoute);
    assert_eq!(routes.len(), 2, "{}", call.text());
    assert_eq!(routes[0], format!("<sip:{CORE_SIDE};lr>"));
    assert!(routes[1].contains('@') && routes[1].ends_with(&format!("@{ACCESS_SIDE};lr>")), "{}", routes[1]);
    assert_eq!(call.lines(Name::Via).len(), 2);
    assert_eq!(answered.lines(Name::Via).len(), 1);
    assert_eq!(answered.lines(Name::RecordRoute), routes);
}

#[test]
fn a_bye_goes_through_from_either_side_without_a_challenge() {
    let mut world = World::new();
    let (call, answered) = call(&mut world);
    let ack = within("ACK", "sip:bob@192.0.2.20:5080", &callers_routes(&answered));
    world.receive(ALICE, ack.bytes());
    let ack = world.one_to(CORE);
    assert_eq!((ack.message.method_text(), ack.lines(Name::Route).len()), ("ACK", 0));

    let bye = within("BYE", "sip:bob@192.0.2.20:5080", &callers_routes(&answered)).next();
    world.receive(ALICE, bye.bytes());
    let bye = world.one_to(CORE);
    assert_eq!((bye.message.method_text(), bye.lines(Name::Route).len()), ("BYE", 0));
    assert_eq!(bye.lines(Name::RecordRoute).len(), 0);
    world.core_answers(&bye, 200, &[]);
    assert_eq!(world.one_to(ALICE).message.status(), Some(200));

    world.receive(CORE, back("BYE", &callees_routes(&call)).bytes());
    let bye = world.one_to(ALICE);
    assert_eq!((bye.message.method_text(), bye.lines(Name::Route).len()), ("BYE", 0));
    world.receive(ALICE, answer(&bye.message, 200, "alice1", &[]));
    assert_eq!(world.one_to(CORE).message.status(), Some(200));
    world.ends_empty();
}

#[test]
fn the_ack_of_the_callees_side_goes_through_its_token() {
    let mut world = World::new();
    let (call, _) = call(&mut world);
    world.receive(CORE, back("ACK", &callees_routes(&call)).bytes());
    assert_eq!(world.one_to(ALICE).message.method_text(), "ACK");
}

#[test]
fn a_forged_token_is_refused_and_on_an_ack_dropped() {
    let mut world = World::new();
    let (call, _) = call(&mut world);
    let mut routes = callees_routes(&call);
    routes[1] = routes[1].replace("sip:d", "sip:e");
    world.receive(CORE, back("BYE", &routes).bytes());
    assert_eq!(world.one_to(CORE).message.status(), Some(403));
    world.receive(CORE, back("ACK", &routes).bytes());
    assert!(world.sent.is_empty());
    assert_eq!(world.dropped().last().map(|dropped| dropped.reason), Some(DropReason::Flow));
}

#[test]
fn a_token_does_not_lead_a_phone_past_the_core() {
    let mut world = World::new();
    let bobs = world.path_of(udp(BOB));
    let mut draft = Draft::invite("sip:bob@198.51.100.2:5060").routes([bobs.as_str()].into_iter());
    draft.call_id = "past the core".to_owned();
    world.send(ALICE, "alice", draft);
    assert_eq!(world.sent_to(BOB).len(), 0);
    assert_eq!(world.one_to(CORE).message.method_text(), "INVITE");
}

#[test]
fn a_preloaded_route_to_elsewhere_is_refused_and_one_to_the_core_followed() {
    for (route, status) in [
        ("<sip:203.0.113.66;lr>", Some(403)),
        ("<sip:evil.example;lr>", Some(403)),
        ("<sip:192.0.2.20:5081;lr>", Some(403)),
        ("<sip:192.0.2.20:5080;lr>", None),
        ("<sip:192.0.2.1:5060;lr>", None),
        ("<nonsense>", Some(400)),
    ] {
        let mut world = World::new();
        let draft = Draft::invite("sip:bob@example.com").header(&format!("Route: {route}"));
        world.receive(ALICE, draft.bytes());
        let first = world.one_to(ALICE);
        if first.message.status() == Some(407) {
            let credentials = world.credentials(&first, "alice", &draft);
            world.receive(ALICE, draft.next().header(&credentials).bytes());
        } else {
            world.sent.push(first);
        }
        let found = world.sent_to(ALICE).iter().filter_map(|sent| sent.message.status()).find(|code| *code != 100);
        assert_eq!(found, status, "{route}");
        assert!(world.sent.iter().all(|sent| sent.flow.remote == CORE.parse().unwrap()), "{route}");
    }
}

#[test]
fn a_call_to_a_phone_comes_back_through_its_own_flow() {
    let mut world = World::new();
    let path = world.path_of(udp(BOB));
    let mut draft = Draft::invite("sip:bob@198.51.100.2:5060").routes([path.as_str()].into_iter());
    draft.via = "SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-core".to_owned();
    world.receive(CORE, draft.bytes());
    let call = world.one_to(BOB);
    let routes = call.lines(Name::RecordRoute);
    assert!(routes[0].ends_with(&format!("@{ACCESS_SIDE};lr>")), "{}", routes[0]);
    assert_eq!(routes[1], format!("<sip:{CORE_SIDE};lr>"));
}

/// A call to bob by a number that is none of his, from whoever `from` is.
fn called_as(world: &mut World, from: &str, to: &str) -> Sent {
    let path = world.path_of(udp(BOB));
    let mut draft = Draft::invite("sip:bob@198.51.100.2:5060").from(from).to(to).routes([path.as_str()].into_iter());
    draft.via = "SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-core".to_owned();
    world.receive(CORE, draft.bytes());
    let call = world.one_to(BOB);
    world.receive(BOB, answer(&call.message, 200, "bob1", &[("Contact", "<sip:bob@198.51.100.2:5060>")]));
    world.sent_to(CORE);
    call
}

fn hold(call: &Sent, to: &str, from: &str) -> Draft {
    let mut draft = Draft::invite("sip:gateway@192.0.2.20:5080")
        .from(&format!("{to};tag=bob1"))
        .to(from)
        .routes(call.lines(Name::RecordRoute).into_iter());
    draft.via = "SIP/2.0/UDP 198.51.100.2:5060;branch=z9hG4bK-hold".to_owned();
    draft
}

#[test]
fn a_callee_may_hold_a_call_whatever_he_was_called_by() {
    let from = "<sip:+442079460123@192.0.2.77>;tag=gateway";
    for to in ["<sip:sales@example.com>", "<sip:+14045550101@192.0.2.1>", "<tel:+14045550177>", "<sip:bob@example.com>"]
    {
        let mut world = World::new();
        let call = called_as(&mut world, from, to);
        world.send(BOB, "bob", hold(&call, to, from));
        let held = world.one_to(CORE);
        assert_eq!(held.message.method_text(), "INVITE", "{to}: {}", held.text());
    }
}

#[test]
fn a_callee_may_hold_a_call_from_where_his_phone_has_moved_to() {
    let (from, to) = ("<sip:+442079460123@192.0.2.77>;tag=gateway", "<sip:sales@example.com>");
    let mut world = World::new();
    let call = called_as(&mut world, from, to);
    world.send("198.51.100.77:5060", "bob", hold(&call, to, from));
    assert_eq!(world.one_to(CORE).message.method_text(), "INVITE");
}

#[test]
fn every_method_goes_both_ways_in_a_dialog() {
    let line = "User-to-User: 56a390f3d2b7310023a2;encoding=hex;purpose=foo;content=bar";
    let methods =
        ["INVITE", "UPDATE", "INFO", "REFER", "NOTIFY", "MESSAGE", "PUBLISH", "SUBSCRIBE", "PRACK", "OPTIONS", "NEW"];
    for method in methods {
        let mut world = World::new();
        let (call, answered) = call(&mut world);
        // Several values on one line are several lines.
        world.receive(CORE, back(method, &[callees_routes(&call).join(",")]).header(line).bytes());
        let there = world.one_to(ALICE);
        assert_eq!((there.message.method_text(), there.lines(Name::Route).len()), (method, 0));
        assert!(there.text().contains(&format!("{line}\r\n")), "{}", there.text());
        world.sent_to(CORE);
        let mut request =
            within(method, "sip:bob@192.0.2.20:5080", &[callers_routes(&answered).join(", ")]).header(line);
        request.via.push_str("-within");
        if method == "PRACK" {
            world.receive(ALICE, request.bytes());
        } else {
            world.send(ALICE, "alice", request);
        }
        let there = world.one_to(CORE);
        assert_eq!((there.message.method_text(), there.lines(Name::Route).len()), (method, 0));
        assert!(there.text().contains(&format!("{line}\r\n")), "{}", there.text());
        assert!(there.lines(Name::RecordRoute).is_empty(), "{method}");
    }
}

#[test]
fn nobody_else_may() {
    let (from, to) = ("<sip:+442079460123@192.0.2.77>;tag=gateway", "<sip:sales@example.com>");
    let mut world = World::new();
    let call = called_as(&mut world, from, to);
    world.send(ALICE, "alice", hold(&call, to, from));
    assert_eq!(world.one_to(ALICE).message.status(), Some(403), "from another flow");
    let mut again = hold(&call, to, from);
    again.via.push_str("-again");
    world.send(BOB, "alice", again);
    assert_eq!(world.one_to(BOB).message.status(), Some(403), "by another account");
    assert_eq!(world.sent_to(CORE).len(), 0);
}

#[test]
fn a_stream_connection_that_is_gone_is_430() {
    let mut world = World::new();
    let flow = tcp(BOB, 7);
    world.edge.handle_opened(flow.connection.unwrap(), Vec::new());
    let path = world.path_of(flow);
    let options = |cseq| {
        let mut draft = Draft::new("OPTIONS", "sip:bob@198.51.100.2:5060").routes([path.as_str()].into_iter());
        draft.via = format!("SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-{cseq}");
        draft
    };
    world.receive(CORE, options(1).bytes());
    assert_eq!(world.one_to(BOB).flow, flow);
    world.edge.handle_closed(flow.connection.unwrap());
    assert_eq!(world.status_of(CORE, options(2).bytes()), 430);
}

/// Alice calls bob through a core that does not record its route.
#[test]
fn a_call_between_two_phones_goes_on_through_a_core_that_records_nothing() {
    let mut world = World::new();
    let path = world.path_of(udp(BOB));
    let out = world.at_core(Draft::invite("sip:bob@example.com"));
    world.sent_to(ALICE);
    let passed = |request: &Sent, uri: &str, route: Option<&str>| {
        let (line, rest) =
            request.text().split_once("\r\n").map(|(line, rest)| (line.to_owned(), rest.to_owned())).unwrap();
        let method = line.split(' ').next().unwrap().to_owned();
        let route = route.map_or_else(String::new, |route| format!("Route: {route}\r\n"));
        format!("{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {CORE};branch=z9hG4bK-core{method}\r\n{route}{rest}")
    };
    let contact = "sip:bob@198.51.100.2:5060";
    world.receive(CORE, passed(&out, contact, Some(&path)));
    let call = world.one_to(BOB);
    assert_eq!(call.lines(Name::RecordRoute).len(), 4, "{}", call.text());
    world.receive(BOB, answer(&call.message, 200, "core", &[("Contact", "<sip:bob@198.51.100.2:5060>")]));
    let answered = world.one_to(CORE);
    let mut edit = cusax_sip::Edit::new(std::sync::Arc::new(answered.message));
    edit.pop(Name::Via, 1);
    world.receive(CORE, edit.finish());
    let answered = world.one_to(ALICE);

    for method in ["ACK", "BYE"] {
        let mut request = within(method, contact, &callers_routes(&answered));
        request.via.push_str(method);
        world.receive(ALICE, request.bytes());
        let out = world.one_to(CORE);
        assert_eq!(out.lines(Name::Route).len(), 2, "it has to come back: {}", out.text());
        world.receive(CORE, passed(&out, contact, None));
        let there = world.one_to(BOB);
        assert_eq!((there.message.method_text(), there.lines(Name::Route).len()), (method, 0));
        // And from the other side.
        let mut request = back(method, &callees_routes(&call));
        request.via = format!("SIP/2.0/UDP {BOB};branch=z9hG4bK-bob{method}");
        world.receive(BOB, request.bytes());
        let out = world.one_to(CORE);
        assert_eq!(out.lines(Name::Route).len(), 2, "{}", out.text());
        let back = passed(&out, "sip:alice@198.51.100.1:5060", None).replace("z9hG4bK-core", "z9hG4bK-back");
        world.receive(CORE, back);
        assert_eq!(world.one_to(ALICE).message.method_text(), method);
    }
}

/// RFC 5626 §5.3.1: also where it is found out only when the request is sent.
#[test]
fn a_flow_that_does_not_reach_its_phone_is_430() {
    for stream in [false, true] {
        let mut world = World::new();
        let flow = if stream { tcp(BOB, 7) } else { udp(BOB) };
        if let Some(connection) = flow.connection {
            world.edge.handle_opened(connection, Vec::new());
        }
        let path = world.path_of(flow);
        let mut draft = Draft::invite("sip:bob@198.51.100.2:5060").routes([path.as_str()].into_iter());
        draft.via = "SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-core".to_owned();
        world.receive(CORE, draft.bytes());
        let call = world.one_to(BOB);
        match stream {
            true => world.edge.handle_unreachable(&flow, world.now),
            false => world.edge.handle_bounced(&flow, call.message.bytes(), world.now),
        }
        world.settle();
        assert_eq!(world.one_to(CORE).message.status(), Some(430), "{stream}");
    }
}

#[test]
fn a_call_to_a_room_ends_at_the_focus_after_its_caller_was_verified() {
    for (uri, sent) in [
        ("sip:standup@conference.example.com", "sip:standup@conference.example.com"),
        ("sip:standup@CONFERENCE.example.com", "sip:standup@CONFERENCE.example.com"),
        ("sip:+14045550900@example.com", "sip:standup@conference.example.com"),
        ("tel:+1-404-555-0900", "sip:standup@conference.example.com"),
    ] {
        let mut world = World::new();
        world.send(ALICE, "alice", Draft::invite(uri));
        assert_eq!(world.sent_to(CORE).len(), 0, "{uri}");
        let invite: Message = world.focus.remove(0);
        assert_eq!(invite.request_uri_text(), sent);
        assert_eq!(invite.values(Name::CallInfo).next(), Some("<xmpp:alice@example.com>;purpose=impp"));
        assert_eq!(invite.values(Name::PAssertedIdentity).next(), Some("<sip:alice@example.com>"));
        assert_eq!(invite.values(Name::RecordRoute).count(), 1);
        assert!(world.headlines.is_empty(), "{uri}");
    }
}

#[test]
fn the_focus_reaches_its_caller_through_the_token() {
    let mut world = World::new();
    world.send(ALICE, "alice", Draft::invite("sip:standup@conference.example.com"));
    let invite = world.focus.remove(0);
    world.sent_to(ALICE);
    let contact = ("Contact", "<sip:standup@conference.example.com>;isfocus");
    world.receive_on(inside(), answer(&invite, 200, "focus", &[contact]));
    let answered = world.one_to(ALICE);
    assert_eq!(answered.message.status(), Some(200));
    let mut bye = Draft::new("BYE", "sip:alice@198.51.100.1:5060")
        .from("<sip:standup@conference.example.com>;tag=focus")
        .to("<sip:alice@example.com>;tag=alice1")
        .routes(invite.values(Name::RecordRoute));
    bye.via = "SIP/2.0/UDP focus.invalid;branch=z9hG4bK-focus".to_owned();
    world.receive_on(inside(), bye.bytes());
    let bye = world.one_to(ALICE);
    assert_eq!((bye.message.method_text(), bye.lines(Name::Route).len()), ("BYE", 0));
    world.receive(ALICE, answer(&bye.message, 200, "alice1", &[]));
    assert_eq!(world.focus.pop().and_then(|message| message.status()), Some(200));
    world.ends_empty();
}

#[test]
fn a_room_may_be_called_from_the_core_and_from_nobody_unverified() {
    let mut world = World::new();
    let mut draft = Draft::invite("sip:standup@conference.example.com").from("<sip:+44207@192.0.2.77>;tag=1");
    draft.via = "SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-core".to_owned();
    world.receive(CORE, draft.bytes());
    assert_eq!(world.focus.len(), 1);
    let stranger = Draft::invite("sip:standup@conference.example.com").from("<sip:x@elsewhere.example>;tag=1");
    assert_eq!(world.status_of(STRANGER, stranger.bytes()), 403);
    assert_eq!(world.focus.len(), 1);
}

#[test]
fn a_caller_who_gives_up_is_cancelled_at_the_core() {
    let mut world = World::new();
    let invite = world.send(ALICE, "alice", Draft::invite("sip:bob@example.com"));
    let call = world.one_to(CORE);
    world.core_answers(&call, 180, &[]);
    world.sent_to(ALICE);
    let mut cancel = invite;
    cancel.method = "CANCEL";
    world.receive(ALICE, cancel.bytes());
    assert_eq!(world.one_to(ALICE).message.status(), Some(200));
    let cancel = world.one_to(CORE);
    assert_eq!(cancel.message.method_text(), "CANCEL");
    assert_eq!(cancel.message.top_via().unwrap().branch(), call.message.top_via().unwrap().branch());
    world.core_answers(&cancel, 200, &[]);
    world.core_answers(&call, 487, &[]);
    assert_eq!(world.one_to(CORE).message.method_text(), "ACK");
    assert_eq!(world.one_to(ALICE).message.status(), Some(487));
    world.ends_empty();
}
