//! One event of each kind, full of identities that no line above DEBUG may show.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cusax_event::media::{self, LegState, TickTimes};
use cusax_event::moderation::{self, Action, ActionResult, Origin, ReconcileResult};
use cusax_event::service::{self, DirectoryState, ReloadResult, Stage};
use cusax_event::sip::{self, Algorithm, AuthResult, Direction, Method, Transport};
use cusax_event::tls;
use cusax_event::xmpp::{self, LinkState, StanzaKind};
use cusax_event::{Correlation, Event, Identity, LegId};
use cusax_telemetry::{Config, Output};

/// Parts of identities: none of them may be seen above DEBUG.
pub(crate) const CLEAR: [&str; 7] = ["alice", "bob", "mallory", "standup", "+1404555", "192.0.2", "2001:db8"];

pub(crate) fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_798_761_599_000_007)
}

/// A writer whose bytes can be read while telemetry owns it.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn config(captured: &Captured) -> Config {
    Config {
        upstreams: vec!["sip:127.0.0.1:5080".to_owned()],
        component: Some("cusax.example.com".to_owned()),
        output: Output::Writer(Box::new(captured.clone())),
        ..Config::new("edge-1", [7; 32], clock)
    }
}

pub(crate) fn correlation() -> Correlation {
    Correlation {
        account: Some(7),
        session: "0123456789abcdef0123456789abcdef".parse().ok(),
        remote_session: "fedcba9876543210fedcba9876543210".parse().ok(),
        call_id: Some("a84b4c76e66710".into()),
        conference: Some(Identity::room("standup@conference.example.com")),
        room: Some(Identity::room("standup@conference.example.com")),
        occupant: Some(Identity::jid("bob@example.com")),
        leg: Some(LegId(3)),
        ssrc: Some(0x1234_5678),
    }
}

pub(crate) fn invite() -> sip::Message {
    sip::Message {
        leg: sip::Leg::Client,
        direction: Direction::Received,
        transport: Transport::Udp,
        method: Method::Invite,
        status: None,
        retransmission: false,
        local: "127.0.0.1:5060".parse().unwrap(),
        remote: "192.0.2.7:5062".parse().unwrap(),
        correlation: correlation(),
        summary: Some(sip::Summary {
            first_line: "INVITE sip:bob@example.com SIP/2.0".into(),
            cseq: "1 INVITE".into(),
            from: Identity::uri("sip:alice@example.com"),
            to: Identity::uri("sip:bob@example.com"),
            notes: vec!["Call-Info: <xmpp:alice@example.com>;purpose=impp".into()],
        }),
    }
}

pub(crate) fn mute() -> moderation::Moderation {
    moderation::Moderation {
        action: Action::Mute,
        origin: Origin::Muc,
        result: ActionResult::Applied,
        actor: Some(Identity::jid("alice@example.com/phone")),
        reason: Some("noise from bob@example.com, +14045551234".to_owned()),
        delay: Some(Duration::from_millis(12)),
        correlation: correlation(),
    }
}

/// One event of each kind.
pub(crate) fn every_event() -> Vec<Event> {
    let remote = "[2001:db8::7]:5062".parse().unwrap();
    let alice = || Some(Identity::uri("sip:alice@example.com"));
    let room = || Identity::room("standup@conference.example.com");
    let mut ticks = TickTimes::default();
    ticks.record(Duration::from_millis(4), Duration::from_millis(6));
    vec![
        Event::SipMessage(invite()),
        Event::SipDropped(sip::Dropped {
            reason: sip::DropReason::Acl,
            transport: Transport::Udp,
            remote: Some(remote),
            count: 3,
            detail: "not a core target",
        }),
        Event::SipTransaction(sip::TransactionEnded {
            method: Method::Invite,
            status: 200,
            outcome: sip::Outcome::Success,
            duration: Duration::from_millis(1500),
            correlation: correlation(),
        }),
        Event::SipCall(sip::CallEnded {
            outcome: sip::CallOutcome::Answered,
            status: 200,
            caller: alice(),
            correlation: correlation(),
        }),
        Event::SipAuth(sip::Auth {
            result: AuthResult::BadCredentials,
            algorithm: Algorithm::Sha256,
            user: Some(Identity::uri("mallory@example.com")),
            remote,
            correlation: correlation(),
        }),
        Event::SipTimeout(sip::TimerFired { timer: sip::Timer::B, correlation: correlation() }),
        Event::SipUpstream(sip::Upstream {
            upstream: "sip:127.0.0.1:5080".into(),
            result: sip::UpstreamResult::Timeout,
        }),
        Event::SipUpstreamProbed(sip::UpstreamProbed {
            upstream: "sip:127.0.0.1:5080".into(),
            result: sip::ProbeResult::Failed,
            duration: Duration::from_secs(2),
        }),
        Event::SipUpstreamChanged(sip::UpstreamChanged {
            upstream: "sip:127.0.0.1:5080".into(),
            state: sip::UpstreamState::Down,
        }),
        Event::SipShed(sip::Shed {
            urgency: sip::Urgency::Call,
            cause: sip::ShedCause::AccountRate,
            answered: true,
            remote,
            correlation: correlation(),
        }),
        Event::SipOverload(sip::OverloadChanged { level: sip::OverloadLevel::Registrations }),
        Event::CallInfo(sip::CallInfo {
            action: sip::CallInfoAction::Stripped,
            reason: sip::CallInfoReason::Forged,
            correlation: correlation(),
        }),
        Event::Classified(sip::Classified {
            class: sip::NumberClass::Premium,
            number: Identity::number("+14045551234"),
            correlation: correlation(),
        }),
        Event::Cue(sip::Cue {
            kind: sip::CueKind::Header,
            class: sip::NumberClass::Premium,
            number: Identity::number("+14045551234"),
            caller: alice(),
            correlation: correlation(),
        }),
        Event::XmppLink(xmpp::Link {
            component: "cusax.example.com".to_owned(),
            state: LinkState::Lost,
            detail: "192.0.2.9:5347: connection reset".to_owned(),
            retry_in: Some(Duration::from_secs(2)),
        }),
        Event::XmppStanza(xmpp::Stanza {
            direction: Direction::Received,
            kind: StanzaKind::Presence,
            error: Some("forbidden".to_owned()),
            summary: Some("presence standup@conference.example.com/bob visitor".to_owned()),
            correlation: correlation(),
        }),
        Event::XmppDropped(xmpp::Dropped {
            reason: xmpp::DropReason::Restricted,
            detail: "comment from bob@example.com".to_owned(),
        }),
        Event::Room(xmpp::RoomMirror { mirrored: true, room: room(), detail: "" }),
        Event::Moderation(mute()),
        Event::Reconcile(moderation::Reconcile { result: ReconcileResult::Repaired, room: room() }),
        Event::Leg(media::Leg {
            state: LegState::Joined,
            status: None,
            participant: alice(),
            codec: Some("PCMU"),
            correlation: correlation(),
        }),
        Event::Conference(media::Conference { active: true, correlation: correlation() }),
        Event::SipConnection(sip::Connection {
            leg: sip::Leg::Client,
            transport: Transport::Tcp,
            result: sip::ConnectionResult::Accepted,
            remote,
        }),
        Event::TlsHandshake(tls::Handshake {
            aspect: tls::Aspect::Sip,
            side: tls::Side::Server,
            result: tls::HandshakeResult::Ok,
            version: tls::Version::V1_3,
            remote,
            detail: "",
        }),
        Event::SipForwarded(sip::Forwarded { requests: 2, delay: Duration::from_micros(300) }),
        Event::SipReport(sip::Report { transactions: [[1, 2], [0, 4]] }),
        Event::RtpDropped(media::Dropped { reason: media::DropReason::Stranger, packets: 5 }),
        Event::MixerReport(media::Report {
            thread: 0,
            received: [50, 0, 0, 0, 1],
            received_bytes: 8600,
            dropped: [0, 2, 0, 0, 0, 0, 0],
            participants: [1, 2, 0, 0],
            conferences: 1,
            ports: [1, 31],
            ticks,
            ..media::Report::default()
        }),
        Event::Directory(service::Directory {
            state: DirectoryState::Stale,
            accounts: Some(3),
            detail: "two rows for alice@example.com".to_owned(),
        }),
        Event::HttpDropped(service::HttpDropped {
            reason: service::HttpDropReason::Overload,
            detail: "192.0.2.7:40000: closed for a newer one".to_owned(),
        }),
        Event::ConfigReload(service::ConfigReload {
            result: ReloadResult::Applied,
            at: 1_800_000_000,
            needs_restart: vec!["http.listen", "media.ports"],
            detail: "cusax.toml".to_owned(),
        }),
        Event::Lifecycle(service::Lifecycle { stage: Stage::Started, detail: "udp:127.0.0.1:5060".to_owned() }),
    ]
}
