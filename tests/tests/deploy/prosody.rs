//! `deploy/prosody/prosody.cfg.lua` and `modules/mod_cusax_rooms.lua`: users of cusax's directory, rooms that name their conference, the
//! component.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cusax_directory::{Directory, Mode, NewAccount, Password};
use cusax_net::clock::now;
use cusax_tests::interop::{PROSODY, available};
use cusax_tests::ports::Port;
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{COMPONENT, DOMAIN, Prosody, ROOMS};
use cusax_xmpp::client;
use cusax_xmpp::component::{self, Component};
use cusax_xmpp::form::Form;
use cusax_xmpp::sasl::Mechanism;
use cusax_xmpp::stream::Limits;
use cusax_xmpp::{Element, Jid, Secret, muc, ns};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::session::Session;

const PATIENCE: Duration = Duration::from_secs(10);

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
