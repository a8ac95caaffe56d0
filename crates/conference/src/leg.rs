//! A leg: one person's call with a conference.

use std::sync::Arc;

use cusax_event::{LegId, SessionId};
use cusax_mixer::{ConferenceId, Seat, Signalling};
use cusax_rtp::Codec;
use cusax_rtp::sdp::Session;
use cusax_sip::ua::{CallHandle, SentHandle};
use cusax_xmpp::BareJid;

use crate::decision::Decision;
use crate::media::Description;

/// Who is on the other side of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Participant {
    /// What he is called in the room.
    pub(crate) jid: BareJid,
    /// His account.
    pub(crate) account: Option<i64>,
}

/// How far offer and answer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Our offer waits for the answer in the ACK; the leg is in the mixer if an earlier one was agreed.
    Offering {
        /// True where an earlier description was agreed.
        mixed: bool,
    },
    /// It is in the mixer.
    Mixed,
    /// It is out of the mixer, and ends.
    Leaving,
}

#[derive(Clone, Debug)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) conference: ConferenceId,
    pub(crate) call: CallHandle,
    pub(crate) participant: Participant,
    pub(crate) call_id: Arc<str>,
    /// The other side's half of the Session-ID.
    pub(crate) remote_session: Option<SessionId>,
    pub(crate) ssrc: u32,
    pub(crate) seat: Seat,
    pub(crate) signalling: Signalling,
    pub(crate) ours: Description,
    /// What the other side described last.
    pub(crate) theirs: Option<Session>,
    pub(crate) codec: Option<Codec>,
    pub(crate) stage: Stage,
    pub(crate) muted: bool,
    /// True where he is muted only because he was never in a room that gives newcomers no voice.
    pub(crate) by_default: bool,
    /// The request that asks whether there is still anybody.
    pub(crate) probe: Option<SentHandle>,
    /// By which status it is known that there is nobody.
    pub(crate) gone: Option<u16>,
    /// Why we ended it, told when its BYE is sent.
    pub(crate) ended_by: Option<Decision>,
}

impl Leg {
    pub(crate) const fn is_mixed(&self) -> bool {
        matches!(self.stage, Stage::Mixed | Stage::Offering { mixed: true })
    }

    pub(crate) const fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Leaving)
    }
}
