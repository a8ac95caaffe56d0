//! Entering a room: what is asked in which order, and what each refusal means.

use std::time::Duration;

use cusax_event::xmpp::DropReason;
use cusax_xmpp::muc::{Affiliation, Limits, Link, Role};

use crate::service::{EJABBERD, FOCUS, PROSODY, Service, parse, section};

const ROOM: &str = "room1@conference.example.test";

/// A service that answers nothing by itself.
fn silent() -> Service {
    let mut service = Service::new(PROSODY);
    service.silent = true;
    service.settle();
    service
}

/// The last request's id.
fn asked(service: &mut Service) -> String {
    service.settle();
    service.sent.last().unwrap().attr("id").unwrap().to_owned()
}

fn error(id: &str, condition: &str) -> String {
    format!(
        "<iq type='error' id='{id}' from='{ROOM}' to='{FOCUS}'><error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
}

fn refused_entry(condition: &str) -> String {
    format!(
        "<presence type='error' from='{ROOM}/conference-bridge' to='{FOCUS}'><error type='auth'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
    )
}

/// Answers disco#info and the form, so that our presence is out.
fn knocking(service: &mut Service) {
    service.silent = false;
    let disco = service.sent.last().unwrap().clone();
    let answer = cusax_xmpp::stanza::result(&disco, parse(&service.disco).pop());
    service.silent = true;
    service.room.handle_stanza(&answer, service.now);
    service.settle();
    let form = service.sent.last().unwrap().clone();
    let answer = cusax_xmpp::stanza::result(&form, parse(&service.form).pop());
    service.room.handle_stanza(&answer, service.now);
    service.settle();
    assert_eq!(service.sent.last().unwrap().name(), "presence");
}

#[test]
fn asks_before_it_enters_and_reads_every_list() {
    for log in [PROSODY, EJABBERD] {
        let mut service = Service::new(log);
        assert_eq!(service.told(), ["ready"]);
        let requests = service.requests();
        let marks = [
            "disco#info",
            "muc#owner",
            "<history maxstanzas='0'/>",
            "affiliation='owner'",
            "affiliation='admin'",
            "affiliation='member'",
            "affiliation='outcast'",
        ];
        assert_eq!(requests.len(), marks.len());
        for (request, mark) in requests.iter().zip(marks) {
            assert!(request.contains(mark), "{request} {mark}");
        }
        assert_eq!(service.room.standing(&"alice@example.test".parse().unwrap()).role, Some(Role::Moderator));
        assert!(service.room.is_live());
    }
}

#[test]
fn reads_what_the_room_is_from_both_servers() {
    let mut service = Service::new(PROSODY);
    service.settle();
    let prosody = service.room.configuration();
    assert_eq!((prosody.moderated, prosody.hidden, prosody.max_users), (false, true, None));
    assert_eq!(prosody.audio_video_uri.as_deref(), Some("sip:room1@conf.example.test"));
    let mut service = Service::new(EJABBERD);
    service.settle();
    let ejabberd = service.room.configuration();
    assert_eq!((ejabberd.moderated, ejabberd.hidden, ejabberd.max_users), (true, false, Some(200)));
}

#[test]
fn a_room_that_does_not_exist_is_not_created() {
    for condition in ["item-not-found", "gone"] {
        let mut service = silent();
        let id = asked(&mut service);
        assert_eq!(service.play_xml(&error(&id, condition)), ["absent"]);
        assert!(service.sent.iter().all(|stanza| stanza.name() == "iq"), "no presence was sent");
    }
}

#[test]
fn a_room_that_we_created_by_accident_is_left_at_once() {
    let mut service = silent();
    knocking(&mut service);
    let created = format!(
        "<presence from='{ROOM}/conference-bridge' to='{FOCUS}'><x xmlns='http://jabber.org/protocol/muc#user'><status code='201'/>\
         <item jid='{FOCUS}' affiliation='owner' role='moderator'/><status code='110'/></x></presence>"
    );
    assert_eq!(service.play_xml(&created), ["absent"]);
    assert!(service.requests().last().unwrap().contains("type='unavailable'"));
}

#[test]
fn each_refusal_of_the_room_has_its_name() {
    for (condition, told) in [
        ("item-not-found", "absent"), // a new Prosody room is locked until its owner configured it
        ("not-authorized", "failed password not-authorized"),
        ("forbidden", "failed banned forbidden"),
        ("registration-required", "failed members_only registration-required"),
        ("resource-constraint", "failed full resource-constraint"),
        ("service-unavailable", "failed full service-unavailable"),
        ("internal-server-error", "failed refused internal-server-error"),
    ] {
        let mut service = silent();
        knocking(&mut service);
        assert_eq!(service.play_xml(&refused_entry(condition)), [told]);
        assert!(service.room.is_over());
    }
}

#[test]
fn tries_another_nick_where_its_own_is_taken() {
    let mut service = silent();
    knocking(&mut service);
    for nick in ["conference-bridge-2", "conference-bridge-3"] {
        let taken = service.room.nick().to_owned();
        service.play_xml(&refused_entry("conflict").replace("/conference-bridge'", &format!("/{taken}'")));
        assert!(service.requests().last().unwrap().contains(&format!("/{nick}'")));
    }
    // Those can be taken by who means to keep the focus out; the next cannot.
    let mut tried = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let taken = service.room.nick().to_owned();
        assert_eq!(service.play_xml(&conflict(&taken)), [""; 0]);
        assert!(tried.insert(service.room.nick().to_owned()));
        assert_eq!(service.room.nick().len(), "conference-bridge-01234567".len());
    }
    let last = service.room.nick().to_owned();
    assert_eq!(service.play_xml(&conflict(&last)), ["failed nick conflict"]);
}

fn conflict(nick: &str) -> String {
    refused_entry("conflict").replace("/conference-bridge'", &format!("/{nick}'"))
}

#[test]
fn keeps_the_nick_by_which_the_room_may_have_it_and_takes_its_own_when_it_is_out() {
    let mut service = silent();
    knocking(&mut service);
    service.play_xml(&conflict("conference-bridge"));
    service.silent = false;
    let welcome = section(PROSODY, "3.").into_iter().map(|stanza| stanza.to_xml(cusax_xmpp::ns::COMPONENT));
    service.play_xml(&welcome.collect::<String>().replace("/conference-bridge'", "/conference-bridge-2'"));
    assert!(service.room.is_live());
    service.room.handle_link(Link::Down, service.now);
    let knocks = |service: &mut Service, nick: &str| {
        service.told();
        let presence = format!("<presence to='{ROOM}/{nick}'");
        service.requests().iter().any(|it| it.starts_with(&presence))
    };
    service.requests();
    service.room.handle_link(Link::Up, service.now);
    assert!(knocks(&mut service, "conference-bridge-2"), "another would be a change of nick");
    assert!(service.room.is_live());
    let out = "<item affiliation='owner' role='none'/><status code='307'/><status code='110'/>";
    service.play_xml(&format!(
        "<presence type='unavailable' from='{ROOM}/conference-bridge-2' to='{FOCUS}'><x xmlns='http://jabber.org/protocol/muc#user'>{out}</x></presence>"
    ));
    service.wait();
    assert!(knocks(&mut service, "conference-bridge"));
}

#[test]
fn what_is_no_chat_room_or_does_not_answer_in_two_seconds_failed() {
    let mut service = silent();
    let id = asked(&mut service);
    let user = format!(
        "<iq type='result' id='{id}' from='{ROOM}' to='{FOCUS}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    );
    assert_eq!(service.play_xml(&user), ["failed not_a_room -"]);
    let mut service = silent();
    assert_eq!(service.room.poll_timeout(), Some(service.now + Duration::from_secs(2)));
    assert_eq!(service.wait(), ["failed timeout -"]);
    assert!(service.requests().iter().all(|request| request.starts_with("<iq")), "nothing to leave");
    let mut service = silent();
    knocking(&mut service);
    service.requests();
    assert_eq!(service.wait(), ["failed timeout -"]);
    assert!(service.requests().first().unwrap().contains("unavailable"), "perhaps we are in: leave");
    let mut service = silent();
    service.room.handle_link(Link::Down, service.now);
    assert_eq!(service.told(), ["failed link -"]);
}

#[test]
fn a_focus_that_is_no_owner_fails() {
    let mut service = silent();
    knocking(&mut service);
    service.play(&section(PROSODY, "3."));
    let id = asked(&mut service);
    assert_eq!(service.play_xml(&error(&id, "forbidden")), ["failed not_owner forbidden"]);
}

#[test]
fn an_occupant_cannot_answer_in_the_rooms_name() {
    let mut service = silent();
    let id = asked(&mut service);
    let forged = error(&id, "item-not-found").replace(ROOM, &format!("{ROOM}/Mallory"));
    assert_eq!(service.play_xml(&forged), [""; 0]);
    let elsewhere = error(&id, "item-not-found").replace(ROOM, "room2@conference.example.test");
    assert_eq!(service.play_xml(&elsewhere), [""; 0]);
    let puppet = error(&id, "item-not-found").replace(FOCUS, "+15550100@cusax.example.test/sip");
    assert_eq!(service.play_xml(&puppet), [""; 0]);
}

#[test]
fn enters_with_the_password_that_owners_can_read() {
    let mut service = Service::new(PROSODY);
    service.disco = service.disco.replace("muc_unsecured", "muc_passwordprotected");
    let secret = "<field var='muc#roomconfig_roomsecret' type='text-private'><value>s3cret</value></field>";
    let form = service
        .form
        .replace("<field type='text-private' label='Password' var='muc#roomconfig_roomsecret'><value/></field>", "");
    service.form = form.replacen("<title>", &format!("{secret}<title>"), 1);
    assert_eq!(service.told(), ["ready"]);
    assert!(service.requests()[2].contains("<password>s3cret</password>"));
    assert!(service.room.configuration().password_protected);
    assert_eq!(service.room.password().map(|password| password.expose()), Some("s3cret"));
}

#[test]
fn leaves_when_told_and_is_over() {
    let mut service = Service::new(PROSODY);
    assert_eq!(service.told(), ["ready"]);
    service.requests();
    service.room.leave();
    service.settle();
    let [leave] = service.requests().try_into().unwrap();
    assert!(leave.contains("type='unavailable'") && leave.contains("room1@conference.example.test/conference-bridge"));
    assert!(service.room.is_over() && service.room.poll_timeout().is_none());
    assert_eq!(service.play(&section(PROSODY, "4.")), [""; 0]);
}

#[test]
fn a_room_of_more_entries_than_allowed_is_not_half_mirrored() {
    let limits = Limits { occupants: 1, affiliations: 3 };
    let mut service = Service::limited(PROSODY, "room1", "conference-bridge", &section(PROSODY, "3."), limits);
    service.listed.extend((0..3).map(|n| (format!("u{n}@example.test"), "outcast".to_owned())));
    assert_eq!(service.told(), ["failed too_large -"]);
    let mut service = Service::limited(PROSODY, "room1", "conference-bridge", &section(PROSODY, "3."), limits);
    assert_eq!(service.told(), ["ready"]);
    assert_eq!((service.play(&section(PROSODY, "4.")).len(), service.dropped), (0, vec![DropReason::TooLarge]));
}

#[test]
fn a_domain_is_banned_as_a_whole_and_otherwise_only_itself() {
    let mut service = Service::new(PROSODY);
    service.listed.insert("evil.example".to_owned(), "outcast".to_owned());
    service.listed.insert("friendly.example".to_owned(), "owner".to_owned());
    assert_eq!(service.told(), ["ready"]);
    let of = |jid: &str| service.room.standing(&jid.parse().unwrap()).affiliation;
    assert_eq!(
        (of("x@evil.example"), of("y@friendly.example"), of("friendly.example")),
        (Affiliation::Outcast, Affiliation::None, Affiliation::Owner)
    );
}
