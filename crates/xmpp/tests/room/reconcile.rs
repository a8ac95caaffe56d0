//! Keeping in step: what servers do not tell, lost links, and being thrown out.

use std::time::Duration;

use cusax_xmpp::muc::{Affiliation, Link, Role};

use crate::service::{EJABBERD, FOCUS, PROSODY, Service, section};

const ROOM: &str = "room1@conference.example.test";

fn live(log: &str) -> Service {
    let mut service = Service::new(log);
    assert_eq!(service.told(), ["ready"]);
    service.play(&section(log, "4."));
    service.requests();
    service
}

fn presence(nick: &str, kind: &str, item: &str, statuses: &[u16]) -> String {
    let statuses: String = statuses.iter().map(|status| format!("<status code='{status}'/>")).collect();
    format!(
        "<presence from='{ROOM}/{nick}' to='{FOCUS}' {kind}><x xmlns='http://jabber.org/protocol/muc#user'>{item}{statuses}</x></presence>"
    )
}

fn status(code: u16) -> String {
    format!(
        "<message type='groupchat' from='{ROOM}' to='{FOCUS}'><x xmlns='http://jabber.org/protocol/muc#user'><status code='{code}'/></x></message>"
    )
}

const BOB: &str = "<item jid='bob@example.test/phone' affiliation='none' role='visitor'/>";

#[test]
fn what_changed_while_the_link_was_down_is_told_when_it_is_back() {
    let mut service = live(PROSODY);
    service.room.handle_link(Link::Down, service.now);
    assert_eq!(service.told(), ["link lost"]);
    assert_eq!(service.room.poll_timeout(), None);
    let bob = "bob@example.test".parse().unwrap();
    assert!(service.room.standing(&bob).in_room() && !service.room.is_live(), "what was known is still there");
    // Meanwhile bob loses his voice, erin comes, mallory is banned and the room gets members-only.
    service.silent = true;
    service.play_offline(&presence("Bob", "", BOB, &[]));
    service.play_offline(&presence(
        "Erin",
        "",
        "<item jid='erin@example.test/x' affiliation='member' role='participant'/>",
        &[],
    ));
    service.listed.insert("mallory@example.test".to_owned(), "outcast".to_owned());
    service.disco = service.disco.replace("muc_open", "muc_membersonly");
    service.silent = false;
    service.room.handle_link(Link::Up, service.now);
    assert_eq!(
        service.told(),
        [
            "config",
            "role Bob participant > visitor",
            "joined Erin <erin@example.test> participant member",
            "affiliation erin@example.test none > member",
            "affiliation mallory@example.test none > outcast",
            "reconciled repaired",
        ]
    );
    assert_eq!(service.room.standing(&bob).role, Some(Role::Visitor));
    assert!(service.room.configuration().members_only);
}

#[test]
fn entering_again_where_nothing_changed_tells_nothing() {
    // Prosody remembers the focus over link loss and restart, and answers as to an occupant: no 201.
    for (log, number) in [(PROSODY, "26c."), (PROSODY, "26d."), (EJABBERD, "26c."), (EJABBERD, "26d.")] {
        let mut service = Service::of(log, "room2", "bridge", &section(log, number));
        assert_eq!(service.told(), ["ready"]);
        service.room.handle_link(Link::Down, service.now);
        service.room.handle_link(Link::Up, service.now);
        assert_eq!(service.told(), ["link lost", "reconciled in_sync"], "{number}");
    }
}

#[test]
fn a_room_that_vanished_meanwhile_is_absent_and_not_created_again() {
    let mut service = live(EJABBERD);
    service.room.handle_link(Link::Down, service.now);
    service.silent = true;
    service.room.handle_link(Link::Up, service.now);
    service.told();
    let id = service.sent.last().unwrap().attr("id").unwrap().to_owned();
    let answer = format!(
        "<iq type='error' id='{id}' from='{ROOM}' to='{FOCUS}'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    );
    assert_eq!(service.play_xml(&answer), ["absent"]);
    assert!(service.sent.iter().all(|stanza| stanza.name() != "presence"));
}

#[test]
fn a_reconcile_that_fails_is_tried_again() {
    let mut service = live(PROSODY);
    service.room.handle_link(Link::Down, service.now);
    service.silent = true;
    service.room.handle_link(Link::Up, service.now);
    assert_eq!(service.told(), ["link lost"]);
    assert_eq!(service.wait(), ["reconciled failed"]);
    assert!(!service.room.is_live());
    service.silent = false;
    assert_eq!(service.wait(), ["reconciled in_sync"]);
    assert!(service.room.is_live());
}

#[test]
fn every_configuration_change_is_read_again_and_compared() {
    for code in [104, 170, 171, 172, 173, 174] {
        let mut service = live(PROSODY);
        service.disco = service.disco.replace("muc_unmoderated", "muc_moderated");
        assert_eq!(service.play_xml(&status(code)), ["config", "reconciled in_sync"], "{code}");
        assert!(service.room.configuration().moderated);
        assert_eq!(service.requests().len(), 7);
    }
}

#[test]
fn a_change_during_a_reconcile_leads_to_another_and_moderation_does_not_wait() {
    let mut service = live(PROSODY);
    service.silent = true;
    assert_eq!(service.play_xml(&status(104)), [""; 0]);
    assert_eq!(service.play_xml(&status(104)), [""; 0]);
    assert_eq!(service.play_xml(&presence("Bob", "", BOB, &[])), ["role Bob participant > visitor"]);
    service.requests();
    service.silent = false;
    // The deadline passes, it is tried again, and then once more for the second change.
    assert_eq!(service.wait(), ["reconciled failed"]);
    assert_eq!(service.wait(), ["reconciled in_sync"]);
    assert_eq!(service.requests().len(), 7);
}

#[test]
fn an_owner_who_changes_the_configuration_without_end_does_not_make_us_enter_without_end() {
    let mut service = live(PROSODY);
    for _ in 0..100 {
        assert!(service.play_answer(&status(104)).len() <= 1);
    }
    assert_eq!(service.requests().len(), 7, "one reconcile");
    assert_eq!(service.room.poll_timeout(), Some(service.now + Duration::from_millis(250)));
    assert_eq!(service.wait(), ["reconciled in_sync"]);
    assert_eq!(service.requests().len(), 7, "and one more for all the rest");
}

#[test]
fn unknown_statuses_and_the_service_being_busy_with_others_change_nothing() {
    let mut service = live(PROSODY);
    for code in [100, 102, 103, 199, 65535] {
        assert_eq!(service.play_xml(&status(code)), [""; 0]);
    }
    let huge = status(104).replace("104", "99999999");
    assert_eq!(service.play_xml(&huge), [""; 0]);
    let forged = status(104).replace(&format!("from='{ROOM}'"), &format!("from='{ROOM}/Mallory'"));
    assert_eq!(service.play_xml(&forged), [""; 0]);
    assert_eq!(service.requests(), [""; 0], "an occupant cannot make us ask");
    assert_eq!(service.play_xml(&presence("Bob", "", BOB, &[999])), ["role Bob participant > visitor 999"]);
}

#[test]
fn an_eviction_that_was_told_nobody_is_found() {
    let mut service = live(PROSODY);
    service.forget("Bob");
    assert_eq!(service.play_xml(&status(104)), ["unseen Bob", "reconciled repaired"]);
    assert!(!service.room.standing(&"bob@example.test".parse().unwrap()).in_room());
}

#[test]
fn a_technical_removal_is_no_kick() {
    let none = BOB.replace("visitor", "none");
    for (statuses, told) in [
        (&[333][..], "unreachable Bob 333"),
        (&[307, 333], "unreachable Bob 307 333"),
        (&[307], "kicked Bob 307"),
        (&[332], "shutdown Bob 332"),
        (&[], "left Bob"),
    ] {
        let mut service = live(PROSODY);
        assert_eq!(service.play_xml(&presence("Bob", "type='unavailable'", &none, statuses)), [told]);
    }
    let mut service = live(PROSODY);
    let banned = presence("Bob", "type='unavailable'", &none, &[301, 307]);
    assert_eq!(service.play_xml(&banned), ["banned Bob 301 307", "reconciled in_sync"], "or perhaps his domain");
}

#[test]
fn of_several_occupants_of_one_user_the_most_restricted_counts() {
    let mut service = live(EJABBERD);
    let bob = "bob@example.test".parse().unwrap();
    assert_eq!(service.room.standing(&bob).role, Some(Role::Participant));
    let second = BOB.replace("/phone", "/tablet");
    assert_eq!(
        service.play_xml(&presence("Bob on tablet", "", &second, &[])),
        ["joined Bob on tablet <bob@example.test> visitor none"]
    );
    assert_eq!(service.room.standing(&bob).role, Some(Role::Visitor));
    let two = format!("{}{}", second.replace("visitor", "participant"), BOB);
    assert_eq!(service.play_xml(&presence("Bob", "", &two, &[])), ["role Bob participant > visitor"]);
    assert_eq!(service.room.occupant("Bob").map(|occupant| occupant.sessions.len()), Some(2));
}

#[test]
fn an_unban_of_a_user_who_is_not_there_needs_no_role() {
    let mut service = live(PROSODY);
    let message = |affiliation: &str| {
        format!(
            "<message from='{ROOM}' to='{FOCUS}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item jid='dave@example.test' affiliation='{affiliation}'/></x></message>"
        )
    };
    assert_eq!(service.play_xml(&message("outcast")), ["affiliation dave@example.test none > outcast"]);
    let dave = "dave@example.test".parse().unwrap();
    assert_eq!(service.room.standing(&dave).affiliation, Affiliation::Outcast);
    assert_eq!(service.play_xml(&message("none")), ["affiliation dave@example.test outcast > none"]);
}

#[test]
fn after_a_destroy_nothing_brings_the_room_back() {
    let received = section(EJABBERD, "32.");
    let (welcome, end) =
        received.split_at(received.iter().position(|stanza| stanza.attr("type") == Some("unavailable")).unwrap());
    let joined: Vec<_> = welcome.iter().map(without_201).collect();
    let mut service = Service::of(EJABBERD, "room6", "bridge", &joined);
    assert_eq!(service.told(), ["ready"]);
    service.requests();
    // destroy, then 332 for the same occupant: two reasons to go, none to return.
    assert_eq!(service.play(end), ["destroyed None None"]);
    service.room.handle_link(Link::Down, service.now);
    service.room.handle_link(Link::Up, service.now);
    assert_eq!((service.told().len(), service.requests().len(), service.room.poll_timeout()), (0, 0, None));
}

#[test]
fn a_restart_of_the_service_leads_back_in_after_asking() {
    let received = section(EJABBERD, "31.");
    let (welcome, end) =
        received.split_at(received.iter().position(|stanza| stanza.attr("type") == Some("unavailable")).unwrap());
    let joined: Vec<_> = welcome.iter().map(without_201).collect();
    let mut service = Service::of(EJABBERD, "room5", "bridge", &joined);
    assert_eq!(service.told(), ["ready"]);
    service.requests();
    assert_eq!(service.play(end), ["link lost"]);
    assert_eq!(service.requests(), [""; 0]);
    assert!(service.room.poll_timeout().is_some_and(|due| due >= service.now + Duration::from_secs(5)));
    assert_eq!(service.wait(), ["reconciled in_sync"]);
    assert!(service.requests()[0].contains("disco#info"));
}

/// The recorded rooms were created by the focus itself, which this one never does.
fn without_201(stanza: &cusax_xmpp::Element) -> cusax_xmpp::Element {
    let xml = stanza.to_xml(cusax_xmpp::ns::COMPONENT).replace("<status code='201'/>", "");
    crate::service::parse(&xml).pop().unwrap()
}

#[test]
fn a_self_ping_tells_whether_we_are_still_in() {
    for (answer, asks) in [
        ("type='result'", false),
        ("service-unavailable", false),
        ("remote-server-timeout", false),
        ("not-acceptable", true),
        ("item-not-found", true),
    ] {
        let mut service = live(PROSODY);
        service.silent = true;
        assert_eq!(service.wait(), [""; 0]);
        let ping = service.sent.pop().unwrap();
        assert_eq!(ping.attr("to"), Some("room1@conference.example.test/conference-bridge"));
        let id = ping.attr("id").unwrap();
        let answer = if answer.starts_with("type") {
            format!("<iq {answer} id='{id}' from='{ROOM}/conference-bridge' to='{FOCUS}'/>")
        } else {
            let error = format!("<error type='cancel'><{answer} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
            format!("<iq type='error' id='{id}' from='{ROOM}/conference-bridge' to='{FOCUS}'>{error}</iq>")
        };
        service.silent = false;
        let told = service.play_answer(&answer);
        assert_eq!(told, if asks { vec!["reconciled in_sync"] } else { vec![] }, "{answer}");
    }
    let mut service = live(PROSODY);
    service.silent = true;
    service.wait();
    assert_eq!(service.wait(), [""; 0], "no answer tells nothing");
    assert!(service.room.is_live());
}

#[test]
fn moderates_and_tells_when_the_room_refuses() {
    let mut service = live(PROSODY);
    service.room.set_role("Bob", Role::Visitor, Some("still muted"), service.now);
    service.room.set_affiliation(&"bob@example.test".parse().unwrap(), Affiliation::Outcast, None, service.now);
    service.silent = true;
    service.settle();
    let ids: Vec<_> = service.sent.iter().map(|stanza| stanza.attr("id").unwrap().to_owned()).collect();
    let [role, ban] = service.requests().try_into().unwrap();
    assert!(role.contains("<item nick='Bob' role='visitor'><reason>still muted</reason></item>"), "{role}");
    assert!(ban.contains("<item jid='bob@example.test' affiliation='outcast'/>"), "{ban}");
    let refused = format!(
        "<iq type='error' id='{}' from='{ROOM}' to='{FOCUS}'><error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        ids[0]
    );
    assert_eq!(service.play_answer(&refused), ["refused Role { nick: \"Bob\", role: Visitor } not-allowed"]);
    let done = format!("<iq type='result' id='{}' from='{ROOM}' to='{FOCUS}'/>", ids[1]);
    assert_eq!(service.play_answer(&done), [""; 0]);
    service.room.handle_link(Link::Down, service.now);
    service.told();
    service.room.set_role("Bob", Role::Visitor, None, service.now);
    assert_eq!(service.told(), ["refused Role { nick: \"Bob\", role: Visitor } recipient-unavailable"]);
}

#[test]
fn a_nick_taken_over_without_notice_is_another_occupant() {
    let mut service = live(PROSODY);
    let erin = BOB.replace("bob@", "erin@");
    assert_eq!(
        service.play_xml(&presence("Bob", "", &erin, &[])),
        ["unseen Bob", "joined Bob <erin@example.test> visitor none"]
    );
}

#[test]
fn subjects_are_known_and_told() {
    let mut service = live(PROSODY);
    let subject = |text: &str| {
        format!("<message type='groupchat' from='{ROOM}/Alice' to='{FOCUS}'><subject>{text}</subject></message>")
    };
    assert_eq!(service.play_xml(&subject("Budget")), ["subject 'Budget' by Alice"]);
    assert_eq!(service.play_xml(&subject("Budget")), [""; 0]);
    let talk = subject("Budget").replace("</subject>", "2</subject><body>no subject change</body>");
    assert_eq!(service.play_xml(&talk), [""; 0]);
    assert_eq!(service.room.subject(), "Budget");
}

#[test]
fn what_is_from_the_bare_room_or_an_error_changes_nothing() {
    let mut service = live(EJABBERD);
    for stanza in [
        format!("<presence from='{ROOM}' to='{FOCUS}'><c xmlns='http://jabber.org/protocol/caps' ver='x'/></presence>"),
        format!("<presence from='{ROOM}' to='{FOCUS}' type='unavailable'/>"),
        format!("<message from='{ROOM}' to='{FOCUS}' type='error'><subject>x</subject></message>"),
        format!("<message from='{ROOM}/Bob' to='{FOCUS}' type='groupchat'><body>hello</body></message>"),
        presence("Bob", "", "<item jid='bob@example.test/phone' affiliation='none' role='visitor'/>", &[])
            .replace(FOCUS, "+1@cusax.example.test/sip"),
    ] {
        assert_eq!(service.play_xml(&stanza), [""; 0], "{stanza}");
    }
    assert_eq!(service.requests(), [""; 0]);
}

#[test]
fn who_is_an_owner_by_the_servers_configuration_stays_one_when_he_has_gone() {
    let mut service = live(PROSODY);
    let root = "root@example.test".parse().unwrap();
    let shown = "<item jid='root@example.test/x' affiliation='owner' role='moderator'/>";
    service.play_xml(&presence("Root", "", shown, &[]));
    service.listed.remove("root@example.test");
    let reconcile = |service: &mut Service| {
        let told = service.play_xml(&status(104));
        assert_eq!(told.last().map(String::as_str), Some("reconciled in_sync"), "{told:?}");
    };
    reconcile(&mut service);
    service.play_xml(&presence(
        "Root",
        "type='unavailable'",
        "<item jid='root@example.test/x' affiliation='owner' role='none'/>",
        &[],
    ));
    service.listed.remove("root@example.test");
    reconcile(&mut service);
    reconcile(&mut service);
    assert_eq!(service.room.standing(&root).affiliation, Affiliation::Owner);
    service.listed.insert("root@example.test".to_owned(), "member".to_owned());
    service.play_xml(&status(104));
    assert_eq!(service.room.standing(&root).affiliation, Affiliation::Member, "the list says otherwise");
    service.listed.remove("root@example.test");
    service.play_xml(&status(104));
    assert_eq!(service.room.standing(&root).affiliation, Affiliation::None);
}

#[test]
fn a_room_that_is_destroyed_while_we_enter_it_again_is_left_for_then_we_made_it_anew() {
    let mut service = live(PROSODY);
    service.silent = true;
    service.play_xml(&status(104));
    let destroyed = presence("conference-bridge", "type='unavailable'", "<destroy/>", &[110]);
    // Asked, but our presence is not on its way.
    service.play_xml(&destroyed);
    assert!(service.requests().iter().all(|request| request.starts_with("<iq")));
    let mut service = live(PROSODY);
    service.play_until_presence(&status(104));
    service.play_xml(&destroyed);
    let requests = service.requests();
    let leave = requests.last().unwrap();
    assert!(leave.contains("type='unavailable'") && leave.contains("/conference-bridge'"), "{leave}");
    assert!(service.room.is_over());
}

#[test]
fn a_room_may_take_its_time_when_it_is_entered_again_and_rooms_are_tried_again_at_different_times() {
    let mut service = live(PROSODY);
    service.room.handle_link(Link::Down, service.now);
    service.silent = true;
    service.room.handle_link(Link::Up, service.now);
    let mut pauses = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let begun = service.now;
        let told = service.wait();
        assert_eq!(told.last().map(String::as_str), Some("reconciled failed"), "{told:?}");
        assert_eq!(service.now, begun + Duration::from_secs(30));
        let pause = service.room.poll_timeout().unwrap() - service.now;
        assert!(pause >= Duration::from_secs(5) && pause < Duration::from_secs(10));
        pauses.insert(pause);
        service.wait();
    }
    assert_eq!(pauses.len(), 4);
}
