//! TLS between two of ours, and to a plain client of rustls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cusax_net::stream::{
    Cause, CloseReason, HandshakeFailure, Layer, Layers, Limits, RefuseReason, SecureTarget, StreamEvent,
};
use cusax_net::tls::{
    Authorities, AuthoritiesError, Certificate, CertificateError, Client, ClientCertificates, Credentials, Revoked,
    RevokedError, Server, Validity, Version,
};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::authority::{Authority, Issued};
use crate::{closed, failed, listening, message, opened, refused, streams};

fn layers(credentials: &Credentials, minimum: Version, clients: &ClientCertificates) -> Layers {
    Layers { tls: Some(Server::new(credentials, minimum, clients)), ..Layers::default() }
}

fn open_to_all(issued: &Issued) -> Layers {
    layers(&issued.credentials(), Version::V1_2, &ClientCertificates::default())
}

fn target(authority: &Authority, credentials: Option<Credentials>, domains: &[&str]) -> SecureTarget {
    SecureTarget {
        client: Client::new(credentials, Version::V1_2, authority.authorities()),
        domains: domains.iter().map(ToString::to_string).collect(),
    }
}

/// What becomes of a connection to a server that shows a certificate of these names, on both sides.
async fn meet(names: &[&str], domain: &str) -> (Result<Vec<String>, Cause>, bool) {
    let authority = Authority::new();
    let (mut server, address) = listening(open_to_all(&authority.issue(names)), Limits::default());
    let mut client = streams(Limits::default());
    client.connect(address, Some(target(&authority, None, &[domain]))).unwrap();
    let accepted = async { matches!(server.next().await, StreamEvent::Opened { .. }) };
    let (made, accepted) = tokio::join!(client.next(), accepted);
    let made = match made {
        StreamEvent::Opened { security, .. } => Ok(security.unwrap().identities),
        StreamEvent::Closed { reason: CloseReason::Handshake(failure), .. } => Err(failure.cause),
        event @ (StreamEvent::Message { .. }
        | StreamEvent::Closed { .. }
        | StreamEvent::Refused { .. }
        | StreamEvent::AcceptFailed { .. }) => panic!("{event:?}"),
    };
    (made, accepted)
}

#[tokio::test]
async fn carries_messages_both_ways_in_the_newest_version() {
    let authority = Authority::new();
    let (mut server, address) = listening(open_to_all(&authority.issue(&["example.com"])), Limits::default());
    let mut client = streams(Limits::default());
    let ours = client.connect(address, Some(target(&authority, None, &["example.com"]))).unwrap();
    client.send(ours, Bytes::from_static(b"queued while it is made;")).unwrap();
    let ((id, peer, security), (_, _, seen)) = tokio::join!(opened(&mut server), opened(&mut client));
    assert_eq!(peer.ip(), address.ip());
    let security = security.unwrap();
    assert_eq!((security.version, security.identities.len()), (Version::V1_3, 0));
    assert_eq!(seen.unwrap().identities, ["example.com"]);
    assert_eq!(message(&mut server).await, "queued while it is made;");
    let large = Bytes::from([vec![b'x'; 60_000], b";".to_vec()].concat());
    server.send(id, large.clone()).unwrap();
    assert_eq!(message(&mut client).await, large);
    client.close(ours);
    let (there, here) = tokio::join!(closed(&mut server), closed(&mut client));
    assert_eq!((there, here), (CloseReason::Peer, CloseReason::Local));
    assert!(server.is_empty() && client.is_empty());
}

#[tokio::test]
async fn domain_is_that_of_a_sip_uri_or_else_a_dns_name_and_never_a_wildcard() {
    let other = Cause::Certificate("certificate of another domain");
    for (names, domain, expected) in [
        (&["example.com"][..], "example.com", Ok(())),
        (&["EXAMPLE.com"], "example.com", Ok(())),
        (&["sip:example.com", "host.example.net"], "example.com", Ok(())),
        (&["sip:example.com", "host.example.net"], "host.example.net", Err(other)),
        (&["sips:example.com", "host.example.net"], "host.example.net", Ok(())),
        (&["*.example.com"], "sip.example.com", Err(other)),
        (&["sip:alice@example.com"], "example.com", Err(other)),
        (&["example.net"], "example.com", Err(other)),
        (&["127.0.0.1"], "127.0.0.1", Ok(())),
        (&["127.0.0.2"], "127.0.0.1", Err(other)),
    ] {
        let (made, _) = meet(names, domain).await;
        assert_eq!(made.map(|_| ()), expected, "{names:?} {domain}");
    }
}

#[tokio::test]
async fn server_that_is_expired_or_unknown_is_not_spoken_to() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let expired = authority.issue_until(&["example.com"], 2001);
    for (issued, detail) in
        [(expired, "certificate expired"), (stranger.issue(&["example.com"]), "certificate by an unknown authority")]
    {
        let (mut server, address) = listening(open_to_all(&issued), Limits::default());
        let mut client = streams(Limits::default());
        client.connect(address, Some(target(&authority, None, &["example.com"]))).unwrap();
        let (seen, reason) = tokio::join!(failed(&mut server), closed(&mut client));
        let failure = HandshakeFailure { layer: Layer::Tls, cause: Cause::Certificate(detail) };
        assert_eq!(reason, CloseReason::Handshake(failure));
        assert!(matches!(seen, (Layer::Tls, Cause::Refused(_))), "{seen:?}");
        assert!(server.is_empty() && client.is_empty());
    }
}

#[tokio::test]
async fn identities_of_a_clients_certificate_are_told() {
    let authority = Authority::new();
    let accepted = ClientCertificates { servers: Some(authority.authorities()), ..ClientCertificates::default() };
    let server = layers(&authority.issue(&["example.com"]).credentials(), Version::V1_2, &accepted);
    let (mut server, address) = listening(server, Limits::default());
    let credentials = authority.issue(&["sip:biloxi.example", "host.biloxi.example"]).credentials();
    for (shown, identities) in [(Some(credentials), &["biloxi.example"][..]), (None, &[])] {
        let mut client = streams(Limits::default());
        client.connect(address, Some(target(&authority, shown, &["example.com"]))).unwrap();
        let ((_, _, security), _) = tokio::join!(opened(&mut server), opened(&mut client));
        assert_eq!(security.unwrap().identities, identities);
        drop(client);
        closed(&mut server).await;
    }
}

#[tokio::test]
async fn client_without_a_good_certificate_is_refused_where_one_is_required() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let required =
        ClientCertificates { servers: Some(authority.authorities()), required: true, ..ClientCertificates::default() };
    let server = layers(&authority.issue(&["example.com"]).credentials(), Version::V1_2, &required);
    let (mut server, address) = listening(server, Limits::default());
    for (shown, detail) in [
        (None, "no certificate"),
        (Some(stranger.issue(&["biloxi.example"])), "certificate by an unknown authority"),
        (Some(authority.issue_until(&["biloxi.example"], 2001)), "certificate expired"),
    ] {
        let mut client = streams(Limits::default());
        let shown = shown.map(|issued| issued.credentials());
        client.connect(address, Some(target(&authority, shown, &["example.com"]))).unwrap();
        // In TLS 1.3 the client is done before it is looked at.
        assert_eq!(failed(&mut server).await, (Layer::Tls, Cause::Certificate(detail)));
        let _ = client.next().await;
    }
}

#[tokio::test]
async fn user_is_whom_an_authority_of_users_vouches_for_and_never_a_server() {
    let (servers, users) = (Authority::new(), Authority::new());
    let accepted = ClientCertificates {
        servers: Some(servers.authorities()),
        users: Some(users.authorities()),
        ..ClientCertificates::default()
    };
    let server = layers(&servers.issue(&["example.com"]).credentials(), Version::V1_2, &accepted);
    let (mut server, address) = listening(server, Limits::default());
    let names = ["sip:alice@example.com", "sip:biloxi.example", "host.biloxi.example"];
    let (of_user, of_server) = (users.issue(&names), servers.issue(&names));
    for (shown, identities, uris) in [
        (Some(of_user.credentials()), &[][..], &["sip:alice@example.com"][..]),
        (Some(of_server.credentials()), &["biloxi.example"], &[]),
        (None, &[], &[]),
    ] {
        let mut client = streams(Limits::default());
        client.connect(address, Some(target(&servers, shown, &["example.com"]))).unwrap();
        let ((_, _, security), _) = tokio::join!(opened(&mut server), opened(&mut client));
        let security = security.unwrap();
        assert_eq!((&*security.identities, &*security.users), (own(identities).as_slice(), own(uris).as_slice()));
        drop(client);
        closed(&mut server).await;
    }
}

fn own(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn users_certificate_that_is_of_no_use_is_refused_and_not_passed_over() {
    let (servers, users, stranger) = (Authority::new(), Authority::new(), Authority::new());
    let name = ["sip:alice@example.com"];
    let (good, bad) = (users.issue(&name), users.issue(&name));
    for (revoked, expected) in [
        (None, [None, None]),
        (Some(users.revoked(&[&bad])), [None, Some("certificate revoked")]),
        (Some(stranger.revoked(&[])), [Some("certificate of an authority without revocation list"); 2]),
    ] {
        let accepted = ClientCertificates {
            servers: Some(servers.authorities()),
            users: Some(users.authorities()),
            revoked: revoked.map(|lists| Revoked::from_pem(lists.as_bytes()).unwrap()),
            required: false,
        };
        let server = layers(&servers.issue(&["example.com"]).credentials(), Version::V1_2, &accepted);
        let (mut server, address) = listening(server, Limits::default());
        let expired = (users.issue_until(&name, 2001).credentials(), Some("certificate expired"));
        let unknown = (stranger.issue(&name).credentials(), Some("certificate by an unknown authority"));
        let of_server = (servers.issue(&["biloxi.example"]).credentials(), None);
        let [first, second] = expected;
        for (shown, detail) in [(good.credentials(), first), (bad.credentials(), second), expired, unknown, of_server] {
            let mut client = streams(Limits::default());
            client.connect(address, Some(target(&servers, Some(shown), &["example.com"]))).unwrap();
            match detail {
                None => {
                    tokio::join!(opened(&mut server), opened(&mut client));
                    drop(client);
                    closed(&mut server).await;
                }
                Some(detail) => {
                    assert_eq!(failed(&mut server).await, (Layer::Tls, Cause::Certificate(detail)));
                    let _ = client.next().await;
                }
            }
        }
    }
    assert_eq!(Revoked::from_pem(b"no PEM").unwrap_err(), RevokedError::Empty);
    let other = good.certificate.replace("CERTIFICATE", "X509 CRL");
    assert_eq!(Revoked::from_pem(other.as_bytes()).unwrap_err(), RevokedError::Malformed);
}

#[tokio::test]
async fn certificate_is_the_present_one_and_earlier_connections_stay() {
    let authority = Authority::new();
    let (mut server, address) = listening(open_to_all(&authority.issue(&["old.example"])), Limits::default());
    let mut client = streams(Limits::default());
    client.connect(address, Some(target(&authority, None, &["old.example"]))).unwrap();
    let ((first, ..), _) = tokio::join!(opened(&mut server), opened(&mut client));
    server.reconfigure(Limits::default(), vec![open_to_all(&authority.issue(&["new.example"]))]);
    client.connect(address, Some(target(&authority, None, &["new.example"]))).unwrap();
    tokio::join!(opened(&mut server), opened(&mut client));
    server.send(first, Bytes::from_static(b"still here;")).unwrap();
    assert_eq!(message(&mut client).await, "still here;");
}

#[tokio::test]
async fn domain_is_named_in_the_hello_and_an_address_is_not() {
    let authority = Authority::new();
    for (domain, named) in [("sip.example.com", true), ("127.0.0.1", false)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = streams(Limits::default());
        client.connect(listener.local_addr().unwrap(), Some(target(&authority, None, &[domain]))).unwrap();
        let hello = async {
            let (stream, _) = listener.accept().await.unwrap();
            let started = tokio_rustls::LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await;
            started.unwrap().client_hello().server_name().map(ToOwned::to_owned)
        };
        let (asked, _) = tokio::join!(hello, client.next());
        assert_eq!(asked.as_deref(), named.then_some(domain));
    }
}

#[tokio::test]
async fn version_older_than_the_least_is_refused() {
    let authority = Authority::new();
    for (minimum, version, good) in [
        (Version::V1_3, &rustls::version::TLS12, false),
        (Version::V1_3, &rustls::version::TLS13, true),
        (Version::V1_2, &rustls::version::TLS12, true),
    ] {
        let issued = authority.issue(&["example.com"]);
        let server = layers(&issued.credentials(), minimum, &ClientCertificates::default());
        let (mut server, address) = listening(server, Limits::default());
        let connected = async { connect(address, &authority, &[version]).await.is_ok() };
        let (event, connected) = tokio::join!(server.next(), connected);
        assert_eq!(connected, good, "{event:?}");
        assert_eq!(matches!(event, StreamEvent::Opened { .. }), good, "{event:?}");
    }
}

#[tokio::test]
async fn half_a_handshake_is_ended_in_time_and_what_is_no_tls_at_once() {
    let authority = Authority::new();
    let limits = Limits { handshake_time: Duration::from_millis(20), ..Limits::default() };
    let (mut server, address) = listening(open_to_all(&authority.issue(&["example.com"])), limits);
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(&[0x16, 3, 1]).await.unwrap();
    assert_eq!(failed(&mut server).await, (Layer::Tls, Cause::Deadline));
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"OPTIONS sip:example.com SIP/2.0\r\n").await.unwrap();
    assert_eq!(failed(&mut server).await, (Layer::Tls, Cause::Invalid("not TLS")));
    drop(TcpStream::connect(address).await.unwrap());
    assert_eq!(failed(&mut server).await, (Layer::Tls, Cause::Closed));
    assert!(server.is_empty());
}

#[tokio::test]
async fn server_that_says_nothing_is_given_up() {
    let authority = Authority::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = streams(Limits { handshake_time: Duration::from_millis(20), ..Limits::default() });
    client.connect(listener.local_addr().unwrap(), Some(target(&authority, None, &["example.com"]))).unwrap();
    let failure = HandshakeFailure { layer: Layer::Tls, cause: Cause::Deadline };
    assert_eq!(closed(&mut client).await, CloseReason::Handshake(failure));
}

#[tokio::test]
async fn handshakes_under_way_are_bounded_and_count_for_their_source() {
    let authority = Authority::new();
    for (limits, reason) in [
        (Limits { handshakes: 1, ..Limits::default() }, RefuseReason::Handshakes),
        (Limits { per_source: 1, ..Limits::default() }, RefuseReason::Source),
        (Limits { connections: 1, ..Limits::default() }, RefuseReason::Connections),
    ] {
        let (mut server, address) = listening(open_to_all(&authority.issue(&["example.com"])), limits);
        let first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        assert_eq!(refused(&mut server).await, reason);
        drop(first);
        assert_eq!(failed(&mut server).await, (Layer::Tls, Cause::Closed));
        let (_, third) = tokio::join!(opened(&mut server), connect(address, &authority, rustls::ALL_VERSIONS));
        third.unwrap();
    }
}

#[tokio::test]
async fn silence_after_the_handshake_is_ended() {
    let authority = Authority::new();
    let limits = Limits { first_message_time: Duration::from_millis(20), ..Limits::default() };
    let (mut server, address) = listening(open_to_all(&authority.issue(&["example.com"])), limits);
    let (_, client) = tokio::join!(opened(&mut server), connect(address, &authority, rustls::ALL_VERSIONS));
    assert_eq!(closed(&mut server).await, CloseReason::Idle);
    drop(client);
}

#[test]
fn certificate_and_key_must_belong_together() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(&["example.com"]), authority.issue(&["example.com"]));
    let read = |chain: &str, key: &str| Certificate::from_pem(chain.as_bytes(), key.as_bytes()).err();
    assert_eq!(read(&one.certificate, &one.key), None);
    assert_eq!(read(&one.certificate, &other.key), Some(CertificateError::Mismatch));
    assert_eq!(read("", &one.key), Some(CertificateError::NoCertificate));
    assert_eq!(read(&one.certificate, ""), Some(CertificateError::NoKey));
    assert_eq!(read(&one.key, &one.key), Some(CertificateError::NoCertificate));
    assert_eq!(
        read("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &one.key),
        Some(CertificateError::Certificate)
    );
    assert_eq!(Authorities::from_pem(b"").err(), Some(AuthoritiesError::Empty));
    assert_eq!(one.certificate().identities(), ["example.com"]);
}

#[test]
fn validity_is_said_of_a_moment() {
    let authority = Authority::new();
    let issued = authority.issue_until(&["example.com"], 2010).certificate();
    let at = |year: u64| SystemTime::UNIX_EPOCH + Duration::from_secs((year - 1970) * 31_557_600);
    assert_eq!(issued.validity(at(1999)), Validity::NotYet);
    assert_eq!(issued.validity(at(2005)), Validity::Valid);
    assert_eq!(issued.validity(at(2011)), Validity::Expired);
}

/// Connects as any client does.
async fn connect(
    address: SocketAddr,
    authority: &Authority,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let name = ServerName::try_from("example.com").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
}
