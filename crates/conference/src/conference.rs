//! One conference: a room, its mirror, and who is in the call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use cusax_event::{Correlation, Identity, LegId, SessionId};
use cusax_mixer::ConferenceId;
use cusax_sip::ua::CallHandle;
use cusax_sip::uri::escape_user;
use cusax_xmpp::BareJid;
use cusax_xmpp::jid::unescape_localpart;

use crate::config::Domain;
use crate::leg::Leg;
use crate::mirror::Mirror;
use crate::policy::Rules;

/// How far the room is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing is known yet: callers wait.
    Entering,
    /// Its lists are known, or it is known that there is none.
    Open,
    /// It was destroyed: the last legs leave, and nobody comes in.
    Over,
}

pub(crate) struct Conference {
    pub(crate) id: ConferenceId,
    pub(crate) domain: Arc<Domain>,
    /// `room@domain`, as in its URI.
    pub(crate) name: Arc<str>,
    /// The focus' half of every leg's Session-ID.
    pub(crate) session: SessionId,
    pub(crate) mirror: Mirror,
    pub(crate) stage: Stage,
    pub(crate) legs: BTreeSet<LegId>,
    /// Callers who wait for the room, or for their account.
    pub(crate) arrivals: BTreeSet<CallHandle>,
    /// True once somebody was in the call.
    pub(crate) active: bool,
    /// True once the focus was in the room.
    pub(crate) mirrored: bool,
    /// What the room asked of who comes in, when last looked at.
    pub(crate) rules: Rules,
    /// When a change of the room's configuration was received whose lists are not read yet, and whether nobody told.
    pub(crate) reconfigured: Option<(Instant, bool)>,
    /// When it ends, nobody being in the call.
    pub(crate) linger: Option<Instant>,
}

impl Conference {
    /// The Contact of the focus (RFC 4579 §5.1).
    pub(crate) fn contact(&self) -> String {
        contact(&self.name)
    }

    pub(crate) const fn room(&self) -> &BareJid {
        self.mirror.name()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.legs.is_empty() && self.arrivals.is_empty()
    }

    /// What joins its events, of somebody in the room.
    pub(crate) fn correlation(&self, occupant: Option<Identity>) -> Correlation {
        Correlation {
            session: Some(self.session),
            conference: Some(Identity::room(Arc::clone(&self.name))),
            room: Some(Identity::room(self.room().as_str())),
            occupant,
            ..Correlation::default()
        }
    }

    /// What joins the events of a leg.
    pub(crate) fn correlation_of(&self, leg: &Leg) -> Correlation {
        Correlation {
            account: leg.participant.account,
            remote_session: leg.remote_session,
            call_id: Some(Arc::clone(&leg.call_id)),
            leg: Some(leg.id),
            ssrc: Some(leg.ssrc),
            ..self.correlation(Some(Identity::jid(leg.participant.jid.as_str())))
        }
    }
}

/// The name of a room's conference: the user part that the room's localpart stands for, at the conference domain.
pub(crate) fn name(room: &BareJid, domain: &Domain) -> String {
    let user = unescape_localpart(room.localpart().unwrap_or_default());
    format!("{}@{}", escape_user(&user), domain.domain)
}

/// The Contact of a focus.
pub(crate) fn contact(name: &str) -> String {
    format!("<sip:{name}>;isfocus")
}
