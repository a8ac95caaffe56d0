//! Names: domains, parts of addresses, numbers, countries.

use std::fmt;
use std::str::FromStr;

use super::text::{Bad, text_value};

/// A DNS name in lower case; internationalised labels in their A-label form (RFC 5890).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Domain(String);

impl Domain {
    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let advice = "write a DNS name such as \"example.com\" (an internationalised one as \"xn--…\")";
        let bad = |problem: &str| Err(Bad::new(format!("{text:?} {problem}"), advice));
        if text.parse::<std::net::IpAddr>().is_ok() {
            return bad("is an address, not a domain");
        }
        if text.is_empty() || text.len() > DOMAIN_LENGTH {
            return bad("is no domain");
        }
        for label in text.split('.') {
            let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if label.is_empty()
                || label.len() > LABEL_LENGTH
                || !inner
                || label.starts_with('-')
                || label.ends_with('-')
            {
                return bad("is no domain");
            }
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(Domain, "a domain", "example.com");

/// An identifier of one of our own things: letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Identifier(String);

impl Identifier {
    /// The identifier.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Identifier {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if text.is_empty() || text.len() > LABEL_LENGTH || !word {
            let advice = "write up to 63 letters, digits, \"-\", \"_\" and \".\"";
            return Err(Bad::new(format!("{text:?} is no identifier"), advice));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(Identifier, "an identifier", "edge-1");

/// The part before the `@` of a JID or SIP address, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LocalPart(String);

impl LocalPart {
    /// The part.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LocalPart {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let advice = "write the part before the \"@\" only, such as \"standup\"";
        // RFC 7622 §3.3.1 forbids these in a localpart.
        let forbidden = |c: char| c.is_control() || c.is_whitespace() || "\"&'/:<>@".contains(c);
        if text.is_empty() || text.len() > LOCAL_PART_LENGTH || text.contains(forbidden) {
            return Err(Bad::new(format!("{text:?} is no part of an address"), advice));
        }
        Ok(Self(text.to_lowercase()))
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(LocalPart, "the part of an address before the \"@\"", "standup");

/// A number or its beginning in international form: `+` and up to 15 digits (E.164).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number(String);

impl Number {
    /// The number with its `+`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Number {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        if digits.is_empty() || digits.len() > E164_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let advice = "write it in international form without separators, such as \"+14045550900\"";
            return Err(Bad::new(format!("{text:?} is no number"), advice));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(Number, "a number in international form", "+14045550900");

/// A country or territory by its two letters (ISO 3166-1 alpha-2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Country(String);

impl FromStr for Country {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            let advice = "write its two capital letters (ISO 3166), such as \"US\" or \"DE\"";
            return Err(Bad::new(format!("{text:?} is no country"), advice));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(Country, "a country", "US");

/// What is dialled before a number for an outside line or a service: digits, `*` and `#`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AccessCode(String);

impl FromStr for AccessCode {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let dialled = text.bytes().all(|byte| byte.is_ascii_digit() || b"*#".contains(&byte));
        if text.is_empty() || text.len() > ACCESS_CODE_LENGTH || !dialled {
            let advice = "write up to 8 digits, \"*\" and \"#\", such as \"9\" or \"*67\"";
            return Err(Bad::new(format!("{text:?} is no access code"), advice));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AccessCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(AccessCode, "an access code", "9");

/// RFC 1035 §2.3.4.
const DOMAIN_LENGTH: usize = 253;
/// RFC 1035 §2.3.4.
const LABEL_LENGTH: usize = 63;
/// RFC 7622 §3.3.
const LOCAL_PART_LENGTH: usize = 1023;
/// The longest in use have 4.
const ACCESS_CODE_LENGTH: usize = 8;
/// ITU-T E.164 §6.
const E164_DIGITS: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_lower_case_dns_names() {
        assert_eq!("Example.COM".parse::<Domain>().unwrap().as_str(), "example.com");
        for bad in ["", ".", "a..b", "-a.example", "a_b", "bücher.example", "127.0.0.1", "::1", "a b", &"a".repeat(64)]
        {
            assert!(bad.parse::<Domain>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_in_international_form() {
        assert_eq!("+1404555".parse::<Number>().unwrap().as_str(), "+1404555");
        for bad in ["", "+", "1404555", "+1 404", "+1404555090012345", "00491"] {
            assert!(bad.parse::<Number>().is_err(), "{bad}");
        }
    }

    #[test]
    fn local_parts_have_no_separators_of_addresses() {
        assert_eq!("Standup".parse::<LocalPart>().unwrap().as_str(), "standup");
        for bad in ["", "a@b", "a/b", "a b", "<a>", "a\u{7}"] {
            assert!(bad.parse::<LocalPart>().is_err(), "{bad}");
        }
    }
}
