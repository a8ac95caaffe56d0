//! What the focus wants done or known.

use cusax_event::Event;
use cusax_mixer::Command;
use cusax_sip::Transmit;
use cusax_sip::ua::CallHandle;
use cusax_xmpp::{BareJid, Element};

use crate::{Restricted, Restriction};

/// A caller whose account is asked for; never valid for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query(pub(crate) CallHandle);

/// Which account is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountKey {
    /// The one with this user in our domain.
    User(String),
    /// The one with this number in E.164.
    Number(String),
}

/// What the focus knows of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id in the directory.
    pub id: i64,
    /// Its JID; without one, the account is known by its SIP address.
    pub jid: Option<BareJid>,
}

/// What the focus wants done or known.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "an output is moved once; a box would cost an allocation for each")]
pub enum Output {
    /// A SIP message to send.
    Sip(Transmit),
    /// A stanza to send; it has `from` and `to`.
    Stanza(Element),
    /// A command for the mixer.
    Mixer(Command),
    /// An account to look up; the answer goes to [`Conferences::handle_account`](crate::Conferences::handle_account).
    Account {
        /// The caller who waits.
        query: Query,
        /// Which account.
        key: AccountKey,
    },
    /// A restriction to keep over a restart.
    Restrict(Restricted),
    /// A restriction that is no more.
    Lift {
        /// The room.
        room: BareJid,
        /// Whose; `None`: everybody's.
        jid: Option<BareJid>,
        /// Which.
        restriction: Restriction,
    },
    /// Something happened.
    Event(Event),
}
