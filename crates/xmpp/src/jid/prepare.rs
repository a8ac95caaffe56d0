//! The stringprep profiles of JIDs (RFC 6122 appendices A and B, RFC 3491), for queries: what Unicode 3.2 had not
//! assigned passes (RFC 3454 §7), as in the servers. Emoji in nicks are such code points.

use stringprep::tables;
use unicode_normalization::UnicodeNormalization;

/// Nodeprep; `None` where a character is prohibited.
pub(super) fn node(text: &str) -> Option<String> {
    let prepared = normalized(mapped(text).flat_map(tables::case_fold_for_nfkc));
    let prohibited = |c| tables::ascii_space_character(c) || tables::ascii_control_character(c) || is_delimiter(c);
    passes(&prepared, prohibited).then_some(prepared)
}

/// Nameprep; `None` where a character is prohibited.
pub(super) fn name(text: &str) -> Option<String> {
    let prepared = normalized(mapped(text).flat_map(tables::case_fold_for_nfkc));
    passes(&prepared, |_| false).then_some(prepared)
}

/// Resourceprep; `None` where a character is prohibited.
pub(super) fn resource(text: &str) -> Option<String> {
    let prepared = normalized(mapped(text));
    passes(&prepared, tables::ascii_control_character).then_some(prepared)
}

fn mapped(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| !tables::commonly_mapped_to_nothing(*c))
}

/// NFKC of Unicode 3.2: later code points are left as they are, whatever later versions make of them.
fn normalized(text: impl Iterator<Item = char>) -> String {
    let (mut all, mut assigned) = (String::new(), String::new());
    for c in text {
        if tables::unassigned_code_point(c) {
            all.extend(assigned.nfkc());
            assigned.clear();
            all.push(c);
        } else {
            assigned.push(c);
        }
    }
    all.extend(assigned.nfkc());
    all
}

fn passes(text: &str, prohibited: impl Fn(char) -> bool) -> bool {
    !text.chars().any(|c| is_prohibited(c) || prohibited(c)) && is_bidirectional(text)
}

/// RFC 3454 tables C.1.2, C.2.2 and C.3 to C.9.
fn is_prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::surrogate_code(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

/// RFC 6122 §A.5.
const fn is_delimiter(c: char) -> bool {
    matches!(c, '"' | '&' | '\'' | '/' | ':' | '<' | '>' | '@')
}

/// RFC 3454 §6.
fn is_bidirectional(text: &str) -> bool {
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else { return true };
    let ends = [first, last].into_iter().all(tables::bidi_r_or_al);
    !text.contains(tables::bidi_r_or_al) || ends && !text.contains(tables::bidi_l)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where all is assigned, the crate that has the tables is the oracle.
    #[test]
    fn what_unicode_3_2_knows_is_prepared_as_by_the_profiles() {
        let texts =
            ["Straße", "ﬁ\u{AD}n", "Ünïcode", "a b", "a@b", "\u{7}", "\u{E000}", "אבג", "אa", "א1", "ⅷ", "\u{3000}x"];
        for text in texts {
            assert_eq!(node(text), stringprep::nodeprep(text).ok().map(Into::into), "{text}");
            assert_eq!(name(text), stringprep::nameprep(text).ok().map(Into::into), "{text}");
            assert_eq!(resource(text), stringprep::resourceprep(text).ok().map(Into::into), "{text}");
        }
    }

    #[test]
    fn what_it_does_not_know_passes_as_it_is() {
        for text in ["😀", "Bob 🄰", "a\u{1F980}é", "\u{1E9E}"] {
            assert_eq!(resource(text).as_deref(), Some(text));
        }
        assert_eq!(node("Bob😀").as_deref(), Some("bob😀"));
        assert!(stringprep::resourceprep("😀").is_err(), "or this module is not needed any more");
    }
}
