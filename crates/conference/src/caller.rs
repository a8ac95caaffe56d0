//! Who calls and from where, as the edge in front let it through (RFC 3325, RFC 3261 §18.2.1).

use std::net::IpAddr;

use cusax_mixer::{Signalling, Trust};
use cusax_sip::uri::host_address;
use cusax_sip::{Message, Name, Scheme, Uri, Via};
use cusax_xmpp::BareJid;
use cusax_xmpp::jid::escape_localpart;

use crate::AccountKey;

/// A caller before his account is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The accounts that may be his, the likeliest last.
    pub(crate) keys: Vec<AccountKey>,
    /// What he is called in the room where he has none: a JID of the component's.
    pub(crate) jid: BareJid,
}

impl Caller {
    /// Reads the caller of an INVITE. Only what the edge asserts (P-Asserted-Identity) can be an account; From names
    /// somebody too, but never anybody who could be asserted.
    pub(crate) fn of(invite: &Message, domain: &str, component: &str) -> Option<Self> {
        // RFC 3325 §9.1: one SIP URI, one tel URI.
        let asserted = || invite.values(Name::PAssertedIdentity).filter_map(cusax_sip::Address::parse).take(2);
        let uris: Vec<Uri<'_>> = asserted().filter_map(|address| Uri::parse(address.uri_text)).collect();
        let mut keys = Vec::new();
        for uri in uris.iter().rev() {
            keys.extend(number(uri).map(AccountKey::Number));
            if matches!(uri.scheme, Scheme::Sip | Scheme::Sips) && uri.host_is(domain) && uri.user.is_some() {
                keys.push(AccountKey::User(uri.user_unescaped().into_owned()));
            }
        }
        let localpart = uris.iter().find_map(number).or_else(|| uris.first().map(address));
        let localpart = match localpart {
            Some(localpart) => localpart,
            None => address(&invite.address(Name::From)?.uri()?),
        };
        let jid = BareJid::new(&escape_localpart(&localpart), component).ok()?;
        Some(Self { keys, jid })
    }
}

/// The number that a URI stands for, without visual separators (RFC 3966 §5.1.1).
fn number(uri: &Uri<'_>) -> Option<String> {
    let text = uri.user_unescaped();
    let marked =
        uri.scheme == Scheme::Tel || uri.params.find("user").is_some_and(|is| is.eq_ignore_ascii_case("phone"));
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect();
    let local = digits.strip_prefix('+').unwrap_or(&digits);
    let valid = !local.is_empty() && local.bytes().all(|byte| byte.is_ascii_digit());
    (valid && (marked || digits.starts_with('+'))).then_some(digits)
}

/// A URI as somebody's name: `user@host`, or its text where it has no such parts.
fn address(uri: &Uri<'_>) -> String {
    match uri.scheme {
        Scheme::Sip | Scheme::Sips => format!("{}@{}", uri.user_unescaped(), uri.host),
        Scheme::Tel | Scheme::Other => uri.text.to_owned(),
    }
}

/// Where a request came from before the edge: the source that it stamped on the Via below its own. Its own names the zone,
/// which nobody else can write there: what one of the existing servers describes is right.
/// `otherwise` is the source where no Via names it.
pub(crate) fn signalling(request: &Message, otherwise: IpAddr) -> Signalling {
    let via = request.values(Name::Via).nth(1).and_then(Via::parse);
    let received = via.and_then(|via| host_address(via.params.find("received").unwrap_or(via.host)));
    let zone = request.top_via().map(|via| via.host);
    let trust = if zone == Some("core.invalid") { Trust::Core } else { Trust::Access };
    Signalling { source: received.unwrap_or(otherwise), trust }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn invite(headers: &str) -> Message {
        invite_from("access", headers)
    }

    fn invite_from(zone: &str, headers: &str) -> Message {
        let text = format!(
            "INVITE sip:r@conf.test SIP/2.0\r\nVia: SIP/2.0/UDP {zone}.invalid;branch=z9hG4bKa\r\n{headers}\
             To: <sip:r@conf.test>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn named(headers: &str) -> (Vec<AccountKey>, String) {
        let caller = Caller::of(&invite(headers), "example.test", "cusax.example.test").unwrap();
        (caller.keys, caller.jid.to_string())
    }

    #[test]
    fn only_what_is_asserted_can_be_an_account() {
        let user = |user: &str| AccountKey::User(user.to_owned());
        let number = |number: &str| AccountKey::Number(number.to_owned());
        for (headers, keys, jid) in [
            (
                "From: <sip:x@y>;tag=1\r\nP-Asserted-Identity: \"A\" <sip:alice@EXAMPLE.test>\r\n",
                vec![user("alice")],
                "alice\\40example.test@cusax.example.test",
            ),
            (
                "From: <sip:x@y>;tag=1\r\nP-Asserted-Identity: <sip:bob@example.test>, <tel:+1-404-555-0100>\r\n",
                vec![number("+14045550100"), user("bob")],
                "+14045550100@cusax.example.test",
            ),
            (
                "From: <sip:x@y>;tag=1\r\nP-Asserted-Identity: <sip:+15550100@gw.test;user=phone>\r\n",
                vec![number("+15550100")],
                "+15550100@cusax.example.test",
            ),
            (
                "From: <sip:x@y>;tag=1\r\nP-Asserted-Identity: <sip:juliet@biloxi.test>\r\n",
                vec![],
                "juliet\\40biloxi.test@cusax.example.test",
            ),
            ("From: <sip:alice@example.test>;tag=1\r\n", vec![], "alice\\40example.test@cusax.example.test"),
            ("From: <sip:+15550100@example.test>;tag=1\r\n", vec![], "+15550100\\40example.test@cusax.example.test"),
        ] {
            assert_eq!(named(headers), (keys, jid.to_owned()), "{headers}");
        }
        assert_eq!(Caller::of(&invite("From: \"x\r\n"), "example.test", "cusax.example.test"), None);
    }

    #[test]
    fn the_edge_says_where_a_request_came_from() {
        let nowhere = "0.0.0.0".parse().unwrap();
        let from = "From: <sip:a@b>;tag=1\r\n";
        for (zone, vias, source, trust) in [
            (
                "access",
                "Via: SIP/2.0/UDP 10.0.0.5:5060;rport=6000;received=192.0.2.1;branch=z9\r\n",
                "192.0.2.1",
                Trust::Access,
            ),
            ("access", "Via: SIP/2.0/UDP 192.0.2.7;branch=z9\r\n", "192.0.2.7", Trust::Access),
            ("access", "Via: SIP/2.0/TCP phone.local;received=2001:db8::1;branch=z9\r\n", "2001:db8::1", Trust::Access),
            // Whoever writes a second Via is no more trusted for it.
            (
                "access",
                "Via: SIP/2.0/UDP 192.0.2.7;branch=z9, SIP/2.0/UDP 10.0.0.5;branch=z8\r\n",
                "192.0.2.7",
                Trust::Access,
            ),
            ("core", "Via: SIP/2.0/UDP 192.0.2.7;branch=z9\r\n", "192.0.2.7", Trust::Core),
            ("access", "", "0.0.0.0", Trust::Access),
        ] {
            let expected = Signalling { source: source.parse().unwrap(), trust };
            assert_eq!(signalling(&invite_from(zone, &format!("{vias}{from}")), nowhere), expected, "{vias}");
        }
    }
}
