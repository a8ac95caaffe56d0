//! The client stream against recorded logins at both servers.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cusax_event::xmpp::DropReason;
use cusax_xmpp::client::{Client, Config, Output};
use cusax_xmpp::sasl::{Mechanism, PlainPolicy};
use cusax_xmpp::stream::Limits;
use cusax_xmpp::{Element, Secret};

const LOGS: [&str; 2] = [
    include_str!("../../../tests/corpora/xmpp/auth-prosody.log"),
    include_str!("../../../tests/corpora/xmpp/auth-ejabberd.log"),
];
const HEADER: &str = "<?xml version='1.0'?><stream:stream id='1' version='1.0' xmlns:stream='http://etherx.jabber.org/streams' \
                      from='example.test' xmlns='jabber:client'>";

#[expect(clippy::disallowed_methods, reason = "a base to which tests add")]
fn start() -> Instant {
    Instant::now()
}

fn client(plain: PlainPolicy) -> Client {
    let config = Config {
        jid: "alice@example.test".parse().unwrap(),
        resource: Some("r".to_owned()),
        password: Secret::new("pw-alice"),
        plain,
        limits: Limits::default(),
    };
    let mut client = Client::new(config, [1; 16]);
    client.handle_connected(start());
    client
}

fn drain(client: &mut Client) -> (String, Vec<Output>) {
    let mut sent = String::new();
    let mut rest = Vec::new();
    while let Some(output) = client.poll_output() {
        match output {
            Output::Send(bytes) => sent.push_str(std::str::from_utf8(&bytes).unwrap()),
            Output::Close
            | Output::Online { .. }
            | Output::AuthFailed { .. }
            | Output::Stanza { .. }
            | Output::Closed { .. }
            | Output::Event(_) => rest.push(output),
        }
    }
    (sent, rest)
}

fn section<'a>(log: &'a str, title: &str) -> Vec<&'a str> {
    let section = log.split("===== ").find(|section| section.lines().next() == Some(title)).unwrap();
    section.lines().filter_map(|line| line.strip_prefix("alice << ")).filter(|line| line.starts_with('<')).collect()
}

fn offer(mechanisms: &str) -> String {
    let mechanisms: String = mechanisms.split(' ').map(|name| format!("<mechanism>{name}</mechanism>")).collect();
    format!(
        "{HEADER}<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{mechanisms}</mechanisms></stream:features>"
    )
}

/// An `Online` client.
fn online() -> Client {
    let mut client = client(PlainPolicy::Allowed);
    let bound = "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@example.test/r</jid></bind></iq>";
    for received in [
        &offer("PLAIN"),
        "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        HEADER,
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>",
        bound,
    ] {
        client.handle_bytes(received.as_bytes(), start());
    }
    assert!(client.is_online());
    drain(&mut client);
    client
}

#[test]
fn logs_in_as_recorded_at_both_servers() {
    for log in LOGS {
        let mut client = client(PlainPolicy::Allowed);
        for received in section(log, "auth PLAIN pw-alice") {
            // The recording's offer also holds SCRAM, whose nonces cannot be replayed.
            let received = received.replace("SCRAM-", "X-").replace("id='i1'", "id='bind'");
            client.handle_bytes(received.as_bytes(), start());
        }
        let (sent, rest) = drain(&mut client);
        assert!(
            sent.contains(
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHB3LWFsaWNl</auth>"
            ),
            "{sent}"
        );
        assert_eq!(sent.matches("<stream:stream").count(), 2);
        assert!(sent.contains("<resource>r</resource>") && sent.ends_with("<presence/>"), "{sent}");
        let jid = "alice@example.test/r".parse().unwrap();
        assert_eq!(rest, [Output::Online { jid, mechanism: Mechanism::Plain }]);
        assert_eq!(client.poll_timeout(), None);
    }
}

#[test]
fn tells_a_refused_login_from_a_lost_connection() {
    for log in LOGS {
        let mut client = client(PlainPolicy::Allowed);
        for received in section(log, "auth PLAIN wrong") {
            client.handle_bytes(received.replace("SCRAM-", "X-").as_bytes(), start());
        }
        let (_, rest) = drain(&mut client);
        let Some(Output::AuthFailed { condition, text: Some(text) }) = rest.first() else { panic!("{rest:?}") };
        assert_eq!(condition, "not-authorized");
        assert!(text.starts_with("Unable") || text.starts_with("Invalid"), "{text}");
        assert_eq!(
            rest.get(1..),
            Some(&[Output::Close, Output::Closed { detail: "not authenticated".to_owned() }][..])
        );
    }
    let mut client = client(PlainPolicy::Allowed);
    client.handle_closed();
    assert_eq!(drain(&mut client).1, [Output::Close, Output::Closed { detail: "the connection closed".to_owned() }]);
}

#[test]
fn never_sends_the_password_where_that_is_not_allowed() {
    let mut client = client(PlainPolicy::Refused);
    client.handle_bytes(offer("PLAIN X-OAUTH2").as_bytes(), start());
    let (sent, rest) = drain(&mut client);
    assert!(!sent.contains("<auth"), "{sent}");
    assert_eq!(rest.first(), Some(&Output::AuthFailed { condition: "no mechanism in common".to_owned(), text: None }));
}

/// Brings a client to where the server has its SCRAM proof.
fn proven() -> Client {
    let mut client = client(PlainPolicy::Refused);
    client.handle_bytes(offer("PLAIN SCRAM-SHA-1 SCRAM-SHA-256").as_bytes(), start());
    let (sent, _) = drain(&mut client);
    let first = sent.split("mechanism='SCRAM-SHA-256'>").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    let first = String::from_utf8(STANDARD.decode(first).unwrap()).unwrap();
    let nonce = first.strip_prefix("n,,n=alice,r=").unwrap();
    let challenge = STANDARD.encode(format!("r={nonce}server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    client.handle_bytes(
        format!("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{challenge}</challenge>").as_bytes(),
        start(),
    );
    assert!(drain(&mut client).0.starts_with("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"));
    client
}

#[test]
fn a_server_that_does_not_prove_itself_is_left() {
    for proof in ["", "dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS1E9"] {
        let mut client = proven();
        client.handle_bytes(
            format!("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{proof}</success>").as_bytes(),
            start(),
        );
        let (sent, rest) = drain(&mut client);
        assert_eq!(sent, "</stream:stream>", "no new stream");
        assert_eq!(
            rest.first(),
            Some(&Output::AuthFailed { condition: "the server did not prove itself".to_owned(), text: None })
        );
    }
}

#[test]
fn gives_up_a_login_after_30_seconds() {
    let now = start();
    let mut client = proven();
    let due = client.poll_timeout().unwrap();
    assert!(due <= now + Duration::from_secs(31) && due >= now + Duration::from_secs(30));
    client.handle_timeout(due);
    let (sent, rest) = drain(&mut client);
    assert!(sent.contains("connection-timeout"));
    assert_eq!(rest.last(), Some(&Output::Closed { detail: "no login in time".to_owned() }));
}

#[test]
fn passes_stanzas_and_answers_requests() {
    let mut client = online();
    let now = start();
    client.handle_bytes(b"<message from='cusax.example.test' type='headline'><body>dear</body></message>", now);
    let (_, rest) = drain(&mut client);
    let [Output::Stanza { element, received }] = rest.as_slice() else { panic!("{rest:?}") };
    assert_eq!((element.name(), *received), ("message", now));
    client.handle_bytes(b"<iq type='get' id='1' from='example.test'><ping xmlns='urn:xmpp:ping'/></iq><iq type='set' id='2'><x xmlns='u'/></iq>", now);
    let (sent, rest) = drain(&mut client);
    assert!(sent.starts_with("<iq type='result' id='1' to='example.test'/><iq type='error' id='2'>"), "{sent}");
    assert_eq!(rest, []);
    client.send(&Element::message("chat").with_attr("to", "bob@example.test"));
    assert_eq!(drain(&mut client).0, "<message type='chat' to='bob@example.test'/>");
    client.close();
    let (sent, rest) = drain(&mut client);
    assert_eq!((sent.as_str(), rest.len()), ("</stream:stream>", 2));
    client.send(&Element::message("chat"));
    let (sent, rest) = drain(&mut client);
    let [Output::Event(event)] = rest.as_slice() else { panic!("{rest:?}") };
    assert!(
        sent.is_empty()
            && matches!(&**event, cusax_event::Event::XmppDropped(dropped) if dropped.reason == DropReason::Disconnected)
    );
}

#[test]
fn ends_with_the_servers_reason() {
    let mut client = online();
    client.handle_bytes(
        b"<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
        start(),
    );
    assert_eq!(drain(&mut client).1, [Output::Close, Output::Closed { detail: "conflict".to_owned() }]);
}
