//! What a room view tells.

use std::collections::BTreeSet;
use std::time::Instant;

use cusax_event::moderation::ReconcileResult;

use super::{Actor, Affiliation, Destroy, Occupant, Role, RoomConfig, UserInfo};
use crate::{BareJid, Jid};

/// One thing that changed in a room, found by comparing what was known with what the room says now.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomEvent {
    /// The room does not exist (any more); the view is over.
    Absent,
    /// The room could not be entered; the view is over.
    Failed {
        /// Why.
        failure: Failure,
        /// The server's error condition, where there was one.
        condition: Option<String>,
    },
    /// Entered, and all lists are read: the queries of [`Room`](super::Room) answer.
    Ready,
    /// Somebody came.
    OccupantJoined(Occupant),
    /// Somebody went.
    OccupantLeft {
        /// As he last was.
        occupant: Occupant,
        /// How.
        departure: Departure,
        /// By whom, why and when.
        cause: Cause,
    },
    /// Somebody took another nick; it is the same occupant.
    NickChanged {
        /// With his new nick.
        occupant: Occupant,
        /// His old nick.
        from: String,
    },
    /// Somebody's role changed: voice revoked or granted, moderator.
    RoleChanged {
        /// With his new role.
        occupant: Occupant,
        /// His old role.
        from: Role,
        /// By whom, why and when.
        cause: Cause,
    },
    /// The affiliation of a user, present or not, changed: ban, unban, membership.
    AffiliationChanged {
        /// The user, or a whole domain.
        jid: BareJid,
        /// Before.
        from: Affiliation,
        /// Now.
        to: Affiliation,
        /// By whom, why and when.
        cause: Cause,
    },
    /// A visitor asks for voice.
    VoiceRequested {
        /// His nick.
        nick: String,
        /// His real JID.
        jid: Option<Jid>,
    },
    /// The subject changed.
    SubjectChanged {
        /// The new one; empty where there is none.
        subject: String,
        /// Who set it.
        nick: Option<String>,
    },
    /// The configuration, or the password, changed.
    ConfigChanged(RoomConfig),
    /// The room was destroyed; the view is over and must not be made again by itself: entering would re-create it.
    Destroyed(Destroy),
    /// The link, or our place in the room, was lost; what is known stays until the room is entered again.
    LinkLost,
    /// What was known was compared with the room; every difference was told before.
    Reconciled(ReconcileResult),
    /// The room did not do what we asked as a moderator.
    ModerationRefused {
        /// What was asked.
        moderation: Moderation,
        /// The error condition.
        condition: String,
    },
}

/// Something that we asked of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moderation {
    /// A role of an occupant.
    Role {
        /// His nick.
        nick: String,
        /// The role.
        role: Role,
    },
    /// An affiliation of a user.
    Affiliation {
        /// The user.
        jid: BareJid,
        /// The affiliation.
        affiliation: Affiliation,
    },
}

/// Behind a change: who, why, and since when it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// When the last byte of the stanza was received.
    pub received: Instant,
    /// Its status codes; none where the change was found by reconciling.
    pub statuses: BTreeSet<u16>,
    /// The moderator, where the server says.
    pub actor: Option<Actor>,
    /// His words.
    pub reason: Option<String>,
}

impl Cause {
    pub(super) const fn unknown(received: Instant) -> Self {
        Self { received, statuses: BTreeSet::new(), actor: None, reason: None }
    }

    pub(super) fn of(info: &UserInfo, received: Instant) -> Self {
        Self {
            received,
            statuses: info.statuses.clone(),
            actor: info.items.iter().find_map(|item| item.actor.clone()),
            reason: info.items.iter().find_map(|item| item.reason.clone()),
        }
    }
}

cusax_event::closed_enum! {
    /// How an occupant went (XEP-0045 §15.6.2).
    Departure {
        /// By himself, or his connection was lost.
        Left = "left",
        /// 307: may come back.
        Kicked = "kicked",
        /// 301: may not.
        Banned = "banned",
        /// 321: his affiliation no longer lets him in.
        AffiliationLost = "affiliation_lost",
        /// 322: the room became members-only.
        MembersOnly = "members_only",
        /// 332: the service shuts down.
        Shutdown = "shutdown",
        /// 333: his server does not answer; nobody's decision.
        Unreachable = "unreachable",
        /// He is not there any more, and nobody told when he went.
        Unseen = "unseen",
    }
}

impl Departure {
    /// The departure that statuses stand for. 333 comes with 307 from some servers, and then nobody kicked.
    pub(super) fn of(info: &UserInfo) -> Self {
        let codes = [
            (301, Self::Banned),
            (333, Self::Unreachable),
            (307, Self::Kicked),
            (321, Self::AffiliationLost),
            (322, Self::MembersOnly),
            (332, Self::Shutdown),
        ];
        codes.iter().find(|(code, _)| info.has(*code)).map_or(Self::Left, |(_, departure)| *departure)
    }
}

cusax_event::closed_enum! {
    /// Why a room could not be entered.
    Failure {
        /// It did not answer in time.
        Timeout = "timeout",
        /// The link was lost meanwhile.
        Link = "link",
        /// It is no chat room.
        NotARoom = "not_a_room",
        /// It wants a password that we could not read.
        Password = "password",
        /// The focus is banned.
        Banned = "banned",
        /// The focus is no member.
        MembersOnly = "members_only",
        /// It is full.
        Full = "full",
        /// The nick and its alternatives are taken.
        Nick = "nick",
        /// The focus is no owner and may not read the lists.
        NotOwner = "not_owner",
        /// More occupants or list entries than allowed.
        TooLarge = "too_large",
        /// Any other error.
        Refused = "refused",
    }
}
