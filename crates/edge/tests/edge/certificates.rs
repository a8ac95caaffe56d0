//! Who is known by his certificate (RFC 5922): the core and peers, from wherever they connect.

use cusax_edge::config::{CoreTarget, Listener, Zone};
use cusax_event::sip::DropReason;
use cusax_sip::{ConnectionId, Flow, ListenerId, Transport};

use crate::draft::Draft;
use crate::world::{CORE, STRANGER, World, config};

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
    Flow { listener: ListenerId(listener), transport, remote, connection: Some(CONNECTION) }
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
