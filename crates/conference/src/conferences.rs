//! All conferences of a node: what comes in, whom it concerns, and what goes out.

mod arrival;
mod call;
mod ghost;
mod inquiry;
mod probe;
mod room;
mod voice;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_event::sip::{DropReason, Dropped};
use cusax_event::{Event, LegId, xmpp};
use cusax_mixer::{ConferenceId, Event as MixerEvent};
use cusax_sip::ua::{self, CallHandle, UserAgent};
use cusax_sip::{Flow, Message, Method, Uri};
use cusax_xmpp::jid::escape_localpart;
use cusax_xmpp::{BareJid, Element, stanza};

use crate::conference::{Conference, Stage};
use crate::config::{Config, Domain};
use crate::decision::Unconfirmed;
use crate::leg::Leg;
use crate::media::Media;
use crate::mirror;
use crate::output::{Account, Output, Query};
use crate::restrictions::{Added, Restrictions};
use crate::seed::Seed;
use crate::timetable::Timetable;
use crate::turns::Turns;
use crate::{Restricted, Restriction};
use arrival::Arrival;
use ghost::Ghosts;
use inquiry::Inquiries;

/// What lives now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Conferences, also those that nobody is in at the moment.
    pub conferences: usize,
    /// Legs.
    pub legs: usize,
    /// Callers who were not answered yet.
    pub arrivals: usize,
}

/// What a call of the user agent is here.
#[derive(Debug)]
enum Place {
    /// Somebody who was not answered yet.
    Arriving(Box<Arrival>),
    /// Somebody in a conference.
    In(LegId),
}

/// The conferences of a node.
///
/// After each input, take all of [`Self::poll_output`], and call [`Self::handle_timeout`] at [`Self::poll_timeout`].
pub struct Conferences {
    config: Config,
    domains: Vec<Arc<Domain>>,
    agent: UserAgent,
    media: Media,
    restrictions: Restrictions,
    conferences: BTreeMap<ConferenceId, Conference>,
    /// The conference that a room is open for.
    rooms: BTreeMap<BareJid, ConferenceId>,
    legs: BTreeMap<LegId, Leg>,
    calls: BTreeMap<CallHandle, Place>,
    unconfirmed: Unconfirmed,
    inquiries: Inquiries,
    timetable: Timetable,
    turns: Turns,
    ghosts: Ghosts,
    seed: Seed,
    last_id: u64,
    /// True while the component stream is up.
    connected: bool,
    /// What became of the mutes that were kept over a restart.
    kept: Kept,
    outputs: VecDeque<Output>,
}

/// Mutes that were kept over a restart count as those of a conference that its last leg just left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// The component was not connected yet: nobody could have come back.
    Waiting,
    /// They end then, where their conference did not go on.
    Until(Instant),
    /// Mutes end with their conferences.
    Settled,
}

impl Conferences {
    /// Makes the focus of all conferences. The first two words of `seed` must differ between starts and be unknown to
    /// others; the third is what other identifiers are made from.
    #[must_use]
    pub fn new(mut config: Config, seed: [u64; 3]) -> Self {
        let agent = ua::Config {
            name: config.name.clone(),
            sent_by: SENT_BY.to_owned(),
            allow: ALLOW.to_vec(),
            supported: SUPPORTED.to_vec(),
        };
        let restrictions = Restrictions::new(std::mem::take(&mut config.restrictions));
        Self {
            // Callers who wait for their answer, and legs that wait for the end of their BYE, are calls as well.
            agent: UserAgent::new(agent, [seed[0], seed[1]], config.media.legs.saturating_mul(2)),
            media: Media::new(&config.media),
            domains: config.conferences.iter().cloned().map(Arc::new).collect(),
            kept: if restrictions.muted_rooms().is_empty() { Kept::Settled } else { Kept::Waiting },
            restrictions,
            conferences: BTreeMap::new(),
            rooms: BTreeMap::new(),
            legs: BTreeMap::new(),
            calls: BTreeMap::new(),
            unconfirmed: Unconfirmed::default(),
            inquiries: Inquiries::default(),
            timetable: Timetable::default(),
            turns: Turns::default(),
            ghosts: Ghosts::default(),
            seed: Seed(seed[2]),
            last_id: 0,
            connected: false,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Takes a SIP message that the edge sends to the focus. Answers, and what the focus asks, go out on its flow.
    pub fn handle_sip(&mut self, bytes: Bytes, flow: Flow, now: Instant) {
        match Message::parse(bytes) {
            Ok(message) => self.agent.handle_message(message, flow, now),
            Err(error) => self.drop_sip(DropReason::Malformed, &flow, error.reason),
        }
        self.settle(now);
    }

    /// Takes the account that was asked for; `None` where there is none.
    pub fn handle_account(&mut self, query: Query, account: Option<Account>, now: Instant) {
        self.identified(query.0, account, now);
        self.settle(now);
    }

    /// Takes a stanza from the component stream, whose last byte was received at `received`.
    pub fn handle_stanza(&mut self, element: &Element, received: Instant, now: Instant) {
        let Some(from) = stanza::from(element) else {
            return self.drop_stanza(xmpp::DropReason::Malformed, "the sender is no JID");
        };
        if self.inquiry_answered(element, &from, now) {
            return self.settle(now);
        }
        let Some(id) = self.rooms.get(&from.bare()).copied() else {
            return self.haunted(element, &from);
        };
        if let Some(conference) = self.conferences.get_mut(&id) {
            conference.mirror.handle_stanza(element, received);
        }
        self.follow(id, received, now);
        self.settle(now);
    }

    /// Takes word that the component stream came up or went down.
    pub fn handle_link(&mut self, up: bool, now: Instant) {
        self.connected = up;
        if up && self.kept == Kept::Waiting {
            self.kept = Kept::Until(now + LINGER);
        }
        if !up {
            self.ghosts.clear();
            self.inquiries_lost(now);
        }
        let all: Vec<ConferenceId> = self.rooms.values().copied().collect();
        self.turns.begin(all.iter().copied().filter(|_| up));
        if up {
            self.take_turns(now);
        } else {
            all.into_iter().for_each(|id| self.link_is(id, false, now));
        }
        self.settle(now);
    }

    /// Enters rooms again whose turn it is.
    fn take_turns(&mut self, now: Instant) {
        while let Some(id) = self.turns.next() {
            if self.conferences.contains_key(&id) {
                self.link_is(id, true, now);
            } else {
                self.turns.done(id);
            }
        }
    }

    fn link_is(&mut self, id: ConferenceId, up: bool, now: Instant) {
        if let Some(conference) = self.conferences.get_mut(&id) {
            conference.mirror.handle_link(up, &mut self.seed, now);
        }
        self.follow(id, now, now);
    }

    /// Takes what the mixer tells.
    pub fn handle_mixer_event(&mut self, event: MixerEvent, now: Instant) {
        match event {
            MixerEvent::MuteApplied { leg, cause, at, muted: _ } => self.confirmed(leg, cause, at),
            MixerEvent::LegLatched { leg, seat, source } => self.media.latched(leg, seat, source),
            MixerEvent::LegSilent { leg } => self.probe(leg, now),
        }
        self.settle(now);
    }

    /// The service stops: everybody is told by a BYE, and the focus leaves its rooms. Mutes are kept for those who call again.
    pub fn handle_stop(&mut self, now: Instant) {
        let legs: Vec<LegId> = self.legs.keys().copied().collect();
        for leg in legs {
            self.hang_up(leg, 503, "The service stops", now);
        }
        for conference in self.conferences.values_mut() {
            conference.mirror.leave();
            for output in conference.mirror.drain(now) {
                if let mirror::Output::Send(stanza) = output {
                    self.outputs.push_back(Output::Stanza(stanza));
                }
            }
        }
        self.settle(now);
    }

    /// Runs timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
        self.settle(now);
        self.inquiries_due(now);
        if matches!(self.kept, Kept::Until(due) if due <= now) {
            self.kept = Kept::Settled;
            for room in self.restrictions.muted_rooms() {
                if !self.rooms.contains_key(&room) {
                    self.forget_mutes(&room);
                }
            }
        }
        for id in self.timetable.due(now) {
            let Some(conference) = self.conferences.get_mut(&id) else { continue };
            if conference.linger.is_some_and(|due| due <= now) {
                self.close(id, "nobody is in the call", now);
                self.end_turn(id, now);
                continue;
            }
            if conference.mirror.poll_timeout().is_some_and(|due| due <= now) {
                conference.mirror.handle_timeout(&mut self.seed, now);
            }
            self.follow(id, now, now);
        }
        self.settle(now);
    }

    /// When [`Self::handle_timeout`] is next due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let kept = match self.kept {
            Kept::Until(due) => Some(due),
            Kept::Waiting | Kept::Settled => None,
        };
        let all = [self.agent.poll_timeout(), self.timetable.next(), self.inquiries.next(), kept];
        all.into_iter().flatten().min()
    }

    /// What to do next, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What lives now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let arrivals = self.calls.len().saturating_sub(self.legs.len());
        Counts { conferences: self.conferences.len(), legs: self.legs.len(), arrivals }
    }

    /// True where nothing is left of any call or conference, also none of their transactions, ports and decisions.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let tables = [self.rooms.len(), self.calls.len(), self.unconfirmed.len(), self.media.legs()];
        let counts = [self.inquiries.len(), usize::from(self.timetable.next().is_some())];
        self.counts() == Counts::default() && tables == [0; 4] && counts == [0; 2] && self.agent.is_idle()
    }

    /// Moves on what the user agent put out.
    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                ua::Output::Transmit(transmit) => self.outputs.push_back(Output::Sip(transmit)),
                ua::Output::Invited { call, message, flow } => self.invited(call, message, &flow, now),
                ua::Output::Acked { call, message } => self.acked(call, &message, now),
                ua::Output::Reoffered { call, message } => self.reoffered(call, &message, now),
                ua::Output::Ended { call, reason, .. } => self.ended(call, reason, now),
                ua::Output::Request { request, call, message, .. } => self.asked(request, call, &message, now),
                ua::Output::Dropped { reason, flow, detail } => self.drop_sip(reason, &flow, detail),
                ua::Output::Response { request, call: Some(call), status, .. } => {
                    self.probed(request, call, status, now);
                }
                // The focus calls nobody and asks nothing but BYE and, within calls, OPTIONS.
                ua::Output::Progress { .. }
                | ua::Output::Answered { .. }
                | ua::Output::Failed { .. }
                | ua::Output::Agreed { .. }
                | ua::Output::Refused { .. }
                | ua::Output::Response { call: None, .. } => {}
            }
        }
    }

    /// Moves on what a conference's mirror put out.
    fn follow(&mut self, id: ConferenceId, received: Instant, now: Instant) {
        while let Some(conference) = self.conferences.get_mut(&id) {
            let outputs = conference.mirror.drain(now);
            if outputs.is_empty() {
                break;
            }
            for output in outputs {
                match output {
                    mirror::Output::Send(stanza) => self.outputs.push_back(Output::Stanza(stanza)),
                    mirror::Output::Dropped(dropped) => self.tell(Event::XmppDropped(dropped)),
                    mirror::Output::Change(change) => self.changed(id, change, received, now),
                }
            }
        }
        self.rearm(id, now);
        self.end_turn(id, now);
    }

    /// Lets the next room have its turn where this one is read, or gone.
    fn end_turn(&mut self, id: ConferenceId, now: Instant) {
        let entering = self.conferences.get(&id).is_some_and(|conference| conference.mirror.is_entering());
        if !entering && self.turns.done(id) {
            self.take_turns(now);
        }
    }

    /// Notes when a conference is due: its room's timers, and its end where nobody is in it.
    fn rearm(&mut self, id: ConferenceId, now: Instant) {
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        if !conference.is_empty() {
            conference.linger = None;
        } else if conference.stage == Stage::Over {
            return self.close(id, "the room was destroyed", now);
        } else {
            conference.linger.get_or_insert(now + LINGER);
        }
        let due = [conference.linger, conference.mirror.poll_timeout()].into_iter().flatten().min();
        self.timetable.set(id, due);
    }

    /// Ends a conference that nobody is in: its mutes end, and the focus leaves the room.
    fn close(&mut self, id: ConferenceId, detail: &'static str, now: Instant) {
        let Some(mut conference) = self.conferences.remove(&id) else { return };
        self.timetable.set(id, None);
        let room = conference.room().clone();
        if self.rooms.get(&room) == Some(&id) {
            self.rooms.remove(&room);
        }
        conference.mirror.leave();
        for output in conference.mirror.drain(now) {
            if let mirror::Output::Send(stanza) = output {
                self.outputs.push_back(Output::Stanza(stanza));
            }
        }
        let known = conference.stage != Stage::Entering || self.kept == Kept::Settled;
        if known && !self.rooms.contains_key(&room) {
            self.forget_mutes(&room);
        }
        if conference.mirrored {
            let room = cusax_event::Identity::room(room.as_str());
            self.tell(Event::Room(xmpp::RoomMirror { mirrored: false, room, detail }));
        }
        if conference.active {
            let correlation = conference.correlation(None);
            self.tell(Event::Conference(cusax_event::media::Conference { active: false, correlation }));
        }
    }

    fn forget_mutes(&mut self, room: &BareJid) {
        if self.restrictions.clear(room, Restriction::Mute) {
            self.outputs.push_back(Output::Lift { room: room.clone(), jid: None, restriction: Restriction::Mute });
        }
    }

    /// Adds a restriction to our own copy, and has it kept; false where nothing was added.
    fn restrict(&mut self, room: &BareJid, jid: &BareJid, restriction: Restriction) -> bool {
        let added = self.restrictions.add(room, jid, restriction);
        match added {
            Added::New => {
                let (room, jid) = (room.clone(), jid.clone());
                self.outputs.push_back(Output::Restrict(Restricted { room, jid, restriction }));
            }
            Added::Known => {}
            Added::Full => self.drop_stanza(xmpp::DropReason::TooLarge, "more bans and mutes than are kept of a room"),
        }
        added == Added::New
    }

    /// Takes a restriction off our own copy; false where it was not there.
    fn lift(&mut self, room: &BareJid, jid: &BareJid, restriction: Restriction) -> bool {
        let removed = self.restrictions.remove(room, jid, restriction);
        if removed {
            self.outputs.push_back(Output::Lift { room: room.clone(), jid: Some(jid.clone()), restriction });
        }
        removed
    }

    /// The conference domain and the room that a conference URI stands for.
    fn room_of(&self, uri: &Uri<'_>) -> Option<(Arc<Domain>, BareJid)> {
        let domain = self.domains.iter().find(|domain| uri.host_is(&domain.domain))?;
        let user = uri.user_unescaped();
        let room = BareJid::new(&escape_localpart(&user), domain.rooms.as_str()).ok()?;
        Some((Arc::clone(domain), room))
    }

    const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn drop_stanza(&mut self, reason: xmpp::DropReason, detail: &str) {
        self.tell(Event::XmppDropped(xmpp::Dropped { reason, detail: detail.to_owned() }));
    }

    fn drop_sip(&mut self, reason: DropReason, flow: &Flow, detail: &'static str) {
        self.tell(Event::SipDropped(Dropped { reason, transport: flow.transport, remote: None, count: 1, detail }));
    }
}

/// What the focus answers; other methods get 405.
const ALLOW: [Method; 7] =
    [Method::Invite, Method::Ack, Method::Cancel, Method::Bye, Method::Options, Method::Prack, Method::Update];
/// Extensions that the focus knows.
const SUPPORTED: [&str; 1] = ["100rel"];
/// The name in the Via of a user agent that is no host (RFC 6761 §6.4).
const SENT_BY: &str = "conference.invalid";
/// How long a conference goes on with nobody in it; the focus' presence keeps temporary rooms alive.
const LINGER: Duration = Duration::from_secs(60);
