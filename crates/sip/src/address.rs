//! name-addr and addr-spec values: From, To, Contact, Route, Call-Info (RFC 3261 §20.10).

use std::borrow::Cow;

use crate::Uri;
use crate::value::{Params, is_lws, unquote};

/// A display name, a URI and header parameters.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// Display name as written, quotes kept; empty where there is none.
    pub display: &'a str,
    /// The URI's text, without angle brackets.
    pub uri_text: &'a str,
    /// Header parameters.
    pub params: Params<'a>,
}

impl<'a> Address<'a> {
    /// Reads one value. Without angle brackets, parameters belong to the header (RFC 3261 §20.10).
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let Some(open) = unquoted(text, |byte| byte == b'<')? else {
            let (uri, params) = text.split_at(text.find(';').unwrap_or(text.len()));
            let uri_text = uri.trim_end();
            return (!uri_text.is_empty()).then_some(Self { display: "", uri_text, params: Params(params) });
        };
        let close = open + text[open..].find('>')?;
        let (uri_text, params) = (&text[open + 1..close], text[close + 1..].trim_start());
        if !(params.is_empty() || params.starts_with(';')) || uri_text.is_empty() || uri_text.bytes().any(is_lws) {
            return None;
        }
        // RFC 4475 §3.1.2.15: where one reader finds a name, another finds a second address.
        let separates = |byte| matches!(byte, b',' | b';' | b':');
        if unquoted(&text[..open], separates)?.is_some()
            || unquoted(params, |byte| matches!(byte, b',' | b'<'))?.is_some()
        {
            return None;
        }
        Some(Self { display: text[..open].trim(), uri_text, params: Params(params) })
    }

    /// The URI, where it is one.
    #[must_use]
    pub fn uri(&self) -> Option<Uri<'a>> {
        Uri::parse(self.uri_text)
    }

    /// The display name without quotes and escapes.
    #[must_use]
    pub fn display_name(&self) -> Cow<'a, str> {
        unquote(self.display)
    }
}

/// The place of the first byte outside quotes that is wanted; `None` for an unterminated quoted string.
pub(crate) fn unquoted(text: &str, wanted: impl Fn(u8) -> bool) -> Option<Option<usize>> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte if !quoted && wanted(byte) => return Some(Some(at)),
            _ => {}
        }
    }
    (!quoted).then_some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_display_name_uri_and_parameters() {
        let address = Address::parse(r#""Al \"<b>\" ice" <sip:alice@example.com;lr> ;tag=1"#).unwrap();
        assert_eq!(address.display_name(), r#"Al "<b>" ice"#);
        assert_eq!(address.uri_text, "sip:alice@example.com;lr");
        assert_eq!(address.params.find("tag"), Some("1"));
    }

    #[test]
    fn gives_parameters_of_a_bare_uri_to_the_header() {
        let address = Address::parse("sip:alice@example.com;tag=2").unwrap();
        assert_eq!((address.uri_text, address.params.find("tag")), ("sip:alice@example.com", Some("2")));
    }

    #[test]
    fn refuses_unbalanced_values() {
        for bad in ["", "\"a <sip:x@y>", "<sip:x@y", "<>", "<sip:x@y> junk", "< sip:x@y >", "a, b <sip:x@y>"] {
            assert!(Address::parse(bad).is_none(), "{bad}");
        }
    }
}
