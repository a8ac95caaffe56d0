//! Rooms that take the focus for an occupant, though no conference of ours is theirs: it was in them when a link was
//! lost, and their server remembers.

use std::collections::BTreeSet;

use cusax_event::xmpp::DropReason;
use cusax_xmpp::{BareJid, Element, Jid, muc, stanza};

use super::Conferences;
use crate::output::Output;

/// Rooms that were told that the focus is not in them.
#[derive(Debug, Default)]
pub(super) struct Ghosts(BTreeSet<BareJid>);

impl Ghosts {
    /// The focus may be in that room again.
    pub(super) fn forget(&mut self, room: &BareJid) {
        self.0.remove(room);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Notes a room; false where it was told.
    fn add(&mut self, room: &BareJid) -> bool {
        if self.0.len() >= MAX {
            self.0.clear();
        }
        self.0.insert(room.clone())
    }
}

impl Conferences {
    /// A stanza of a room without a conference: what only occupants are sent is answered by leaving, once.
    pub(super) fn haunted(&mut self, element: &Element, from: &Jid) {
        let kind = element.attr("type");
        if kind == Some("unavailable") {
            // A room that was left says goodbye.
            return;
        }
        self.drop_stanza(DropReason::Unhandled, "not from a room with a conference");
        let present = matches!((element.name(), kind), ("presence", None) | ("message", Some("groupchat")));
        let ours = self.domains.iter().any(|domain| domain.rooms.as_str() == from.domain());
        let to_us = stanza::to(element).is_some_and(|to| to == self.config.focus);
        // A room knows its occupants by their real JIDs: any nick will do.
        let place = from.bare().with_resource(&self.config.nick);
        if let Some(place) = place.ok().filter(|_| present && ours && to_us && self.ghosts.add(&from.bare())) {
            let leave = muc::leave(&place).with_attr("from", self.config.focus.as_str());
            self.outputs.push_back(Output::Stanza(leave));
        }
    }
}

/// Rooms that are remembered.
const MAX: usize = 1_000;
