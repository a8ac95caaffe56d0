//! Who is in a room.

use std::collections::{BTreeMap, BTreeSet};

use super::{Affiliation, Role, UserInfo};
use crate::{BareJid, Element, Jid, ns};

/// One occupant: a nick, with one or more sessions of one user behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// The nick.
    pub nick: String,
    /// The sessions' real JIDs, as of the last presence; empty where the room hides them from us.
    pub sessions: Vec<Jid>,
    /// What he may do.
    pub role: Role,
    /// What he is to the room.
    pub affiliation: Affiliation,
    /// XEP-0421, where the server has it.
    pub occupant_id: Option<String>,
}

impl Occupant {
    /// Reads an available presence.
    pub(super) fn read(nick: &str, presence: &Element, info: &UserInfo) -> Self {
        Self {
            nick: nick.to_owned(),
            sessions: info.items.iter().filter_map(|item| item.jid.clone()).collect(),
            role: info.items.iter().filter_map(|item| item.role).min().unwrap_or(Role::None),
            affiliation: info.items.iter().find_map(|item| item.affiliation).unwrap_or(Affiliation::None),
            occupant_id: presence.child(ns::OCCUPANT_ID, "occupant-id").and_then(|id| id.attr("id")).map(str::to_owned),
        }
    }

    /// The user behind it, where it is known.
    #[must_use]
    pub fn bare(&self) -> Option<BareJid> {
        self.sessions.first().map(Jid::bare)
    }
}

/// The occupants but ourselves, by nick and by user; each remembers the sweep in which the room last confirmed him.
#[derive(Clone, Debug, Default)]
pub(super) struct Occupants {
    by_nick: BTreeMap<String, (Occupant, u32)>,
    nicks: BTreeMap<BareJid, BTreeSet<String>>,
}

impl Occupants {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Occupant> {
        self.by_nick.values().map(|(occupant, _)| occupant)
    }

    pub(super) fn len(&self) -> usize {
        self.by_nick.len()
    }

    pub(super) fn get(&self, nick: &str) -> Option<&Occupant> {
        self.by_nick.get(nick).map(|(occupant, _)| occupant)
    }

    /// True where the room named him in this sweep.
    pub(super) fn is_seen(&self, nick: &str, sweep: u32) -> bool {
        self.by_nick.get(nick).is_some_and(|(_, seen)| *seen == sweep)
    }

    /// Those of a user.
    pub(super) fn of(&self, user: &BareJid) -> impl Iterator<Item = &Occupant> {
        self.nicks.get(user).into_iter().flatten().filter_map(|nick| self.get(nick))
    }

    /// Puts an occupant in place of who had his nick, and returns that one.
    pub(super) fn put(&mut self, occupant: Occupant, sweep: u32) -> Option<Occupant> {
        let before = self.remove(&occupant.nick);
        if let Some(user) = occupant.bare() {
            self.nicks.entry(user).or_default().insert(occupant.nick.clone());
        }
        self.by_nick.insert(occupant.nick.clone(), (occupant, sweep));
        before
    }

    pub(super) fn remove(&mut self, nick: &str) -> Option<Occupant> {
        let (occupant, _) = self.by_nick.remove(nick)?;
        if let Some(user) = occupant.bare()
            && let Some(nicks) = self.nicks.get_mut(&user)
        {
            nicks.remove(nick);
            if nicks.is_empty() {
                self.nicks.remove(&user);
            }
        }
        Some(occupant)
    }

    /// Takes out those whom the room did not name in this sweep.
    pub(super) fn take_unseen(&mut self, sweep: u32) -> Vec<Occupant> {
        let unseen: Vec<String> =
            self.by_nick.iter().filter(|(_, (_, seen))| *seen != sweep).map(|(nick, _)| nick.clone()).collect();
        unseen.iter().filter_map(|nick| self.remove(nick)).collect()
    }
}
