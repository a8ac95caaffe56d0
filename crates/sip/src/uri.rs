//! URIs as a proxy reads them: SIP and SIPS in parts (RFC 3261 §19.1), tel and any other scheme by its text.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use crate::value::{Params, digits};

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Any other.
    Other,
}

/// A URI in parts. For schemes other than `sip` and `sips`, `user` is all behind the colon up to the parameters and
/// `host` is empty.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// The whole text.
    pub text: &'a str,
    /// Scheme.
    pub scheme: Scheme,
    /// User part as written, without password.
    pub user: Option<&'a str>,
    /// Host as written, IPv6 with its brackets.
    pub host: &'a str,
    /// Port.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
    /// What follows `?`.
    pub headers: &'a str,
}

impl<'a> Uri<'a> {
    /// Reads a URI without angle brackets.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme_text, rest) = text.split_once(':')?;
        let valid = scheme_text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        if scheme_text.is_empty() || !valid || rest.is_empty() {
            return None;
        }
        let scheme = match scheme_text {
            s if s.eq_ignore_ascii_case("sip") => Scheme::Sip,
            s if s.eq_ignore_ascii_case("sips") => Scheme::Sips,
            s if s.eq_ignore_ascii_case("tel") => Scheme::Tel,
            _ => Scheme::Other,
        };
        if matches!(scheme, Scheme::Tel | Scheme::Other) {
            let (user, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
            let params = Params(params);
            return Some(Self { text, scheme, user: Some(user), host: "", port: None, params, headers: "" });
        }
        // The user part may hold ';' and '?', so it is cut off first (RFC 3261 §25.1 user-unreserved).
        let (user, rest) = match rest.split_once('@') {
            // Nowhere else may one stand unescaped, and two readers would find two hosts.
            Some((_, host)) if host.contains('@') => return None,
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let user = user.map(|user| user.split_once(':').map_or(user, |(name, _)| name));
        let (rest, headers) = rest.split_once('?').unwrap_or((rest, ""));
        let (host_port, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let (host, port) = split_host_port(host_port)?;
        Some(Self { text, scheme, user, host, port, params: Params(params), headers })
    }

    /// True where it leads over TLS by what it says itself: `sips:`, or `transport=tls`.
    #[must_use]
    pub fn asks_for_tls(&self) -> bool {
        let tls = |transport: &str| transport.eq_ignore_ascii_case("tls");
        self.scheme == Scheme::Sips || self.params.find("transport").is_some_and(tls)
    }

    /// The user part with its percent-escapes undone; empty where there is none.
    #[must_use]
    pub fn user_unescaped(&self) -> Cow<'a, str> {
        unescape(self.user.unwrap_or(""))
    }

    /// The host as an address, where it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        host_address(self.host)
    }

    /// True where the host equals a name or address, in any case.
    #[must_use]
    pub fn host_is(&self, host: &str) -> bool {
        self.host.eq_ignore_ascii_case(host)
    }
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(crate) fn split_host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if text.starts_with('[') {
        let close = text.find(']')?;
        text[1..close].parse::<Ipv6Addr>().ok()?;
        let rest = &text[close + 1..];
        (&text[..=close], if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let host = host.trim();
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']');
    if host.is_empty() || !host.bytes().all(ok) {
        return None;
    }
    let port = match port {
        Some(port) => Some(digits(port.trim())?.parse().ok()?),
        None => None,
    };
    Some((host, port))
}

/// A host as an address: dotted IPv4, or IPv6 with or without brackets.
#[must_use]
pub fn host_address(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Undoes percent-escapes (RFC 3261 §19.1.2); what does not decode to UTF-8 stays as written.
#[must_use]
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let escaped = (byte == b'%').then(|| {
            let mut digits = bytes.clone();
            let high = char::from(digits.next()?).to_digit(16)?;
            let low = char::from(digits.next()?).to_digit(16)?;
            u8::try_from(high << 4 | low).ok()
        });
        match escaped.flatten() {
            Some(decoded) => {
                out.push(decoded);
                bytes.nth(1);
            }
            None => out.push(byte),
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Escapes what a user part must not hold as it is (RFC 3261 §25.1 `user`).
#[must_use]
pub fn escape_user(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte);
        if plain {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sip_uris_in_parts() {
        let uri = Uri::parse("sip:al%69ce;x=1:secret@[2001:db8::1]:5070;transport=TCP;lr?Subject=hi").unwrap();
        assert_eq!(uri.user_unescaped(), "alice;x=1");
        assert_eq!((uri.host, uri.port), ("[2001:db8::1]", Some(5070)));
        assert_eq!(uri.address(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(uri.params.find("transport"), Some("TCP"));
        assert_eq!(uri.headers, "Subject=hi");
    }

    #[test]
    fn reads_other_schemes_by_their_text() {
        let tel = Uri::parse("tel:+1-404-555;phone-context=+1").unwrap();
        assert_eq!((tel.scheme, tel.user), (Scheme::Tel, Some("+1-404-555")));
        assert_eq!(tel.params.find("phone-context"), Some("+1"));
        assert_eq!(Uri::parse("urn:service:sos").unwrap().scheme, Scheme::Other);
    }

    #[test]
    fn refuses_what_is_no_uri() {
        for bad in ["", "sip:", "alice@example.com", "sip:@", "sip:a@[::1", "sip:a@b:99999", "sip:a@b:+5060", "s p:x"] {
            assert!(Uri::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn escapes_user_parts_both_ways() {
        assert_eq!(unescape(&escape_user("café @:")), "café @:");
        assert_eq!(unescape("%zz%4"), "%zz%4");
    }
}
