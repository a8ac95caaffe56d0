//! Nonces that carry their own proof: time, randomness and HMAC-SHA256, so that any node that has the key can check
//! one without a table, and a restart forgets none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is ours and young enough.
    Fresh {
        /// When it was made, in seconds since 1970.
        issued: u64,
    },
    /// It is ours, but too old (or of a clock that runs ahead): challenge again with `stale=true`.
    Stale,
    /// It is not ours, or was made for another realm or source.
    Forged,
}

/// Makes a nonce. `source` is what it is bound to, such as the address that asked; empty binds it to nobody.
#[must_use]
pub fn mint(key: &[u8; 32], issued: u64, random: u64, realm: &str, source: &[u8]) -> String {
    let mut nonce = [0; LENGTH];
    let (head, tag) = nonce.split_at_mut(HEAD);
    head[..8].copy_from_slice(&issued.to_be_bytes());
    head[8..].copy_from_slice(&random.to_be_bytes());
    if let Some(mac) = mac(key, head, realm, source) {
        tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG]);
    }
    URL_SAFE_NO_PAD.encode(nonce)
}

/// Checks a nonce against all generations of the key, in constant time for each.
#[must_use]
pub fn check(keys: &[[u8; 32]], nonce: &str, realm: &str, source: &[u8], now: u64, lifetime: u64) -> Verdict {
    let mut bytes = [0; LENGTH];
    if !matches!(URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes), Ok(LENGTH)) {
        return Verdict::Forged;
    }
    let (head, tag) = bytes.split_at(HEAD);
    let ours = |key| mac(key, head, realm, source).is_some_and(|mac| mac.verify_truncated_left(tag).is_ok());
    if !keys.iter().any(ours) {
        return Verdict::Forged;
    }
    let issued = head.first_chunk().map_or(0, |issued| u64::from_be_bytes(*issued));
    let age = now.abs_diff(issued);
    if age > lifetime || (issued > now && age > CLOCK_SKEW) { Verdict::Stale } else { Verdict::Fresh { issued } }
}

fn mac(key: &[u8; 32], head: &[u8], realm: &str, source: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(b"cusax digest nonce 1");
    mac.update(head);
    mac.update(&(realm.len() as u64).to_be_bytes());
    mac.update(realm.as_bytes());
    mac.update(source);
    Some(mac)
}

/// How far the clocks of two nodes that share a key may be apart, in seconds.
const CLOCK_SKEW: u64 = 10;
const HEAD: usize = 16;
const TAG: usize = 16;
const LENGTH: usize = HEAD + TAG;

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];
    const NOW: u64 = 1_800_000_000;

    fn verdict(nonce: &str, realm: &str, source: &[u8], now: u64) -> Verdict {
        check(&[NEW, OLD], nonce, realm, source, now, 300)
    }

    #[test]
    fn takes_nonces_of_both_generations_until_they_are_old() {
        for key in [OLD, NEW] {
            let nonce = mint(&key, NOW, 7, "example.com", b"192.0.2.1");
            let at = |now| verdict(&nonce, "example.com", b"192.0.2.1", now);
            assert_eq!(at(NOW), Verdict::Fresh { issued: NOW });
            assert_eq!(at(NOW + 300), Verdict::Fresh { issued: NOW });
            assert_eq!(at(NOW + 301), Verdict::Stale);
            assert_eq!(at(NOW - 10), Verdict::Fresh { issued: NOW });
            assert_eq!(at(NOW - 11), Verdict::Stale);
        }
    }

    #[test]
    fn refuses_what_was_made_by_or_for_another() {
        let nonce = mint(&NEW, NOW, 7, "example.com", b"192.0.2.1");
        assert_eq!(verdict(&nonce, "example.org", b"192.0.2.1", NOW), Verdict::Forged);
        assert_eq!(verdict(&nonce, "example.com", b"192.0.2.2", NOW), Verdict::Forged);
        // The end of the realm cannot move into the source.
        assert_eq!(verdict(&nonce, "example.com1", b"92.0.2.1", NOW), Verdict::Forged);
        assert_eq!(verdict(&mint(&[3; 32], NOW, 7, "r", b""), "r", b"", NOW), Verdict::Forged);
        for at in 0..nonce.len() - 1 {
            let mut bytes = nonce.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(verdict(&changed, "example.com", b"192.0.2.1", NOW), Verdict::Forged, "{at}");
        }
        for bad in ["", "x", &nonce[1..], &format!("{nonce}A"), "\u{e4}"] {
            assert_eq!(verdict(bad, "example.com", b"192.0.2.1", NOW), Verdict::Forged, "{bad}");
        }
    }

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(mint(&NEW, NOW, 7, "r", b""), mint(&NEW, NOW, 8, "r", b""));
    }
}
