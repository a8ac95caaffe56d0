//! A MUC service that answers the focus and tells it what its rooms do, as Prosody or ejabberd tells it.

use std::collections::BTreeMap;

use cusax_xmpp::stream::{Item, StreamParser};
use cusax_xmpp::{Element, ns, stanza};

pub(crate) const FOCUS: &str = "focus@cusax.example.test/mixer";
pub(crate) const NICK: &str = "conference-bridge";

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Prosody,
    Ejabberd,
}

#[derive(Clone, Debug)]
pub(crate) struct Occupant {
    pub(crate) jid: String,
    pub(crate) role: &'static str,
}

/// One room.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) name: String,
    flavour: Flavour,
    pub(crate) features: Vec<&'static str>,
    pub(crate) max_users: Option<u32>,
    pub(crate) occupants: BTreeMap<String, Occupant>,
    pub(crate) affiliations: BTreeMap<String, &'static str>,
    /// Whether the focus is in.
    pub(crate) focus: bool,
    /// The roles whose occupants it shows to nobody.
    pub(crate) hidden: Vec<&'static str>,
    /// Whether newcomers have a voice, where the server has a setting for that (ejabberd).
    pub(crate) voice_by_default: Option<bool>,
    /// Whether it answers at all.
    pub(crate) silent: bool,
    /// Whether it does what the focus asks as a moderator.
    pub(crate) obeys: bool,
}

impl Room {
    pub(crate) fn new(name: &str, flavour: Flavour) -> Self {
        Self {
            name: name.to_owned(),
            flavour,
            features: Vec::new(),
            max_users: None,
            occupants: BTreeMap::new(),
            affiliations: BTreeMap::new(),
            focus: false,
            hidden: Vec::new(),
            voice_by_default: None,
            silent: false,
            obeys: true,
        }
    }

    fn affiliation(&self, jid: &str) -> &'static str {
        let bare = jid.split('/').next().unwrap();
        self.affiliations.get(bare).copied().unwrap_or("none")
    }

    /// What a moderator's deed carries: his name, and his words.
    fn why(&self, reason: &str, removal: bool) -> String {
        let actor = match (self.flavour, removal) {
            (Flavour::Prosody, _) => "<actor nick='Mo' jid='mo@example.test/desk'/>",
            (Flavour::Ejabberd, true) => "<actor nick='Mo'/>",
            (Flavour::Ejabberd, false) => "",
        };
        if reason.is_empty() { actor.to_owned() } else { format!("{actor}<reason>{reason}</reason>") }
    }

    fn presence(&self, nick: &str, kind: &str, item: &str, inside: &str, statuses: &[u16]) -> String {
        let statuses: String = statuses.iter().map(|status| format!("<status code='{status}'/>")).collect();
        let item = format!("<item {item}>{inside}</item>");
        let x = match self.flavour {
            Flavour::Prosody => format!("{statuses}{item}"),
            Flavour::Ejabberd => format!("{item}{statuses}"),
        };
        format!(
            "<presence from='{}/{nick}' to='{FOCUS}'{kind}><x xmlns='{}'>{x}</x></presence>",
            self.name,
            ns::MUC_USER
        )
    }

    fn available(&self, nick: &str, why: &str) -> String {
        let Occupant { jid, role } = &self.occupants[nick];
        let affiliation = self.affiliation(jid);
        self.presence(nick, "", &format!("jid='{jid}' affiliation='{affiliation}' role='{role}'"), why, &[])
    }

    fn unavailable(&mut self, nick: &str, why: &str, statuses: &[u16]) -> String {
        let Occupant { jid, .. } = self.occupants.remove(nick).unwrap();
        let affiliation = self.affiliation(&jid);
        let item = format!("jid='{jid}' affiliation='{affiliation}' role='none'");
        self.presence(nick, " type='unavailable'", &item, why, statuses)
    }

    pub(crate) fn join(&mut self, nick: &str, jid: &str, role: &'static str) -> String {
        self.occupants.insert(nick.to_owned(), Occupant { jid: jid.to_owned(), role });
        self.shown(nick)
    }

    /// What whoever enters, or is there, is told of an occupant; nothing where the room hides him.
    fn shown(&self, nick: &str) -> String {
        let hidden = self.hidden.contains(&self.occupants[nick].role);
        if hidden { String::new() } else { self.available(nick, "") }
    }

    pub(crate) fn leave(&mut self, nick: &str) -> String {
        self.unavailable(nick, "", &[])
    }

    pub(crate) fn role(&mut self, nick: &str, role: &'static str, reason: &str) -> String {
        let before = std::mem::replace(&mut self.occupants.get_mut(nick).unwrap().role, role);
        let why = self.why(reason, false);
        let told = self.available(nick, &why);
        match (self.hidden.contains(&before), self.hidden.contains(&role)) {
            (_, false) => told,
            (true, true) => String::new(),
            // As Prosody has it: unavailable, with the new role.
            (false, true) => told.replacen(" to=", " type='unavailable' to=", 1),
        }
    }

    pub(crate) fn rename(&mut self, nick: &str, new: &str) -> String {
        let occupant = self.occupants.remove(nick).unwrap();
        let item = format!("nick='{new}' jid='{}' affiliation='none' role='{}'", occupant.jid, occupant.role);
        let gone = self.presence(nick, " type='unavailable'", &item, "", &[303]);
        self.occupants.insert(new.to_owned(), occupant);
        gone + &self.available(new, "")
    }

    pub(crate) fn kick(&mut self, nick: &str, reason: &str) -> String {
        let why = self.why(reason, true);
        self.unavailable(nick, &why, &[307])
    }

    /// Sets an affiliation, of somebody present or not.
    pub(crate) fn affiliate(&mut self, jid: &str, affiliation: &'static str, reason: &str) -> String {
        if affiliation == "none" {
            self.affiliations.remove(jid);
        } else {
            self.affiliations.insert(jid.to_owned(), affiliation);
        }
        let nicks = self.occupants.iter().filter(|(_, occupant)| occupant.jid.split('/').next() == Some(jid));
        let nicks: Vec<String> = nicks.map(|(nick, _)| nick.clone()).collect();
        if nicks.is_empty() {
            let role = if self.flavour == Flavour::Ejabberd { " role='none'" } else { "" };
            return format!(
                "<message from='{}' to='{FOCUS}'><x xmlns='{}'><item jid='{jid}' affiliation='{affiliation}'{role}/></x></message>",
                self.name,
                ns::MUC_USER
            );
        }
        let why = self.why(reason, affiliation == "outcast");
        nicks
            .iter()
            .map(|nick| match affiliation {
                "outcast" => self.unavailable(nick, &why, &[301]),
                _ => self.available(nick, &why),
            })
            .collect()
    }

    /// Bans a domain as Prosody does: those of it who are there, and are nothing to the room themselves, are put out.
    pub(crate) fn ban_domain(&mut self, domain: &str) -> String {
        self.affiliations.insert(domain.to_owned(), "outcast");
        let of = |jid: &str| jid.split('/').next().unwrap().rsplit('@').next() == Some(domain);
        let nicks = self.occupants.iter().filter(|(_, it)| of(&it.jid) && self.affiliation(&it.jid) == "none");
        let nicks: Vec<String> = nicks.map(|(nick, _)| nick.clone()).collect();
        let told: String = nicks.iter().map(|nick| self.unavailable(nick, "", &[301])).collect();
        told.replace("affiliation='none'", "affiliation='outcast'")
    }

    /// Changes what the room is.
    pub(crate) fn configure(&mut self, features: &[&'static str], max_users: Option<u32>) -> String {
        self.features = features.to_vec();
        self.max_users = max_users;
        format!(
            "<message type='groupchat' from='{}' to='{FOCUS}'><x xmlns='{}'><status code='104'/></x></message>",
            self.name,
            ns::MUC_USER
        )
    }

    /// Sets an affiliation before the focus is there to be told.
    pub(crate) fn affiliate_only(&mut self, jid: &str, affiliation: &'static str) {
        self.affiliations.insert(jid.to_owned(), affiliation);
    }

    pub(crate) fn destroy(&mut self, reason: &str) -> String {
        self.focus = false;
        let own = |x: &str| {
            format!(
                "<presence type='unavailable' from='{}/{NICK}' to='{FOCUS}'><x xmlns='{}'>{x}</x></presence>",
                self.name,
                ns::MUC_USER
            )
        };
        let destroy = format!("<destroy><reason>{reason}</reason></destroy>");
        match self.flavour {
            Flavour::Prosody => own(&format!("{destroy}<item affiliation='owner' role='none'/><status code='110'/>")),
            Flavour::Ejabberd => {
                own(&format!("<item affiliation='none' role='none'/>{destroy}"))
                    + &own("<item affiliation='none' role='none'/><status code='110'/><status code='332'/>")
            }
        }
    }

    fn disco(&self) -> String {
        let names = ["muc_open", "muc_unmoderated", "muc_unsecured", "muc_temporary"];
        let features = names.iter().chain(&self.features);
        let features: String = features.map(|name| format!("<feature var='{name}'/>")).collect();
        format!(
            "<query xmlns='{}'><identity category='conference' type='text'/><feature var='{}'/>{features}</query>",
            ns::DISCO_INFO,
            ns::MUC
        )
    }

    fn form(&self) -> String {
        let users = self.max_users.map_or(String::new(), |most| {
            format!("<field var='muc#roomconfig_maxusers'><value>{most}</value></field>")
        });
        let voice = self.voice_by_default.map_or(String::new(), |by_default| {
            format!("<field var='members_by_default'><value>{}</value></field>", u8::from(by_default))
        });
        let roles = ["visitor", "participant", "moderator"].into_iter().filter(|role| !self.hidden.contains(role));
        let roles: String = roles.map(|role| format!("<value>{role}</value>")).collect();
        let shown = format!("<field var='muc#roomconfig_presencebroadcast'>{roles}</field>");
        format!(
            "<query xmlns='{}'><x xmlns='{}' type='form'><field var='FORM_TYPE' type='hidden'><value>{}</value></field>{users}{voice}{shown}</x></query>",
            ns::MUC_OWNER,
            ns::DATA,
            ns::MUC_ROOMCONFIG
        )
    }

    /// Does what the focus asks.
    pub(crate) fn answer(&mut self, request: &Element) -> String {
        if self.silent {
            return String::new();
        }
        if request.name() == "presence" {
            self.focus = request.attr("type").is_none();
            if !self.focus {
                return String::new();
            }
            let own = format!("jid='{FOCUS}' affiliation='owner' role='moderator'");
            let others: String = self.occupants.keys().map(|nick| self.shown(nick)).collect();
            return others + &self.presence(NICK, "", &own, "", &[110]);
        }
        let Some(query) = request.children().next() else { return String::new() };
        let item = query.children().next();
        match (request.attr("type"), query.ns()) {
            (Some("get"), ns::DISCO_INFO) => result(request, &self.disco()),
            (Some("get"), ns::MUC_OWNER) => result(request, &self.form()),
            (Some("get"), ns::MUC_ADMIN) if item.and_then(|item| item.attr("role")).is_some() => {
                let wanted = item.and_then(|item| item.attr("role")).unwrap();
                let listed = self.occupants.iter().filter(|(_, occupant)| occupant.role == wanted);
                let listed: String = listed
                    .map(|(nick, Occupant { jid, role })| {
                        let bare = jid.split('/').next().unwrap();
                        let affiliation = self.affiliation(jid);
                        format!("<item nick='{nick}' jid='{bare}' role='{role}' affiliation='{affiliation}'/>")
                    })
                    .collect();
                result(request, &format!("<query xmlns='{}'>{listed}</query>", ns::MUC_ADMIN))
            }
            (Some("get"), ns::MUC_ADMIN) => {
                let wanted = item.and_then(|item| item.attr("affiliation")).unwrap();
                let listed = self.affiliations.iter().filter(|(_, affiliation)| **affiliation == wanted);
                let listed: String =
                    listed.map(|(jid, of)| format!("<item jid='{jid}' affiliation='{of}'/>")).collect();
                result(request, &format!("<query xmlns='{}'>{listed}</query>", ns::MUC_ADMIN))
            }
            (Some("set"), ns::MUC_ADMIN) if !self.obeys => {
                stanza::error(request, "cancel", "not-allowed").to_xml(ns::COMPONENT)
            }
            (Some("set"), ns::MUC_ADMIN)
                if item.and_then(|item| item.attr("nick")).is_some_and(|nick| !self.occupants.contains_key(nick)) =>
            {
                stanza::error(request, "cancel", "item-not-found").to_xml(ns::COMPONENT)
            }
            (Some("set"), ns::MUC_ADMIN) => {
                let item = item.unwrap();
                let told = match (item.attr("nick"), item.attr("role"), item.attr("jid")) {
                    (Some(nick), Some("visitor"), _) => self.role(nick, "visitor", ""),
                    (Some(nick), Some("participant"), _) => self.role(nick, "participant", ""),
                    (_, _, Some(jid)) => self.affiliate(jid, "outcast", ""),
                    other => panic!("{other:?}"),
                };
                told + &result(request, "")
            }
            _ => result(request, ""),
        }
    }
}

fn result(request: &Element, payload: &str) -> String {
    stanza::result(request, parse(payload).pop()).to_xml(ns::COMPONENT)
}

/// The answer of a service that has no such room.
pub(crate) fn no_such_room(request: &Element) -> String {
    if request.name() == "iq" {
        stanza::error(request, "cancel", "item-not-found").to_xml(ns::COMPONENT)
    } else {
        panic!("entering would create the room: {}", request.to_xml(ns::COMPONENT))
    }
}
