//! Pieces of header values: comma lists, parameters, quoted strings (RFC 3261 §7.3.1, §25.1).

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr3, memchr3_iter};

/// True for linear white space; a folded line's CRLF counts.
#[must_use]
pub(crate) const fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// True for the characters of a `token`.
#[must_use]
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// True for NUL and for CR or LF that are no CRLF: where one parser ends a line and another does not, a header can be
/// hidden from the first. Behind a backslash in quotes NUL is a character (RFC 4475 §3.1.1.2).
pub(crate) fn has_stray_control(line: &[u8]) -> bool {
    // As a rule there is nothing but the CRLF at its end.
    if let Some(content) = line.strip_suffix(b"\r\n")
        && memchr3(0, b'\r', b'\n', content).is_none()
    {
        return false;
    }
    let mut nul = false;
    let stray = memchr3_iter(0, b'\r', b'\n', line).any(|at| match line[at] {
        b'\r' => line.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || line[at - 1] != b'\r',
        _ => {
            nul = true;
            false
        }
    });
    stray || (nul && has_bare_nul(line))
}

/// True for a NUL that is no quoted-pair (RFC 3261 §25.1).
fn has_bare_nul(line: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    line.iter().any(|byte| {
        let bare = *byte == 0 && !escaped;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        bare
    })
}

/// The text, where it is digits only: Rust's numbers may have a sign, SIP's may not.
pub(crate) fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

/// The number that Content-Length is; more digits than any message has bytes are none.
pub(crate) fn length(text: &str) -> Option<usize> {
    digits(text).filter(|digits| digits.len() <= 10)?.parse().ok()
}

/// Narrows a range to what is left without white space at its ends.
pub(crate) fn trim(bytes: &[u8], mut range: Range<usize>) -> Range<usize> {
    while range.start < range.end && is_lws(bytes[range.start]) {
        range.start += 1;
    }
    while range.end > range.start && is_lws(bytes[range.end - 1]) {
        range.end -= 1;
    }
    range
}

/// Splits at `separator` outside of quoted strings and angle brackets; yields trimmed, non-empty ranges.
pub(crate) fn split(bytes: &[u8], within: Range<usize>, separator: u8) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = within.start;
    let end = within.end;
    std::iter::from_fn(move || {
        while start < end {
            let (mut at, mut quoted, mut bracketed) = (start, false, false);
            while at < end {
                match bytes[at] {
                    b'\\' if quoted => at += 1,
                    b'"' if !bracketed => quoted = !quoted,
                    b'<' if !quoted => bracketed = true,
                    b'>' if !quoted => bracketed = false,
                    byte if byte == separator && !quoted && !bracketed => break,
                    _ => {}
                }
                at += 1;
            }
            let piece = trim(bytes, start..at.min(end));
            start = at + 1;
            if !piece.is_empty() {
                return Some(piece);
            }
        }
        None
    })
}

/// The `;name=value` parameters behind a value.
#[derive(Clone, Copy, Debug)]
pub struct Params<'a>(pub(crate) &'a str);

impl<'a> Params<'a> {
    /// Wraps `;name=value;…`; a leading semicolon is allowed.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// Each parameter with its value as written (quotes kept), if it has one.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let text = self.0;
        split(text.as_bytes(), 0..text.len(), b';').map(move |range| {
            let piece = &text[range];
            match piece.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                None => (piece, None),
            }
        })
    }

    /// The value of a parameter (empty for a flag); names are case-insensitive.
    #[must_use]
    pub fn find(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.unwrap_or(""))
    }

    /// The value of a parameter without its quotes and escapes.
    #[must_use]
    pub fn find_unquoted(self, name: &str) -> Option<Cow<'a, str>> {
        self.find(name).map(unquote)
    }

    /// True where the parameter is there.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// Takes the quotes and escapes off a quoted string; leaves anything else as it is.
#[must_use]
pub fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// Puts a text in quotes, escaping quotes and backslashes; control characters are left out.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars().filter(|character| !character.is_control()) {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_lists_outside_quotes_and_brackets() {
        let text = br#"<sip:a,b@x>;p="q,\",r" , "x,y" <sip:c> ,, d"#;
        let pieces: Vec<_> = split(text, 0..text.len(), b',').map(|range| &text[range]).collect();
        assert_eq!(pieces, [&br#"<sip:a,b@x>;p="q,\",r""#[..], br#""x,y" <sip:c>"#, b"d"]);
    }

    #[test]
    fn finds_parameters_in_any_case_and_without_quotes() {
        let params = Params::new(r#";Purpose="im\"pp" ; lr;x = y"#);
        assert_eq!(params.find_unquoted("purpose").as_deref(), Some("im\"pp"));
        assert_eq!(params.find("lr"), Some(""));
        assert_eq!(params.find("x"), Some("y"));
        assert!(!params.has("y"));
    }
}
