//! A record of the trace, made from an event.

use std::net::SocketAddr;
use std::time::SystemTime;

use cusax_event::media::LegState;
use cusax_event::moderation::Action;
use cusax_event::{Correlation, Event, Identity, sip};
use serde::{Deserialize, Serialize, Serializer};

use crate::identities::{canonical, is_number};
use crate::{log, timestamp};

/// One row of the trace store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Its place in the store, growing with time: where following goes on.
    pub row: i64,
    /// When it happened (RFC 3339 in JSON).
    #[serde(rename = "time", serialize_with = "as_rfc3339")]
    pub at: SystemTime,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Record {
    /// When it happened, as RFC 3339 in UTC with microseconds.
    #[must_use]
    pub fn time(&self) -> String {
        timestamp::rfc3339(self.at)
    }

    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("its keys are strings and its values finite")
    }
}

/// A place that messages go between: a column of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// A user agent, one column for each remote address.
    Client,
    /// This process' proxy.
    Edge,
    /// The existing SIP servers.
    Core,
    /// Another provider.
    Peer,
    /// The focus, or another user agent inside this process.
    Focus,
    /// The mixer.
    Mixer,
    /// The XMPP server's room.
    Room,
}

/// What a record says. Identities are clear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The node that saw it.
    pub node: String,
    /// The event's stable name.
    pub event: String,
    /// Where it came from.
    pub from: Lane,
    /// Where it went; the same lane where it stayed.
    pub to: Lane,
    /// A SIP message's first line, a stanza's summary, or what was decided.
    pub text: String,
    /// A SIP message's method (of the request, or of the request that it answers).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A SIP response's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// True where the same bytes had passed before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retransmission: bool,
    /// Header lines worth reading.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The transport of a SIP message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// The other side's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<SocketAddr>,
    /// Who is on the other side, by From or To.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// Everybody whom the event names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<String>,
    /// The account's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<i64>,
    /// The session's own half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The other half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_session: Option<String>,
    /// The Call-ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// The conference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conference: Option<String>,
    /// The room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The occupant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupant: Option<String>,
    /// The focus' leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<u64>,
    /// The RTP source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssrc: Option<u32>,
}

/// What a record can be found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Session,
    Call,
    Name,
}

impl Key {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Call => "call",
            Self::Name => "name",
        }
    }
}

impl Entry {
    /// What the trace tells of an event; `None` for what belongs to no call, person or room.
    pub(super) fn of(node: &str, event: &Event) -> Option<Self> {
        let entry = |from, to, text: String, correlation: &Correlation, named: &[&Option<Identity>]| {
            Self::new(node, event, from, to, text, correlation, named)
        };
        let made = match event {
            Event::SipMessage(it) => Self::of_message(node, event, it),
            Event::SipCall(it) => {
                let text = format!("call {} ({})", it.outcome, it.status);
                entry(Lane::Edge, Lane::Edge, text, &it.correlation, &[&it.caller])
            }
            Event::SipAuth(it) => {
                let text = match it.algorithm {
                    sip::Algorithm::Certificate => format!("certificate {}", it.result),
                    sip::Algorithm::Md5
                    | sip::Algorithm::Sha256
                    | sip::Algorithm::Sha512_256
                    | sip::Algorithm::None => {
                        format!("digest {} {}", it.algorithm, it.result)
                    }
                };
                entry(Lane::Edge, Lane::Edge, text, &it.correlation, &[&it.user])
            }
            Event::SipTimeout(it) => {
                entry(Lane::Edge, Lane::Edge, format!("timer {} fired", it.timer), &it.correlation, &[])
            }
            Event::CallInfo(it) => {
                let text = format!("Call-Info impp {}: {}", it.action, it.reason);
                entry(Lane::Edge, Lane::Edge, text, &it.correlation, &[])
            }
            Event::Classified(it) => {
                let text = format!("{} is {}", it.number.clear(), it.class);
                entry(Lane::Edge, Lane::Edge, text, &it.correlation, &[&Some(it.number.clone())])
            }
            Event::Cue(it) => {
                let text = format!("cue: {} ({})", it.kind, it.class);
                let named = [&it.caller, &Some(it.number.clone())];
                entry(Lane::Edge, Lane::Edge, text, &it.correlation, &named)
            }
            Event::XmppStanza(it) => {
                let (from, to) = match it.direction {
                    sip::Direction::Received => (Lane::Room, Lane::Focus),
                    sip::Direction::Sent => (Lane::Focus, Lane::Room),
                };
                let mut text = it.summary.clone().unwrap_or_else(|| it.kind.to_string());
                if let Some(condition) = &it.error {
                    text = format!("{text} error {condition}");
                }
                entry(from, to, text, &it.correlation, &[])
            }
            Event::Room(it) => {
                let did = if it.mirrored { "focus enters" } else { "focus leaves" };
                let correlation = Correlation { room: Some(it.room.clone()), ..Correlation::default() };
                entry(Lane::Focus, Lane::Room, format!("{did} {}", it.detail).trim_end().to_owned(), &correlation, &[])
            }
            Event::Reconcile(it) => {
                let correlation = Correlation { room: Some(it.room.clone()), ..Correlation::default() };
                entry(Lane::Room, Lane::Focus, format!("reconcile {}", it.result), &correlation, &[])
            }
            Event::Moderation(it) => {
                let to = match it.action {
                    Action::Mute | Action::Unmute => Lane::Mixer,
                    Action::Kick | Action::Ban | Action::Unban | Action::Admission | Action::End => Lane::Focus,
                };
                let mut text = format!("{} {}", it.action, it.result);
                if let Some(delay) = it.delay {
                    text = format!("{text} in {:.1} ms", delay.as_secs_f64() * 1e3);
                }
                let mut made = entry(Lane::Room, to, text, &it.correlation, &[&it.actor]);
                let actor = it.actor.as_ref().map(|actor| format!("by {}", actor.clear()));
                let reason = it.reason.as_ref().map(|reason| format!("reason: {reason}"));
                made.notes.extend(actor.into_iter().chain(reason));
                made
            }
            Event::Leg(it) => {
                let to = match it.state {
                    LegState::Joined | LegState::Departed | LegState::Booted | LegState::Failed => Lane::Mixer,
                    LegState::Refused => Lane::Focus,
                };
                let mut text = format!("leg {}", it.state);
                if let Some(status) = it.status {
                    text = format!("{text} {status}");
                }
                if let Some(codec) = it.codec {
                    text = format!("{text} {codec}");
                }
                entry(Lane::Focus, to, text, &it.correlation, &[&it.participant])
            }
            Event::Conference(it) => {
                let text = if it.active { "conference begins" } else { "conference ends" };
                entry(Lane::Focus, Lane::Focus, text.to_owned(), &it.correlation, &[])
            }
            Event::SipDropped(_) | Event::SipTransaction(_) | Event::SipUpstream(_) | Event::XmppLink(_) => {
                return None;
            }
            Event::SipUpstreamProbed(_) | Event::SipUpstreamChanged(_) => return None,
            Event::SipShed(_) | Event::SipOverload(_) => return None,
            Event::SipConnection(_) | Event::TlsHandshake(_) => return None,
            Event::SipForwarded(_) | Event::SipReport(_) => return None,
            Event::XmppDropped(_) | Event::RtpDropped(_) | Event::MixerReport(_) => return None,
            Event::Directory(_) | Event::HttpDropped(_) => return None,
            Event::ConfigReload(_) | Event::Lifecycle(_) => return None,
        };
        (!made.keys().is_empty()).then_some(made)
    }

    fn of_message(node: &str, event: &Event, it: &sip::Message) -> Self {
        let other = match it.leg {
            sip::Leg::Client => Lane::Client,
            sip::Leg::Upstream => Lane::Core,
            sip::Leg::Peer => Lane::Peer,
            sip::Leg::Internal => Lane::Focus,
        };
        let received = it.direction == sip::Direction::Received;
        let (from, to) = if received { (other, Lane::Edge) } else { (Lane::Edge, other) };
        let text = match (&it.summary, it.status) {
            (Some(summary), _) => summary.first_line.to_string(),
            (None, Some(status)) => format!("SIP/2.0 {status}"),
            (None, None) => it.method.to_string(),
        };
        let mut made = Self::new(node, event, from, to, text, &it.correlation, &[]);
        made.method = Some(it.method.to_string());
        made.status = it.status;
        made.retransmission = it.retransmission;
        made.transport = Some(it.transport.to_string());
        made.remote = Some(it.remote);
        if let Some(summary) = &it.summary {
            // A request comes from its From, its responses from its To.
            let at_from = received == it.status.is_none();
            made.party = Some(if at_from { &summary.from } else { &summary.to }.clear().to_owned());
            made.participants = vec![summary.from.clear().to_owned(), summary.to.clear().to_owned()];
            made.notes = summary.notes.iter().filter(|note| !is_secret(note)).map(|note| note.to_string()).collect();
        }
        made
    }

    fn new(
        node: &str,
        event: &Event,
        from: Lane,
        to: Lane,
        text: String,
        correlation: &Correlation,
        named: &[&Option<Identity>],
    ) -> Self {
        let clear = |identity: &Option<Identity>| identity.as_ref().map(|identity| identity.clear().to_owned());
        Self {
            node: node.to_owned(),
            event: log::name(event).to_owned(),
            from,
            to,
            text,
            method: None,
            status: None,
            retransmission: false,
            notes: Vec::new(),
            transport: None,
            remote: None,
            party: None,
            participants: named.iter().filter_map(|identity| clear(identity)).collect(),
            account: correlation.account,
            session: correlation.session.map(|session| session.to_string()),
            remote_session: correlation.remote_session.map(|session| session.to_string()),
            call_id: correlation.call_id.as_deref().map(str::to_owned),
            conference: clear(&correlation.conference),
            room: clear(&correlation.room),
            occupant: clear(&correlation.occupant),
            leg: correlation.leg.map(|leg| leg.0),
            ssrc: correlation.ssrc,
        }
    }

    /// True where it names somebody (a SIP address, JID or number), however that is written.
    #[must_use]
    pub fn names(&self, who: &str) -> bool {
        self.keys().contains(&(Key::Name, canonical(who)))
    }

    /// What this record can be found by, each once.
    pub(super) fn keys(&self) -> Vec<(Key, String)> {
        let sessions = [&self.session, &self.remote_session].into_iter().flatten();
        let names = [&self.conference, &self.room, &self.occupant].into_iter().flatten().chain(&self.participants);
        let mut keys: Vec<(Key, String)> = sessions
            .map(|session| (Key::Session, session.clone()))
            .chain(self.call_id.iter().map(|call| (Key::Call, call.clone())))
            .chain(names.flat_map(|name| names_of(name)).map(|name| (Key::Name, name)))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// A name as it is, without its resource, and the number in it.
fn names_of(name: &str) -> Vec<String> {
    let name = canonical(name);
    let bare = name.split('/').next().unwrap_or_default().to_owned();
    let number = bare.split_once('@').map(|(user, _)| user.to_owned()).filter(|user| is_number(user));
    [name, bare].into_iter().chain(number).filter(|name| !name.is_empty()).collect()
}

/// Credentials have no place in a trace, whoever noted them.
fn is_secret(note: &str) -> bool {
    let header = note.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(
        header.as_str(),
        "authorization" | "proxy-authorization" | "www-authenticate" | "proxy-authenticate" | "authentication-info"
    )
}

fn as_rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp::rfc3339(*at))
}
