//! Addresses (RFC 7622), compared as the deployed servers do (stringprep profiles of RFC 6122).

mod escape;
mod prepare;

pub use escape::{escape_localpart, unescape_localpart};

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::element::is_xml_char;

/// Why a text is no JID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JidError {
    /// The localpart is empty, too long or holds a forbidden character.
    #[error("the localpart is empty, longer than 1023 bytes or holds a forbidden character")]
    Localpart,
    /// The domain is empty, too long or no domain name or address.
    #[error("the domain is empty, longer than 1023 bytes or not a domain name")]
    Domain,
    /// The resource is empty, too long or holds a forbidden character.
    #[error("the resource is empty, longer than 1023 bytes or holds a forbidden character")]
    Resource,
    /// It has a resource where a bare JID is wanted.
    #[error("a bare JID has no resource")]
    NotBare,
}

/// Length of each part in bytes (RFC 7622 §3.2–3.4).
const PART: usize = 1023;

/// A JID with or without a resource; a clone shares its text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    text: Arc<str>,
    bare: usize,
}

/// A JID without a resource: a user, a room or a domain; a clone shares its text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BareJid(Arc<str>);

impl Jid {
    /// The localpart.
    #[must_use]
    pub fn localpart(&self) -> Option<&str> {
        localpart(self.bare_str())
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        domain(self.bare_str())
    }

    /// The resource: of an occupant, its nick.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.text.get(self.bare + 1..)
    }

    /// The JID without its resource.
    #[must_use]
    pub fn bare(&self) -> BareJid {
        if self.bare == self.text.len() { BareJid(self.text.clone()) } else { BareJid(self.bare_str().into()) }
    }

    /// The text without the resource, at no cost.
    #[must_use]
    pub fn bare_str(&self) -> &str {
        self.text.get(..self.bare).unwrap_or_default()
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl BareJid {
    /// Builds one from a localpart (already escaped, see [`escape_localpart`]) and a domain.
    ///
    /// # Errors
    /// As [`JidError`] tells.
    pub fn new(localpart: &str, domain: &str) -> Result<Self, JidError> {
        Ok(Self(
            format!("{}@{}", prepared(localpart, prepare::node, JidError::Localpart)?, prepare_domain(domain)?).into(),
        ))
    }

    /// The localpart.
    #[must_use]
    pub fn localpart(&self) -> Option<&str> {
        localpart(&self.0)
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        domain(&self.0)
    }

    /// The domain as an address of its own.
    #[must_use]
    pub fn to_domain(&self) -> Self {
        Self(self.domain().into())
    }

    /// The JID with this resource, which is prepared: one of ours.
    ///
    /// # Errors
    /// [`JidError::Resource`].
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        Ok(self.join(&prepared(resource, prepare::resource, JidError::Resource)?))
    }

    fn join(&self, resource: &str) -> Jid {
        Jid { text: format!("{}/{resource}", self.0).into(), bare: self.0.len() }
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<BareJid> for Jid {
    fn from(bare: BareJid) -> Self {
        Self { bare: bare.0.len(), text: bare.0 }
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, JidError> {
        // RFC 7622 §3.1: the first '/' ends the domain, and only then does '@' count.
        let (bare, resource) = text.split_once('/').map_or((text, None), |(bare, resource)| (bare, Some(resource)));
        let bare: BareJid = bare.parse()?;
        let Some(resource) = resource else { return Ok(Self::from(bare)) };
        // As it was received: servers of today let through what the old profile has no rule for, and whom we refused to
        // name would be there unseen.
        let valid = !resource.is_empty() && resource.len() <= PART && resource.chars().all(is_xml_char);
        if valid { Ok(bare.join(resource)) } else { Err(JidError::Resource) }
    }
}

impl FromStr for BareJid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, JidError> {
        if text.contains('/') {
            return Err(JidError::NotBare);
        }
        match text.split_once('@') {
            Some((local, domain)) => Self::new(local, domain),
            None => Ok(Self(prepare_domain(text)?.into())),
        }
    }
}

fn localpart(bare: &str) -> Option<&str> {
    bare.split_once('@').map(|(local, _)| local)
}

fn domain(bare: &str) -> &str {
    bare.split_once('@').map_or(bare, |(_, domain)| domain)
}

/// A part as the servers write it, where it fits.
fn prepared(text: &str, profile: fn(&str) -> Option<String>, error: JidError) -> Result<String, JidError> {
    let prepared = if text.len() <= PART { profile(text) } else { None };
    prepared.filter(|prepared| !prepared.is_empty() && prepared.len() <= PART).ok_or(error)
}

fn prepare_domain(text: &str) -> Result<String, JidError> {
    let prepared = prepared(text, prepare::name, JidError::Domain)?;
    let name = prepared.strip_suffix('.').unwrap_or(&prepared);
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let valid = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 255
                && !label.starts_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii())
        }),
    };
    if valid { Ok(name.to_owned()) } else { Err(JidError::Domain) }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_parts_of_a_jid_apart_and_lower_cases_all_but_the_resource() {
        let jid: Jid = "Alice@Example.TEST./Desk @x/y".parse().unwrap();
        assert_eq!(jid.as_str(), "alice@example.test/Desk @x/y");
        assert_eq!((jid.localpart(), jid.domain(), jid.resource()), (Some("alice"), "example.test", Some("Desk @x/y")));
        assert_eq!(jid.bare(), "alice@example.test".parse().unwrap());
        let component: Jid = "cusax.example.test/x".parse().unwrap();
        assert_eq!((component.localpart(), component.domain()), (None, "cusax.example.test"));
        assert_eq!("[::1]".parse::<Jid>().unwrap().domain(), "[::1]");
        let emoji: Jid = "bob😀@❤.example/\u{1F44D} אa".parse().unwrap();
        assert_eq!((emoji.localpart(), emoji.resource()), (Some("bob😀"), Some("\u{1F44D} אa")));
        assert_eq!("room-é@конференция.example".parse::<BareJid>().unwrap().localpart(), Some("room-é"));
    }

    #[test]
    fn refuses_what_is_no_jid() {
        for (text, error) in [
            ("", JidError::Domain),
            ("@example.test", JidError::Localpart),
            ("a b@example.test", JidError::Localpart),
            ("a@b@c", JidError::Domain),
            ("a@", JidError::Domain),
            ("a@ex ample", JidError::Domain),
            ("a@..", JidError::Domain),
            ("a@[::g]", JidError::Domain),
            ("a@b/", JidError::Resource),
            ("a@b/\u{7}", JidError::Resource),
            ("a@b/\u{FFFE}", JidError::Resource),
        ] {
            assert_eq!(text.parse::<Jid>(), Err(error), "{text}");
        }
        assert_eq!(format!("{}@b", "a".repeat(1024)).parse::<Jid>(), Err(JidError::Localpart));
        assert_eq!("a@b/c".parse::<BareJid>(), Err(JidError::NotBare));
    }
}
