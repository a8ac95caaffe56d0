//! Localparts of any characters (XEP-0106): what SIP and people call a room or user.

/// Characters that a localpart cannot hold, and what stands for them (XEP-0106 §4.2).
const ESCAPES: [(char, &str); 10] = [
    (' ', "\\20"),
    ('"', "\\22"),
    ('&', "\\26"),
    ('\'', "\\27"),
    ('/', "\\2f"),
    (':', "\\3a"),
    ('<', "\\3c"),
    ('>', "\\3e"),
    ('@', "\\40"),
    ('\\', "\\5c"),
];

/// Escapes a name so that it can be a localpart (XEP-0106): a SIP user part as the name of a room.
#[must_use]
pub fn escape_localpart(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (index, c) in name.char_indices() {
        let rest = name.get(index..).unwrap_or_default();
        // A backslash is escaped only where it would otherwise read as an escape.
        let keep = c == '\\' && !ESCAPES.iter().any(|(_, escape)| rest.starts_with(escape));
        match ESCAPES.iter().find(|(plain, _)| *plain == c) {
            Some((_, escape)) if !keep => out.push_str(escape),
            _ => out.push(c),
        }
    }
    out
}

/// Undoes [`escape_localpart`]: a room's localpart as people wrote it.
#[must_use]
pub fn unescape_localpart(localpart: &str) -> String {
    let mut out = String::with_capacity(localpart.len());
    let mut rest = localpart;
    while let Some(c) = rest.chars().next() {
        if let Some((plain, escape)) = ESCAPES.iter().find(|(_, escape)| rest.starts_with(escape)) {
            out.push(*plain);
            rest = rest.get(escape.len()..).unwrap_or_default();
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BareJid;

    #[test]
    fn a_room_name_of_any_characters_survives_as_a_localpart() {
        for (plain, escaped) in [
            ("d'artagnan", "d\\27artagnan"),
            ("a b@c", "a\\20b\\40c"),
            ("c:\\5commas", "c\\3a\\5c5commas"),
            ("a\\b", "a\\b"),
        ] {
            assert_eq!(escape_localpart(plain), escaped);
            assert_eq!(unescape_localpart(escaped), plain);
            assert!(BareJid::new(escaped, "muc").is_ok());
        }
    }
}
