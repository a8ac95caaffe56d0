//! A conference's view of its room: the one that is being entered, and the last one that could be.
//!
//! A [`Room`] view that ended (the room vanished with its server) cannot be entered again, but what it knew last is
//! what callers are judged by until a new view is ready.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cusax_event::moderation::ReconcileResult;
use cusax_xmpp::muc::{
    self, Affiliation, Limits, Link, Moderation, Occupant, Role, Room, RoomConfig, RoomEvent, Standing,
};
use cusax_xmpp::{BareJid, Element, Jid};

use crate::orders::{Order, Orders};
use crate::seed::Seed;

/// What the mirror tells: what the room tells, and what only comparing with before shows.
#[derive(Debug)]
pub(crate) struct Change {
    /// What changed.
    pub(crate) event: RoomEvent,
    /// True where it was found by comparing after we could not look, rather than told as it happened.
    pub(crate) found: bool,
    /// True where the link was lost in between.
    pub(crate) blind: bool,
    /// True where it is what we asked for.
    pub(crate) own: bool,
}

/// What the mirror wants.
pub(crate) enum Output {
    /// Send this stanza.
    Send(Element),
    /// A stanza was dropped.
    Dropped(cusax_event::xmpp::Dropped),
    /// Something changed.
    Change(Change),
}

#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) room: BareJid,
    pub(crate) focus: Jid,
    pub(crate) nick: String,
}

pub(crate) struct Mirror {
    names: Names,
    room: Room,
    /// True once `room` was ready, and for as long as no other takes its place.
    ready: bool,
    last: Option<Room>,
    /// When the room is looked for again.
    retry: Option<Instant>,
    /// True from a lost link until room and call were compared.
    blind: bool,
    orders: Orders,
}

impl Mirror {
    /// Begins to enter the room.
    pub(crate) fn new(names: Names, seed: &mut Seed, now: Instant) -> Self {
        let room = view(&names, CALLERS_WAIT, seed, now);
        Self { names, room, ready: false, last: None, retry: None, blind: false, orders: Orders::default() }
    }

    /// What the room last was; `None` where it never was.
    fn known(&self) -> Option<&Room> {
        if self.ready { Some(&self.room) } else { self.last.as_ref() }
    }

    pub(crate) fn configuration(&self) -> Option<&RoomConfig> {
        self.known().map(Room::configuration)
    }

    pub(crate) const fn name(&self) -> &BareJid {
        &self.names.room
    }

    pub(crate) fn standing(&self, jid: &BareJid) -> Standing {
        let nobody = Standing { role: None, affiliation: Affiliation::None };
        self.known().map_or(nobody, |room| room.standing(jid))
    }

    /// What somebody is to the room himself, whatever his domain is.
    pub(crate) fn own_affiliation(&self, jid: &BareJid) -> Affiliation {
        self.known().map_or(Affiliation::None, |room| room.own_affiliation(jid))
    }

    /// The occupants of a user.
    pub(crate) fn occupants_of(&self, jid: &BareJid) -> Vec<Occupant> {
        self.known().into_iter().flat_map(|room| room.occupants_of(jid)).cloned().collect()
    }

    pub(crate) fn occupant(&self, nick: &str) -> Option<&Occupant> {
        self.known().and_then(|room| room.occupant(nick))
    }

    /// The people in the room or among `callers`, without `but`.
    pub(crate) fn people<'a>(&self, callers: impl Iterator<Item = &'a BareJid>, but: &BareJid) -> usize {
        let mut people: BTreeSet<BareJid> = callers.cloned().collect();
        let mut hidden = 0;
        for occupant in self.known().into_iter().flat_map(Room::occupants) {
            match occupant.bare() {
                Some(bare) => {
                    people.insert(bare);
                }
                None => hidden += 1,
            }
        }
        people.remove(but);
        people.len() + hidden
    }

    /// What somebody's most restricted occupant is, once the room has done what we asked of it.
    pub(crate) fn role(&self, jid: &BareJid) -> Option<Role> {
        let his = self.known().into_iter().flat_map(|room| room.occupants_of(jid));
        his.map(|occupant| self.orders.outcome(occupant)).min()
    }

    /// Asks the room for an occupant's role, until he has it.
    pub(crate) fn set_role(&mut self, nick: &str, role: Role, reason: &'static str, now: Instant) {
        self.orders.role(nick, role, reason, now);
        self.send_orders(now);
    }

    /// Asks the room for a ban.
    pub(crate) fn ban(&mut self, jid: &BareJid, reason: &'static str, now: Instant) {
        self.orders.ban(jid, reason, now);
        self.send_orders(now);
    }

    const fn takes_orders(&self) -> bool {
        self.ready && self.room.is_live()
    }

    fn send_orders(&mut self, now: Instant) {
        if !self.takes_orders() {
            return;
        }
        for Order { moderation, reason } in self.orders.take_due(now) {
            match moderation {
                Moderation::Role { nick, role } => self.room.set_role(&nick, role, Some(reason), now),
                Moderation::Affiliation { jid, affiliation } => {
                    self.room.set_affiliation(&jid, affiliation, Some(reason), now);
                }
            }
        }
    }

    pub(crate) fn handle_stanza(&mut self, element: &Element, received: Instant) {
        self.room.handle_stanza(element, received);
    }

    pub(crate) fn handle_link(&mut self, up: bool, seed: &mut Seed, now: Instant) {
        if self.room.is_over() {
            if up {
                self.look_again(seed, now);
            } else {
                self.retry = None;
            }
        } else {
            self.room.handle_link(if up { Link::Up } else { Link::Down }, now);
        }
    }

    /// True while the room is asked what it is.
    pub(crate) const fn is_entering(&self) -> bool {
        self.room.is_entering()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let orders = self.orders.next().filter(|_| self.takes_orders());
        [self.retry, self.room.poll_timeout(), orders].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, seed: &mut Seed, now: Instant) {
        if self.retry.is_some_and(|due| due <= now) {
            self.look_again(seed, now);
        } else {
            self.room.handle_timeout(now);
            self.send_orders(now);
        }
    }

    /// Looks for the room again in a while; what it last was stays known.
    pub(crate) fn lose(&mut self, now: Instant) {
        self.blind = true;
        self.retry = Some(now + AGAIN);
    }

    fn look_again(&mut self, seed: &mut Seed, now: Instant) {
        self.retry = None;
        let next = view(&self.names, NOBODY_WAITS, seed, now);
        let over = std::mem::replace(&mut self.room, next);
        if std::mem::take(&mut self.ready) {
            self.last = Some(over);
        }
    }

    pub(crate) fn leave(&mut self) {
        self.retry = None;
        self.room.leave();
    }

    /// All that the mirror wants now.
    pub(crate) fn drain(&mut self, now: Instant) -> Vec<Output> {
        let mut all = Vec::new();
        while let Some(output) = self.room.poll_output() {
            all.push(output);
        }
        // Lists that were read are compared at once, right before this is told.
        let compared = all.iter().any(|output| matches!(output, muc::Output::Event(RoomEvent::Reconciled(_))));
        let outputs = all.into_iter().map(|output| match output {
            muc::Output::Send(stanza) => Output::Send(stanza),
            muc::Output::Dropped(dropped) => Output::Dropped(dropped),
            muc::Output::Event(event) => Output::Change(self.change(event, compared, now)),
        });
        let outputs = outputs.collect();
        self.send_orders(now);
        outputs
    }

    fn change(&mut self, mut event: RoomEvent, compared: bool, now: Instant) -> Change {
        let blind = self.blind;
        let found = blind || compared;
        let mut own = false;
        match &mut event {
            RoomEvent::Ready => {
                (self.ready, self.blind, self.last) = (true, false, None);
                self.orders.reopen(|nick| self.room.occupant(nick), now);
            }
            RoomEvent::LinkLost => self.blind = true,
            RoomEvent::Reconciled(ReconcileResult::Failed) => self.blind = true,
            RoomEvent::Reconciled(ReconcileResult::InSync | ReconcileResult::Repaired) => {
                if std::mem::take(&mut self.blind) {
                    self.orders.reopen(|nick| self.room.occupant(nick), now);
                }
            }
            RoomEvent::RoleChanged { occupant, .. } => own = self.orders.has_role(occupant),
            RoomEvent::OccupantLeft { occupant, .. } => {
                // Who went before he got the voice that a moderator granted did not go as a visitor.
                occupant.role = self.orders.outcome(occupant);
                self.orders.left(&occupant.nick);
            }
            RoomEvent::NickChanged { occupant, from } => self.orders.renamed(from, &occupant.nick),
            RoomEvent::ModerationRefused { moderation, condition } => {
                self.orders.refused(moderation, condition, now);
            }
            RoomEvent::AffiliationChanged { jid, to: Affiliation::Outcast, .. } => self.orders.is_banned(jid),
            RoomEvent::Absent
            | RoomEvent::Failed { .. }
            | RoomEvent::OccupantJoined(_)
            | RoomEvent::AffiliationChanged { .. }
            | RoomEvent::VoiceRequested { .. }
            | RoomEvent::SubjectChanged { .. }
            | RoomEvent::ConfigChanged(_)
            | RoomEvent::Destroyed(_) => {}
        }
        Change { event, found, blind, own }
    }
}

fn view(names: &Names, patience: Duration, seed: &mut Seed, now: Instant) -> Room {
    let config = muc::Config {
        room: names.room.clone(),
        focus: names.focus.clone(),
        nick: names.nick.clone(),
        patience,
        limits: Limits::default(),
    };
    Room::new(config, seed.next(), now)
}

/// How long a caller waits for a room that nobody knew.
const CALLERS_WAIT: Duration = Duration::from_secs(2);
/// How long a room may take that is looked for while its last lists let callers in.
const NOBODY_WAITS: Duration = Duration::from_secs(30);
/// How long after a room vanished it is looked for again.
const AGAIN: Duration = Duration::from_secs(10);
