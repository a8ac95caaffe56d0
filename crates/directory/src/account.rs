//! One user: a SIP address of record, a JID, and what belongs to both.

use std::fmt;

use crate::credential::{Ha1, Password};
use crate::error::DirectoryError;

/// One account as the directory holds it; printing shows its id alone.
#[derive(Clone)]
pub struct Account {
    /// Never given to another account.
    pub id: i64,
    /// User part of the address of record, unescaped.
    pub sip_user: String,
    /// Its domain, in lower case; also the digest realm.
    pub sip_domain: String,
    /// Localpart of the JID, prepared (RFC 3920 Nodeprep).
    pub xmpp_user: String,
    /// Its domain, prepared.
    pub xmpp_domain: String,
    /// What people call the user.
    pub display_name: Option<String>,
    /// Numbers in E.164 with their plus sign, ascending.
    pub numbers: Vec<String>,
    /// Language tag (RFC 5646) for texts and prompts.
    pub language: Option<String>,
    /// False: the account is in no view and in no [`Snapshot`](crate::Snapshot).
    pub enabled: bool,
    /// Seconds since 1970-01-01 UTC.
    pub created: i64,
    /// Seconds since 1970-01-01 UTC, of the last change of anything in the account.
    pub changed: i64,
    pub(crate) ha1: Ha1,
    pub(crate) ha1b: Ha1,
}

impl Account {
    /// The digest keys for a digest username of this account: those of `user@domain` where it has an `@`, else those of `user`.
    #[must_use]
    pub fn ha1(&self, username: &str) -> &Ha1 {
        if username.contains('@') { &self.ha1b } else { &self.ha1 }
    }

    /// `user@domain` of the address of record, without a scheme.
    #[must_use]
    pub fn aor(&self) -> String {
        format!("{}@{}", self.sip_user, self.sip_domain)
    }

    /// The bare JID.
    #[must_use]
    pub fn jid(&self) -> String {
        format!("{}@{}", self.xmpp_user, self.xmpp_domain)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What an account is made of.
pub struct NewAccount {
    /// User part of the address of record, unescaped: letters, digits and `-_.!~*'()&=+$,;?/` (RFC 3261 `user`).
    pub sip_user: String,
    /// Its domain; the digest realm.
    pub sip_domain: String,
    /// Localpart of the JID.
    pub xmpp_user: String,
    /// Its domain.
    pub xmpp_domain: String,
    /// What people call the user.
    pub display_name: Option<String>,
    /// Numbers in E.164 with a plus sign; visual separators are dropped.
    pub numbers: Vec<String>,
    /// Language tag.
    pub language: Option<String>,
    /// Seen here once.
    pub password: Password,
}

/// The stored values of an account but for id, times and keys, each in the one form in which it is looked up.
pub(crate) struct Profile {
    pub(crate) sip_user: String,
    pub(crate) sip_domain: String,
    pub(crate) xmpp_user: String,
    pub(crate) xmpp_domain: String,
    pub(crate) display_name: Option<String>,
    pub(crate) numbers: Vec<String>,
    pub(crate) language: Option<String>,
}

impl NewAccount {
    pub(crate) fn profile(&self) -> Result<Profile, DirectoryError> {
        Ok(Profile {
            sip_user: sip_user(self.sip_user.clone())?,
            sip_domain: sip_domain(&self.sip_domain)?,
            xmpp_user: xmpp_user(&self.xmpp_user)?,
            xmpp_domain: xmpp_domain(&self.xmpp_domain)?,
            display_name: self.display_name.clone().map(display_name).transpose()?,
            numbers: self.numbers.iter().map(|number| e164(number)).collect::<Result<_, _>>()?,
            language: self.language.clone().map(language).transpose()?,
        })
    }
}

fn invalid(field: &'static str, reason: impl Into<String>) -> DirectoryError {
    DirectoryError::Invalid { field, reason: reason.into() }
}

fn sip_user(user: String) -> Result<String, DirectoryError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b);
    if user.is_empty() || user.len() > 64 || !user.bytes().all(allowed) {
        return Err(invalid(
            "SIP user",
            format!("{user:?} is not 1 to 64 of the characters that RFC 3261 allows unescaped"),
        ));
    }
    Ok(user)
}

/// Checks and lowers a domain of host names (RFC 3261 `hostname`) or an IPv4 address.
pub(crate) fn sip_domain(domain: &str) -> Result<String, DirectoryError> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.len() > 253 || !domain.split('.').all(label) {
        return Err(invalid("SIP domain", format!("{domain:?} is no host name")));
    }
    Ok(domain.to_ascii_lowercase())
}

/// Prepares the localpart of a JID.
pub(crate) fn xmpp_user(user: &str) -> Result<String, DirectoryError> {
    let prepared =
        stringprep::nodeprep(user).map_err(|_| invalid("JID", format!("{user:?} is no localpart (Nodeprep)")))?;
    // Some releases of the profile miss what RFC 3920 Appendix A.5 adds to its tables.
    if prepared.is_empty() || prepared.len() > 1023 || prepared.contains(|c: char| "\"&'/:<>@ ".contains(c)) {
        return Err(invalid(
            "JID",
            format!("{user:?} is no localpart: empty, too long, or with one of \"&'/:<>@ and space"),
        ));
    }
    Ok(prepared.into_owned())
}

/// Prepares the domain of a JID.
pub(crate) fn xmpp_domain(domain: &str) -> Result<String, DirectoryError> {
    let prepared =
        stringprep::nameprep(domain).map_err(|_| invalid("JID", format!("{domain:?} is no domain (Nameprep)")))?;
    if prepared.is_empty()
        || prepared.len() > 1023
        || prepared.contains(|c: char| c == '@' || c == '/' || c.is_whitespace())
    {
        return Err(invalid("JID", format!("{domain:?} is no domain")));
    }
    Ok(prepared.into_owned())
}

/// Drops visual separators (RFC 3966 §5.1.1) and spaces, and checks what is left.
pub(crate) fn e164(number: &str) -> Result<String, DirectoryError> {
    let compact: String = number.chars().filter(|c| !"-.() ".contains(*c)).collect();
    let is_e164 = compact.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
    });
    if !is_e164 {
        return Err(invalid("number", format!("{number:?} is not + and 2 to 15 digits (E.164)")));
    }
    Ok(compact)
}

fn display_name(name: String) -> Result<String, DirectoryError> {
    if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
        return Err(invalid("display name", "is empty, longer than 256 bytes, or has control characters"));
    }
    Ok(name)
}

fn language(tag: String) -> Result<String, DirectoryError> {
    let subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if tag.len() > 35 || !tag.split('-').all(subtag) {
        return Err(invalid("language", format!("{tag:?} is no language tag (RFC 5646), such as \"en\" or \"de-AT\"")));
    }
    Ok(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowers_domains_and_jids_but_not_sip_users() {
        assert_eq!(sip_user("Alice".to_owned()).unwrap(), "Alice");
        assert_eq!(sip_domain("Example.COM").unwrap(), "example.com");
        assert_eq!(xmpp_user("Alice").unwrap(), "alice");
        assert_eq!(xmpp_domain("Example.COM").unwrap(), "example.com");
    }

    #[test]
    fn compacts_numbers_to_e164() {
        assert_eq!(e164("+1 (404) 555-0100").unwrap(), "+14045550100");
        for number in ["4045550100", "+", "+0123", "+1234567890123456", "+1404x"] {
            assert!(e164(number).is_err(), "{number}");
        }
    }

    #[test]
    fn refuses_names_that_would_break_an_address() {
        for user in ["", "al ice", "alice@example.com", "a:b", "a%20b", "älice", "a\"b"] {
            assert!(sip_user(user.to_owned()).is_err(), "{user:?}");
        }
        for user in ["", "al ice", "a@b", "a/b", "a:b", "a<b", "a&b", "a'b"] {
            assert!(xmpp_user(user).is_err(), "{user:?}");
        }
        for domain in ["", "-a.com", "a..b", "exa mple.com", "example.com/x"] {
            assert!(sip_domain(domain).is_err(), "{domain:?}");
        }
        assert!(xmpp_domain("a/b").is_err());
        assert!(language("e n".to_owned()).is_err());
        assert!(display_name("a\r\nb".to_owned()).is_err());
    }
}
