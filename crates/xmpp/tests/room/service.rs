//! A MUC service for tests: it plays back what a recorded server sent to the focus, and answers in between as that
//! server answered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cusax_event::xmpp::DropReason;
use cusax_xmpp::muc::{Config, Limits, Output, Room, RoomEvent, UserInfo};
use cusax_xmpp::stream::{Item, StreamParser};
use cusax_xmpp::{Element, ns, stanza};

pub(crate) const PROSODY: &str = include_str!("../../../../tests/corpora/xmpp/prosody-0.12.3.log");
pub(crate) const EJABBERD: &str = include_str!("../../../../tests/corpora/xmpp/ejabberd-23.01.log");
pub(crate) const FOCUS: &str = "focus@cusax.example.test/mixer";

#[expect(clippy::disallowed_methods, reason = "a base to which tests add")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// Parses elements as they come off the component stream.
pub(crate) fn parse(xml: &str) -> Vec<Element> {
    let mut parser = StreamParser::new(ns::COMPONENT, cusax_xmpp::stream::Limits::default());
    let open = format!("<stream:stream xmlns='{}' xmlns:stream='{}'>", ns::COMPONENT, ns::STREAM);
    parser.push(open.as_bytes());
    parser.push(xml.as_bytes());
    let mut all = Vec::new();
    while let Some(item) = parser.next_item().unwrap_or_else(|refusal| panic!("{refusal:?} {xml}")) {
        if let Item::Stanza(stanza) = item {
            all.push(stanza);
        }
    }
    all
}

/// What the component received in a section of a log.
pub(crate) fn section(log: &str, number: &str) -> Vec<Element> {
    let section = log.split("===== ").find(|section| section.split([' ', '\n']).next() == Some(number)).unwrap();
    let received = section
        .lines()
        .filter_map(|line| line.strip_prefix("COMP << "))
        .filter(|line| line.starts_with("<") && !line.starts_with("<?"));
    received.flat_map(parse).collect()
}

pub(crate) struct Service {
    pub(crate) room: Room,
    pub(crate) now: Instant,
    pub(crate) events: Vec<RoomEvent>,
    pub(crate) sent: Vec<Element>,
    /// What the service would say to whoever enters, by occupant.
    present: BTreeMap<String, Element>,
    /// Users with an affiliation.
    pub(crate) listed: BTreeMap<String, String>,
    /// disco#info, as recorded, with the features that hold now.
    pub(crate) disco: String,
    /// The owner's form, as recorded.
    pub(crate) form: String,
    /// What was dropped.
    pub(crate) dropped: Vec<DropReason>,
    /// Nothing is answered.
    pub(crate) silent: bool,
    /// No presence is answered.
    deaf: bool,
    own: Vec<Element>,
}

impl Service {
    /// A focus about to enter `room1` of a recording, which is what section 3 shows.
    pub(crate) fn new(log: &str) -> Self {
        Self::of(log, "room1", "conference-bridge", &section(log, "3."))
    }

    pub(crate) fn of(log: &str, room: &str, nick: &str, welcome: &[Element]) -> Self {
        Self::limited(log, room, nick, welcome, Limits::default())
    }

    pub(crate) fn limited(log: &str, room: &str, nick: &str, welcome: &[Element], limits: Limits) -> Self {
        let now = start();
        let address = format!("{room}@conference.example.test");
        let config = Config {
            room: address.parse().unwrap(),
            focus: FOCUS.parse().unwrap(),
            nick: nick.to_owned(),
            patience: Duration::from_secs(2),
            limits,
        };
        let payload = |section: &[Element], ns: &str| {
            let answer = section.iter().find_map(|stanza| stanza.child(ns, "query"));
            answer.unwrap_or_else(|| panic!("no {ns}")).to_xml(ns::COMPONENT)
        };
        let mut service = Self {
            room: Room::new(config, 1, now),
            now,
            events: Vec::new(),
            sent: Vec::new(),
            present: BTreeMap::new(),
            listed: BTreeMap::from([("alice@example.test".to_owned(), "owner".to_owned())]),
            disco: payload(&section(log, "2."), ns::DISCO_INFO),
            form: payload(&section(log, "20."), ns::MUC_OWNER),
            dropped: Vec::new(),
            silent: true,
            deaf: false,
            own: Vec::new(),
        };
        for stanza in welcome {
            service.observe(stanza);
        }
        service.silent = false;
        service
    }

    /// Takes what the room asks and answers it, until it asks no more.
    pub(crate) fn settle(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Dropped(dropped) => self.dropped.push(dropped.reason),
                Output::Send(stanza) => {
                    assert_eq!(stanza.attr("from"), Some(FOCUS));
                    assert!(stanza.attr("to").is_some());
                    let answers = if self.silent { Vec::new() } else { self.answers(&stanza) };
                    self.sent.push(stanza);
                    for answer in answers {
                        self.room.handle_stanza(&answer, self.now);
                    }
                }
            }
        }
    }

    fn answers(&self, request: &Element) -> Vec<Element> {
        if request.name() == "presence" {
            let entering = request.attr("type").is_none() && !self.deaf;
            return if entering { self.present.values().chain(&self.own).cloned().collect() } else { Vec::new() };
        }
        let query = request.children().next().unwrap();
        let result = |payload: &str| vec![stanza::result(request, parse(payload).pop())];
        match (request.attr("type"), query.ns()) {
            (Some("get"), ns::DISCO_INFO) => result(&self.disco),
            (Some("get"), ns::MUC_OWNER) => result(&self.form),
            (Some("get"), ns::MUC_ADMIN) => {
                let wanted = query.children().next().and_then(|item| item.attr("affiliation")).unwrap();
                let items = self.listed.iter().filter(|(_, affiliation)| *affiliation == wanted);
                let items: String = items
                    .map(|(jid, affiliation)| format!("<item jid='{jid}' affiliation='{affiliation}'/>"))
                    .collect();
                result(&format!("<query xmlns='{}'>{items}</query>", ns::MUC_ADMIN))
            }
            _ => vec![stanza::result(request, None)],
        }
    }

    /// Remembers what a stanza says, as the service that sent it knows it.
    fn observe(&mut self, stanza: &Element) {
        let Some(info) = UserInfo::of(stanza) else { return };
        let nick = stanza::from(stanza).and_then(|from| from.resource().map(str::to_owned));
        match nick.filter(|_| stanza.name() == "presence") {
            Some(nick) if stanza.attr("type") == Some("unavailable") => {
                self.present.remove(&nick);
            }
            Some(nick) if stanza.attr("to") == Some(FOCUS) && stanza.attr("type").is_none() => {
                if info.has(110) {
                    self.own = vec![stanza.clone()];
                } else {
                    self.present.insert(nick, stanza.clone());
                }
            }
            Some(_) | None => {}
        }
        for item in info.items.iter().filter(|_| stanza.attr("to") == Some(FOCUS)) {
            if let (Some(jid), Some(affiliation)) = (&item.jid, item.affiliation) {
                self.listed.remove(jid.bare().as_str());
                if affiliation.as_str() != "none" && jid.as_str() != FOCUS {
                    self.listed.insert(jid.bare().to_string(), affiliation.to_string());
                }
            }
        }
    }

    /// Plays stanzas to the room and returns what it tells.
    pub(crate) fn play(&mut self, stanzas: &[Element]) -> Vec<String> {
        let asked = ["disco#info", "muc#admin", "muc#owner"];
        for stanza in stanzas {
            // Answers to what the recording asked are not answers to this room.
            if stanza.name() == "iq"
                && (stanza.children().any(|query| asked.iter().any(|name| query.ns().ends_with(name)))
                    || stanza.children().next().is_none())
            {
                continue;
            }
            self.now += Duration::from_millis(300);
            self.observe(stanza);
            self.room.handle_stanza(stanza, self.now);
            self.settle();
        }
        self.told()
    }

    /// Plays an answer to a request of the room's own.
    pub(crate) fn play_answer(&mut self, xml: &str) -> Vec<String> {
        for stanza in parse(xml) {
            self.room.handle_stanza(&stanza, self.now);
        }
        self.told()
    }

    /// Lets the service know what the room does not hear.
    pub(crate) fn play_offline(&mut self, xml: &str) {
        for stanza in parse(xml) {
            self.observe(&stanza);
        }
    }

    /// Lets an occupant vanish without a word.
    pub(crate) fn forget(&mut self, nick: &str) {
        self.present.remove(nick);
    }

    /// Plays stanzas that no recording holds.
    pub(crate) fn play_xml(&mut self, xml: &str) -> Vec<String> {
        for stanza in parse(xml) {
            self.now += Duration::from_millis(300);
            self.observe(&stanza);
            self.room.handle_stanza(&stanza, self.now);
            self.settle();
        }
        self.told()
    }

    pub(crate) fn told(&mut self) -> Vec<String> {
        self.settle();
        self.events.drain(..).map(|event| short(&event)).collect()
    }

    /// Lets time pass until the room wants it.
    pub(crate) fn wait(&mut self) -> Vec<String> {
        self.now = self.room.poll_timeout().unwrap();
        self.room.handle_timeout(self.now);
        self.told()
    }

    /// Plays stanzas, and answers what the room asks up to its presence, which goes unanswered.
    pub(crate) fn play_until_presence(&mut self, xml: &str) {
        self.deaf = true;
        self.play_xml(xml);
        self.deaf = false;
    }

    /// What was sent since last asked.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        self.sent.drain(..).map(|stanza| stanza.to_xml(ns::COMPONENT)).collect()
    }
}

/// An event in a line.
pub(crate) fn short(event: &RoomEvent) -> String {
    let why = |cause: &cusax_xmpp::muc::Cause| {
        let actor = cause.actor.as_ref().map(|actor| {
            let nick = actor.nick.clone().unwrap_or_default();
            format!(" by {nick}{}", actor.jid.as_ref().map_or(String::new(), |jid| format!("<{jid}>")))
        });
        let reason = cause.reason.as_ref().map(|reason| format!(" '{reason}'"));
        let statuses: String = cause.statuses.iter().map(|status| format!(" {status}")).collect();
        format!("{statuses}{}{}", actor.unwrap_or_default(), reason.unwrap_or_default())
    };
    match event {
        RoomEvent::Absent => "absent".to_owned(),
        RoomEvent::Failed { failure, condition } => format!("failed {failure} {}", condition.as_deref().unwrap_or("-")),
        RoomEvent::Ready => "ready".to_owned(),
        RoomEvent::OccupantJoined(occupant) => {
            let bare = occupant.bare().map_or(String::new(), |bare| bare.to_string());
            format!("joined {} <{bare}> {} {}", occupant.nick, occupant.role, occupant.affiliation)
        }
        RoomEvent::OccupantLeft { occupant, departure, cause } => {
            format!("{departure} {}{}", occupant.nick, why(cause))
        }
        RoomEvent::NickChanged { occupant, from } => format!("nick {from} > {}", occupant.nick),
        RoomEvent::RoleChanged { occupant, from, cause } => {
            format!("role {} {from} > {}{}", occupant.nick, occupant.role, why(cause))
        }
        RoomEvent::AffiliationChanged { jid, from, to, cause } => {
            format!("affiliation {jid} {from} > {to}{}", why(cause))
        }
        RoomEvent::VoiceRequested { nick, jid } => format!("voice wanted {nick} {jid:?}"),
        RoomEvent::SubjectChanged { subject, nick } => {
            format!("subject '{subject}' by {}", nick.as_deref().unwrap_or("-"))
        }
        RoomEvent::ConfigChanged(_) => "config".to_owned(),
        RoomEvent::Destroyed(destroy) => format!("destroyed {:?} {:?}", destroy.alternate, destroy.reason),
        RoomEvent::LinkLost => "link lost".to_owned(),
        RoomEvent::Reconciled(result) => format!("reconciled {result}"),
        RoomEvent::ModerationRefused { moderation, condition } => format!("refused {moderation:?} {condition}"),
    }
}
