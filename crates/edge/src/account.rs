//! What the edge knows of an account, and how it asks for it.

use cusax_sip::digest::Algorithm;

/// An account, as the directory has it now.
#[derive(Clone)]
pub struct Account {
    /// Its id.
    pub id: i64,
    /// User part of its address of record.
    pub user: String,
    /// Its bare JID, where it has one.
    pub jid: Option<String>,
    /// Its numbers, in E.164.
    pub numbers: Vec<String>,
    /// HA1 in lower-case hex for the name and algorithm that were asked for; empty where none were.
    pub ha1: String,
}

/// Which account is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountKey {
    /// The one that a digest username names, with its HA1 of an algorithm.
    Digest {
        /// The username as sent: `alice` or `alice@example.com`.
        username: String,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The one with this user in our domain.
    User(String),
    /// The one with this number in E.164, or with this user where that looks like one.
    Number(String),
    /// The one with this id.
    Id(i64),
}

impl Account {
    /// True where an identity's user part is this account's: its address of record or one of its numbers.
    #[must_use]
    pub fn owns(&self, user: &str) -> bool {
        self.user == user || self.numbers.contains(&number(user))
    }
}

/// A number without visual separators and parameters, which make no other number of it (RFC 3966 §3, §4).
pub(crate) fn number(user: &str) -> String {
    let subscriber = user.split(';').next().unwrap_or("");
    subscriber.chars().filter(|character| !matches!(character, '-' | '.' | '(' | ')')).collect()
}
