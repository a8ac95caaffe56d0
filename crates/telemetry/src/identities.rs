//! How identities are shown: as keyed pseudonyms, masked, or in clear.

use std::net::{IpAddr, SocketAddr};

use cusax_event::{Identity, IdentityKind};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tracing::Level;

/// How identities (URIs, JIDs, numbers, addresses, rooms) are shown above DEBUG; at DEBUG and TRACE they are clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identities {
    /// `jid:3f9a2c1b`: keyed, and equal for equal values everywhere.
    #[default]
    Pseudonym,
    /// `al***@example.com`, `+1404555****`.
    Masked,
    /// As they are.
    Clear,
}

/// Shows identities as configured.
pub(crate) struct Names {
    shown: Identities,
    keyed: Hmac<Sha256>,
}

impl Names {
    pub(crate) fn new(shown: Identities, key: &[u8; 32]) -> Self {
        let keyed = Hmac::new_from_slice(key).expect("HMAC takes keys of every length");
        Self { shown, keyed }
    }

    /// An identity as a log line of `level` may show it.
    pub(crate) fn show(&self, identity: &Identity, level: Level) -> String {
        self.render(identity.kind(), identity.clear(), level)
    }

    /// A remote address: an identity as well. Its port is kept, so that connections can be told apart.
    pub(crate) fn address(&self, remote: SocketAddr, level: Level) -> String {
        if level >= Level::DEBUG || self.shown == Identities::Clear {
            return remote.to_string();
        }
        let ip = self.render(IdentityKind::Address, &remote.ip().to_canonical().to_string(), level);
        format!("{ip}:{}", remote.port())
    }

    /// Text that a server, the system or a person wrote, with every identity in it that can be recognised replaced.
    pub(crate) fn free_text(&self, text: &str, level: Level) -> String {
        text.split_inclusive(is_delimiter)
            .map(|piece| {
                let word = piece.trim_end_matches(|c| is_delimiter(c) || c == '.' || c == ':');
                let rest = piece.get(word.len()..).unwrap_or_default();
                match recognise(word) {
                    Some(kind) => self.render(kind, word, level) + rest,
                    None => piece.to_owned(),
                }
            })
            .collect()
    }

    fn render(&self, kind: IdentityKind, clear: &str, level: Level) -> String {
        if level >= Level::DEBUG {
            return clear.to_owned();
        }
        match self.shown {
            Identities::Clear => clear.to_owned(),
            Identities::Masked => mask(kind, clear),
            Identities::Pseudonym => {
                let mut mac = self.keyed.clone();
                mac.update(canonical(clear).as_bytes());
                let tag = mac.finalize().into_bytes();
                format!("{kind}:{:02x}{:02x}{:02x}{:02x}", tag[0], tag[1], tag[2], tag[3])
            }
        }
    }
}

/// The form under which a name is compared: `sip:Alice@Example.com:5060;user=phone`, `xmpp:alice@example.com` and
/// `alice@example.com` are one.
pub(crate) fn canonical(name: &str) -> String {
    let name = name.trim().trim_start_matches('<').trim_end_matches('>').to_lowercase();
    let (scheme, rest) = match name.split_once(':') {
        Some((scheme @ ("sip" | "sips" | "tel" | "xmpp" | "im" | "pres"), rest)) => (scheme, rest),
        _ => ("", name.as_str()),
    };
    let end = match scheme {
        "" => rest.len(),
        "xmpp" => rest.find('?').unwrap_or(rest.len()),
        _ => rest.find([';', '?']).unwrap_or(rest.len()),
    };
    let rest = rest.get(..end).unwrap_or_default();
    without_port(rest).to_owned()
}

/// A host that is not a resource may be followed by a port; a bare IPv6 address is not.
fn without_port(address: &str) -> &str {
    let Some((user, host)) = address.rsplit_once('@') else { return address };
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            address.get(..user.len() + 1 + name.len()).unwrap_or(address)
        }
        _ => address,
    }
}

fn mask(kind: IdentityKind, clear: &str) -> String {
    let name = canonical(clear);
    match kind {
        IdentityKind::Address => mask_address(&name),
        IdentityKind::Number => mask_local(&name),
        IdentityKind::Uri | IdentityKind::Jid | IdentityKind::Room => match name.split_once('@') {
            Some((local, host)) => match host.split_once('/') {
                Some((host, _)) => format!("{}@{host}/***", mask_local(local)),
                None => format!("{}@{host}", mask_local(local)),
            },
            None => mask_local(&name),
        },
    }
}

fn mask_local(local: &str) -> String {
    if is_number(local) {
        let keep = local.len().saturating_sub(4);
        return format!("{}****", local.get(..keep).unwrap_or_default());
    }
    let keep = if local.chars().count() > 2 { 2 } else { 1 };
    local.chars().take(keep).chain("***".chars()).collect()
}

fn mask_address(address: &str) -> String {
    let ip = address.parse::<SocketAddr>().map(|socket| socket.ip()).or_else(|_| address.parse::<IpAddr>());
    match ip.map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.***")
        }
        Ok(IpAddr::V6(ip)) => {
            let [a, b, ..] = ip.segments();
            format!("{a:x}:{b:x}:***")
        }
        Err(_) => "***".to_owned(),
    }
}

/// Digits, with a plus sign before them or not.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

const fn is_delimiter(c: char) -> bool {
    c.is_ascii_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | '(' | ')' | ',' | ';' | '=')
}

/// What a word of free text names; numbers of less than seven digits without a plus sign are just numbers.
fn recognise(word: &str) -> Option<IdentityKind> {
    let scheme = word.split_once(':').filter(|(_, rest)| !rest.is_empty()).map(|(scheme, _)| scheme.to_lowercase());
    if matches!(scheme.as_deref(), Some("sip" | "sips" | "tel")) {
        return Some(IdentityKind::Uri);
    }
    let pair = word.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
    if pair.is_some() || scheme.as_deref() == Some("xmpp") {
        return Some(IdentityKind::Jid);
    }
    if word.parse::<SocketAddr>().is_ok() || word.parse::<IpAddr>().is_ok() {
        return Some(IdentityKind::Address);
    }
    let least = if word.starts_with('+') { 4 } else { 7 };
    (is_number(word) && word.len() >= least).then_some(IdentityKind::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(shown: Identities) -> Names {
        Names::new(shown, &[7; 32])
    }

    #[test]
    fn one_account_has_one_pseudonym_however_it_is_written() {
        let names = names(Identities::Pseudonym);
        let show = |identity: Identity| names.show(&identity, Level::INFO);
        let jid = show(Identity::jid("alice@example.com"));
        let digits = jid.strip_prefix("jid:").unwrap();
        assert_eq!(digits.len(), 8);
        assert!(digits.bytes().all(|b| b.is_ascii_hexdigit()));
        for uri in ["sip:alice@example.com", "sips:Alice@EXAMPLE.com:5061;transport=tls", "<sip:alice@example.com>"] {
            assert_eq!(show(Identity::uri(uri)), format!("uri:{digits}"), "{uri}");
        }
        assert_ne!(show(Identity::jid("bob@example.com")), jid);
    }

    #[test]
    fn another_key_gives_another_pseudonym() {
        let identity = Identity::jid("alice@example.com");
        let one = Names::new(Identities::Pseudonym, &[1; 32]).show(&identity, Level::INFO);
        let two = Names::new(Identities::Pseudonym, &[2; 32]).show(&identity, Level::INFO);
        assert_ne!(one, two);
    }

    #[test]
    fn masks_the_part_that_names_a_person() {
        let names = names(Identities::Masked);
        for (identity, text) in [
            (Identity::jid("alice@example.com"), "al***@example.com"),
            (Identity::jid("al@example.com/phone"), "a***@example.com/***"),
            (Identity::number("+14045551234"), "+1404555****"),
            (Identity::number("112"), "****"),
            (Identity::uri("sip:+14045551234@example.com;user=phone"), "+1404555****@example.com"),
            (Identity::uri("tel:+14045551234"), "+1404555****"),
            (Identity::room("standup@conference.example.com"), "st***@conference.example.com"),
            (Identity::address("192.0.2.7"), "192.0.2.***"),
            (Identity::address("[2001:db8::7]:5060"), "2001:db8:***"),
            (Identity::uri("sip:ålice@example.com"), "ål***@example.com"),
        ] {
            assert_eq!(names.show(&identity, Level::INFO), text);
        }
    }

    #[test]
    fn identities_are_clear_at_debug_and_below_only() {
        let names = names(Identities::Pseudonym);
        let identity = Identity::jid("alice@example.com");
        for level in [Level::DEBUG, Level::TRACE] {
            assert_eq!(names.show(&identity, level), "alice@example.com");
        }
        for level in [Level::ERROR, Level::WARN, Level::INFO] {
            assert!(!names.show(&identity, level).contains("alice"));
        }
    }

    #[test]
    fn free_text_loses_the_identities_in_it_and_nothing_else() {
        let names = names(Identities::Masked);
        for (text, shown) in [
            ("connection refused (os error 111)", "connection refused (os error 111)"),
            ("no answer from 192.0.2.7:5347: gone", "no answer from 192.0.2.***: gone"),
            (
                "not <sip:bob@example.com;lr>, nor bob@example.com.",
                "not <bo***@example.com;lr>, nor bo***@example.com.",
            ),
            ("to=+14045551234 after 2500 ms", "to=+1404555**** after 2500 ms"),
            ("listening on udp:127.0.0.1:5060", "listening on udp:127.0.0.1:5060"),
        ] {
            assert_eq!(names.free_text(text, Level::INFO), shown);
        }
    }

    #[test]
    fn an_address_has_the_same_pseudonym_on_every_port_and_in_both_families() {
        let names = names(Identities::Pseudonym);
        let show = |text: &str| names.address(text.parse().unwrap(), Level::INFO);
        let v4 = show("192.0.2.7:5060");
        let (digits, port) = v4.rsplit_once(':').unwrap();
        assert_eq!(port, "5060");
        assert_eq!(show("[::ffff:192.0.2.7]:5062"), format!("{digits}:5062"));
        assert!(!v4.contains("192.0.2"));
    }
}
