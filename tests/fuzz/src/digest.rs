//! Challenges and credentials: what is read is written so that it reads the same, only the right answer is right, and no
//! count counts twice.

use std::collections::BTreeSet;

use cusax_sip::digest::{Algorithm, Challenge, Count, Credentials, Qop, ReplayWindow, ha1, names_request, nonce};

use super::input::Input;

const KEY: [u8; 32] = [7; 32];
const NOW: u64 = 1_800_000_000;

/// Reads, answers and checks.
pub fn target(data: &[u8]) {
    let mut input = Input(data);
    let [pick, flip] = [input.byte(), input.byte()];
    counts(&mut Input(input.piece()));
    let text = String::from_utf8_lossy(input.0).into_owned();
    forged(&text, flip);
    let _ = names_request(&text, "sip:bob@example.com");
    if let Some(credentials) = Credentials::parse(&text) {
        let printed = credentials.to_string();
        assert_eq!(Credentials::parse(&printed).as_ref(), Some(&credentials), "{printed:?}");
        let right = ha1(credentials.algorithm, &credentials.username, "example.com", "secret");
        assert!(!credentials.verify(&right, "INVITE") || credentials.response.len() >= 32);
    }
    let Some(challenge) = Challenge::parse(&text) else { return };
    let printed = challenge.to_string();
    assert_eq!(Challenge::parse(&printed).as_ref(), Some(&challenge), "{printed:?}");
    let user = ["alice", "a\"b\\c", "", "\u{e4}\u{f6}"][usize::from(pick) % 4];
    let right = ha1(challenge.algorithm, user, &challenge.realm, "secret");
    let qop = Qop { count: u32::from(flip), cnonce: "c\\n\"".into() };
    let answer = Credentials::answer(&challenge, user, &right, "INVITE", "sip:bob@example.com", qop).to_string();
    let read = Credentials::parse(&answer).expect("what we answer can be read");
    assert_eq!(read.verify(&right, "INVITE"), challenge.qop_auth, "the right answer is right, where it can be counted");
    assert!(!read.verify(&right, "BYE"), "it is good for another method");
    let wrong = ha1(challenge.algorithm, user, &challenge.realm, "wrong");
    assert!(!read.verify(&wrong, "INVITE"), "another password is right as well");
}

/// No nonce but ours is ours.
fn forged(text: &str, flip: u8) {
    let fresh = |nonce: &str| matches!(nonce::check(&[KEY], nonce, "r", b"s", NOW, 60), nonce::Verdict::Fresh { .. });
    assert!(!fresh(text), "a nonce of nobody's is taken for ours");
    let own = nonce::mint(&KEY, NOW, u64::from(flip), "r", b"s");
    assert!(fresh(&own));
    let mut bent = own.clone().into_bytes();
    let at = usize::from(flip) % bent.len();
    bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
    let bent = String::from_utf8(bent).expect("it is ASCII");
    assert!(!fresh(&bent), "{own} was bent to {bent}");
}

fn counts(input: &mut Input<'_>) {
    let mut window = ReplayWindow::new(4, 60);
    let (mut seen, mut now) = (BTreeSet::new(), NOW);
    while !input.is_empty() {
        let (nonce, count) = (input.below(6), u32::from(input.byte()) * 1_000_003 % 97);
        now += u64::from(input.byte() % 8);
        let issued = NOW + nonce as u64;
        if now <= issued + 60 && window.note(&nonce.to_string(), issued, count, now) == Count::New {
            assert!(seen.insert((nonce, count)), "a count counts twice");
        }
        assert!(window.len() <= 4);
    }
    let _ = Algorithm::parse("");
}
