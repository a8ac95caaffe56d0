//! Values that name a person, a place or a room, and therefore never appear in clear above DEBUG.

use std::fmt;
use std::sync::Arc;

crate::closed_enum! {
    /// What an [`Identity`] names; the prefix of its pseudonym.
    IdentityKind {
        /// A SIP, SIPS or tel URI.
        Uri = "uri",
        /// A bare or full JID.
        Jid = "jid",
        /// A telephone number.
        Number = "num",
        /// A network address.
        Address = "addr",
        /// A room or conference.
        Room = "room",
    }
}

/// A clear value that telemetry shows as a keyed pseudonym, masked, or in clear, as configured.
///
/// It has no `Display`, and `Debug` shows its kind only: formatting it by accident reveals nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    kind: IdentityKind,
    clear: Arc<str>,
}

impl Identity {
    /// Wraps a clear value.
    #[must_use]
    pub fn new(kind: IdentityKind, clear: impl Into<Arc<str>>) -> Self {
        Self { kind, clear: clear.into() }
    }

    /// Wraps a SIP, SIPS or tel URI.
    #[must_use]
    pub fn uri(clear: impl Into<Arc<str>>) -> Self {
        Self::new(IdentityKind::Uri, clear)
    }

    /// Wraps a JID.
    #[must_use]
    pub fn jid(clear: impl Into<Arc<str>>) -> Self {
        Self::new(IdentityKind::Jid, clear)
    }

    /// Wraps a telephone number.
    #[must_use]
    pub fn number(clear: impl Into<Arc<str>>) -> Self {
        Self::new(IdentityKind::Number, clear)
    }

    /// Wraps a network address.
    #[must_use]
    pub fn address(clear: impl Into<Arc<str>>) -> Self {
        Self::new(IdentityKind::Address, clear)
    }

    /// Wraps a room or conference name.
    #[must_use]
    pub fn room(clear: impl Into<Arc<str>>) -> Self {
        Self::new(IdentityKind::Room, clear)
    }

    /// What it names.
    #[must_use]
    pub const fn kind(&self) -> IdentityKind {
        self.kind
    }

    /// The clear value: for pseudonyms and the private trace store only.
    #[must_use]
    pub fn clear(&self) -> &str {
        &self.clear
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:…", self.kind)
    }
}
