//! From an event to the bytes of its record, and from these to what is told of it.

use std::fmt;
use std::time::SystemTime;

use cusax_event::media::LegState;
use cusax_event::moderation::Action;
use cusax_event::{Correlation, Event, Identity, sip};

use super::entry::{Entry, Lane, Record};
use super::fields::{self, Tag, Writer};
use crate::{log, timestamp};

/// A record that is to be written.
pub(super) struct Draft<'a> {
    pub(super) node: &'a str,
    pub(super) clock: fn() -> SystemTime,
    pub(super) event: &'a Event,
    /// What it is appended to.
    pub(super) out: &'a mut Vec<u8>,
}

impl<'a> Draft<'a> {
    /// Appends the record of the event; false for what belongs to no call, person or room.
    ///
    /// It runs on the threads that calls run on: it makes no String, and what it does not need it does not touch.
    pub(super) fn write(self) -> bool {
        let nobody = Correlation::default;
        let entry = match self.event {
            Event::SipMessage(it) => self.message(it),
            Event::SipCall(it) => self
                .begin(Lane::Edge, Lane::Edge, &it.correlation)
                .saying(format_args!("call {} ({})", it.outcome, it.status))
                .naming(it.caller.as_ref()),
            Event::SipAuth(it) => {
                let entry = self.begin(Lane::Edge, Lane::Edge, &it.correlation);
                let entry = match it.algorithm {
                    sip::Algorithm::Certificate => entry.saying(format_args!("certificate {}", it.result)),
                    sip::Algorithm::Md5
                    | sip::Algorithm::Sha256
                    | sip::Algorithm::Sha512_256
                    | sip::Algorithm::None => entry.saying(format_args!("digest {} {}", it.algorithm, it.result)),
                };
                entry.naming(it.user.as_ref())
            }
            Event::SipTimeout(it) => {
                self.begin(Lane::Edge, Lane::Edge, &it.correlation).saying(format_args!("timer {} fired", it.timer))
            }
            Event::CallInfo(it) => self
                .begin(Lane::Edge, Lane::Edge, &it.correlation)
                .saying(format_args!("Call-Info impp {}: {}", it.action, it.reason)),
            Event::Classified(it) => self
                .begin(Lane::Edge, Lane::Edge, &it.correlation)
                .saying(format_args!("{} is {}", it.number.clear(), it.class))
                .naming(Some(&it.number)),
            Event::Cue(it) => self
                .begin(Lane::Edge, Lane::Edge, &it.correlation)
                .saying(format_args!("cue: {} ({})", it.kind, it.class))
                .naming(it.caller.as_ref())
                .naming(Some(&it.number)),
            Event::XmppStanza(it) => {
                let (from, to) = match it.direction {
                    sip::Direction::Received => (Lane::Room, Lane::Focus),
                    sip::Direction::Sent => (Lane::Focus, Lane::Room),
                };
                let text = it.summary.as_deref().unwrap_or(it.kind.as_str());
                let entry = self.begin(from, to, &it.correlation);
                match &it.error {
                    Some(condition) => entry.saying(format_args!("{text} error {condition}")),
                    None => entry.saying(format_args!("{text}")),
                }
            }
            Event::Room(it) => {
                let did = if it.mirrored { "focus enters" } else { "focus leaves" };
                let space = if it.detail.is_empty() { "" } else { " " };
                self.begin(Lane::Focus, Lane::Room, &nobody())
                    .saying(format_args!("{did}{space}{}", it.detail))
                    .name(Tag::Room, it.room.clear())
            }
            Event::Reconcile(it) => self
                .begin(Lane::Room, Lane::Focus, &nobody())
                .saying(format_args!("reconcile {}", it.result))
                .name(Tag::Room, it.room.clear()),
            Event::Moderation(it) => {
                let to = match it.action {
                    Action::Mute | Action::Unmute => Lane::Mixer,
                    Action::Kick | Action::Ban | Action::Unban | Action::Admission | Action::End => Lane::Focus,
                };
                let entry = self.begin(Lane::Room, to, &it.correlation);
                let entry = match it.delay.map(|delay| delay.as_secs_f64() * 1e3) {
                    Some(delay) => entry.saying(format_args!("{} {} in {delay:.1} ms", it.action, it.result)),
                    None => entry.saying(format_args!("{} {}", it.action, it.result)),
                };
                let mut entry = entry.naming(it.actor.as_ref());
                if let Some(actor) = &it.actor {
                    entry.format(Tag::Note, format_args!("by {}", actor.clear()));
                }
                if let Some(reason) = &it.reason {
                    entry.format(Tag::Note, format_args!("reason: {reason}"));
                }
                entry
            }
            Event::Leg(it) => {
                let to = match it.state {
                    LegState::Joined | LegState::Departed | LegState::Booted | LegState::Failed => Lane::Mixer,
                    LegState::Refused => Lane::Focus,
                };
                let status = it.status.map(|status| format!(" {status}")).unwrap_or_default();
                let codec = it.codec.map(|codec| format!(" {codec}")).unwrap_or_default();
                self.begin(Lane::Focus, to, &it.correlation)
                    .saying(format_args!("leg {}{status}{codec}", it.state))
                    .naming(it.participant.as_ref())
            }
            Event::Conference(it) => {
                let text = if it.active { "conference begins" } else { "conference ends" };
                self.begin(Lane::Focus, Lane::Focus, &it.correlation).saying(format_args!("{text}"))
            }
            Event::SipDropped(_) | Event::SipTransaction(_) | Event::SipUpstream(_) | Event::XmppLink(_) => {
                return false;
            }
            Event::SipUpstreamProbed(_) | Event::SipUpstreamChanged(_) => return false,
            Event::SipShed(_) | Event::SipOverload(_) => return false,
            Event::SipConnection(_) | Event::TlsHandshake(_) => return false,
            Event::SipForwarded(_) | Event::SipReport(_) => return false,
            Event::XmppDropped(_) | Event::RtpDropped(_) | Event::MixerReport(_) => return false,
            Event::Directory(_) | Event::HttpDropped(_) => return false,
            Event::ConfigReload(_) | Event::Lifecycle(_) => return false,
        };
        entry.findable
    }

    fn message(self, it: &sip::Message) -> Writer<'a> {
        let other = match it.leg {
            sip::Leg::Client => Lane::Client,
            sip::Leg::Upstream => Lane::Core,
            sip::Leg::Peer => Lane::Peer,
            sip::Leg::Internal => Lane::Focus,
        };
        let (from, to) = match it.direction {
            sip::Direction::Received => (other, Lane::Edge),
            sip::Direction::Sent => (Lane::Edge, other),
        };
        let mut entry = self.begin(from, to, &it.correlation);
        match (&it.summary, it.status) {
            (Some(summary), _) => entry.text(Tag::Text, &summary.first_line),
            (None, Some(status)) => entry.format(Tag::Text, format_args!("SIP/2.0 {status}")),
            (None, None) => entry.text(Tag::Text, it.method.as_str()),
        }
        entry.text(Tag::Method, it.method.as_str());
        if let Some(status) = it.status {
            entry.bytes(Tag::Status, &status.to_le_bytes());
        }
        if it.retransmission {
            entry.bytes(Tag::Retransmission, &[]);
        }
        entry.text(Tag::Transport, it.transport.as_str());
        entry.address(Tag::Remote, it.remote);
        if let Some(summary) = &it.summary {
            entry.text(Tag::Participant, summary.from.clear());
            entry.text(Tag::Participant, summary.to.clear());
            for note in summary.notes.iter().filter(|note| !is_secret(note)).take(NOTES) {
                entry.text(Tag::Note, note);
            }
        }
        entry
    }

    fn begin(self, from: Lane, to: Lane, correlation: &Correlation) -> Writer<'a> {
        let mut entry = Writer::new(self.out, timestamp::micros((self.clock)()), from, to);
        entry.text(Tag::Node, self.node);
        entry.text(Tag::Event, log::name(self.event));
        if let Some(account) = correlation.account {
            entry.bytes(Tag::Account, &account.to_le_bytes());
        }
        let sessions = [(Tag::Session, correlation.session), (Tag::RemoteSession, correlation.remote_session)];
        for (tag, session) in sessions {
            if let Some(session) = session {
                entry.bytes(tag, &session.bytes());
            }
        }
        if let Some(call_id) = &correlation.call_id {
            entry.text(Tag::CallId, call_id);
        }
        let names = [
            (Tag::Conference, &correlation.conference),
            (Tag::Room, &correlation.room),
            (Tag::Occupant, &correlation.occupant),
        ];
        for (tag, name) in names {
            if let Some(name) = name {
                entry = entry.name(tag, name.clear());
            }
        }
        if let Some(leg) = correlation.leg {
            entry.bytes(Tag::Leg, &leg.0.to_le_bytes());
        }
        if let Some(ssrc) = correlation.ssrc {
            entry.bytes(Tag::Ssrc, &ssrc.to_le_bytes());
        }
        entry
    }
}

impl Writer<'_> {
    fn saying(mut self, text: fmt::Arguments<'_>) -> Self {
        self.format(Tag::Text, text);
        self
    }

    fn naming(self, identity: Option<&Identity>) -> Self {
        match identity {
            Some(identity) => self.name(Tag::Participant, identity.clear()),
            None => self,
        }
    }

    /// A name, unless it is empty: by that nothing could be found.
    fn name(mut self, tag: Tag, name: &str) -> Self {
        if !name.is_empty() {
            self.text(tag, name);
        }
        self
    }
}

impl Record {
    /// What bytes from the store tell; `None` where they are no record.
    pub(super) fn read(row: i64, bytes: &[u8]) -> Option<Self> {
        let (micros, from, to, fields) = fields::read(bytes)?;
        let mut entry = Entry::new(from, to);
        for (tag, value) in fields {
            let text = || String::from_utf8_lossy(value).into_owned();
            match tag {
                Tag::Node => entry.node = text(),
                Tag::Event => entry.event = text(),
                Tag::Text => entry.text = text(),
                Tag::Method => entry.method = Some(text()),
                Tag::Status => entry.status = value.try_into().ok().map(u16::from_le_bytes),
                Tag::Retransmission => entry.retransmission = true,
                Tag::Note => entry.notes.push(text()),
                Tag::Transport => entry.transport = Some(text()),
                Tag::Remote => entry.remote = fields::address(value),
                Tag::Participant => entry.participants.push(text()),
                Tag::Account => entry.account = value.try_into().ok().map(i64::from_le_bytes),
                Tag::Session => entry.session = Some(hex(value)),
                Tag::RemoteSession => entry.remote_session = Some(hex(value)),
                Tag::CallId => entry.call_id = Some(text()),
                Tag::Conference => entry.conference = Some(text()),
                Tag::Room => entry.room = Some(text()),
                Tag::Occupant => entry.occupant = Some(text()),
                Tag::Leg => entry.leg = value.try_into().ok().map(u64::from_le_bytes),
                Tag::Ssrc => entry.ssrc = value.try_into().ok().map(u32::from_le_bytes),
            }
        }
        if let (Some(_), [from, to]) = (&entry.method, entry.participants.as_slice()) {
            // A request comes from its From, its responses from its To.
            let at_from = (entry.to == Lane::Edge) == entry.status.is_none();
            entry.party = Some(if at_from { from } else { to }.clone());
        }
        Some(Self { row, at: timestamp::from_micros(micros), entry })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Credentials have no place in a trace, whoever noted them.
fn is_secret(note: &str) -> bool {
    let header = note.split(':').next().unwrap_or_default().trim();
    SECRET.iter().any(|secret| header.eq_ignore_ascii_case(secret))
}

const SECRET: [&str; 5] =
    ["authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info"];

/// Notes that are kept of one message.
const NOTES: usize = 32;
