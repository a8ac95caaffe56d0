//! What a room's state means for a call (design of the mirror: the room decides, the focus obeys).

use cusax_xmpp::muc::{Affiliation, Role, RoomConfig, Standing};

use crate::refusal::Refusal;

/// What is known of a caller and of the room that he calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    /// The room; `None` where the conference has none.
    pub(crate) room: Option<&'a RoomConfig>,
    /// What he is there.
    pub(crate) standing: Standing,
    /// True where our own copy has a ban of him.
    pub(crate) banned: bool,
}

impl Situation<'_> {
    /// Whether he may be in the call. Who is in the room is not asked: servers let people in whom their lists do not.
    pub(crate) fn may_stay(&self) -> Result<(), Refusal> {
        let members_only = self.room.is_some_and(|room| room.members_only);
        if self.banned || self.standing.affiliation == Affiliation::Outcast {
            Err(Refusal::Banned)
        } else if members_only && self.standing.affiliation < Affiliation::Member {
            Err(Refusal::NoMember)
        } else {
            Ok(())
        }
    }

    /// Whether he may come into the call; `others` is how many other people the meeting has.
    pub(crate) fn may_enter(&self, others: impl FnOnce() -> usize) -> Result<(), Refusal> {
        self.may_stay()?;
        let Some(room) = self.room else { return Ok(()) };
        if room.password_protected && !self.standing.in_room() {
            return Err(Refusal::Password);
        }
        let exempt = self.standing.affiliation >= Affiliation::Admin || self.standing.in_room();
        match room.max_users {
            Some(most) if !exempt && others() >= usize::try_from(most).unwrap_or(usize::MAX) => Err(Refusal::Full),
            Some(_) | None => Ok(()),
        }
    }
}

/// What a room asks of who comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    members_only: bool,
    password_protected: bool,
    max_users: Option<u32>,
}

impl Rules {
    pub(crate) fn of(room: Option<&RoomConfig>) -> Self {
        room.map_or_else(Self::default, |room| Self {
            members_only: room.members_only,
            password_protected: room.password_protected,
            max_users: room.max_users,
        })
    }
}

/// Whether visitors of a room are silent in the call.
pub(crate) fn silences_visitors(room: Option<&RoomConfig>, in_unmoderated_rooms: bool) -> bool {
    in_unmoderated_rooms || room.is_some_and(|room| room.moderated)
}

/// Whether somebody is silent: by a mute that sticks, or as a visitor. `absent` is for who is not in the room: who left it
/// stays what he was.
pub(crate) fn is_silent(sticks: bool, role: Option<Role>, visitors_are: bool, absent: bool) -> bool {
    sticks
        || match role {
            Some(Role::Visitor | Role::None) => visitors_are,
            Some(Role::Participant | Role::Moderator) => false,
            None => absent,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(role: Option<Role>, affiliation: Affiliation) -> Standing {
        Standing { role, affiliation }
    }

    fn enter(room: &RoomConfig, standing: Standing, others: usize) -> Result<(), Refusal> {
        Situation { room: Some(room), standing, banned: false }.may_enter(|| others)
    }

    #[test]
    fn a_room_lets_in_whom_its_lists_let_in() {
        use Affiliation::{Admin, Member, None as Nobody, Outcast};
        let inside = Some(Role::Participant);
        let open = RoomConfig::default();
        let members = RoomConfig { members_only: true, ..RoomConfig::default() };
        let secret = RoomConfig { password_protected: true, ..RoomConfig::default() };
        let small = RoomConfig { max_users: Some(2), ..RoomConfig::default() };
        for (room, who, others, expected) in [
            (&open, standing(None, Nobody), 9_999, Ok(())),
            (&open, standing(inside, Outcast), 0, Err(Refusal::Banned)),
            (&members, standing(None, Member), 0, Ok(())),
            (&members, standing(inside, Nobody), 0, Err(Refusal::NoMember)),
            (&secret, standing(inside, Nobody), 0, Ok(())),
            (&secret, standing(None, Member), 0, Err(Refusal::Password)),
            (&small, standing(None, Nobody), 1, Ok(())),
            (&small, standing(None, Member), 2, Err(Refusal::Full)),
            (&small, standing(None, Admin), 2, Ok(())),
            (&small, standing(inside, Nobody), 2, Ok(())),
        ] {
            assert_eq!(enter(room, who, others), expected, "{room:?} {who:?} {others}");
        }
        let banned = Situation { room: None, standing: standing(None, Nobody), banned: true };
        assert_eq!(banned.may_enter(|| 0), Err(Refusal::Banned), "also without a room");
    }

    #[test]
    fn a_visitor_is_silent_and_who_leaves_stays_what_he_was() {
        let visitor = Some(Role::Visitor);
        for (sticks, role, visitors_are, was, expected) in [
            (false, visitor, true, false, true),
            (false, visitor, false, true, false),
            (false, Some(Role::Participant), true, true, false),
            (true, Some(Role::Moderator), true, false, true),
            (false, None, true, true, true),
            (false, None, true, false, false),
            (true, None, false, false, true),
        ] {
            assert_eq!(is_silent(sticks, role, visitors_are, was), expected, "{sticks} {role:?} {visitors_are} {was}");
        }
        let moderated = RoomConfig { moderated: true, ..RoomConfig::default() };
        assert!(silences_visitors(Some(&moderated), false));
        assert!(!silences_visitors(Some(&RoomConfig::default()), false));
        assert!(silences_visitors(Some(&RoomConfig::default()), true));
    }
}
