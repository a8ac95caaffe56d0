//! How an operator names an account.

use std::fmt;
use std::str::FromStr;

use crate::account::{e164, sip_domain, xmpp_domain, xmpp_user};
use crate::error::DirectoryError;

/// Names one account; `FromStr` reads `17`, `sip:alice@example.com`, `xmpp:alice@example.com`, `+14045550100` (also as `tel:`) and
/// `alice@example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The directory's id.
    Id(i64),
    /// User and domain of an address of record.
    Sip(String, String),
    /// Localpart and domain of a JID.
    Xmpp(String, String),
    /// A number in E.164.
    Number(String),
    /// An address of record or, where no account has it, a JID.
    Address(String, String),
}

impl FromStr for Key {
    type Err = DirectoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || DirectoryError::Invalid {
            field: "account",
            reason: format!("{text:?} is no id, SIP address, JID or number"),
        };
        let address = |address: &str| {
            let (user, domain) = address.rsplit_once('@').ok_or_else(invalid)?;
            Ok::<_, DirectoryError>((user.to_owned(), domain.to_owned()))
        };
        if let Some(rest) = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")) {
            let (user, domain) = address(rest)?;
            return Ok(Self::Sip(user, sip_domain(&domain)?));
        }
        if let Some(rest) = text.strip_prefix("xmpp:") {
            let (user, domain) = address(rest)?;
            return Ok(Self::Xmpp(xmpp_user(&user)?, xmpp_domain(&domain)?));
        }
        if let Some(rest) = text.strip_prefix("tel:") {
            return Ok(Self::Number(e164(rest)?));
        }
        if text.contains('@') {
            let (user, domain) = address(text)?;
            return Ok(Self::Address(user, domain));
        }
        if text.starts_with('+') {
            return Ok(Self::Number(e164(text)?));
        }
        text.parse().map(Self::Id).map_err(|_| invalid())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Sip(user, domain) => write!(f, "sip:{user}@{domain}"),
            Self::Xmpp(user, domain) => write!(f, "xmpp:{user}@{domain}"),
            Self::Number(number) => f.write_str(number),
            Self::Address(user, domain) => write!(f, "{user}@{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_way_to_name_an_account() {
        let pair = || ("alice".to_owned(), "example.com".to_owned());
        let (user, domain) = pair();
        assert_eq!("sip:alice@Example.com".parse::<Key>().unwrap(), Key::Sip(user, domain));
        let (user, domain) = pair();
        assert_eq!("xmpp:Alice@example.com".parse::<Key>().unwrap(), Key::Xmpp(user, domain));
        let (user, domain) = pair();
        assert_eq!("alice@example.com".parse::<Key>().unwrap(), Key::Address(user, domain));
        assert_eq!("17".parse::<Key>().unwrap(), Key::Id(17));
        assert_eq!("+1-404-555-0100".parse::<Key>().unwrap(), Key::Number("+14045550100".to_owned()));
        assert!("alice".parse::<Key>().is_err());
        assert!("".parse::<Key>().is_err());
    }
}
