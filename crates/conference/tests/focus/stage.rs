//! Everything around the focus, on a virtual clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_conference::{
    Account, AccountKey, Conferences, Config, Create, Domain, Media, Output, Restricted, Restriction,
};
use cusax_event::moderation::Moderation;
use cusax_event::{Event, LegId};
use cusax_mixer::{Command, Event as MixerEvent, PortId};
use cusax_rtp::Codec;
use cusax_sip::{Flow, ListenerId, Message, Transport};
use cusax_xmpp::{BareJid, Element, ns};

use crate::phone::{Phone, answer};
use crate::service::{FOCUS, Flavour, NICK, Room, no_such_room, parse};

pub(crate) const ROOM: &str = "room1@conference.example.test";
pub(crate) const URI: &str = "sip:room1@conf.example.test";
/// From a command to the tick that shows it.
pub(crate) const TICK: Duration = Duration::from_millis(7);

#[expect(clippy::disallowed_methods, reason = "a base to which tests add")]
fn start() -> Instant {
    Instant::now()
}

pub(crate) fn jid(text: &str) -> BareJid {
    text.parse().unwrap()
}

pub(crate) struct Stage {
    pub(crate) focus: Conferences,
    pub(crate) now: Instant,
    pub(crate) rooms: BTreeMap<String, Room>,
    link: bool,
    /// What phones answer to requests of the focus, if they do.
    pub(crate) phones_say: Option<u16>,
    /// Whether the MUC service answers only what [`Self::serve`] lets it.
    pub(crate) slow: bool,
    /// What it has yet to answer.
    pub(crate) backlog: VecDeque<Element>,
    /// Whether the mixer confirms.
    pub(crate) mixing: bool,
    /// What the focus sent by SIP, since last taken.
    pub(crate) sent: VecDeque<Message>,
    /// Stanzas of the focus, since last taken.
    pub(crate) stanzas: Vec<Element>,
    pub(crate) commands: Vec<Command>,
    pub(crate) events: Vec<Event>,
    pub(crate) kept: Vec<String>,
    /// The mute state of each leg, as the mixer has it.
    pub(crate) muted: BTreeMap<LegId, bool>,
    calls: u32,
}

pub(crate) fn config() -> Config {
    Config {
        domain: "example.test".to_owned(),
        conferences: vec![Domain {
            domain: "conf.example.test".to_owned(),
            rooms: jid("conference.example.test"),
            create: Create::WithRoom,
            mute_visitors_in_unmoderated_rooms: true,
        }],
        focus: FOCUS.parse().unwrap(),
        nick: NICK.to_owned(),
        media: Media {
            address: "198.51.100.1".parse().unwrap(),
            ports: vec![PortId(40_000), PortId(40_002)],
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            legs: 100,
        },
        name: "cusax".to_owned(),
        restrictions: Vec::new(),
    }
}

impl Stage {
    /// A focus whose link is up, and an empty `room1`.
    pub(crate) fn new(flavour: Flavour) -> Self {
        Self::of(config(), flavour)
    }

    pub(crate) fn of(config: Config, flavour: Flavour) -> Self {
        let mut stage = Self {
            focus: Conferences::new(config, [1, 2, 3]),
            now: start(),
            rooms: BTreeMap::from([(ROOM.to_owned(), Room::new(ROOM, flavour))]),
            link: false,
            phones_say: Some(200),
            slow: false,
            backlog: VecDeque::new(),
            mixing: true,
            sent: VecDeque::new(),
            stanzas: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
            kept: Vec::new(),
            muted: BTreeMap::new(),
            calls: 0,
        };
        stage.link(true);
        stage
    }

    pub(crate) fn link(&mut self, up: bool) {
        self.link = up;
        if !up {
            self.backlog.clear();
            self.rooms.values_mut().for_each(|room| room.focus = false);
        }
        self.focus.handle_link(up, self.now);
        self.pump();
    }

    pub(crate) fn sip(&mut self, bytes: Bytes) {
        let flow = Flow {
            listener: ListenerId(u16::MAX),
            transport: Transport::Internal,
            remote: "0.0.0.0:0".parse().unwrap(),
            connection: None,
            domain: None,
        };
        self.focus.handle_sip(bytes, flow, self.now);
        self.pump();
    }

    /// Lets `room1` do something, and tells the focus where it is in.
    pub(crate) fn room(&mut self, act: impl FnOnce(&mut Room) -> String) {
        // People do not act faster than the focus looks at a room again.
        self.pass(Duration::from_millis(300));
        let room = self.rooms.get_mut(ROOM).unwrap();
        let heard = room.focus;
        let xml = act(room);
        if heard && self.link {
            self.stanza(&xml);
        }
    }

    /// Plays stanzas to the focus.
    pub(crate) fn stanza(&mut self, xml: &str) {
        for stanza in parse(xml) {
            self.focus.handle_stanza(&stanza, self.now, self.now + Duration::from_millis(1));
            self.pump();
        }
    }

    pub(crate) fn pump(&mut self) {
        while let Some(output) = self.focus.poll_output() {
            match output {
                Output::Sip(transmit) => {
                    let message = Message::parse(transmit.bytes).unwrap();
                    assert!(message.defect().is_none(), "{}", message.first_line());
                    let answer =
                        self.phones_say.filter(|_| message.is_request()).map(|status| answer(&message, status));
                    self.sent.push_back(message);
                    if let Some(answer) = answer {
                        self.focus.handle_sip(answer, transmit.flow, self.now);
                    }
                }
                Output::Stanza(stanza) => self.answer(stanza),
                Output::Mixer(command) => self.mix(command),
                Output::Account { query, key } => {
                    let account = match key {
                        AccountKey::User(user) => match user.as_str() {
                            "alice" | "bob" | "carol" | "dave" | "erin" => Some((user.len(), user)),
                            _ => None,
                        },
                        AccountKey::Number(number) => (number == "+14045550100").then(|| (9, "alice".to_owned())),
                    };
                    let account = account.map(|(id, user)| Account {
                        id: i64::try_from(id).unwrap(),
                        jid: Some(jid(&format!("{user}@example.test"))),
                    });
                    self.focus.handle_account(query, account, self.now);
                }
                Output::Restrict(Restricted { room, jid, restriction }) => {
                    assert_eq!(room.as_str(), ROOM);
                    self.kept.push(format!("{restriction:?} {jid}"));
                }
                Output::Lift { jid, restriction, .. } => {
                    let who = jid.map_or("all".to_owned(), |jid| jid.to_string());
                    self.kept.push(format!("no {restriction:?} {who}"));
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn answer(&mut self, stanza: Element) {
        assert_eq!(stanza.attr("from"), Some(FOCUS));
        if self.slow && self.link {
            self.backlog.push_back(stanza);
        } else {
            self.answer_now(stanza);
        }
    }

    /// Lets a slow MUC service answer so many stanzas.
    pub(crate) fn serve(&mut self, count: usize) {
        for _ in 0..count {
            let Some(stanza) = self.backlog.pop_front() else { return };
            self.answer_now(stanza);
        }
    }

    fn answer_now(&mut self, stanza: Element) {
        let to = stanza.attr("to").unwrap().split('/').next().unwrap().to_owned();
        let answers = match self.rooms.get_mut(&to) {
            _ if !self.link => String::new(),
            Some(room) => room.answer(&stanza),
            None => no_such_room(&stanza),
        };
        self.stanzas.push(stanza);
        self.stanza(&answers);
    }

    /// Lets the mixer say that nothing comes from a leg.
    pub(crate) fn silence(&mut self, leg: LegId) {
        self.focus.handle_mixer_event(MixerEvent::LegSilent { leg }, self.now);
        self.pump();
    }

    fn mix(&mut self, command: Command) {
        self.commands.push(command);
        match command {
            Command::AddLeg(add) => {
                assert!(self.muted.insert(add.leg, add.muted).is_none(), "{:?} is there already", add.leg);
            }
            Command::UpdateLeg(update) => assert!(self.muted.contains_key(&update.leg)),
            Command::SetMuted { leg, muted, cause } => {
                self.muted.insert(leg, muted).unwrap();
                if self.mixing {
                    let at = self.now + TICK;
                    self.focus.handle_mixer_event(MixerEvent::MuteApplied { leg, muted, cause, at }, at);
                }
            }
            Command::StopWaiting { leg } => assert!(self.muted.contains_key(&leg)),
            Command::RemoveLeg { leg } => {
                self.muted.remove(&leg).unwrap();
            }
        }
    }

    /// Lets time pass, and all timers with it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.focus.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.focus.handle_timeout(self.now);
            self.pump();
        }
        self.now = until;
    }

    pub(crate) fn phone(&mut self, user: &'static str) -> Phone {
        self.calls += 1;
        Phone::new(user, self.calls)
    }

    /// Calls `room1` and returns the final response, acknowledged.
    pub(crate) fn dial(&mut self, phone: &mut Phone) -> Message {
        let offer = phone.sdp("sendrecv");
        let invite = phone.invite(URI, &offer);
        self.sent.clear();
        self.sip(invite);
        let response = self.response();
        if response.status() == Some(200) {
            phone.hear(&response);
            let ack = phone.request("ACK", URI, "", "");
            self.sip(ack);
        }
        response
    }

    /// Lets somebody into the call, and tells which leg he is.
    pub(crate) fn enter(&mut self, user: &'static str) -> (Phone, LegId) {
        let mut phone = self.phone(user);
        let response = self.dial(&mut phone);
        assert_eq!(response.status(), Some(200), "{user}");
        let mut legs = self.commands.iter().filter_map(|command| match command {
            Command::AddLeg(add) => Some(add.leg),
            _ => None,
        });
        (phone, legs.next_back().unwrap())
    }

    /// The next final response that was sent.
    pub(crate) fn response(&mut self) -> Message {
        loop {
            let message = self.sent.pop_front().expect("a response");
            if message.status().is_some_and(|status| status >= 200) {
                return message;
            }
        }
    }

    /// BYEs that were sent, by Call-ID, each with its Reason.
    pub(crate) fn byes(&mut self) -> Vec<(String, String)> {
        let sent = std::mem::take(&mut self.sent);
        let byes = sent.iter().filter(|message| message.method_text() == "BYE");
        byes.map(|bye| (bye.call_id().to_owned(), bye.first(cusax_sip::Name::Reason).unwrap_or_default().to_owned()))
            .collect()
    }

    pub(crate) fn is_muted(&self, leg: LegId) -> bool {
        self.muted[&leg]
    }

    /// What moderation was told of since last asked.
    pub(crate) fn moderations(&mut self) -> Vec<Moderation> {
        let (found, rest) =
            std::mem::take(&mut self.events).into_iter().partition(|event| matches!(event, Event::Moderation(_)));
        self.events = rest;
        let found: Vec<Event> = found;
        found
            .into_iter()
            .filter_map(|event| match event {
                Event::Moderation(moderation) => Some(moderation),
                _ => None,
            })
            .collect()
    }

    /// The same, each in a line: action, result, origin, who, leg or not.
    pub(crate) fn moderated(&mut self) -> Vec<String> {
        let moderations = self.moderations();
        let line = |it: &Moderation| {
            let who = it.correlation.occupant.as_ref().map_or("-", |who| who.clear());
            let leg = if it.correlation.leg.is_some() { " leg" } else { "" };
            format!("{} {} {} {who}{leg}", it.action, it.result, it.origin)
        };
        moderations.iter().map(line).collect()
    }

    /// What the focus asked of the room as a moderator, since last asked: nick or JID, and what.
    pub(crate) fn orders(&mut self) -> Vec<String> {
        let stanzas = std::mem::take(&mut self.stanzas);
        let items = stanzas.iter().filter(|stanza| stanza.attr("type") == Some("set"));
        let items = items.filter_map(|iq| iq.child(ns::MUC_ADMIN, "query")?.children().next().cloned());
        items
            .map(|item| {
                let who = item.attr("nick").or(item.attr("jid")).unwrap_or_default().to_owned();
                format!("{who} {}", item.attr("role").or(item.attr("affiliation")).unwrap_or_default())
            })
            .collect()
    }

    /// What is kept over a restart: changes since last asked.
    pub(crate) fn kept(&mut self) -> Vec<String> {
        std::mem::take(&mut self.kept)
    }
}

pub(crate) fn restricted(who: &str, restriction: Restriction) -> Restricted {
    Restricted { room: jid(ROOM), jid: jid(who), restriction }
}
