//! Strict routers before and behind us (RFC 3261 §16.4, §16.6 step 6), and what else passes as it is.

use cusax_sip::{ConnectionId, Name};

use crate::dialog::{call, callees_routes, callers_routes, within};
use crate::draft::Draft;
use crate::world::{ACCESS_SIDE, ALICE, BOB, CORE, World, tcp, udp};

#[test]
fn a_strict_router_before_us_is_undone() {
    let mut world = World::new();
    let (_, answered) = call(&mut world);
    let mut routes = callers_routes(&answered);
    // It has put our entry into the Request-URI and the target at the end.
    let ours = routes.remove(0);
    routes.push("<sip:bob@192.0.2.20:5080>".to_owned());
    let mut bye = within("BYE", "sip:x", &routes);
    bye.uri = ours.trim_matches(['<', '>']).to_owned();
    world.receive(ALICE, bye.bytes());
    let bye = world.one_to(CORE);
    assert_eq!(bye.message.request_uri_text(), "sip:bob@192.0.2.20:5080");
    assert!(bye.lines(Name::Route).is_empty(), "{}", bye.text());
}

#[test]
fn a_strict_router_behind_us_gets_what_it_wants() {
    for method in ["BYE", "ACK"] {
        let mut world = World::new();
        let (_, answered) = call(&mut world);
        let mut routes = callers_routes(&answered);
        routes.extend(["<sip:192.0.2.20:5080>", "<sip:further.example;lr>"].map(str::to_owned));
        world.receive(ALICE, within(method, "sip:bob@203.0.113.7", &routes).bytes());
        let sent = world.one_to(CORE);
        assert_eq!(sent.message.request_uri_text(), "sip:192.0.2.20:5080", "{method}");
        assert_eq!(sent.lines(Name::Route), ["<sip:further.example;lr>", "<sip:bob@203.0.113.7>"], "{method}");
    }
}

#[test]
fn a_stun_keep_alive_is_answered_on_the_access_side_only() {
    let binding = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    let mut world = World::new();
    world.edge.handle_message(binding.clone().into(), udp(ALICE), world.now);
    let Some(cusax_edge::Output::Transmit(answer)) = world.edge.poll_output() else { panic!("no answer") };
    assert_eq!((answer.flow, &answer.bytes[..2]), (udp(ALICE), &[1, 1][..]));
    world.edge.handle_message(binding.into(), udp(CORE), world.now);
    world.settle();
    assert_eq!((world.sent.len(), world.dropped().len()), (0, 1));
}

#[test]
fn outbound_gruu_and_service_route_pass() {
    let mut world = World::new();
    let contact =
        "<sip:alice@198.51.100.1:5060>;reg-id=1;+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"";
    let draft = Draft::new("REGISTER", "sip:example.com")
        .to("<sip:alice@example.com>")
        .header("Supported: path, outbound, gruu")
        .header(&format!("Contact: {contact}"));
    let register = world.at_core(draft);
    assert_eq!(register.lines(Name::Contact), [contact]);
    assert_eq!(register.lines(Name::Supported), ["path", "outbound", "gruu"]);
    assert!(register.lines(Name::Path)[0].ends_with(";lr;ob>"), "{}", register.text());
    let gruu = format!("{contact};pub-gruu=\"sip:alice@example.com;gr=urn:uuid:f81d4fae\"");
    let service = "<sip:192.0.2.20:5080;lr>";
    world.core_answers(
        &register,
        200,
        &[("Contact", &gruu), ("Service-Route", service), ("Require", "outbound"), ("Flow-Timer", "120")],
    );
    let answered = world.one_to(ALICE);
    assert_eq!((answered.lines(Name::Contact), answered.lines(Name::ServiceRoute)), (vec![&*gruu], vec![service]));
    assert_eq!(answered.message.first_other("Flow-Timer"), Some("120"));
    // What the phone makes of it: its outbound proxy, and the route that the registrar gave.
    let call = Draft::invite("sip:bob@example.com").call_id("by service route");
    let mut call = call.header(&format!("Route: <sip:{ACCESS_SIDE};lr>, {service}"));
    call.via.push_str("-sr");
    let sent = world.at_core(call);
    assert_eq!(sent.lines(Name::Route), [service]);
}

#[test]
fn without_outbound_the_path_says_nothing_of_it() {
    let mut world = World::new();
    assert!(!world.path_of(udp(BOB)).contains(";ob"));
}

#[test]
fn a_caller_may_choose_among_his_own_identities_and_no_others() {
    for (preferred, expected) in [
        ("<sip:+14045550101@example.com>", "<sip:+14045550101@example.com>"),
        ("\"A\" <tel:+14045550101>", "<tel:+14045550101>"),
        ("<sip:bob@example.com>", "<sip:alice@example.com>"),
        ("<sip:alice@elsewhere.example>", "<sip:alice@example.com>"),
        ("<sip:bob@example.com>, <sip:alice@example.com>", "<sip:alice@example.com>"),
    ] {
        let mut world = World::new();
        let call =
            world.at_core(Draft::invite("sip:bob@example.com").header(&format!("P-Preferred-Identity: {preferred}")));
        assert_eq!(call.lines(Name::PAssertedIdentity), [expected], "{preferred}");
        assert!(call.lines(Name::PPreferredIdentity).is_empty(), "{preferred}");
    }
}

#[test]
fn what_a_strict_router_wrote_is_no_way_around_a_challenge() {
    let mut world = World::new();
    let (call, _) = call(&mut world);
    let ours = callees_routes(&call)[1].trim_matches(['<', '>']).to_owned();
    let mut draft = Draft::invite("sip:x").header("Route: <sip:+19005551234@example.com>").call_id("another");
    draft.uri = ours;
    draft.via.push_str("-another");
    world.receive(ALICE, draft.bytes());
    let statuses: Vec<_> = world.sent_to(ALICE).iter().filter_map(|sent| sent.message.status()).collect();
    assert_eq!(statuses, [403], "that entry is of another call");
}

/// RFC 3261 §16.4: it says how a request comes here, and that has been done.
#[test]
fn maddr_that_names_us_goes_with_what_led_here() {
    for (came_by, uri, sent) in [
        (udp(ALICE), "sip:bob@example.com;maddr=192.0.2.1", "sip:bob@example.com"),
        (udp(ALICE), "sip:bob@example.com:5060;x=y;maddr=192.0.2.1;lr", "sip:bob@example.com:5060;x=y;lr"),
        (tcp(ALICE, 7), "sip:bob@example.com;transport=tcp;maddr=example.com;x", "sip:bob@example.com;x"),
        (udp(ALICE), "sip:bob@example.com;maddr=203.0.113.1", "sip:bob@example.com;maddr=203.0.113.1"),
        (
            udp(ALICE),
            "sip:bob@example.com;transport=tcp;maddr=192.0.2.1",
            "sip:bob@example.com;transport=tcp;maddr=192.0.2.1",
        ),
        (udp(ALICE), "sip:bob@example.com:5070;maddr=192.0.2.1", "sip:bob@example.com:5070;maddr=192.0.2.1"),
    ] {
        let mut world = World::new();
        world.edge.handle_opened(ConnectionId(7), Vec::new());
        let mut draft = Draft::invite(uri);
        if came_by.connection.is_some() {
            draft.via = draft.via.replace("UDP", "TCP");
        }
        world.receive_on(came_by, draft.bytes());
        let challenged = world.one_to(ALICE);
        let credentials = world.credentials(&challenged, "alice", &draft);
        world.receive_on(came_by, draft.next().header(&credentials).bytes());
        assert_eq!(world.one_to(CORE).message.request_uri_text(), sent, "{uri}");
    }
}

/// RFC 3608: the core may write its Service-Route by the domain that it serves.
#[test]
fn a_service_route_at_our_domain_is_the_cores() {
    for route in ["<sip:orig@example.com;lr>", "<sip:example.com;lr>", "<sip:orig@EXAMPLE.com:5060;lr>"] {
        let mut world = World::new();
        let draft = Draft::invite("sip:bob@example.com").header(&format!("Route: <sip:{ACCESS_SIDE};lr>, {route}"));
        assert_eq!(world.at_core(draft).lines(Name::Route), [route]);
    }
}

/// Its entry would become the Request-URI behind our back: a number that nobody has looked at.
#[test]
fn a_strict_router_is_none_that_a_phone_may_begin_with() {
    for host in [CORE, "example.com"] {
        let mut world = World::new();
        let route = format!("Route: <sip:{ACCESS_SIDE};lr>, <sip:+19005551234@{host}>");
        world.send(ALICE, "alice", Draft::invite("sip:bob@example.com").header(&route));
        let statuses: Vec<_> = world.sent_to(ALICE).iter().filter_map(|sent| sent.message.status()).collect();
        assert_eq!((statuses, world.sent_to(CORE).len()), (vec![403], 0), "{host}");
    }
}
