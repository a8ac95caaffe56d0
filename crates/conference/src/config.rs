//! What an operator says about conferences, in the form that the focus works with.

use std::net::IpAddr;

use cusax_mixer::PortId;
use cusax_rtp::Codec;
use cusax_xmpp::{BareJid, Jid};

/// Everything that the focus is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Domain of the addresses of record: whom the edge asserts in it has an account.
    pub domain: String,
    /// Conference domains, each with its MUC service.
    pub conferences: Vec<Domain>,
    /// The full JID by which the focus enters rooms; its domain is the component's.
    pub focus: Jid,
    /// Its nick there.
    pub nick: String,
    /// The mixer's end.
    pub media: Media,
    /// Name in User-Agent and Server.
    pub name: String,
    /// Restrictions that were kept over a restart.
    pub restrictions: Vec<Restricted>,
}

/// A conference domain: `sip:room@domain` and `xmpp:room@rooms` are one meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// SIP domain of the conferences.
    pub domain: String,
    /// The MUC service whose rooms they are.
    pub rooms: BareJid,
    /// What a call to a room that does not exist gets.
    pub create: Create,
    /// Whether visitors are silent in rooms that are not moderated.
    pub mute_visitors_in_unmoderated_rooms: bool,
}

/// What a call to a room that does not exist gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// 404.
    WithRoom,
    /// A conference that nobody moderates, until there is a room of its name.
    Always,
}

/// One media thread, as the control plane sees it.
#[derive(Clone, Debug)]
pub struct Media {
    /// Where participants send to.
    pub address: IpAddr,
    /// The thread's ports; an id is the port's number.
    pub ports: Vec<PortId>,
    /// Codecs that are spoken, the preferred first.
    pub codecs: Vec<Codec>,
    /// Legs that the thread takes.
    pub legs: usize,
}

/// How somebody is restricted in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Restriction {
    /// May not come in.
    Ban,
    /// May listen, not speak.
    Mute,
}

/// A restriction of somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restricted {
    /// The room.
    pub room: BareJid,
    /// Who; a ban may be of a whole domain.
    pub jid: BareJid,
    /// How.
    pub restriction: Restriction,
}
