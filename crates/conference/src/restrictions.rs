//! Bans and mutes that outlive what the room remembers: our own copy.

use std::collections::BTreeSet;

use cusax_xmpp::BareJid;

use crate::{Restricted, Restriction};

/// Who is restricted in which room.
#[derive(Debug, Default)]
pub(crate) struct Restrictions {
    all: BTreeSet<(BareJid, Restriction, BareJid)>,
}

impl Restrictions {
    pub(crate) fn new(kept: Vec<Restricted>) -> Self {
        let all = kept.into_iter().map(|it| (it.room, it.restriction, it.jid)).take(MAX).collect();
        Self { all }
    }

    /// Adds one; false where it is there already, or there is no room for it: then the room's own lists have to do.
    pub(crate) fn add(&mut self, room: &BareJid, jid: &BareJid, restriction: Restriction) -> bool {
        self.all.len() < MAX && self.all.insert((room.clone(), restriction, jid.clone()))
    }

    /// Removes one; false where there is none.
    pub(crate) fn remove(&mut self, room: &BareJid, jid: &BareJid, restriction: Restriction) -> bool {
        self.all.remove(&(room.clone(), restriction, jid.clone()))
    }

    /// Removes all of a room; false where there is none.
    pub(crate) fn clear(&mut self, room: &BareJid, restriction: Restriction) -> bool {
        let before = self.all.len();
        self.all.retain(|(of, kind, _)| !(of == room && *kind == restriction));
        self.all.len() < before
    }

    pub(crate) fn is_muted(&self, room: &BareJid, jid: &BareJid) -> bool {
        self.all.contains(&(room.clone(), Restriction::Mute, jid.clone()))
    }

    /// True for somebody who is banned, or whose whole domain is.
    pub(crate) fn is_banned(&self, room: &BareJid, jid: &BareJid) -> bool {
        let has = |jid| self.all.contains(&(room.clone(), Restriction::Ban, jid));
        has(jid.clone()) || has(jid.to_domain())
    }

    /// Those of a room.
    pub(crate) fn of<'a>(
        &'a self,
        room: &'a BareJid,
        restriction: Restriction,
    ) -> impl Iterator<Item = &'a BareJid> + 'a {
        let wanted = move |(of, kind, _): &&(BareJid, Restriction, BareJid)| of == room && *kind == restriction;
        self.all.iter().filter(wanted).map(|(_, _, jid)| jid)
    }

    /// Rooms in which somebody is muted.
    pub(crate) fn muted_rooms(&self) -> BTreeSet<BareJid> {
        let muted = self.all.iter().filter(|(_, kind, _)| *kind == Restriction::Mute);
        muted.map(|(room, _, _)| room.clone()).collect()
    }
}

/// Restrictions of all rooms together.
const MAX: usize = 100_000;
