//! The component stream against recorded servers and a clock of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::time::{Duration, Instant};

use cusax_event::Event;
use cusax_event::xmpp::{DropReason, LinkState};
use cusax_xmpp::component::{Component, Config, Output};
use cusax_xmpp::stream::Limits;
use cusax_xmpp::{Element, Secret};

const OPEN: &[u8] =
    b"<?xml version='1.0'?><stream:stream id='3c6bc59e-0eb0-41a1-8f8f-e0a9b86242d5' xmlns='jabber:component:accept' \
                      from='cusax.example.test' xml:lang='en' xmlns:stream='http://etherx.jabber.org/streams'>";

#[expect(clippy::disallowed_methods, reason = "a base to which tests add")]
fn start() -> Instant {
    Instant::now()
}

fn component(now: Instant) -> Component {
    let config = Config {
        domain: "cusax.example.test".parse().unwrap(),
        secret: Secret::new("s3cret"),
        server_domain: "example.test".parse().unwrap(),
        limits: Limits::default(),
    };
    Component::new(config, 7, now)
}

#[derive(Debug, Default)]
struct Drained {
    sent: String,
    connects: usize,
    closes: usize,
    stanzas: Vec<Element>,
    states: Vec<&'static str>,
    links: Vec<(LinkState, String, Option<Duration>)>,
    drops: Vec<DropReason>,
}

fn drain(component: &mut Component) -> Drained {
    let mut all = Drained::default();
    while let Some(output) = component.poll_output() {
        match output {
            Output::Connect => all.connects += 1,
            Output::Close => all.closes += 1,
            Output::Send(bytes) => all.sent.push_str(std::str::from_utf8(&bytes).unwrap()),
            Output::Stanza { element, .. } => all.stanzas.push(element),
            Output::Ready => all.states.push("ready"),
            Output::Down => all.states.push("down"),
            Output::Event(event) => {
                if let Event::XmppLink(link) = *event {
                    all.links.push((link.state, link.detail, link.retry_in));
                } else if let Event::XmppDropped(dropped) = *event {
                    all.drops.push(dropped.reason);
                }
            }
        }
    }
    all
}

fn ready(now: Instant) -> Component {
    let mut component = component(now);
    component.handle_connected(now);
    component.handle_bytes(OPEN, now);
    component.handle_bytes(b"<handshake/>", now);
    drain(&mut component);
    assert!(component.is_ready());
    component
}

#[test]
fn connects_opens_the_stream_and_proves_the_secret() {
    let now = start();
    let mut component = component(now);
    assert_eq!(drain(&mut component).connects, 1);
    component.handle_connected(now);
    assert_eq!(
        drain(&mut component).sent,
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' \
         to='cusax.example.test'>"
    );
    component.handle_bytes(OPEN, now);
    // sha1("3c6bc59e-0eb0-41a1-8f8f-e0a9b86242d5" + "s3cret")
    assert_eq!(drain(&mut component).sent, "<handshake>6224ec328b183c2fde5ef6a1b40956c752679934</handshake>");
    component.handle_bytes(b"<handshake", now);
    assert!(!component.is_ready());
    component.handle_bytes(b"/>", now);
    let all = drain(&mut component);
    assert_eq!(all.states, ["ready"]);
    assert_eq!(all.links, [(LinkState::Connected, String::new(), None)]);
}

#[test]
fn says_what_the_server_refused_and_tries_again_later_each_time() {
    for (answer, detail) in [
        (
            "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>\
             Given token does not match calculated token</text></stream:error></stream:stream>",
            "not-authorized: Given token does not match calculated token",
        ),
        ("<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", "conflict"),
        ("</stream:stream>", "the server closed the stream"),
    ] {
        let mut now = start();
        let mut component = component(now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            component.handle_connected(now);
            component.handle_bytes(OPEN, now);
            component.handle_bytes(answer.as_bytes(), now);
            let all = drain(&mut component);
            assert_eq!((all.closes, &*all.states), (1, &[][..]));
            let [(LinkState::Refused, said, Some(wait))] = all.links.as_slice() else { panic!("{:?}", all.links) };
            assert_eq!(said, detail);
            assert_eq!(component.poll_timeout(), Some(now + *wait));
            component.handle_timeout(now + *wait - Duration::from_millis(1));
            assert_eq!(drain(&mut component).connects, 0, "not before it is due");
            now += *wait;
            component.handle_timeout(now);
            assert_eq!(drain(&mut component).connects, 1);
            waits.push(wait.as_secs_f64());
        }
        for (wait, about) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]) {
            assert!(*wait >= about * 0.8 && *wait <= (about * 1.2f64).min(60.0), "{waits:?}");
        }
    }
}

#[test]
fn an_unknown_host_is_refused_in_the_very_header() {
    let now = start();
    let mut component = component(now);
    component.handle_connected(now);
    component.handle_bytes(
        b"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='' \
          xmlns='jabber:component:accept'><stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
        now,
    );
    assert_eq!(
        drain(&mut component).links.first().map(|(state, detail, _)| (*state, detail.clone())),
        Some((LinkState::Refused, "host-unknown".to_owned()))
    );
}

#[test]
fn a_link_that_lasted_is_tried_again_after_a_second_one_that_did_not_later() {
    let mut now = start();
    let mut component = ready(now);
    now += Duration::from_secs(61);
    component.handle_closed(now);
    let all = drain(&mut component);
    assert_eq!(all.states, ["down"]);
    assert!(all.links[0].2.unwrap() <= Duration::from_millis(1200));
    component.handle_timeout(component.poll_timeout().unwrap());
    component.handle_connected(now);
    component.handle_bytes(OPEN, now);
    component.handle_bytes(b"<handshake/>", now);
    component.handle_closed(now);
    assert!(drain(&mut component).links.last().unwrap().2.unwrap() >= Duration::from_millis(1600));
}

#[test]
fn pings_after_30_seconds_and_gives_up_10_seconds_later() {
    let mut now = start();
    let mut component = ready(now);
    assert_eq!(component.poll_timeout(), Some(now + Duration::from_secs(30)));
    now += Duration::from_secs(30);
    component.handle_timeout(now);
    let sent = drain(&mut component).sent;
    assert!(
        sent.contains("to='example.test'")
            && sent.contains("from='cusax.example.test'")
            && sent.contains("<ping xmlns='urn:xmpp:ping'/>"),
        "{sent}"
    );
    component.handle_bytes(answer(&sent, "example.test").as_bytes(), now);
    assert!(drain(&mut component).stanzas.is_empty(), "the answer is nobody else's");
    assert_eq!(component.poll_timeout(), Some(now + Duration::from_secs(30)));
    now += Duration::from_secs(30);
    component.handle_timeout(now);
    drain(&mut component);
    now += Duration::from_secs(10);
    component.handle_timeout(now);
    let all = drain(&mut component);
    assert_eq!((all.closes, all.states.as_slice()), (1, &["down"][..]));
    assert!(all.sent.contains("<connection-timeout"));
}

#[test]
fn notices_that_another_connection_takes_its_answers() {
    let mut now = start();
    let mut component = ready(now);
    let mut pings = 0;
    while component.is_ready() {
        now = component.poll_timeout().unwrap();
        component.handle_timeout(now);
        pings += usize::from(drain(&mut component).sent.contains("urn:xmpp:ping"));
        component.handle_bytes(b"<message from='a@example.test' to='cusax.example.test' type='headline'/>", now);
        assert!(pings < 10);
    }
    assert_eq!(pings, 3);
}

fn answer(ping: &str, from: &str) -> String {
    let id = ping.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    format!("<iq type='result' id='{id}' from='{from}' to='cusax.example.test'/>")
}

#[test]
fn always_sends_from_and_to_and_never_from_elsewhere() {
    let now = start();
    let mut component = ready(now);
    component.send(Element::message("headline"));
    assert_eq!(drain(&mut component).sent, "<message type='headline' from='cusax.example.test' to='example.test'/>");
    component
        .send(Element::message("chat").with_attr("from", "alice@example.test").with_attr("to", "bob@example.test"));
    component.send(Element::message("chat").with_attr("to", "@"));
    let all = drain(&mut component);
    assert_eq!(
        (all.sent.as_str(), all.drops.as_slice()),
        ("", &[DropReason::Misaddressed, DropReason::Misaddressed][..])
    );
}

#[test]
fn drops_with_a_reason_what_cannot_be_sent() {
    let now = start();
    let mut component = component(now);
    component.send(Element::message("chat"));
    assert_eq!(drain(&mut component).drops, [DropReason::Disconnected]);
    let mut component = ready(now);
    for _ in 0..5000 {
        component.send(Element::message("chat"));
    }
    let all = drain(&mut component);
    assert!(all.drops.len() > 1000 && all.drops.iter().all(|reason| *reason == DropReason::QueueFull));
}

#[test]
fn answers_requests_and_nothing_else() {
    let now = start();
    let mut component = ready(now);
    for (kind, to, payload, expected) in [
        ("get", "cusax.example.test", "<ping xmlns='urn:xmpp:ping'/>", "type='result'"),
        ("get", "focus@cusax.example.test/x", "<ping xmlns='urn:xmpp:ping'/>", "type='result'"),
        ("get", "cusax.example.test", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "category='component'"),
        (
            "get",
            "a@cusax.example.test",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            "<service-unavailable",
        ),
        ("set", "cusax.example.test", "<query xmlns='jabber:iq:roster'/>", "<service-unavailable"),
        ("get", "cusax.example.test", "", "<service-unavailable"),
    ] {
        component.handle_bytes(
            format!("<iq type='{kind}' id='q' from='alice@example.test/d' to='{to}'>{payload}</iq>").as_bytes(),
            now,
        );
        let all = drain(&mut component);
        assert!(all.sent.contains(expected) && all.sent.contains("id='q'"), "{} {kind} {to} {payload}", all.sent);
        assert!(
            all.sent.contains("to='alice@example.test/d'") && all.sent.contains(&format!("from='{to}'")),
            "{}",
            all.sent
        );
        assert!(all.stanzas.is_empty());
    }
    // A room kicks an occupant that answers these with an error (trap 12).
    for stanza in [
        "<message from='room@muc.example.test' to='focus@cusax.example.test/x' type='groupchat'><unknown xmlns='u'/></message>",
        "<presence from='room@muc.example.test/n' to='nobody@cusax.example.test/x'/>",
        "<iq type='error' id='zz' from='example.test' to='cusax.example.test'/>",
    ] {
        component.handle_bytes(stanza.as_bytes(), now);
        let all = drain(&mut component);
        assert_eq!((all.sent.as_str(), all.stanzas.len()), ("", 1), "{stanza}");
    }
}

#[test]
fn drops_what_is_not_addressed_to_it() {
    let now = start();
    let mut component = ready(now);
    component.handle_bytes(
        b"<presence from='a@b' to='c@other.example.test'/><presence from='a@b'/><presence from='a@b' to='@'/><what/>",
        now,
    );
    let all = drain(&mut component);
    assert_eq!(
        all.drops,
        [DropReason::Misaddressed, DropReason::Misaddressed, DropReason::Misaddressed, DropReason::Unhandled]
    );
    assert!(all.stanzas.is_empty() && component.is_ready());
}

#[test]
fn a_forbidden_document_type_ends_the_stream_with_the_right_error() {
    let now = start();
    let mut component = ready(now);
    component.handle_bytes(b"<presence from='a@b' to='cusax.example.test'/><!DOCTYPE x>", now);
    let all = drain(&mut component);
    assert_eq!(all.stanzas.len(), 1, "what came before it counts");
    assert_eq!(
        all.sent,
        "<stream:error><restricted-xml xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
    );
    assert_eq!(
        (all.drops.as_slice(), all.closes, all.states.as_slice()),
        (&[DropReason::Restricted][..], 1, &["down"][..])
    );
    component.handle_bytes(b"<presence/>", now);
    assert!(drain(&mut component).stanzas.is_empty(), "nothing more of that connection counts");
}

#[test]
fn gives_up_a_connection_or_handshake_that_takes_too_long() {
    let now = start();
    let mut component = component(now);
    drain(&mut component);
    component.handle_timeout(now + Duration::from_secs(10));
    assert_eq!(drain(&mut component).closes, 1);
    let due = component.poll_timeout().unwrap();
    component.handle_timeout(due);
    component.handle_connected(due);
    component.handle_timeout(due + Duration::from_secs(10));
    assert_eq!(drain(&mut component).closes, 1);
}

#[test]
fn closes_for_good_when_told() {
    let now = start();
    let mut component = ready(now);
    component.close();
    let all = drain(&mut component);
    assert_eq!((all.sent.as_str(), all.closes, all.states.as_slice()), ("</stream:stream>", 1, &["down"][..]));
    component.handle_closed(now);
    assert_eq!((component.poll_timeout(), component.poll_output()), (None, None));
}

#[test]
fn the_recorded_handshakes_of_both_servers_are_accepted() {
    for log in [
        include_str!("../../../tests/corpora/xmpp/prosody-0.12.3.log"),
        include_str!("../../../tests/corpora/xmpp/ejabberd-23.01.log"),
    ] {
        let section = log.split("===== ").find(|section| section.starts_with("C. good handshake")).unwrap();
        let now = start();
        let mut component = component(now);
        component.handle_connected(now);
        for received in section.lines().filter_map(|line| line.strip_prefix("COMP << ")) {
            component.handle_bytes(received.as_bytes(), now);
        }
        assert!(component.is_ready());
    }
}
