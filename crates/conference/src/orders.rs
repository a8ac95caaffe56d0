//! What the focus asked its room to do, until the room has done it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cusax_xmpp::BareJid;
use cusax_xmpp::muc::{Moderation, Occupant, Role};

/// A role that was ordered for an occupant.
#[derive(Debug)]
struct RoleOrder {
    role: Role,
    /// The nick that it was ordered for, which may not be his any more.
    nick: String,
    reason: &'static str,
    send: Sending,
}

/// When an order is to be sent, and how often it was.
#[derive(Debug)]
struct Sending {
    /// `None` while its answer is awaited.
    at: Option<Instant>,
    tries: u8,
}

/// What to send now.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) moderation: Moderation,
    pub(crate) reason: &'static str,
}

#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// By the nick that the occupant has now.
    roles: BTreeMap<String, RoleOrder>,
    bans: BTreeMap<BareJid, (&'static str, Sending)>,
}

impl Orders {
    /// Orders a role, if it is not ordered.
    pub(crate) fn role(&mut self, nick: &str, role: Role, reason: &'static str, now: Instant) {
        if self.role_of(nick) != Some(role) {
            let order = RoleOrder { role, nick: nick.to_owned(), reason, send: Sending::new(now) };
            self.roles.insert(nick.to_owned(), order);
        }
    }

    /// Orders a ban.
    pub(crate) fn ban(&mut self, jid: &BareJid, reason: &'static str, now: Instant) {
        self.bans.entry(jid.clone()).or_insert_with(|| (reason, Sending::new(now)));
    }

    /// The role that is ordered for an occupant.
    pub(crate) fn role_of(&self, nick: &str) -> Option<Role> {
        self.roles.get(nick).map(|order| order.role)
    }

    /// What an occupant is once all is done.
    pub(crate) fn outcome(&self, occupant: &Occupant) -> Role {
        match self.role_of(&occupant.nick) {
            Some(Role::Participant) => occupant.role.max(Role::Participant),
            Some(Role::Visitor | Role::Moderator | Role::None) | None => occupant.role,
        }
    }

    /// Notes a role; true where it was ordered.
    pub(crate) fn has_role(&mut self, occupant: &Occupant) -> bool {
        let done = self.role_of(&occupant.nick) == Some(occupant.role);
        if done {
            self.roles.remove(&occupant.nick);
        }
        done
    }

    pub(crate) fn left(&mut self, nick: &str) {
        self.roles.remove(nick);
    }

    pub(crate) fn renamed(&mut self, from: &str, to: &str) {
        if let Some(order) = self.roles.remove(from) {
            self.roles.insert(to.to_owned(), order);
        }
    }

    pub(crate) fn is_banned(&mut self, jid: &BareJid) {
        self.bans.remove(jid);
    }

    /// Notes that the room did not do something: what it did not hear of, or was asked of who is called otherwise by
    /// now, is ordered again.
    pub(crate) fn refused(&mut self, moderation: &Moderation, condition: &str, now: Instant) {
        let unheard = UNHEARD.contains(&condition);
        match moderation {
            Moderation::Role { nick, role } => {
                let ordered = |(_, order): &(&String, &RoleOrder)| order.nick == *nick && order.role == *role;
                let Some(key) = self.roles.iter().find(ordered).map(|(key, _)| key.clone()) else { return };
                let Some(order) = self.roles.get_mut(&key) else { return };
                let renamed = key != *nick;
                if (renamed || unheard) && order.send.again(if renamed { now } else { now + PAUSE }) {
                    order.nick = key;
                } else {
                    self.roles.remove(&key);
                }
            }
            Moderation::Affiliation { jid, .. } => {
                let again = self.bans.get_mut(jid).is_some_and(|(_, send)| unheard && send.again(now + PAUSE));
                if !again {
                    self.bans.remove(jid);
                }
            }
        }
    }

    /// Notes that the room may not have heard of anything: what is not done is ordered again.
    pub(crate) fn reopen<'a>(&mut self, occupant: impl Fn(&str) -> Option<&'a Occupant>, now: Instant) {
        self.roles.retain(|nick, order| occupant(nick).is_some_and(|now| now.role != order.role));
        for (nick, order) in &mut self.roles {
            order.nick.clone_from(nick);
            order.send = Sending::new(now);
        }
        self.bans.values_mut().for_each(|(_, send)| *send = Sending::new(now));
    }

    /// When something is to be sent.
    pub(crate) fn next(&self) -> Option<Instant> {
        let roles = self.roles.values().map(|order| &order.send);
        roles.chain(self.bans.values().map(|(_, send)| send)).filter_map(|send| send.at).min()
    }

    /// What is to be sent now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Order> {
        let mut due = Vec::new();
        for order in self.roles.values_mut().filter(|order| order.send.is_due(now)) {
            order.send.at = None;
            let moderation = Moderation::Role { nick: order.nick.clone(), role: order.role };
            due.push(Order { moderation, reason: order.reason });
        }
        for (jid, (reason, send)) in self.bans.iter_mut().filter(|(_, (_, send))| send.is_due(now)) {
            send.at = None;
            let affiliation = cusax_xmpp::muc::Affiliation::Outcast;
            due.push(Order { moderation: Moderation::Affiliation { jid: jid.clone(), affiliation }, reason });
        }
        due
    }
}

impl Sending {
    const fn new(now: Instant) -> Self {
        Self { at: Some(now), tries: 1 }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    /// Sends it once more, then; false where it was tried often enough.
    const fn again(&mut self, at: Instant) -> bool {
        self.tries += 1;
        self.at = Some(at);
        self.tries <= TRIES
    }
}

/// Conditions by which the view of the room says that the room did not hear of an order, or did not answer it.
const UNHEARD: [&str; 3] = ["remote-server-timeout", "resource-constraint", "recipient-unavailable"];
/// How often an order is sent.
const TRIES: u8 = 5;
/// How long after it was not heard of.
const PAUSE: Duration = Duration::from_secs(5);
