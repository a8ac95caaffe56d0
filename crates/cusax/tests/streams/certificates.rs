//! Who is known by his certificate: the core, phones, and providers that DNS leads to.

use std::net::SocketAddr;

use crate::authority::Authority;
use crate::core::Core;
use crate::wire::Wire;
use crate::{Phone, Setup};

#[tokio::test]
async fn core_is_known_by_its_certificate_from_wherever_it_connects() {
    let setup = Setup::new().await;
    let elsewhere = "127.0.0.2".parse().unwrap();
    let mut probe = Wire::tls_from(elsewhere, setup.from_core, &setup.authority, Some("core.example.com")).await;
    probe.send(&options(setup.from_core)).await;
    assert_eq!(probe.receive().await.status(), Some(200));
    let acl = r#"cusax_sip_dropped_total{reason="acl"}"#;
    setup.service.becomes(acl, 0.0);
    for (count, name) in [(1.0, None), (2.0, Some("other.example.com"))] {
        let mut stranger = Wire::tls_from(elsewhere, setup.from_core, &setup.authority, name).await;
        stranger.send(&options(setup.from_core)).await;
        setup.service.becomes(acl, count);
    }
}

#[tokio::test]
async fn phone_with_a_certificate_of_its_account_is_asked_for_no_password() {
    let mut setup = Setup::new().await;
    let connect = async |users: &Authority, uri: &str| {
        let wire = Wire::tls_of(setup.tls, &setup.authority, users, uri).await;
        Phone { wire: wire.unwrap(), transport: "tls", via: "TLS" }
    };
    let mut alice = connect(&setup.users, "sip:alice@example.com").await;
    alice.wire.send(&alice.request("REGISTER", "sip:example.com", 1, "")).await;
    let arrived = setup.core.request("REGISTER").await;
    setup.core.answer(&arrived, "200 OK").await;
    assert_eq!(alice.wire.receive().await.status(), Some(200));
    let auth =
        |result: &str, algorithm: &str| format!(r#"cusax_sip_auth_total{{algorithm="{algorithm}",result="{result}"}}"#);
    setup.service.becomes(&auth("ok", "certificate"), 1.0);
    let other = alice.request("MESSAGE", "sip:bob@example.com", 2, "").replace("From: <sip:alice@", "From: <sip:bob@");
    alice.wire.send(&other).await;
    assert_eq!(alice.wire.receive().await.status(), Some(403));
    setup.service.becomes(&auth("mismatch", "certificate"), 1.0);

    let mut stranger = connect(&setup.users, "sip:mallory@example.com").await;
    stranger.wire.send(&stranger.request("REGISTER", "sip:example.com", 3, "")).await;
    assert_eq!(stranger.wire.receive().await.status(), Some(401));
    setup.service.remove_account("alice");
    alice.wire.send(&alice.request("REGISTER", "sip:example.com", 4, "")).await;
    assert_eq!(alice.wire.receive().await.status(), Some(401), "a certificate is its account's");

    // In TLS 1.3 a client is done before it is looked at.
    let _unknown = connect(&Authority::new(), "sip:alice@example.com").await;
    let _revoked = connect(&setup.users, "sip:bob@example.com").await;
    setup.service.becomes(r#"cusax_sip_dropped_total{reason="tls"}"#, 2.0);
    let refused = r#"cusax_tls_handshakes_total{aspect="sip",result="certificate",side="server",version="none"}"#;
    assert_eq!(setup.service.series(refused), 2.0);
}

#[tokio::test]
async fn provider_that_dns_leads_to_must_show_the_domain_that_was_looked_up() {
    let mut setup = Setup::new().await;
    let mut right = Core::start(&setup.authority, &["localhost"]).await;
    // The second comes on the connection of the first: there is only one.
    for (cseq, uri) in ["sips:bob@localhost:PORT", "sip:bob@localhost:PORT;transport=tls"].into_iter().enumerate() {
        let uri = uri.replace("PORT", &right.port.to_string());
        setup.core.send("MESSAGE", &uri, "", 10 + u32::try_from(cseq).unwrap()).await;
        let arrived = right.request("MESSAGE").await;
        assert_eq!(arrived.request_uri_text(), uri);
        right.answer(&arrived, "202 Accepted").await;
        assert_eq!(setup.core.response().await.status(), Some(202));
    }
    let failed = r#"cusax_tls_handshakes_total{aspect="sip",result="certificate",side="client",version="none"}"#;
    assert_eq!(setup.service.series(failed), 0.0);
    let wrong = Core::start(&setup.authority, &["127.0.0.1", "other.example.com"]).await;
    setup.core.send("MESSAGE", &format!("sip:bob@localhost:{};transport=tls", wrong.port), "", 20).await;
    assert_eq!(setup.core.response().await.status(), Some(503));
    assert_eq!(setup.service.series(failed), 1.0);
    setup.service.says("no TLS with localhost: certificate of another domain");
}

fn options(to: SocketAddr) -> String {
    format!(
        "OPTIONS sip:{to};transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.2;branch=z9hG4bKoptions\r\n\
         Max-Forwards: 70\r\nFrom: <sip:core.example.com>;tag=c\r\nTo: <sip:{to}>\r\nCall-ID: options\r\n\
         CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}
