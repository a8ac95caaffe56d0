//! SIGHUP: another certificate, core, origin or limit, and files that are refused, while connections and calls go on.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use cusax_sip::{Message, Name};

use crate::authority::Authority;
use crate::core::Core;
use crate::wire::{Wire, plain};
use crate::{Phone, Setup};

const APPLIED: &str = r#"cusax_config_reloads_total{result="applied"}"#;
const REFUSED: &str = r#"cusax_config_reloads_total{result="refused"}"#;
const GOOD: &str = "cusax_config_last_reload_successful";

/// A phone that is registered, and in a call with the core.
async fn in_call(setup: &mut Setup) -> (Phone, Message) {
    let wire = Wire::tls(setup.tls, &setup.authority, None).await.unwrap();
    let mut phone = Phone { wire, transport: "tls", via: "TLS" };
    phone.register(&mut setup.core).await;
    let answered = call(&mut phone, &mut setup.core, 10).await;
    (phone, answered)
}

async fn call(phone: &mut Phone, core: &mut Core, cseq: u32) -> Message {
    phone.wire.send(&phone.request("INVITE", "sip:bob@example.com", cseq, "")).await;
    let arrived = core.request("INVITE").await;
    assert_eq!(phone.wire.receive().await.status(), Some(100));
    core.answer(&arrived, "200 OK").await;
    let answered = phone.wire.receive().await;
    assert_eq!(answered.status(), Some(200));
    phone.wire.send(&within(phone, "ACK", &answered, cseq)).await;
    core.request("ACK").await;
    answered
}

/// A request in a call that was answered so.
fn within(phone: &Phone, method: &str, answered: &Message, cseq: u32) -> String {
    let mut routes: Vec<_> = answered.values(Name::RecordRoute).map(|value| format!("Route: {value}\r\n")).collect();
    routes.reverse();
    let request = phone.request(method, "sip:bob@localhost", cseq, &routes.concat());
    request.replacen("To: <sip:alice@example.com>", "To: <sip:alice@example.com>;tag=tag", 1)
}

async fn hang_up(phone: &mut Phone, core: &mut Core, answered: &Message, cseq: u32) {
    phone.wire.send(&within(phone, "BYE", answered, cseq)).await;
    let bye = core.request("BYE").await;
    core.answer(&bye, "200 OK").await;
    assert_eq!(phone.wire.receive().await.status(), Some(200));
}

#[tokio::test]
async fn new_certificate_is_shown_to_new_connections_and_a_call_on_an_old_one_goes_on() {
    let mut setup = Setup::new().await;
    let (mut phone, answered) = in_call(&mut setup).await;
    let renewed = Authority::new();
    renewed.write_certificate(setup.folder.path(), &["example.com"]);
    assert_eq!(setup.service.reload()["level"], "INFO");
    assert!(Wire::tls(setup.tls, &setup.authority, None).await.is_err(), "the old one is not shown any more");
    let wire = Wire::tls(setup.tls, &renewed, None).await.unwrap();
    let mut other = Phone { wire, transport: "tls", via: "TLS" };
    let again = call(&mut phone, &mut setup.core, 11).await;
    hang_up(&mut phone, &mut setup.core, &again, 12).await;
    hang_up(&mut phone, &mut setup.core, &answered, 13).await;
    other.register(&mut setup.core).await;
}

#[tokio::test]
async fn list_of_revoked_certificates_counts_for_new_connections() {
    let mut setup = Setup::new().await;
    let users = Authority::new();
    users.write_as_users(setup.folder.path(), &["sip:mallory@example.com"]);
    setup.service.reload();
    let wire = Wire::tls_of(setup.tls, &setup.authority, &users, "sip:alice@example.com").await.unwrap();
    let mut alice = Phone { wire, transport: "tls", via: "TLS" };
    alice.wire.send(&alice.request("REGISTER", "sip:example.com", 1, "")).await;
    let arrived = setup.core.request("REGISTER").await;
    setup.core.answer(&arrived, "200 OK").await;
    assert_eq!(alice.wire.receive().await.status(), Some(200), "another authority of users is believed");
    users.write_as_users(setup.folder.path(), &["sip:alice@example.com"]);
    setup.service.reload();
    let refused = r#"cusax_tls_handshakes_total{aspect="sip",result="certificate",side="server",version="none"}"#;
    assert_eq!(setup.service.series(refused), 0.0);
    let _revoked = Wire::tls_of(setup.tls, &setup.authority, &users, "sip:alice@example.com").await;
    setup.service.becomes(refused, 1.0);
}

#[tokio::test]
async fn new_calls_go_to_the_new_core_and_the_old_one_ends_its_own() {
    let mut setup = Setup::new().await;
    let (mut phone, answered) = in_call(&mut setup).await;
    let mut second = Core::start(&setup.authority, &["localhost"]).await;
    let (old, new) = (setup.core.port.to_string(), second.port.to_string());
    setup.service.edit(|file| file.replace(&format!("localhost:{old}"), &format!("localhost:{new}")));
    setup.service.reload();
    let probed = |port: &str| format!(r#"cusax_sip_upstream_up{{upstream="sip:localhost:{port};transport=tls"}}"#);
    let again = call(&mut phone, &mut second, 11).await;
    hang_up(&mut phone, &mut setup.core, &answered, 12).await;
    hang_up(&mut phone, &mut second, &again, 13).await;
    // The test answers probes while it waits for a call, and not while it asks for metrics.
    setup.service.becomes(&probed(&new), 1.0);
    let ready = setup.service.get("/readyz");
    assert!(ready.contains(&format!("localhost:{new}")) && !ready.contains(&format!("localhost:{old}")), "{ready}");
    assert!(!setup.service.get("/metrics").contains(&probed(&old)));
}

#[tokio::test]
async fn limits_origins_and_the_log_are_others_for_what_comes() {
    let setup = Setup::new().await;
    let here = "127.0.0.2".parse().unwrap();
    let mut before = Wire::tls_by(here, setup.tls, &setup.authority, None).await.unwrap();
    setup.service.edit(|file| {
        let file = file.replace("https://phone.example.com", "https://other.example.com");
        file + "\n[sip.limits]\nconnections_per_source = 1\nheaders = 4\n"
    });
    setup.service.reload();
    assert!(Wire::tls_by(here, setup.tls, &setup.authority, None).await.is_err(), "he has one");
    let request = "OPTIONS sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.2;branch=z9hG4bKmany\r\n\
                   Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\n\
                   Call-ID: many\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    before.send(request).await;
    assert_eq!(before.receive().await.status(), Some(400), "too many headers, on a connection that stays");
    let upgrade = |origin: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: sip\r\nOrigin: {origin}\r\n\r\n"
        )
    };
    let answer = plain(setup.ws, upgrade("https://phone.example.com").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    setup.service.edit(|file| file.replace("level = \"debug\"", "level = \"error\""));
    setup.service.hang_up();
    setup.service.becomes(APPLIED, 2.0);
    fs::remove_file(setup.folder.path().join("cert.pem")).unwrap();
    let next = setup.service.reload();
    assert_eq!(next["level"], "ERROR", "what was applied was said at INFO, which is off");
}

#[tokio::test]
async fn file_with_a_mistake_changes_nothing_and_the_log_says_where_it_is() {
    let mut setup = Setup::new().await;
    let (mut phone, answered) = in_call(&mut setup).await;
    let folder = setup.folder.path().to_owned();
    let file = folder.join("cusax.toml");
    let good = fs::read_to_string(&file).unwrap();
    assert_eq!((setup.service.series(REFUSED), setup.service.series(GOOD)), (0.0, 1.0));

    // All that is wrong is said, and what is right beside it does not count.
    let bad = format!("{good}\n[sip.auth]\nchallenge = false\nalgoritms = [\"MD5\"]\n[caller]\nforged = \"maybe\"\n");
    fs::write(&file, bad).unwrap();
    let line = setup.service.reload();
    assert_eq!((&line["level"], &line["result"]), (&"ERROR".into(), &"refused".into()));
    let detail = line["detail"].as_str().unwrap();
    let lines = good.lines().count();
    let first = format!("cusax.toml:{}:1: unknown key `algoritms`; did you mean `algorithms`?", lines + 3);
    assert!(detail.contains(&first), "{detail}");
    assert!(detail.contains(&format!(" | cusax.toml:{}:10: unknown value \"maybe\"", lines + 5)), "{detail}");

    fs::write(&file, good.replace("cert.pem", "none.pem")).unwrap();
    let line = setup.service.reload();
    assert!(line["detail"].as_str().unwrap().contains("none.pem: No such file"), "{line}");

    fs::write(&file, &good).unwrap();
    fs::set_permissions(folder.join("key.pem"), Permissions::from_mode(0o644)).unwrap();
    let line = setup.service.reload();
    assert!(line["detail"].as_str().unwrap().contains("everybody on this host can read"), "{line}");
    fs::set_permissions(folder.join("key.pem"), Permissions::from_mode(0o600)).unwrap();

    fs::write(&file, good.replace("sip:localhost:", "sip:none.invalid:")).unwrap();
    let line = setup.service.reload();
    assert!(line["detail"].as_str().unwrap().contains("cannot find the core target sip:none.invalid"), "{line}");

    fs::remove_file(&file).unwrap();
    let line = setup.service.reload();
    assert!(line["detail"].as_str().unwrap().contains("cannot read cusax.toml: No such file"), "{line}");
    assert_eq!((setup.service.series(REFUSED), setup.service.series(GOOD)), (5.0, 0.0));

    let again = call(&mut phone, &mut setup.core, 11).await;
    hang_up(&mut phone, &mut setup.core, &again, 12).await;
    hang_up(&mut phone, &mut setup.core, &answered, 13).await;
    let mut stranger = Wire::tls(setup.tls, &setup.authority, None).await.unwrap();
    stranger.send(&phone.request("REGISTER", "sip:example.com", 20, "")).await;
    assert_eq!(stranger.receive().await.status(), Some(401), "the old configuration challenges");

    fs::write(&file, &good).unwrap();
    setup.service.reload();
    assert_eq!((setup.service.series(APPLIED), setup.service.series(GOOD)), (1.0, 1.0));
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_the_rest_is_applied() {
    let setup = Setup::new().await;
    setup.service.edit(|file| {
        let ws = format!("[[sip.listener]]\n            address = \"ws:{}\"", setup.ws);
        assert!(file.contains(&ws));
        let file = file.replace(&ws, "[[sip.listener]]\n            address = \"ws:127.0.0.1:1\"");
        let file = file.replace("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1:2\"");
        file + "\n[media]\nports = \"50000-50127\"\n[sip.limits]\nheaders = 4\n"
    });
    let line = setup.service.reload();
    assert_eq!((&line["level"], &line["result"]), (&"WARN".into(), &"applied".into()), "{line}");
    assert_eq!(line["needs_restart"], "sip.listener.address, media.ports, http.listen");
    let mut phone = Phone { wire: Wire::ws(setup.ws).await, transport: "ws", via: "WS" };
    phone.wire.send(&phone.request("REGISTER", "sip:example.com", 1, "")).await;
    assert_eq!(phone.wire.receive().await.status(), Some(400), "it listens there still, and takes four headers");
    setup.service.edit(|file| file.split("[tls]").next().unwrap().to_owned());
    let line = setup.service.reload();
    assert_eq!(line["result"], "refused");
    let detail = line["detail"].as_str().unwrap();
    let together =
        "cusax.toml: with what needs a restart (sip.listener.address, http.listen): a core listener takes only";
    assert!(detail.starts_with(together), "{detail}");
}
