//! What happened on the XMPP side.

use std::time::Duration;

use crate::{Correlation, Identity, closed_enum};

closed_enum! {
    /// How a component connection came out.
    LinkState {
        /// The handshake was accepted.
        Connected = "connected",
        /// The server refused the secret or the name.
        Refused = "refused",
        /// The connection was lost or could not be made.
        Lost = "lost",
    }
}

/// The component stream came up or went down.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The component's domain.
    pub component: String,
    /// What happened.
    pub state: LinkState,
    /// Why, where the server or the system said.
    pub detail: String,
    /// When the next attempt is due.
    pub retry_in: Option<Duration>,
}

closed_enum! {
    /// Kind of a stanza.
    StanzaKind {
        /// `<iq/>`
        Iq = "iq",
        /// `<message/>`
        Message = "message",
        /// `<presence/>`
        Presence = "presence",
    }
}

/// A stanza passed the component stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Stanza {
    /// In or out.
    pub direction: crate::sip::Direction,
    /// Kind.
    pub kind: StanzaKind,
    /// The defined condition of an error stanza.
    pub error: Option<String>,
    /// For the trace: what a ladder shows; bodies never.
    pub summary: Option<String>,
    /// Identifiers.
    pub correlation: Correlation,
}

closed_enum! {
    /// Why bytes or a stanza were dropped.
    DropReason {
        /// XML that XMPP forbids (RFC 6120 §11.1): DTD, comment, processing instruction, entity.
        Restricted = "restricted",
        /// Not well-formed, or a namespace prefix that is not bound.
        Malformed = "malformed",
        /// Larger or deeper than allowed.
        TooLarge = "too_large",
        /// Addressed to nobody here.
        Misaddressed = "misaddressed",
        /// A kind of stanza or payload that nothing here takes.
        Unhandled = "unhandled",
        /// A bounded queue was full.
        QueueFull = "queue_full",
        /// The stream is down.
        Disconnected = "disconnected",
    }
}

/// Bytes or a stanza were dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// Why.
    pub reason: DropReason,
    /// What was wrong, for the log at DEBUG.
    pub detail: String,
}

/// A room was mirrored or let go.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomMirror {
    /// True when the focus entered; false when it left.
    pub mirrored: bool,
    /// The room.
    pub room: Identity,
    /// Why it ended, where it did.
    pub detail: &'static str,
}
