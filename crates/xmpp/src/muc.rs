//! Multi-user chat (XEP-0045 v1.35): the view that the focus has of a room, and what moderators and owners send.

pub mod admin;
mod affiliations;
mod configuration;
mod event;
mod occupants;
pub mod owner;
mod room;
mod user;

pub use configuration::RoomConfig;
pub use event::{Cause, Departure, Failure, Moderation, RoomEvent};
pub use occupants::Occupant;
pub use room::{Config, Limits, Link, Output, Room, Standing};
pub use user::{Actor, Destroy, Item, UserInfo};

use crate::secret::Secret;
use crate::{Element, ns};

cusax_event::closed_enum! {
    /// What an occupant may do now (XEP-0045 §5.1), the most restricted first.
    Role {
        /// Not in the room.
        None = "none",
        /// May listen.
        Visitor = "visitor",
        /// May speak.
        Participant = "participant",
        /// May moderate.
        Moderator = "moderator",
    }
}

cusax_event::closed_enum! {
    /// What a user is to the room for good (XEP-0045 §5.2), the least first.
    Affiliation {
        /// Banned.
        Outcast = "outcast",
        /// Nothing.
        None = "none",
        /// On the list of a members-only room.
        Member = "member",
        /// May ban and make members.
        Admin = "admin",
        /// May do everything.
        Owner = "owner",
    }
}

impl Role {
    /// Reads the value of a `role` attribute.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == text)
    }
}

impl Affiliation {
    /// Reads the value of an `affiliation` attribute.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|affiliation| affiliation.as_str() == text)
    }
}

/// The presence that enters a room, without its history (XEP-0045 §7.2); `to` is the occupant JID.
#[must_use]
pub fn enter(to: &crate::Jid, password: Option<&Secret>) -> Element {
    let mut x = Element::new(ns::MUC, "x").with_child(Element::new(ns::MUC, "history").with_attr("maxstanzas", "0"));
    if let Some(password) = password {
        x = x.with_child(Element::new(ns::MUC, "password").with_text(password.expose()));
    }
    Element::presence().with_attr("to", to.as_str()).with_child(x)
}

/// The presence that leaves a room (XEP-0045 §7.14).
#[must_use]
pub fn leave(to: &crate::Jid) -> Element {
    Element::presence().with_attr("to", to.as_str()).with_attr("type", "unavailable")
}
