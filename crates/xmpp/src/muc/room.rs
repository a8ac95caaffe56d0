//! One room as the focus sees it: entered, kept in step, and queried by the conference's policy.
//!
//! Events alone are no reliable state: servers leave out evictions, and nothing is told while the link is down. So the
//! view also reconciles, by asking and entering again, which both Prosody and ejabberd answer with the full room:
//! after every configuration change, after the link was lost, and where a self-ping (XEP-0410) says that we are out.

mod changes;
mod entry;
mod presence;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use cusax_event::xmpp::{DropReason, Dropped, StanzaKind};

use super::affiliations::Affiliations;
use super::occupants::{Occupant, Occupants};
use super::{Affiliation, Moderation, Role, RoomConfig, RoomEvent};
use crate::secret::Secret;
use crate::seed::Seed;
use crate::{BareJid, Element, Jid, stanza};
use entry::Entry;
use presence::SelfPing;

/// What a room view needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The room.
    pub room: BareJid,
    /// The full JID by which the focus enters; the XMPP server's configuration makes its bare JID an owner.
    pub focus: Jid,
    /// The nick to enter with; where it is taken, `nick-2`, `nick-3` and then some that nobody foresees are tried.
    pub nick: String,
    /// How long entering for the first time may take; entering again may take longer.
    pub patience: Duration,
    /// Bounds of what is remembered.
    pub limits: Limits,
}

/// Bounds of what is remembered of one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Occupants.
    pub occupants: usize,
    /// Users with an affiliation.
    pub affiliations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { occupants: 5_000, affiliations: 50_000 }
    }
}

/// State of the component stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Stanzas go through.
    Up,
    /// They do not.
    Down,
}

/// What the shell, or the conference, does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this stanza; it has `from` and `to`.
    Send(Element),
    /// Something changed.
    Event(RoomEvent),
    /// A stanza was dropped.
    Dropped(Dropped),
}

/// What a user is in a room, of all his occupants the most restricted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// His most restricted role; `None` where he is not in the room.
    pub role: Option<Role>,
    /// His affiliation, by the room's lists.
    pub affiliation: Affiliation,
}

impl Standing {
    /// Tells whether he is in the room.
    #[must_use]
    pub const fn in_room(&self) -> bool {
        self.role.is_some()
    }
}

/// Requests of ours as a moderator that may wait for an answer.
const PENDING: usize = 256;
/// How long such an answer may take; it may not come, for what leaves here may be dropped on its way.
const ANSWER: Duration = Duration::from_secs(10);
/// How long after losing our place, or failing to reconcile, we try again; up to twice that, for a server that failed
/// many rooms must not meet them all at once.
const AGAIN: Duration = Duration::from_secs(5);

/// The least time between two reconciles, whatever a room's owner does to its configuration.
const PAUSE: Duration = Duration::from_millis(250);

enum State {
    /// Entering, or entering again to reconcile.
    Entering(Entry),
    /// In the room, and in step.
    Live(SelfPing),
    /// Out of step; to be entered again then.
    Blind(Instant),
    /// The link is down.
    Offline,
    /// Nothing more happens.
    Over,
}

/// The view of one room.
pub struct Room {
    config: Config,
    seed: Seed,
    state: State,
    nick: String,
    /// True while the room may have us in it by that nick.
    placed: bool,
    ready: bool,
    /// Something changed that only entering again shows.
    stale: bool,
    /// No reconcile before.
    rested: Instant,
    sweep: u32,
    repairs: u32,
    occupants: Occupants,
    affiliations: Affiliations,
    facts: RoomConfig,
    password: Option<Secret>,
    subject: String,
    /// What was asked as a moderator, and by when it is to be answered.
    pending: BTreeMap<String, (Moderation, Instant)>,
    outputs: VecDeque<Output>,
}

impl Room {
    /// Begins to enter: disco#info first, since entering a room that does not exist would create it. Within the
    /// configured patience it is [`RoomEvent::Ready`], [`RoomEvent::Absent`] or [`RoomEvent::Failed`].
    #[must_use]
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        let mut room = Self {
            nick: config.nick.clone(),
            config,
            seed: Seed::new(seed),
            state: State::Offline,
            placed: false,
            ready: false,
            stale: false,
            rested: now,
            sweep: 0,
            repairs: 0,
            occupants: Occupants::default(),
            affiliations: Affiliations::default(),
            facts: RoomConfig::default(),
            password: None,
            subject: String::new(),
            pending: BTreeMap::new(),
            outputs: VecDeque::new(),
        };
        room.enter(now);
        room
    }

    /// A stanza came from the component stream; what is not from this room to this focus is not looked at.
    pub fn handle_stanza(&mut self, element: &Element, received: Instant) {
        let (Some(from), Some(to)) = (stanza::from(element), stanza::to(element)) else { return };
        if from.bare_str() != self.config.room.as_str() || to != self.config.focus || matches!(self.state, State::Over)
        {
            return;
        }
        match stanza::kind(element) {
            Some(StanzaKind::Iq) => self.answer(element, &from, received),
            Some(StanzaKind::Presence) => self.presence(element, &from, received),
            Some(StanzaKind::Message) => self.message(element, &from, received),
            None => {}
        }
    }

    /// The component stream came up or went down.
    pub fn handle_link(&mut self, link: Link, now: Instant) {
        match (link, &self.state) {
            (_, State::Over) | (Link::Down, State::Offline) => {}
            (Link::Down, _) => self.lose_link(),
            (Link::Up, _) => self.enter(now),
        }
    }

    /// When `handle_timeout` is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let unanswered = self.pending.values().map(|(_, deadline)| *deadline).min();
        [self.due(), unanswered].into_iter().flatten().min()
    }

    fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Entering(entry) => Some(entry.deadline()),
            State::Live(_) if self.stale => Some(self.rested),
            State::Live(ping) => Some(ping.due()),
            State::Blind(due) => Some(*due),
            State::Offline | State::Over => None,
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (_, (moderation, _)) in self.pending.extract_if(.., |_, (_, deadline)| *deadline <= now).collect::<Vec<_>>()
        {
            let condition = "remote-server-timeout".to_owned();
            self.tell(RoomEvent::ModerationRefused { moderation, condition });
        }
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        match &mut self.state {
            State::Entering(_) => self.fail(super::Failure::Timeout, None, now),
            State::Live(_) if self.stale => self.enter(now),
            State::Live(ping) => {
                if let Some(id) = ping.beat(&mut self.seed, now) {
                    self.ping_self(&id);
                }
            }
            State::Blind(_) => self.enter(now),
            State::Offline | State::Over => {}
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Leaves the room for good.
    pub fn leave(&mut self) {
        let inside = match &self.state {
            State::Live(_) | State::Blind(_) => true,
            State::Entering(entry) => self.ready || entry.knocked(),
            State::Offline | State::Over => false,
        };
        if let Some(place) = self.place().filter(|_| inside) {
            self.send(super::leave(&place));
        }
        self.end();
    }

    fn end(&mut self) {
        self.pending.clear();
        self.state = State::Over;
    }

    /// Sets an occupant's role, as a moderator of the room.
    pub fn set_role(&mut self, nick: &str, role: Role, reason: Option<&str>, now: Instant) {
        let id = self.seed.id();
        let request = super::admin::set_role(&id, &self.config.room, nick, role, reason);
        self.moderate(id, request, Moderation::Role { nick: nick.to_owned(), role }, now);
    }

    /// Sets a user's affiliation, as an owner of the room.
    pub fn set_affiliation(&mut self, jid: &BareJid, affiliation: Affiliation, reason: Option<&str>, now: Instant) {
        let id = self.seed.id();
        let request = super::admin::set_affiliation(&id, &self.config.room, jid, affiliation, reason);
        self.moderate(id, request, Moderation::Affiliation { jid: jid.clone(), affiliation }, now);
    }

    fn moderate(&mut self, id: String, request: Element, moderation: Moderation, now: Instant) {
        let here = matches!(self.state, State::Live(_)) || (self.ready && matches!(self.state, State::Entering(_)));
        if here && self.pending.len() < PENDING {
            self.pending.insert(id, (moderation, now + ANSWER));
            self.send(request);
        } else {
            let condition = if here { "resource-constraint" } else { "recipient-unavailable" }.to_owned();
            self.tell(RoomEvent::ModerationRefused { moderation, condition });
        }
    }

    /// Tells whether the view is entered and in step, or about to be again.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.ready && matches!(self.state, State::Live(_) | State::Entering(_))
    }

    /// Tells whether the room is asked, and did not answer everything yet.
    #[must_use]
    pub const fn is_entering(&self) -> bool {
        matches!(self.state, State::Entering(_))
    }

    /// Tells whether the view has ended: absent, failed, destroyed or left.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The room.
    #[must_use]
    pub const fn room(&self) -> &BareJid {
        &self.config.room
    }

    /// What a user is here.
    #[must_use]
    pub fn standing(&self, jid: &BareJid) -> Standing {
        Standing {
            role: self.occupants.of(jid).map(|occupant| occupant.role).min(),
            affiliation: self.affiliations.of(jid),
        }
    }

    /// What a user is to the room himself, whatever his domain is.
    #[must_use]
    pub fn own_affiliation(&self, jid: &BareJid) -> Affiliation {
        self.affiliations.own(jid)
    }

    /// The occupants but ourselves, by nick.
    pub fn occupants(&self) -> impl Iterator<Item = &Occupant> {
        self.occupants.iter()
    }

    /// The occupants of a user.
    pub fn occupants_of(&self, user: &BareJid) -> impl Iterator<Item = &Occupant> {
        self.occupants.of(user)
    }

    /// The occupant with this nick.
    #[must_use]
    pub fn occupant(&self, nick: &str) -> Option<&Occupant> {
        self.occupants.get(nick)
    }

    /// The configuration, as last read.
    #[must_use]
    pub const fn configuration(&self) -> &RoomConfig {
        &self.facts
    }

    /// The password, where the room has one and owners may read it.
    #[must_use]
    pub const fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The subject; empty where there is none.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Our own nick.
    #[must_use]
    pub fn nick(&self) -> &str {
        &self.nick
    }

    /// When to try again.
    fn again(&mut self, now: Instant) -> Instant {
        let most = u64::try_from(AGAIN.as_millis()).unwrap_or(u64::MAX);
        now + AGAIN + Duration::from_millis(self.seed.next() % most)
    }

    /// Our occupant JID.
    fn place(&self) -> Option<Jid> {
        self.config.room.with_resource(&self.nick).ok()
    }

    fn send(&mut self, mut stanza: Element) {
        stanza.set_attr("from", self.config.focus.as_str());
        self.outputs.push_back(Output::Send(stanza));
    }

    fn tell(&mut self, event: RoomEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Tells of a change, once the room was ready: until then there is nobody who knew it otherwise.
    fn change(&mut self, event: RoomEvent) {
        if self.ready {
            self.repairs += 1;
            self.tell(event);
        }
    }

    fn drop(&mut self, reason: DropReason, detail: &str) {
        self.outputs.push_back(Output::Dropped(Dropped { reason, detail: detail.to_owned() }));
    }
}
