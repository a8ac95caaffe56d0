//! Who wants to stay unknown (RFC 3323, RFC 3325).

use cusax_sip::{Message, Name};

/// What a request says about its caller's privacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Nothing, or `none`.
    Open,
    /// Privacy asks for it.
    Asked,
    /// From is anonymous.
    Anonymous,
}

/// Reads Privacy and From.
#[must_use]
pub(crate) fn of(message: &Message) -> Privacy {
    let asked = ["id", "user", "header", "session", "critical"];
    if message.values(Name::Privacy).any(str::is_empty) {
        // What cannot be read might have asked.
        return Privacy::Asked;
    }
    let tokens = message.values(Name::Privacy).flat_map(|value| value.split(';')).map(str::trim);
    if tokens.into_iter().any(|token| asked.iter().any(|word| word.eq_ignore_ascii_case(token))) {
        return Privacy::Asked;
    }
    let from = message.address(Name::From);
    let hidden = from.and_then(|from| from.uri()).is_some_and(|uri| uri.host_is("anonymous.invalid"));
    if hidden { Privacy::Anonymous } else { Privacy::Open }
}

/// True where `Privacy: id` keeps P-Asserted-Identity inside the trust domain (RFC 3325 §9.3).
#[must_use]
pub(crate) fn hides_identity(message: &Message) -> bool {
    of(message) == Privacy::Asked
}
