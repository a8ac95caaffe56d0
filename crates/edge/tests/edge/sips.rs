//! Addresses that are reached by TLS or not at all (RFC 3261 §26.2.2, RFC 5630).

use cusax_edge::config::{CoreTarget, Listener, Zone};
use cusax_event::sip::DropReason;
use cusax_sip::{ConnectionId, Flow, ListenerId, Name, Transport};

use crate::draft::Draft;
use crate::world::{ALICE, Sent, World, config};

const PHONE: ConnectionId = ConnectionId(7);
/// A core server by TLS, and another one by UDP.
const SECURE: &str = "192.0.2.20:5061";
const PLAIN: &str = "192.0.2.21:5080";

/// TLS listeners for user agents (4) and the core (5); a core server that is reached by TLS, if that is wanted, before one
/// that is not.
fn world(secure: bool) -> World {
    let mut config = config();
    for (zone, port) in [(Zone::Access, 5061), (Zone::Core, 5071)] {
        let address = format!("192.0.2.1:{port}");
        let sent_by = address.clone();
        config.listeners.push(Listener { transport: Transport::Tls, address: address.parse().unwrap(), sent_by, zone });
    }
    let target = |name: &str, address: &str, transport| CoreTarget {
        name: name.into(),
        address: address.parse().unwrap(),
        transport,
    };
    config.core = vec![target("sip:192.0.2.21:5080", PLAIN, Transport::Udp)];
    if secure {
        config.core.insert(0, target("sips:core.example.com", SECURE, Transport::Tls));
    }
    let mut world = World::with(config);
    world.edge.handle_opened(PHONE, Vec::new());
    world
}

fn phone() -> Flow {
    let remote = ALICE.parse().unwrap();
    Flow { listener: ListenerId(4), transport: Transport::Tls, remote, connection: Some(PHONE), domain: None }
}

/// Sends a request of alice over TLS with what she is asked for.
fn send(world: &mut World, mut draft: Draft) {
    draft.via = draft.via.replace("UDP", "TLS");
    world.receive_on(phone(), draft.bytes());
    let challenged = world.one_to(ALICE);
    let credentials = world.credentials(&challenged, "alice", &draft);
    world.receive_on(phone(), draft.next().header(&credentials).bytes());
}

fn recorded(sent: &Sent) -> Vec<&str> {
    sent.lines(Name::RecordRoute)
}

#[test]
fn a_sips_call_is_recorded_by_sips_on_both_sides() {
    let mut world = world(true);
    send(&mut world, Draft::invite("sips:bob@example.com"));
    let call = world.one_to(SECURE);
    let lines = recorded(&call);
    assert_eq!(lines[0], "<sips:192.0.2.1:5071;lr>");
    assert!(lines[1].starts_with("<sips:") && lines[1].ends_with("@192.0.2.1:5061;lr>"), "{}", lines[1]);
}

#[test]
fn a_sip_call_over_tls_is_recorded_by_sip() {
    let mut world = world(true);
    send(&mut world, Draft::invite("sip:bob@example.com"));
    let call = world.one_to(SECURE);
    let lines = recorded(&call);
    assert_eq!(lines[0], "<sip:192.0.2.1:5071;transport=tls;lr>");
    assert!(lines[1].starts_with("<sip:") && lines[1].ends_with("@192.0.2.1:5061;transport=tls;lr>"), "{}", lines[1]);
}

#[test]
fn a_registration_at_a_sips_address_has_a_sips_path() {
    let mut world = world(true);
    let register = Draft::new("REGISTER", "sips:example.com")
        .to("<sips:alice@example.com>")
        .header("Contact: <sips:alice@198.51.100.1:5061>");
    send(&mut world, register);
    let registration = world.one_to(SECURE);
    let path = registration.lines(Name::Path)[0];
    assert!(path.starts_with("<sips:") && path.ends_with("@192.0.2.1:5071;lr>"), "{path}");
}

#[test]
fn a_call_in_its_dialog_comes_back_by_sips_routes() {
    let mut world = world(true);
    send(&mut world, Draft::invite("sips:bob@example.com"));
    let call = world.one_to(SECURE);
    let mut bye = Draft::new("BYE", "sips:alice@198.51.100.1:5061")
        .from("<sips:bob@example.com>;tag=core")
        .to("<sip:alice@example.com>;tag=alice1")
        .routes(recorded(&call).into_iter());
    bye.via = "SIP/2.0/TLS 192.0.2.20:5061;branch=z9hG4bK-back".to_owned();
    let core = Flow { connection: Some(ConnectionId(8)), listener: ListenerId(5), ..phone() };
    world.edge.handle_opened(ConnectionId(8), Vec::new());
    world.receive_on(Flow { remote: SECURE.parse().unwrap(), ..core }, bye.bytes());
    world.sent.retain(|sent| sent.message.is_request());
    let bye = world.one_to(ALICE);
    assert_eq!((bye.message.method_text(), bye.flow.connection), ("BYE", Some(PHONE)));
}

#[test]
fn nothing_is_tried_over_udp_when_the_secure_core_is_not_reached() {
    let mut world = world(true);
    send(&mut world, Draft::invite("sips:bob@example.com"));
    let call = world.one_to(SECURE);
    world.sent_to(ALICE);
    world.edge.handle_unreachable(&call.flow, world.now);
    world.settle();
    assert_eq!(world.sent_to(PLAIN).len(), 0);
    assert_eq!(world.one_status(ALICE), Some(503));
}

#[test]
fn a_sip_call_is_tried_over_udp_then() {
    let mut world = world(true);
    send(&mut world, Draft::invite("sip:bob@example.com"));
    let call = world.one_to(SECURE);
    world.edge.handle_unreachable(&call.flow, world.now);
    world.settle();
    assert_eq!(world.sent_to(PLAIN).len(), 1);
}

#[test]
fn a_sips_route_binds_as_a_sips_address_does() {
    let mut world = world(false);
    send(&mut world, Draft::invite("sip:bob@example.com").header("Route: <sips:192.0.2.21:5080;lr>"));
    assert_eq!(world.sent_to(PLAIN).len(), 0);
    let refused = world.one_to(ALICE);
    assert_eq!(refused.message.status(), Some(480));
    assert_eq!(refused.message.first(Name::Warning), Some("380 example.com \"SIPS Not Allowed\""));
}

#[test]
fn an_ack_to_a_sips_address_does_not_go_by_udp() {
    let mut world = world(true);
    send(&mut world, Draft::invite("sip:bob@example.com"));
    let call = world.one_to(SECURE);
    // The core is where it is by UDP.
    let routes: Vec<_> = recorded(&call).into_iter().rev().map(str::to_owned).collect();
    let mut ack = Draft::new("ACK", "sips:bob@192.0.2.21:5080").to("<sip:bob@example.com>;tag=core");
    ack = ack.routes(routes.iter().map(String::as_str)).header("Route: <sips:192.0.2.21:5080;lr>");
    ack.via = "SIP/2.0/TLS 198.51.100.1:5060;branch=z9hG4bK-ack".to_owned();
    world.receive_on(phone(), ack.bytes());
    assert_eq!(world.sent_to(PLAIN).len(), 0);
    assert_eq!(world.dropped().last().unwrap().reason, DropReason::Flow);
}

#[test]
fn a_call_for_help_goes_by_what_there_is() {
    let mut world = world(false);
    world.receive_on(phone(), {
        let mut draft = Draft::invite("sips:911@example.com");
        draft.via = draft.via.replace("UDP", "TLS");
        draft.bytes()
    });
    let call = world.one_to(PLAIN);
    assert_eq!(call.message.request_uri_text(), "sip:911@example.com");
    assert!(recorded(&call)[0].starts_with("<sip:192.0.2.1:5070;"), "{}", call.text());
}
