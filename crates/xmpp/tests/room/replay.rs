//! Both recordings, section by section: what each server's stanzas mean to the focus.

use crate::service::{EJABBERD, PROSODY, Service, section};

const ALICE: &str = " by Alice<alice@example.test/desk>";

/// A section and what it tells; in events, `@` at the end of a word stands for the actor as that server names him.
type Table = &'static [(&'static str, &'static [&'static str])];

const JOINS: Table = &[
    ("4.", &["joined Bob <bob@example.test> participant none"]),
    (
        "5.",
        &[
            "joined +15550100 <+15550100@cusax.example.test> participant none",
            "joined Carol (phone) <carol@cusax.example.test> participant none",
            "joined Carol other nick <carol@cusax.example.test> participant none",
        ],
    ),
    ("5b.", &[]),
];

/// Being admin by bare domain makes a whole component owner at Prosody, and nothing at ejabberd.
const PROSODY_DOMAIN: Table = &[(
    "6.",
    &["joined bare-domain <cusax.example.test> moderator owner", "affiliation cusax.example.test none > owner"],
)];
const EJABBERD_DOMAIN: Table = &[("6.", &["joined bare-domain <cusax.example.test> participant none"])];

const MODERATION: Table = &[
    ("7.", &[]),
    ("9.", &["role Bob participant > visitor@ 'too noisy'"]),
    ("9c.", &["voice wanted Bob Some(bob@example.test/phone)"]),
    ("10.", &["role Bob visitor > participant@"]),
    ("10b.", &["role Bob participant > moderator@", "role Bob moderator > participant@"]),
    ("11.", &["role +15550100 participant > visitor@"]),
    ("12.", &["reconciled in_sync", "role Bob participant > visitor@", "role Bob visitor > participant@"]),
    ("13.", &["nick Bob > Bobby"]),
    ("13b.", &[]),
    ("14.member", &["affiliation bob@example.test none > member@ 'now member'"]),
    (
        "14.admin",
        &[
            "role Bobby participant > moderator@ 'now admin'",
            "affiliation bob@example.test member > admin@ 'now admin'",
        ],
    ),
    ("14.owner", &["affiliation bob@example.test admin > owner@ 'now owner'"]),
    (
        "14.none",
        &["role Bobby moderator > participant@ 'now none'", "affiliation bob@example.test owner > none@ 'now none'"],
    ),
    ("14b.", &["affiliation dave@example.test none > member"]),
    ("15.", &["kicked Bobby 307@ 'kicked for a test'"]),
    ("15b.", &["joined Bob <bob@example.test> participant none"]),
    ("15c.", &["kicked +15550100 307@ 'bye phone'"]),
    (
        "16.",
        &[
            "banned Bob 301@ 'banned'",
            "affiliation bob@example.test none > outcast 301@ 'banned'",
            "reconciled in_sync",
        ],
    ),
    ("17.", &["affiliation bob@example.test outcast > none", "joined Bob <bob@example.test> participant none"]),
    ("18.", &["reconciled in_sync", "reconciled in_sync"]),
    ("19.", &["reconciled in_sync"]),
    ("19b.", &["joined Dave <dave@example.test> participant member", "reconciled in_sync"]),
    ("20.", &["reconciled in_sync"]),
];

const PROSODY_ONLY: Table = &[
    (
        "20b.",
        &[
            "role Bob participant > visitor by conference-bridge<focus@cusax.example.test/mixer>",
            "role Bob visitor > participant by conference-bridge<focus@cusax.example.test/mixer>",
        ],
    ),
    ("20c.", &["affiliation bob@example.test none > member by <cusax.example.test>"]),
    // 322 goes to the evicted only: what the focus does not hear, entering again shows.
    ("21.", &["unseen Carol (phone)", "unseen Carol other nick", "reconciled repaired"]),
    ("21b.", &["affiliation_lost Dave 321@", "affiliation dave@example.test member > none 321@"]),
    ("21c.", &[]),
    (
        "21d.",
        &[
            "affiliation +15550100@cusax.example.test none > member",
            "joined +15550100 <+15550100@cusax.example.test> participant member",
        ],
    ),
    ("22.", &["left Bob"]),
    ("23.", &[]),
];

const EJABBERD_ONLY: Table = &[
    ("20b.", &["role Bob participant > visitor", "role Bob visitor > participant"]),
    ("20c.", &[]),
    (
        "21.",
        &[
            "reconciled in_sync",
            "members_only bare-domain 322",
            "members_only Bob 322",
            // Both of Carol's sessions are told of; she leaves once.
            "members_only Carol (phone) 322",
            "members_only Carol other nick 322",
        ],
    ),
    ("21b.", &["affiliation_lost Dave 321 by Alice", "affiliation dave@example.test member > none 321 by Alice"]),
    // ejabberd lets them back in by the role that it remembers; the lists say what they are.
    (
        "21c.",
        &[
            "joined Dave <dave@example.test> participant none",
            "joined +15550100 <+15550100@cusax.example.test> visitor none",
        ],
    ),
    ("21d.", &["role +15550100 visitor > participant", "affiliation +15550100@cusax.example.test none > member"]),
    ("23.", &[]),
];

fn replay(log: &str, tables: [Table; 4], actor: impl Fn(&str) -> &'static str) -> Service {
    let mut service = Service::new(log);
    assert_eq!(service.told(), ["ready"]);
    for (number, expected) in tables.concat() {
        let expected: Vec<String> = expected.iter().map(|line| named(line, actor(line))).collect();
        assert_eq!(service.play(&section(log, number)), expected, "section {number}");
    }
    service
}

/// Puts the actor where a word ends in `@`.
fn named(line: &str, actor: &str) -> String {
    let line = line.replace("@ ", &format!("{actor} "));
    line.strip_suffix('@').map_or_else(|| line.clone(), |line| format!("{line}{actor}"))
}

#[test]
fn prosody_as_recorded() {
    let mut service = replay(PROSODY, [JOINS, PROSODY_DOMAIN, MODERATION, PROSODY_ONLY], |_| ALICE);
    assert_eq!(service.room.standing(&"dave@example.test".parse().unwrap()).affiliation.as_str(), "none");
    assert_eq!(
        service.play(&section(PROSODY, "24.")),
        ["destroyed Some(other@conference.example.test) Some(\"end of meeting\")"]
    );
    assert!(service.room.is_over() && service.room.poll_timeout().is_none());
}

#[test]
fn ejabberd_as_recorded() {
    // ejabberd names the actor of kicks and bans, by nick.
    let actor = |line: &str| if line.contains("30") || line.contains("32") { " by Alice" } else { "" };
    let mut service = replay(EJABBERD, [JOINS, EJABBERD_DOMAIN, MODERATION, EJABBERD_ONLY], actor);
    let dave = service.room.standing(&"dave@example.test".parse().unwrap());
    assert_eq!((dave.in_room(), dave.affiliation.as_str()), (true, "none"));
    assert_eq!(
        service.play(&section(EJABBERD, "24.")),
        ["destroyed Some(other@conference.example.test) Some(\"end of meeting\")"]
    );
    assert!(service.room.is_over());
}
