//! What a room says about its users (`muc#user`, XEP-0045 §15.2), read leniently: real servers leave out what the
//! schema requires.

use std::collections::BTreeSet;

use super::{Affiliation, Departure, Role};
use crate::{BareJid, Element, Jid, ns};

/// Items and statuses of one stanza that are read; what is beyond is no longer a room.
const ITEMS: usize = 64;

/// The `<x xmlns='…muc#user'/>` of a stanza.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// Status codes, known or not (XEP-0045 §15.6).
    pub statuses: BTreeSet<u16>,
    /// One for each session of an occupant, or for a user who is not there.
    pub items: Vec<Item>,
    /// The room is destroyed.
    pub destroy: Option<Destroy>,
    /// True where an item names somebody by what is no JID: he cannot be told from others.
    pub nameless: bool,
}

/// One user or session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Affiliation.
    pub affiliation: Option<Affiliation>,
    /// Role; missing in what is said about absent users.
    pub role: Option<Role>,
    /// The real JID: full, bare, or of a domain.
    pub jid: Option<Jid>,
    /// The new nick (status 303).
    pub nick: Option<String>,
    /// Who did it.
    pub actor: Option<Actor>,
    /// Why.
    pub reason: Option<String>,
}

/// Who did it, as far as the server says: Prosody nick and JID, ejabberd the nick of kicks and bans only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// His nick.
    pub nick: Option<String>,
    /// His real JID, which may be a bare domain.
    pub jid: Option<Jid>,
}

/// The end of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destroy {
    /// Where to go instead.
    pub alternate: Option<BareJid>,
    /// Why.
    pub reason: Option<String>,
}

impl UserInfo {
    /// Reads it from a stanza.
    #[must_use]
    pub fn of(stanza: &Element) -> Option<Self> {
        let x = stanza.child(ns::MUC_USER, "x")?;
        let named = |name: &'static str| x.children().filter(move |child| child.is(ns::MUC_USER, name)).take(ITEMS);
        let is_jid = |item: &Element| item.attr("jid").is_none_or(|jid| jid.parse::<Jid>().is_ok());
        Some(Self {
            nameless: !named("item").all(is_jid),
            statuses: named("status").filter_map(|status| status.attr("code")?.parse().ok()).collect(),
            items: named("item").map(Item::read).collect(),
            destroy: named("destroy").next().map(|destroy| Destroy {
                alternate: destroy.attr("jid").and_then(|jid| jid.parse().ok()),
                reason: text_of(destroy, "reason"),
            }),
        })
    }

    /// Tells whether an unavailable presence is of somebody who is still there: he has a role, and nothing says how he
    /// went.
    pub(super) fn is_hidden(&self) -> bool {
        let has_role = |item: &Item| item.role.is_some_and(|role| role != Role::None);
        !self.has(303) && Departure::of(self) == Departure::Left && self.items.iter().any(has_role)
    }

    /// Tells whether a status is among them.
    #[must_use]
    pub fn has(&self, status: u16) -> bool {
        self.statuses.contains(&status)
    }
}

impl Item {
    fn read(item: &Element) -> Self {
        let actor = item.child(ns::MUC_USER, "actor");
        Self {
            affiliation: item.attr("affiliation").and_then(Affiliation::parse),
            role: item.attr("role").and_then(Role::parse),
            jid: item.attr("jid").and_then(|jid| jid.parse().ok()),
            nick: item.attr("nick").map(str::to_owned),
            actor: actor.map(|actor| Actor {
                nick: actor.attr("nick").map(str::to_owned),
                jid: actor.attr("jid").and_then(|jid| jid.parse().ok()),
            }),
            reason: text_of(item, "reason"),
        }
    }
}

fn text_of(parent: &Element, name: &str) -> Option<String> {
    parent.child(ns::MUC_USER, name).map(|child| child.text().into_owned()).filter(|text| !text.is_empty())
}
