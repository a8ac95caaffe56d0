//! `Call-Info` with `purpose=impp` (RFC 6993, RFC 7081 §3.5).

use cusax_sip::value::Params;
use cusax_sip::{Edit, Message, Name};

/// True for a value whose purpose is `impp`, however it is written. A value that cannot be read counts as one when it
/// comes from where none may come from: what we cannot read, another parser might.
#[must_use]
pub fn is_impp(value: &str) -> bool {
    let params = value.strip_prefix('<').and_then(|rest| rest.split_once('>')).map(|(_, params)| params);
    let Some(params) = params.filter(|params| is_terminated(params)) else {
        return value.to_ascii_lowercase().contains("impp");
    };
    Params::new(params)
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("purpose"))
        .filter_map(|(_, purpose)| purpose)
        .any(|purpose| cusax_sip::value::unquote(purpose).trim().eq_ignore_ascii_case("impp"))
}

/// True where every quoted string ends.
fn is_terminated(text: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    !quoted
}

/// True where a message carries an `impp` value.
#[must_use]
pub fn has_impp(message: &Message) -> bool {
    message.value_spans(Name::CallInfo).any(|span| is_impp(&String::from_utf8_lossy(&message.bytes()[span])))
}

/// Removes `impp` values, each by itself; returns how many went.
pub fn strip(edit: &mut Edit) -> usize {
    edit.remove_values(Name::CallInfo, |_, value| is_impp(value))
}

/// Puts our value first, on a line of its own: clients are known that read no other.
pub fn insert(edit: &mut Edit, jid: &str) {
    edit.push_above(Name::CallInfo, &format!("<{}>;purpose=impp", xmpp_uri(jid)));
}

/// The XMPP URI of a bare JID (RFC 5122 §2.2): what a URI may not hold is escaped.
#[must_use]
pub fn xmpp_uri(jid: &str) -> String {
    let mut uri = String::with_capacity(jid.len() + 5);
    uri.push_str("xmpp:");
    for byte in jid.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
        // A comma or semicolon is legal in the URI, but readers split header values at them.
        if plain && !matches!(byte, b',' | b';') {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_impp_however_it_is_written() {
        for value in [
            "<xmpp:eve@evil>;purpose=impp",
            "<xmpp:eve@evil> ;Purpose = \"IMPP\"",
            "<im:eve@evil>;x=\"a;purpose=icon\";purpose=impp",
            "<xmpp:eve@evil>;purpose=icon;purpose=impp",
            "xmpp:eve@evil;purpose=impp",
            "\"a>b\" <xmpp:eve@evil>;purpose=impp",
            "<xmpp:eve@evil>;x=\"a;purpose=impp",
        ] {
            assert!(is_impp(value), "{value}");
        }
        for value in
            ["<http://x/impp>;purpose=icon", "<http://x>", "<http://x>;answer-after=0", "<x:y>;p=\"purpose=impp\""]
        {
            assert!(!is_impp(value), "{value}");
        }
    }

    #[test]
    fn writes_jids_as_uris() {
        assert_eq!(xmpp_uri("alice@example.com"), "xmpp:alice@example.com");
        assert_eq!(xmpp_uri("jörg,<x>@example.com"), "xmpp:j%C3%B6rg%2C%3Cx%3E@example.com");
    }
}
