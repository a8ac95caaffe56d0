//! Who is known by his certificate (RFC 5922): the core and peers, from wherever they connect.

use cusax_edge::config::{CoreTarget, Listener, Zone};
use cusax_event::sip::DropReason;
use cusax_sip::location::Place;
use cusax_sip::{ConnectionId, Flow, ListenerId, Name, Transport};

use crate::draft::Draft;
use crate::world::{CORE, STRANGER, Sent, World, config};

const CONNECTION: ConnectionId = ConnectionId(9);

/// With TLS listeners for user agents (4) and the core (5), names of the core and of the first peer, and no federation.
fn world() -> World {
    let mut config = config();
    for (zone, port) in [(Zone::Access, 5061), (Zone::Core, 5071)] {
        let address = format!("192.0.2.1:{port}");
        let sent_by = address.clone();
        config.listeners.push(Listener { transport: Transport::Tls, address: address.parse().unwrap(), sent_by, zone });
    }
    config.core_identities = vec!["core.example.com".to_owned()];
    config.peers[0].identities = vec!["biloxi.example".to_owned()];
    config.federation = false;
    World::with(config)
}

fn tls(listener: u16, from: &str) -> Flow {
    let (transport, remote) = (Transport::Tls, from.parse().unwrap());
    Flow { listener: ListenerId(listener), transport, remote, connection: Some(CONNECTION), domain: None }
}

fn options() -> Draft {
    let mut draft = Draft::new("OPTIONS", "sip:192.0.2.1:5071").from("<sip:core.example.com>;tag=1");
    draft.via = "SIP/2.0/TLS 203.0.113.9:5061;branch=z9hG4bK-o".to_owned();
    draft
}

fn status(world: &mut World) -> Option<u16> {
    world.sent_to(STRANGER).first().and_then(|sent| sent.message.status())
}

#[test]
fn core_is_who_shows_its_certificate() {
    let flow = tls(5, STRANGER);
    for (identities, admitted) in [
        (&["host.example.net", "CORE.example.com"][..], true),
        (&["biloxi.example"], false),
        (&["sub.core.example.com"], false),
        (&[], false),
    ] {
        let mut world = world();
        world.edge.handle_opened(CONNECTION, identities.iter().map(ToString::to_string).collect());
        world.receive_on(flow, options().bytes());
        let acl = world.dropped().iter().any(|dropped| dropped.reason == DropReason::Acl);
        assert_eq!((status(&mut world), acl), (admitted.then_some(200), !admitted), "{identities:?}");
    }
}

#[test]
fn certificate_proves_nothing_on_another_connection_and_after_its_end() {
    let mut world = world();
    world.edge.handle_opened(CONNECTION, vec!["core.example.com".to_owned()]);
    let other = Flow { connection: Some(ConnectionId(10)), ..tls(5, STRANGER) };
    world.receive_on(other, options().bytes());
    world.edge.handle_closed(CONNECTION);
    world.receive_on(tls(5, STRANGER), options().bytes());
    assert_eq!(status(&mut world), None);
    assert_eq!(world.dropped().len(), 2);
}

#[test]
fn peer_is_known_by_its_certificate_on_an_access_listener() {
    for (identity, arrives) in [("biloxi.example", true), ("chicago.example", false)] {
        let mut world = world();
        world.edge.handle_opened(CONNECTION, vec![identity.to_owned()]);
        let mut draft = Draft::invite("sip:bob@example.com").from("<sip:carol@biloxi.example>;tag=1");
        draft.via = "SIP/2.0/TLS 203.0.113.9:5061;branch=z9hG4bK-p".to_owned();
        world.receive_on(tls(4, STRANGER), draft.bytes());
        assert_eq!(world.sent_to(CORE).len(), usize::from(arrives), "{identity}");
    }
}

#[test]
fn connections_are_made_to_the_domain_of_the_uri_or_to_names_that_are_configured() {
    let secure = |at: &str| Flow { connection: None, ..tls(5, at) };
    let mut config = config();
    let target = |name: &str, address: &str| CoreTarget {
        name: name.into(),
        address: address.parse().unwrap(),
        transport: Transport::Tls,
    };
    config.core = vec![
        target("sips:core.example.com", "192.0.2.20:5061"),
        target("sip:192.0.2.21;transport=tls", "192.0.2.21:5061"),
        target("sip:[2001:db8::1]:5061;transport=tls", "[2001:db8::1]:5061"),
    ];
    config.peers[0].identities = vec!["biloxi.example".to_owned()];
    let world = World::with(config);
    assert_eq!(world.edge.domains_at(&secure("192.0.2.20:5061")), ["core.example.com"]);
    assert_eq!(world.edge.domains_at(&secure("192.0.2.21:5061")), ["192.0.2.21"]);
    assert_eq!(world.edge.domains_at(&secure("[2001:db8::1]:5061")), ["2001:db8::1"]);
    assert_eq!(world.edge.domains_at(&secure("192.0.2.129:5061")), ["biloxi.example"]);
    assert!(
        world.edge.domains_at(&secure("203.0.113.9:5061")).is_empty(),
        "it is not known whose certificate to expect"
    );
}

const BILOXI: &str = "203.0.113.21:5061";

/// A request of the core's to somebody elsewhere, as it is sent.
fn to_elsewhere(world: &mut World, draft: Draft) -> Sent {
    let mut draft = draft.from("<sip:alice@example.com>;tag=1");
    draft.via = format!("SIP/2.0/UDP {CORE};branch=z9hG4bK-{}", draft.method);
    world.receive(CORE, draft.bytes());
    world.one_to(BILOXI)
}

fn found_by_tls(world: &mut World, name: &str) {
    let place = Place { transport: Transport::Tls, address: BILOXI.parse().unwrap() };
    world.dns.insert(name.to_owned(), Ok(vec![place]));
}

#[test]
fn whoever_dns_leads_to_must_be_the_domain_that_the_lookup_started_from() {
    for uri in ["sip:bob@Biloxi.example", "sips:bob@biloxi.example", "sip:bob@biloxi.example;transport=tls"] {
        let mut world = world();
        found_by_tls(&mut world, "Biloxi.example");
        found_by_tls(&mut world, "biloxi.example");
        found_by_tls(&mut world, "evil.example");
        let sent = to_elsewhere(&mut world, Draft::new("MESSAGE", uri));
        assert_eq!((sent.flow.connection, sent.flow.transport), (None, Transport::Tls));
        assert_eq!(world.edge.domains_at(&sent.flow), ["biloxi.example"], "{uri}");
        let other = to_elsewhere(&mut world, Draft::new("OPTIONS", "sip:bob@evil.example"));
        assert_eq!(world.edge.domains_at(&other.flow), ["evil.example"], "at the same address");
        assert_ne!(sent.flow, other.flow, "no connection is shared");
    }
    let mut world = world();
    let sent = to_elsewhere(&mut world, Draft::new("MESSAGE", "sip:bob@203.0.113.21;transport=tls"));
    assert_eq!(world.edge.domains_at(&sent.flow), ["203.0.113.21"]);
}

#[test]
fn dialog_goes_on_with_the_domain_that_it_began_with_also_after_a_restart() {
    let mut first = world();
    found_by_tls(&mut first, "biloxi.example");
    let invite = to_elsewhere(&mut first, Draft::invite("sips:bob@biloxi.example"));
    let route: Vec<String> =
        invite.lines(Name::RecordRoute).iter().rev().map(|line| format!("Route: {line}")).collect();
    for mut world in [first, world()] {
        let bye = Draft::new("BYE", "sip:bob@203.0.113.21:5061;transport=tls")
            .to("<sip:bob@biloxi.example>;tag=b")
            .header(&route.join("\r\n"));
        let bye = to_elsewhere(&mut world, bye);
        assert_eq!(world.edge.domains_at(&bye.flow), ["biloxi.example"]);
        let ack = Draft::new("ACK", "sip:bob@203.0.113.21:5061;transport=tls")
            .to("<sip:bob@biloxi.example>;tag=b")
            .header(&route.join("\r\n"));
        assert_eq!(to_elsewhere(&mut world, ack).flow, bye.flow);
    }
}

#[test]
fn what_is_configured_for_a_place_says_more_than_a_lookup() {
    let mut settings = config();
    let (address, sent_by) = ("192.0.2.1:5061".parse().unwrap(), "192.0.2.1:5061".to_owned());
    settings.listeners.push(Listener { transport: Transport::Tls, address, sent_by, zone: Zone::Peer });
    settings.peers[0].sources = vec![("203.0.113.21".parse().unwrap(), 32)];
    settings.peers[0].identities = vec!["sbc.biloxi.example".to_owned()];
    let mut world = World::with(settings);
    found_by_tls(&mut world, "biloxi.example");
    let sent = to_elsewhere(&mut world, Draft::new("MESSAGE", "sip:bob@biloxi.example"));
    assert_eq!(world.edge.domains_at(&sent.flow), ["sbc.biloxi.example"]);
    assert_eq!(sent.flow.domain, None, "one connection for all whom the peer speaks for");
}
