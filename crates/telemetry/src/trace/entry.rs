//! What a record of the trace tells, for people and programs.

use std::net::SocketAddr;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use crate::identities::{canonical, is_number};
use crate::timestamp;

/// One record of the trace store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Its place in the store, growing with time.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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

impl Lane {
    /// Every lane, each at the place that stands for it in the store.
    pub(super) const ALL: [Self; 7] =
        [Self::Client, Self::Edge, Self::Core, Self::Peer, Self::Focus, Self::Mixer, Self::Room];
}

/// What a record says. Identities are clear.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A SIP response's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// True where the same bytes had passed before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retransmission: bool,
    /// Header lines worth reading.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The transport of a SIP message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// The other side's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<SocketAddr>,
    /// Who is on the other side, by From or To.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// Everybody whom the event names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<String>,
    /// The account's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<i64>,
    /// The session's own half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The other half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_session: Option<String>,
    /// The Call-ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// The conference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conference: Option<String>,
    /// The room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The occupant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occupant: Option<String>,
    /// The focus' leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg: Option<u64>,
    /// The RTP source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssrc: Option<u32>,
}

impl Entry {
    /// What says nothing yet.
    pub(super) fn new(from: Lane, to: Lane) -> Self {
        Self {
            node: String::new(),
            event: String::new(),
            from,
            to,
            text: String::new(),
            method: None,
            status: None,
            retransmission: false,
            notes: Vec::new(),
            transport: None,
            remote: None,
            party: None,
            participants: Vec::new(),
            account: None,
            session: None,
            remote_session: None,
            call_id: None,
            conference: None,
            room: None,
            occupant: None,
            leg: None,
            ssrc: None,
        }
    }

    /// True where it names somebody (a SIP address, JID or number), however that is written.
    #[must_use]
    pub fn names(&self, who: &str) -> bool {
        let who = canonical(who);
        let names = [&self.conference, &self.room, &self.occupant].into_iter().flatten().chain(&self.participants);
        !who.is_empty() && names.into_iter().any(|name| is_named(name, &who))
    }
}

/// Whether `name`, however it is written, is `who` (which is canonical): as it is, without its resource, or as the number
/// in it.
pub(super) fn is_named(name: &str, who: &str) -> bool {
    let name = canonical(name);
    let bare = name.split('/').next().unwrap_or_default();
    let number = bare.split_once('@').map(|(user, _)| user).filter(|user| is_number(user));
    name == who || bare == who || number == Some(who)
}

fn as_rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp::rfc3339(*at))
}
