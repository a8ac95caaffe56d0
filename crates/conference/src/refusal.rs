//! Why a call is not let in, and how its caller is told.

use cusax_mixer::NoPort;
use cusax_rtp::sdp;
use cusax_sip::value::quote;
use cusax_xmpp::muc::Failure;

/// Why a call is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such room, and none is made.
    NoRoom,
    /// The caller has no address that could be somebody's.
    NoIdentity,
    /// The component is not connected, and the room's lists are not known.
    Blind,
    /// The room could not be entered.
    Room(Failure),
    /// As many conferences as there may be.
    TooMany,
    /// He is an outcast.
    Banned,
    /// He is no member of a members-only room.
    NoMember,
    /// The room has a password, and he is not in it.
    Password,
    /// The room has as many people as it may have.
    Full,
    /// The body is no session description.
    NotSdp,
    /// Nothing that the focus could answer is offered.
    Media(sdp::Refusal),
    /// No port is left on which his audio could be told from others'.
    Port(NoPort),
}

impl Refusal {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::NoIdentity => 400,
            Self::Banned | Self::NoMember | Self::Password => 403,
            Self::NoRoom | Self::Room(Failure::NotARoom) => 404,
            Self::NotSdp => 415,
            Self::Full => 486,
            Self::Media(_) => 488,
            Self::Blind | Self::Room(_) | Self::TooMany | Self::Port(_) => 503,
        }
    }

    /// Headers that say why (RFC 3261 §20.33, §20.43); `agent` is who warns.
    pub(crate) fn headers(self, agent: &str) -> Vec<(&'static str, String)> {
        let (code, text) = match self {
            Self::NoRoom => (399, "There is no such room".to_owned()),
            Self::NoIdentity => (399, "The caller's address is not one".to_owned()),
            Self::Blind => (399, "The room cannot be asked who may come in".to_owned()),
            Self::Room(failure) => (399, room(failure).to_owned()),
            Self::TooMany => (399, "There are too many conferences".to_owned()),
            Self::Banned => (399, "Banned from the room".to_owned()),
            Self::NoMember => (399, "The room is for members only".to_owned()),
            Self::Password => {
                (399, "The room has a password: enter the room by chat first, then call again".to_owned())
            }
            Self::Full => (399, "The room is full".to_owned()),
            Self::NotSdp => (399, "Only session descriptions are read".to_owned()),
            Self::Media(refusal) => (refusal.warning(), refusal.to_string()),
            Self::Port(no_port) => (399, no_port.to_string()),
        };
        let mut headers = vec![("Warning", format!("{code} {agent} {}", quote(&text)))];
        match self.status() {
            415 => headers.push(("Accept", "application/sdp".to_owned())),
            486 => headers.push(("Retry-After", "60".to_owned())),
            503 => headers.push(("Retry-After", "10".to_owned())),
            _ => {}
        }
        headers
    }
}

const fn room(failure: Failure) -> &'static str {
    match failure {
        Failure::Timeout => "The room did not answer in time",
        Failure::Link => "The link to the room was lost",
        Failure::NotARoom => "That is no chat room",
        Failure::Password => "The focus does not know the room's password",
        Failure::Banned => "The focus is banned from the room",
        Failure::MembersOnly => "The focus is no member of the room",
        Failure::Full => "The room has no place for the focus",
        Failure::Nick => "The focus' nick is taken",
        Failure::NotOwner => "The focus is no owner of the room",
        Failure::TooLarge => "The room is larger than the focus can follow",
        Failure::Refused => "The room refused the focus",
    }
}
