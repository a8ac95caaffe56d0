//! `deploy/prosody/prosody.cfg.lua` and `modules/mod_cusax_rooms.lua`: users of cusax's directory, rooms that name their conference, the
//! component.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cusax_directory::{Directory, Mode, NewAccount, Password};
use cusax_tests::interop::{PROSODY, available};
use cusax_tests::ports::Port;
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{COMPONENT, DOMAIN, Prosody, ROOMS};
use cusax_xmpp::client::{self, Client};
use cusax_xmpp::component::{self, Component};
use cusax_xmpp::form::Form;
use cusax_xmpp::sasl::{Mechanism, PlainPolicy};
use cusax_xmpp::stream::Limits;
use cusax_xmpp::{Element, Jid, Secret, muc, ns};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

#[expect(clippy::disallowed_methods, reason = "the server on the other side lives in real time")]
fn now() -> Instant {
    Instant::now()
}

async fn directory(scratch: &Scratch) -> PathBuf {
    let file = scratch.path().join("cusax.db");
    let directory = Directory::open(&format!("sqlite:{}", file.display()), Mode::ReadWrite).await.unwrap();
    let account = NewAccount {
        sip_user: "2001".to_owned(),
        sip_domain: DOMAIN.to_owned(),
        xmpp_user: "alice".to_owned(),
        xmpp_domain: DOMAIN.to_owned(),
        display_name: None,
        numbers: Vec::new(),
        language: None,
        password: Password::new("correct horse").unwrap(),
    };
    directory.add(account).await.unwrap();
    file
}

async fn prosody(scratch: &Scratch) -> Prosody {
    let directory = directory(scratch).await;
    let secret = scratch.file("component.secret", "s3cret\n").unwrap();
    Prosody::start(scratch, Port::free().unwrap(), Port::free().unwrap(), &directory, &secret).await.unwrap()
}

/// A client's login over a connection of its own.
struct Session {
    core: Client,
    stream: TcpStream,
}

impl Session {
    async fn login(address: SocketAddr, password: &str) -> (Self, client::Output) {
        let config = client::Config {
            jid: format!("alice@{DOMAIN}").parse().unwrap(),
            resource: None,
            password: Secret::new(password),
            plain: PlainPolicy::Refused,
            limits: Limits::default(),
        };
        let mut core = Client::new(config, [7; 16]);
        core.handle_connected(now());
        let mut session = Self { core, stream: TcpStream::connect(address).await.unwrap() };
        let outcome = session
            .wait(|output| matches!(output, client::Output::Online { .. } | client::Output::AuthFailed { .. }))
            .await;
        (session, outcome)
    }

    /// Carries bytes both ways until such an output comes.
    async fn wait(&mut self, wanted: impl Fn(&client::Output) -> bool) -> client::Output {
        let found = async {
            let mut buffer = [0; 4096];
            loop {
                while let Some(output) = self.core.poll_output() {
                    if wanted(&output) {
                        return output;
                    }
                    if let client::Output::Send(bytes) = output {
                        self.stream.write_all(&bytes).await.unwrap();
                    }
                }
                let length = self.stream.read(&mut buffer).await.unwrap();
                assert_ne!(length, 0, "the server closed the connection");
                self.core.handle_bytes(&buffer[..length], now());
            }
        };
        timeout(PATIENCE, found).await.expect("an answer in time")
    }

    async fn stanza(&mut self, wanted: impl Fn(&Element) -> bool) -> Element {
        let output =
            self.wait(|output| matches!(output, client::Output::Stanza { element, .. } if wanted(element))).await;
        let client::Output::Stanza { element, .. } = output else { unreachable!() };
        element
    }
}

#[tokio::test]
async fn prosody_logs_in_with_the_accounts_password_and_no_other() {
    if !available("prosody", &[PROSODY]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let server = prosody(&scratch).await;
    let (_session, outcome) = Session::login(server.clients(), "correct horse").await;
    let client::Output::Online { jid, mechanism } = outcome else { panic!("{outcome:?}") };
    assert_eq!(mechanism, Mechanism::ScramSha256);
    assert!(jid.as_str().starts_with("alice@example.com/"));
    let (_session, outcome) = Session::login(server.clients(), "wrong").await;
    let client::Output::AuthFailed { condition, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(condition, "not-authorized");
}

#[tokio::test]
async fn prosodys_rooms_name_the_sip_address_of_their_conference() {
    if !available("prosody", &[PROSODY]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let server = prosody(&scratch).await;
    let (mut session, _) = Session::login(server.clients(), "correct horse").await;
    let room = format!("stand\\20üp@{ROOMS}");
    let occupant: Jid = format!("{room}/alice").parse().unwrap();
    session.core.send(&muc::enter(&occupant, None));
    session.stanza(|element| element.name() == "presence" && element.attr("from") == Some(occupant.as_str())).await;
    let query = Element::new(ns::DISCO_INFO, "query");
    session.core.send(&Element::iq("get", "disco", query).with_attr("to", room));
    let answer = session.stanza(|element| element.attr("id") == Some("disco")).await;
    let info = answer.child(ns::DISCO_INFO, "query").unwrap();
    let form = Form::of(info, "http://jabber.org/protocol/muc#roominfo").unwrap();
    assert_eq!(form.value("audio-video-uri").unwrap(), "sip:stand%20%C3%BCp@conference.example.com");
}

/// Connects the component and carries its bytes until it is in service or refused.
async fn connect(address: SocketAddr, secret: &str) -> (Component, TcpStream, bool) {
    let config = component::Config {
        domain: COMPONENT.parse().unwrap(),
        secret: Secret::new(secret),
        server_domain: DOMAIN.parse().unwrap(),
        limits: Limits::default(),
    };
    let mut core = Component::new(config, 1, now());
    let mut stream = TcpStream::connect(address).await.unwrap();
    core.handle_connected(now());
    let settled = async {
        let mut buffer = [0; 4096];
        loop {
            while let Some(output) = core.poll_output() {
                match output {
                    component::Output::Send(bytes) => stream.write_all(&bytes).await.unwrap(),
                    component::Output::Ready => return true,
                    component::Output::Close | component::Output::Down => return false,
                    component::Output::Connect | component::Output::Stanza { .. } | component::Output::Event(_) => {}
                }
            }
            let length = stream.read(&mut buffer).await.unwrap();
            if length == 0 {
                core.handle_closed(now());
            } else {
                core.handle_bytes(&buffer[..length], now());
            }
        }
    };
    let ready = timeout(PATIENCE, settled).await.expect("an answer in time");
    (core, stream, ready)
}

#[tokio::test]
async fn prosody_takes_the_component_with_its_secret_and_again_in_place_of_the_old_one() {
    if !available("prosody", &[PROSODY]) {
        return;
    }
    let scratch = Scratch::new("deploy").unwrap();
    let server = prosody(&scratch).await;
    let (_, _, ready) = connect(server.component(), "wrong").await;
    assert!(!ready);
    let (_core, mut old, ready) = connect(server.component(), "s3cret").await;
    assert!(ready);
    let (_core, _stream, ready) = connect(server.component(), "s3cret").await;
    assert!(ready);
    let mut rest = String::new();
    timeout(PATIENCE, old.read_to_string(&mut rest)).await.expect("an answer in time").unwrap();
    assert!(rest.contains("Replaced by a new connection"), "{rest}");
}
