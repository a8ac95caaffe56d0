//! What passes the border of the trust domain in answers, and what stays inside (RFC 3325 §5, §7, RFC 7315 §5).

use cusax_sip::Name;

use crate::draft::Draft;
use crate::world::{ALICE, BOB, CORE, Sent, World, answer, udp};

/// What servers say to one another.
const INSIDE: [(&str, &str); 7] = [
    ("P-Charging-Vector", "icid-value=1"),
    ("P-Charging-Function-Addresses", "ccf=x"),
    ("P-Access-Network-Info", "IEEE-802.11"),
    ("P-Served-User", "<sip:alice@example.com>"),
    ("P-Asserted-Service", "urn:urn-7:3gpp-service.ims.icsi.mmtel"),
    ("P-Profile-Key", "<sip:!.*!@example.com>"),
    ("P-User-Database", "<aaa://db.example.com>"),
];

/// A call of the core's to bob's phone, with these lines.
fn to_bob(world: &mut World, lines: &[(&str, &str)]) -> Sent {
    let path = world.path_of(udp(BOB));
    let mut draft = Draft::invite("sip:bob@198.51.100.2:5060").routes([path.as_str()].into_iter());
    draft.via = "SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-core".to_owned();
    for (name, value) in lines {
        draft = draft.header(&format!("{name}: {value}"));
    }
    world.receive(CORE, draft.bytes());
    world.sent_to(CORE);
    world.one_to(BOB)
}

fn has(sent: &Sent, name: &str) -> bool {
    sent.text().contains(&format!("\r\n{name}: "))
}

#[test]
fn what_servers_say_to_one_another_is_not_for_phones() {
    let mut world = World::new();
    let call = to_bob(&mut world, &INSIDE);
    let mut other = World::new();
    let asked = other.at_core(Draft::invite("sip:bob@example.com"));
    other.sent_to(ALICE);
    other.core_answers(&asked, 183, &INSIDE);
    let answered = other.one_to(ALICE);
    for (name, _) in INSIDE {
        assert!(!has(&call, name) && !has(&answered, name), "{name}");
    }
}

#[test]
fn a_phones_answer_says_no_more_than_its_request_could() {
    let mut world = World::new();
    let call = to_bob(&mut world, &[]);
    let claims = [
        ("Remote-Party-ID", "<sip:boss@example.com>;screen=yes"),
        ("P-Asserted-Identity", "<sip:boss@example.com>"),
        ("Alert-Info", "<http://evil.example/ring>"),
        ("Diversion", "<sip:boss@example.com>"),
    ];
    let said: Vec<_> = claims.into_iter().chain(INSIDE).chain([("X-Ours", "stays")]).collect();
    world.receive(BOB, answer(&call.message, 180, "bob1", &said));
    let ringing = world.one_to(CORE);
    for (name, _) in &said {
        assert_eq!(has(&ringing, name), *name == "X-Ours", "{name}");
    }
}

#[test]
fn who_wants_to_stay_unknown_is_not_named_in_the_older_way_either() {
    for (privacy, named) in [("id", false), ("header;id", false), ("none", true)] {
        let mut world = World::new();
        let party = ("Remote-Party-ID", "<sip:alice@example.com>;party=calling");
        let asserted = ("P-Asserted-Identity", "<sip:alice@example.com>");
        let call = to_bob(&mut world, &[party, asserted, ("Privacy", privacy)]);
        assert_eq!((has(&call, party.0), has(&call, asserted.0)), (named, named), "{privacy}");
        assert_eq!(call.lines(Name::Privacy), [privacy]);
    }
}

#[test]
fn a_number_that_the_core_asserts_is_an_accounts_however_it_is_written() {
    for asserted in [
        "<tel:+1-404-555-0101>",
        "<sip:+14045550101@example.com;user=phone>",
        "\"A\" <sip:+1(404)5550101;x@example.com>",
    ] {
        let mut world = World::new();
        let call = to_bob(&mut world, &[("P-Asserted-Identity", asserted)]);
        assert_eq!(call.lines(Name::CallInfo), ["<xmpp:alice@example.com>;purpose=impp"], "{asserted}");
    }
}
