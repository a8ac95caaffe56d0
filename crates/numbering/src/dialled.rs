//! A Request-URI as somebody dialled it, and the number in it.

/// Says what kind of URI was dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// `urn:` (RFC 5031)
    Urn,
}

/// Holds the parts of a Request-URI, as they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialled<'a> {
    /// Scheme.
    pub scheme: Scheme,
    /// SIP: what stands before the `@`, escapes and parameters of the user part included, a password not. `tel:` and `urn:`: all that follows
    /// the scheme.
    pub user: &'a str,
    /// SIP: the host without a port. Else empty.
    pub host: &'a str,
    /// Whether the URI has `user=phone`.
    pub user_phone: bool,
    /// The `phone-context` parameter, where the caller has cut it off; one in `user` is found there.
    pub phone_context: Option<&'a str>,
}

/// The telephone-subscriber of RFC 3966 in a user part: what is left when escapes, parameters and visual separators are gone.
pub(crate) struct Subscriber {
    /// Digits, `*` and `#`.
    pub(crate) digits: String,
    /// Whether they stood behind a plus sign.
    pub(crate) global: bool,
    pub(crate) context: Option<String>,
}

/// Far beyond E.164's 15 digits with any prefix, carrier code and feature code: what is longer is no number that a plan could read.
const MAX_DIGITS: usize = 40;

impl Subscriber {
    /// Reads the number that was dialled; `None` where it is a name.
    pub(crate) fn of(dialled: &Dialled<'_>) -> Option<Self> {
        let (number, parameters) = dialled.user.split_once(';').unwrap_or((dialled.user, ""));
        // Escapes first: `%31%31%32` is 112 (RFC 3261 §19.1.4), and a separator may be escaped too.
        let compact: String = unescape(number).chars().filter(|c| !"-.() ".contains(*c)).collect();
        let (global, digits) = match compact.strip_prefix('+') {
            Some(digits) => (true, digits),
            None => (false, compact.as_str()),
        };
        let dialable = |b: u8| b.is_ascii_digit() || (!global && matches!(b, b'*' | b'#'));
        if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(dialable) {
            return None;
        }
        let context = parameters
            .split(';')
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("phone-context"))
            .map(|(_, value)| value)
            .or(dialled.phone_context)
            .map(unescape);
        Some(Self { digits: digits.to_owned(), global, context })
    }
}

/// Whether a user part that is no number as a whole begins with one: a plus sign, or digits enough to be dialled.
pub(crate) fn begins_like_a_number(user: &str) -> bool {
    let compact: String = unescape(user).chars().filter(|c| !"-.() ".contains(*c)).take(ENOUGH).collect();
    let digits = compact.strip_prefix('+').unwrap_or(&compact);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'#'))
        && (digits.len() < compact.len() || digits.len() == ENOUGH)
}

/// Shorter beginnings are those of names such as `3com` or `007`.
const ENOUGH: usize = 6;

/// Replaces `%HH` of ASCII characters; all else stays, so that it is taken for a name.
fn unescape(text: &str) -> String {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        unescaped.push_str(before);
        match after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii) {
            Some(byte) => {
                unescaped.push(char::from(byte));
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                unescaped.push('%');
                rest = after;
            }
        }
    }
    unescaped.push_str(rest);
    unescaped
}

/// Whether a URN is the emergency service or one of its sub-services (RFC 5031 §4.2): `service:sos`, `service:sos.fire`.
pub(crate) fn is_sos(urn: &str) -> bool {
    let lower = urn.to_ascii_lowercase();
    lower.strip_prefix("service:sos").is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ';', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(user: &str) -> Option<(String, bool, Option<String>)> {
        let dialled =
            Dialled { scheme: Scheme::Sip, user, host: "example.com", user_phone: false, phone_context: None };
        Subscriber::of(&dialled).map(|number| (number.digits, number.global, number.context))
    }

    #[test]
    fn drops_separators_escapes_and_parameters() {
        let number = |digits: &str, global| Some((digits.to_owned(), global, None));
        for (user, expected) in [
            ("+1 (404) 555-0100", number("14045550100", true)),
            ("+1%20%28404%29%20555-0100", number("14045550100", true)),
            ("%31%31%32", number("112", false)),
            ("%2B14045550100", number("14045550100", true)),
            ("404.555.0100;isub=7;ext=2", number("4045550100", false)),
            ("*67911", number("*67911", false)),
            ("%2331%23112", number("#31#112", false)),
        ] {
            assert_eq!(read(user), expected, "{user}");
        }
        let context = read("863-1234;Phone-Context=%2B1-914-555").unwrap();
        assert_eq!(context, ("8631234".to_owned(), false, Some("+1-914-555".to_owned())));
    }

    #[test]
    fn takes_names_for_names() {
        let long = "1".repeat(41);
        for user in [
            "",
            "+",
            "alice",
            "1-800-FLOWERS",
            "112a",
            "+1*2",
            "112%3Bx",
            "%zz112",
            "%",
            "%1",
            "%e9%9911",
            long.as_str(),
        ] {
            assert_eq!(read(user), None, "{user}");
        }
    }

    #[test]
    fn knows_the_sos_service_by_its_whole_label() {
        for urn in ["service:sos", "service:sos.fire", "Service:SOS.Police", "service:sos;x=y"] {
            assert!(is_sos(urn), "{urn}");
        }
        for urn in ["service:sosa", "service:counseling", "sos", "uuid:sos", ""] {
            assert!(!is_sos(urn), "{urn}");
        }
    }
}
