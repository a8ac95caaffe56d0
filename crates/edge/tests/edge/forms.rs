//! What is written in another way and means the same.

use cusax_edge::config::{Listener, Zone};
use cusax_sip::digest::{Challenge, Credentials, Qop, ha1};
use cusax_sip::{ConnectionId, Flow, ListenerId, Name, Transport};

use crate::dialog::{call, callers_routes, within};
use crate::draft::Draft;
use crate::world::{ACCESS_SIDE, ALICE, CORE, STRANGER, World, config};

/// A world with one more listener, and a flow to it.
fn with_listener(transport: Transport, address: &str, sent_by: &str, from: &str) -> (World, Flow) {
    let mut settings = config();
    let listener = ListenerId(u16::try_from(settings.listeners.len()).unwrap());
    let (address, sent_by) = (address.parse().unwrap(), sent_by.to_owned());
    settings.listeners.push(Listener { transport, address, sent_by, zone: Zone::Access });
    let connection = (transport != Transport::Udp).then_some(ConnectionId(9));
    let mut world = World::with(settings);
    if let Some(connection) = connection {
        world.edge.handle_opened(connection, Vec::new());
    }
    (world, Flow { listener, transport, remote: from.parse().unwrap(), connection, domain: None })
}

#[test]
fn a_registration_in_compact_form_with_two_vias_on_a_line() {
    let mut world = World::new();
    let register = |number: u32, more: &str| {
        format!(
            "REGISTER sip:example.com SIP/2.0\r\nv: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKc{number}, \
             SIP/2.0/UDP 10.0.0.1:5060\r\n ;branch=z9hG4bKbelow\r\nf: \"A > ;,<x\" <sip:alice@example.com>;tag=1\r\n\
             t: sip:alice@example.com\r\ni: abc@def\r\nCSeq: {number} REGISTER\r\nm: <sip:alice@198.51.100.1>;expires=60, \
             <sip:alice@10.0.0.1>\r\nk: path\r\n{more}l: 0\r\n\r\n"
        )
    };
    world.receive(ALICE, register(1, ""));
    let challenged = world.one_to(ALICE);
    assert_eq!((challenged.message.status(), challenged.lines(Name::Via).len()), (Some(401), 2));
    let credentials = world.credentials(&challenged, "alice", &Draft::new("REGISTER", "sip:example.com"));
    world.receive(ALICE, register(2, &format!("{credentials}\r\n")));
    let there = world.one_to(CORE);
    assert_eq!((there.lines(Name::Via).len(), there.message.max_forwards()), (3, Some(70)), "{}", there.text());
    world.core_answers(&there, 200, &[("m", "<sip:alice@198.51.100.1>")]);
    let answered = world.one_to(ALICE);
    assert_eq!(answered.lines(Name::Via).len(), 2, "{}", answered.text());
    assert_eq!(answered.message.top_via().unwrap().branch(), "z9hG4bKc2");
}

#[test]
fn a_response_in_compact_form_with_its_routes_on_one_line() {
    let mut world = World::new();
    let call = world.at_core(Draft::invite("sip:bob@example.com"));
    world.sent_to(ALICE);
    let (vias, ours) = (call.lines(Name::Via).join(" ,\r\n\t"), call.lines(Name::RecordRoute).join(",\r\n  "));
    let number = call.message.cseq().unwrap().0;
    world.receive(
        CORE,
        format!(
            "SIP/2.0 200 Ja\u{e4}\r\nv: {vias}\r\nRecord-Route: <sip:192.0.2.20:5080;lr>, {ours}\r\n\
             f: <sip:alice@example.com>;tag=alice1\r\nt: <sip:bob@example.com>;tag=core\r\ni: call-1\r\n\
             CSeq:   {number} \t INVITE\r\nm: <sip:bob@203.0.113.9>\r\nl: 0\r\n\r\n"
        ),
    );
    let answered = world.one_to(ALICE);
    assert!(answered.text().starts_with("SIP/2.0 200 Ja\u{e4}\r\n"));
    assert_eq!((answered.lines(Name::Via).len(), answered.lines(Name::RecordRoute).len()), (1, 3));
    let routes = [callers_routes(&answered).join(" , ")];
    world.receive(ALICE, within("ACK", "sip:bob@203.0.113.9", &routes).bytes());
    assert_eq!(world.one_to(CORE).lines(Name::Route), ["<sip:192.0.2.20:5080;lr>"]);
}

#[test]
fn our_own_entry_of_a_route() {
    for line in [
        &format!("Route: <sip:{ACCESS_SIDE};lr>,<sip:{ACCESS_SIDE};lr=on>"),
        &format!("ROUTE : <sip:{ACCESS_SIDE};lr>\r\nroute:\r\n <sip:192.0.2.1:5060;transport=TCP;lr>"),
        &format!("Route: \"x,y>\" <sip:{ACCESS_SIDE};lr>;foo=\"a,b\""),
        &format!("Route: <SIP:{ACCESS_SIDE};LR>"),
        &format!("Route: <sip:{ACCESS_SIDE}>"),
        "Route: <sip:192.0.2.1;lr>",
        "Route: <sip:EXAMPLE.com.;lr>",
        "Route:",
    ] {
        let mut world = World::new();
        let call = world.at_core(Draft::invite("sip:bob@example.com").header(line));
        assert!(call.lines(Name::Route).is_empty(), "{line}: {}", call.text());
    }
}

/// The port that a URI does not name is that of its transport (RFC 3261 §19.1.2), and a browser may know us by a balancer's.
#[test]
fn an_outbound_proxy_by_its_transport() {
    for (route, transport, port) in [
        ("sip:edge.example.org;transport=tls", Transport::Tls, 5061),
        ("sips:edge.example.org", Transport::Tls, 5061),
        ("sip:192.0.2.1;transport=TLS", Transport::Tls, 5061),
        ("sip:edge.example.org:5062;transport=tls", Transport::Tls, 5062),
        ("sip:edge.example.org;transport=ws", Transport::Wss, 8443),
        ("sip:edge.example.org:443;transport=ws", Transport::Wss, 8443),
    ] {
        let (address, sent_by) = (format!("192.0.2.1:{port}"), format!("edge.example.org:{port}"));
        let (mut world, flow) = with_listener(transport, &address, &sent_by, ALICE);
        let call = Draft::invite("sip:bob@example.com").header(&format!("Route: <{route};lr>"));
        world.receive_on(flow, call.bytes());
        let challenged = world.one_to(ALICE);
        let credentials = world.credentials(&challenged, "alice", &call);
        world.receive_on(flow, call.next().header(&credentials).bytes());
        let call = world.one_to(CORE);
        assert!(call.lines(Name::Route).is_empty(), "{route}");
    }
    for elsewhere in ["sip:192.0.2.1;transport=tls", "sip:192.0.2.1:5080;transport=ws", "sip:192.0.2.1:5061"] {
        let mut world = World::new();
        let call = Draft::invite("sip:bob@example.com").header(&format!("Route: <{elsewhere};lr>"));
        world.send(ALICE, "alice", call);
        let statuses: Vec<_> = world.sent_to(ALICE).iter().filter_map(|sent| sent.message.status()).collect();
        assert_eq!(statuses, [403], "{elsewhere}");
    }
}

/// A route set needs no outbound proxy before it (RFC 3261 §12.2.1.1); phones are known that write it all the same.
#[test]
fn an_outbound_proxy_in_a_dialog() {
    for proxy in [&format!("<sip:{ACCESS_SIDE};lr>"), "<sip:example.com;lr>"] {
        let mut world = World::new();
        let (_, answered) = call(&mut world);
        let routes: Vec<_> = std::iter::once(proxy.to_owned()).chain(callers_routes(&answered)).collect();
        world.receive(ALICE, within("BYE", "sip:bob@192.0.2.20:5080", &routes).bytes());
        assert!(world.one_to(CORE).lines(Name::Route).is_empty(), "{proxy}");
    }
}

#[test]
fn a_users_address() {
    for uri in [
        "sip:%62ob@example.com",
        "sip:bob@EXAMPLE.COM",
        "sip:bob@example.com.",
        "sip:bob@example.com:5060",
        "SIP:bob:pw@example.com;transport=udp;user=ip",
        "sip:bob@example.com;method=INVITE;gr=urn:uuid:f81d4fae",
    ] {
        let mut world = World::new();
        world.receive(STRANGER, Draft::invite(uri).from("<sip:x@elsewhere.example>;tag=1").bytes());
        assert_eq!(world.one_to(CORE).message.request_uri_text(), uri);
    }
}

#[test]
fn a_number_that_is_the_callers() {
    for from in [
        "<tel:+1-404-555-0101>;tag=1",
        "tel:+1(404)555.0101;tag=1",
        "<sip:+1-404-555-0101@example.com;user=phone>;tag=1",
        "<sip:+14045550101;npdi@example.com;user=phone>;tag=1",
    ] {
        let mut world = World::new();
        let call = world.at_core(Draft::invite("sip:bob@example.com").from(from));
        assert_eq!(call.lines(Name::From), [from]);
    }
}

#[test]
fn credentials() {
    let other = "Digest username=\"alice\", realm=\"elsewhere.example\", nonce=\"n\", uri=\"sip:b\", response=\"00\"";
    let unknown = other.replace("elsewhere.example", "example.com") + ", algorithm=SHA-512-256-sess";
    type Change<'a> = &'a dyn Fn(String) -> Vec<String>;
    let changes: [(Change<'_>, bool); 10] = [
        (&|ours| vec![other.to_owned(), ours], true),
        (&|ours| vec![ours, other.to_owned()], true),
        (&|ours| vec![unknown.clone(), ours], true),
        (&|ours| vec![ours.replace("algorithm=SHA-256", "algorithm=\"sha-256\"")], true),
        (&|ours| vec![ours.replace("qop=auth", "qop=\"auth\"").replace("nc=00000001", "nc=\"00000001\"")], true),
        (&|ours| vec![ours.replace(", ", ",\r\n\t")], true),
        (&|ours| vec![ours.replace("Digest ", "DIGEST   ").replace("username=", "UserName = ")], true),
        (&|ours| vec![ours.replace("\"example.com\"", "\"exa\\mple.com\"")], true),
        (&|ours| vec![ours + ", opaque=\"\", x=y, userhash=false"], true),
        (&|ours| vec![ours.replace("qop=auth", "qop=auth-int")], false),
    ];
    for (number, (change, good)) in changes.iter().enumerate() {
        let mut world = World::new();
        let draft = Draft::invite("sip:bob@example.com");
        world.receive(ALICE, draft.bytes());
        let challenged = world.one_to(ALICE);
        let challenge = challenged.message.values(Name::ProxyAuthenticate).find_map(Challenge::parse).unwrap();
        let key = ha1(challenge.algorithm, "alice", "example.com", "secret of alice");
        let qop = Qop { count: 1, cnonce: "a\\b\"c,d".into() };
        let answer = Credentials::answer(&challenge, "alice", &key, "INVITE", &draft.uri, qop).to_string();
        let mut again = draft.next();
        for value in change(answer) {
            again = again.header(&format!("Proxy-Authorization: {value}"));
        }
        world.receive(ALICE, again.bytes());
        assert_eq!(world.sent_to(CORE).len(), usize::from(*good), "{number}");
    }
}

#[test]
fn a_via_with_more_than_it_needs() {
    for (via, stamped, port) in [
        (
            "SIP/2.0/UDP 198.51.100.1:5070;branch=z9hG4bKx;rport=1234;received=1.2.3.4;alias;foo=\"a;b,c\"",
            "SIP/2.0/UDP 198.51.100.1:5070;branch=z9hG4bKx;alias;foo=\"a;b,c\";rport=5060;received=198.51.100.1",
            5060,
        ),
        (
            "SIP / 2.0 / UDP 198.51.100.1 : 5070 ;branch=z9hG4bKx",
            "SIP / 2.0 / UDP 198.51.100.1 : 5070 ;branch=z9hG4bKx",
            5070,
        ),
        ("SIP/2.0/UDP a.invalid ;branch=z9hG4bKx", "SIP/2.0/UDP a.invalid;branch=z9hG4bKx;received=198.51.100.1", 5060),
    ] {
        let mut world = World::new();
        let mut options = Draft::new("OPTIONS", &format!("sip:{ACCESS_SIDE}"));
        via.clone_into(&mut options.via);
        world.receive(ALICE, options.bytes());
        let answer = world.sent.pop().unwrap();
        assert_eq!((answer.lines(Name::Via), answer.flow.remote.port()), (vec![stamped], port));
    }
}

#[test]
fn a_phone_that_speaks_ipv6() {
    let phone = "[2001:db8::99]:5070";
    let (mut world, flow) = with_listener(Transport::Udp, "[2001:db8::1]:5060", "[2001:db8::1]:5060", phone);
    let mut options = Draft::new("OPTIONS", "sip:[2001:DB8:0:0::1]");
    options.via = "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK-o;rport;received=[2001:db8::5]".to_owned();
    world.receive_on(flow, options.bytes());
    let answer = world.one_to(phone);
    assert_eq!(answer.message.status(), Some(200));
    assert!(answer.lines(Name::Via)[0].ends_with(";rport=5070;received=2001:db8::99"), "no brackets (RFC 5118 §4.5)");
    let mut call = Draft::invite("sip:bob@example.com");
    call.via = "SIP/2.0/UDP [2001:db8::99]:5070;branch=z9hG4bK-c".to_owned();
    world.receive_on(flow, call.bytes());
    let challenged = world.one_to(phone);
    let credentials = world.credentials(&challenged, "alice", &call);
    world.receive_on(flow, call.next().header(&credentials).bytes());
    let call = world.one_to(CORE);
    assert!(call.lines(Name::RecordRoute)[1].ends_with("@[2001:db8::1]:5060;lr>"), "{}", call.text());
    let mut bye = within("BYE", "sip:bob@192.0.2.20:5080", &callers_routes(&call));
    bye.via = "SIP/2.0/UDP [2001:db8::99]:5070;branch=z9hG4bK-b".to_owned();
    world.receive_on(flow, bye.bytes());
    assert_eq!(world.one_to(CORE).message.method_text(), "BYE");
}
