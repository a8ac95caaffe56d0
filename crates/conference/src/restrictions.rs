//! Bans and mutes that outlive what the room remembers: our own copy.

use std::collections::{BTreeMap, BTreeSet};

use cusax_xmpp::BareJid;

use crate::{Restricted, Restriction};

/// Who is restricted in which room.
#[derive(Debug, Default)]
pub(crate) struct Restrictions {
    rooms: BTreeMap<BareJid, BTreeSet<(Restriction, BareJid)>>,
    /// How many there are.
    count: usize,
}

/// What became of a restriction that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is kept.
    New,
    /// It was.
    Known,
    /// The room, or all rooms, have as many as they may have, and the room's own lists have to do.
    Full,
}

impl Restrictions {
    pub(crate) fn new(kept: Vec<Restricted>) -> Self {
        let mut restrictions = Self::default();
        for Restricted { room, jid, restriction } in kept {
            restrictions.add(&room, &jid, restriction);
        }
        restrictions
    }

    pub(crate) fn add(&mut self, room: &BareJid, jid: &BareJid, restriction: Restriction) -> Added {
        if self.has(room, jid, restriction) {
            return Added::Known;
        }
        if self.count >= MAX || self.rooms.get(room).is_some_and(|of| of.len() >= MAX_OF_A_ROOM) {
            return Added::Full;
        }
        self.rooms.entry(room.clone()).or_default().insert((restriction, jid.clone()));
        self.count += 1;
        Added::New
    }

    /// Removes one; false where there is none.
    pub(crate) fn remove(&mut self, room: &BareJid, jid: &BareJid, restriction: Restriction) -> bool {
        let Some(of) = self.rooms.get_mut(room) else { return false };
        let removed = of.remove(&(restriction, jid.clone()));
        self.count -= usize::from(removed);
        if of.is_empty() {
            self.rooms.remove(room);
        }
        removed
    }

    /// Removes all of a room; false where there is none.
    pub(crate) fn clear(&mut self, room: &BareJid, restriction: Restriction) -> bool {
        let Some(of) = self.rooms.get_mut(room) else { return false };
        let before = of.len();
        of.retain(|(kind, _)| *kind != restriction);
        let cleared = before - of.len();
        self.count -= cleared;
        if of.is_empty() {
            self.rooms.remove(room);
        }
        cleared > 0
    }

    pub(crate) fn is_muted(&self, room: &BareJid, jid: &BareJid) -> bool {
        self.has(room, jid, Restriction::Mute)
    }

    /// True for somebody who is banned himself.
    pub(crate) fn is_banned(&self, room: &BareJid, jid: &BareJid) -> bool {
        self.has(room, jid, Restriction::Ban)
    }

    fn has(&self, room: &BareJid, jid: &BareJid, restriction: Restriction) -> bool {
        self.rooms.get(room).is_some_and(|of| of.contains(&(restriction, jid.clone())))
    }

    /// Those of a room.
    pub(crate) fn of<'a>(
        &'a self,
        room: &'a BareJid,
        restriction: Restriction,
    ) -> impl Iterator<Item = &'a BareJid> + 'a {
        let all = self.rooms.get(room).into_iter().flatten();
        all.filter(move |(kind, _)| *kind == restriction).map(|(_, jid)| jid)
    }

    /// Rooms in which somebody is muted.
    pub(crate) fn muted_rooms(&self) -> BTreeSet<BareJid> {
        let mutes = |of: &BTreeSet<(Restriction, BareJid)>| of.iter().any(|(kind, _)| *kind == Restriction::Mute);
        self.rooms.iter().filter(|(_, of)| mutes(of)).map(|(room, _)| room.clone()).collect()
    }
}

/// Restrictions of a room: its owner may ban whom he likes, and must not use up what others need.
const MAX_OF_A_ROOM: usize = 10_000;
/// Restrictions of all rooms together, at some 100 bytes each.
const MAX: usize = 300_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_is_full_leaves_place_for_others() {
        let room = |name: &str| name.parse::<BareJid>().unwrap();
        let mut all = Restrictions::default();
        for number in 0..MAX_OF_A_ROOM {
            let jid = room(&format!("u{number}@example.test"));
            assert_eq!(all.add(&room("a@muc.test"), &jid, Restriction::Ban), Added::New);
        }
        let jid = room("u0@example.test");
        assert_eq!(all.add(&room("a@muc.test"), &jid, Restriction::Ban), Added::Known);
        assert_eq!(all.add(&room("a@muc.test"), &jid, Restriction::Mute), Added::Full);
        assert_eq!(all.add(&room("b@muc.test"), &jid, Restriction::Mute), Added::New);
        assert!(all.clear(&room("a@muc.test"), Restriction::Ban) && !all.clear(&room("a@muc.test"), Restriction::Ban));
        assert_eq!(all.count, 1);
        assert_eq!(all.add(&room("a@muc.test"), &jid, Restriction::Mute), Added::New);
    }
}
