//! Who calls whom.

use std::fmt;

use cusax_sip::Uri;
use cusax_sip::ua::Login;

/// Someone who calls or is called.
#[derive(Clone, Debug)]
pub struct User {
    /// SIP address.
    pub uri: String,
    /// What answers challenges.
    pub login: Option<Login>,
}

/// All who call and are called in a run.
#[derive(Clone, Debug)]
pub struct Users {
    /// Those who call; at least one.
    pub callers: Vec<User>,
    /// Those who are called; none: the callers themselves, each another.
    pub callees: Vec<User>,
}

/// Text with a number in it: `%d`, or `%04d` for at least four digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    head: String,
    /// Digits at least, and what follows; `None` where there is no number in it.
    tail: Option<(usize, String)>,
}

/// Why text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write %d where the number goes, or %04d, once (and %% for a percent sign)")]
pub struct PatternError;

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (mut head, mut tail) = (String::new(), None);
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            let (before, after) = (&rest[..at], &rest[at + 1..]);
            let part = tail.as_mut().map_or(&mut head, |(_, tail): &mut (usize, String)| tail);
            part.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                part.push('%');
                rest = after;
                continue;
            }
            let end = after.find('d').filter(|_| tail.is_none()).ok_or(PatternError)?;
            let width = match &after[..end] {
                "" => 1,
                width => width.strip_prefix('0').and_then(|width| width.parse().ok()).ok_or(PatternError)?,
            };
            if width > MAX_DIGITS {
                return Err(PatternError);
            }
            tail = Some((width, String::new()));
            rest = &after[end + 1..];
        }
        tail.as_mut().map_or(&mut head, |(_, tail)| tail).push_str(rest);
        Ok(Self { head, tail })
    }

    /// True where there is a number in it.
    #[must_use]
    pub const fn has_number(&self) -> bool {
        self.tail.is_some()
    }

    /// The text with this number.
    #[must_use]
    pub fn with(&self, number: u32) -> String {
        match &self.tail {
            None => self.head.clone(),
            Some((width, tail)) => format!("{}{number:0width$}{tail}", self.head),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |text: &str| text.replace('%', "%%");
        match &self.tail {
            None => f.write_str(&escaped(&self.head)),
            Some((1, tail)) => write!(f, "{}%d{}", escaped(&self.head), escaped(tail)),
            Some((width, tail)) => write!(f, "{}%0{width}d{}", escaped(&self.head), escaped(tail)),
        }
    }
}

/// Why a table of accounts is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// A line that is not two values.
    #[error("line {line}: write user,password")]
    Line {
        /// Which.
        line: u64,
    },
    /// A user part that is none in a SIP address.
    #[error("line {line}: {user:?} is no user part of a SIP address")]
    User {
        /// Which.
        line: u64,
        /// What stands there.
        user: String,
    },
    /// There is none.
    #[error("there is no account in it")]
    Empty,
}

/// Reads `user,password` lines (RFC 4180); a first line that says just that is a heading.
///
/// # Errors
/// [`AccountsError`].
pub fn accounts(table: &str, domain: &str) -> Result<Vec<User>, AccountsError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(table.as_bytes());
    let mut users = Vec::new();
    for (at, record) in (1..).zip(reader.records()) {
        let record = record.map_err(|_| AccountsError::Line { line: at })?;
        let line = record.position().map_or(at, csv::Position::line);
        let (Some(user), Some(password), 2) = (record.get(0), record.get(1), record.len()) else {
            return Err(AccountsError::Line { line });
        };
        let user = user.trim();
        if at == 1 && user == "user" && password == "password" {
            continue;
        }
        let known = account(user, password, domain);
        users.push(known.ok_or_else(|| AccountsError::User { line, user: user.to_owned() })?);
    }
    if users.is_empty() { Err(AccountsError::Empty) } else { Ok(users) }
}

/// An account of a domain; `None` where its address would be no SIP address.
#[must_use]
pub fn account(user: &str, password: &str, domain: &str) -> Option<User> {
    let uri = format!("sip:{user}@{domain}");
    let whole = Uri::parse(&uri).is_some_and(|parsed| parsed.user == Some(user) && parsed.host == domain);
    let login = Login { username: user.to_owned(), password: password.to_owned(), algorithm: None };
    let plain = !user.is_empty() && !user.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c));
    (whole && plain).then_some(User { uri, login: Some(login) })
}

impl Users {
    /// Who calls whom in the call of this number; always the same for the same seed. The second is among the callers
    /// where there are no callees of their own.
    pub(super) fn pair(&self, serial: u64, seed: u64) -> (usize, usize) {
        let drawn = mixed(seed ^ mixed(serial));
        let caller = below(drawn >> 32, self.callers.len());
        if !self.callees.is_empty() {
            return (caller, below(drawn & u64::from(u32::MAX), self.callees.len()));
        }
        let others = self.callers.len() - 1;
        let step = if others == 0 { 0 } else { 1 + below(drawn & u64::from(u32::MAX), others) };
        (caller, (caller + step) % self.callers.len())
    }

    pub(super) fn callee(&self, at: usize) -> &User {
        if self.callees.is_empty() { &self.callers[at] } else { &self.callees[at] }
    }
}

/// Spreads 32 drawn bits over a range.
fn below(drawn: u64, range: usize) -> usize {
    (((drawn & u64::from(u32::MAX)) * range as u64) >> 32) as usize
}

/// SplitMix64: neighbours become strangers.
const fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// More than any user part is long.
const MAX_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_one_number_or_none() {
        for (text, seventh) in [
            ("sip:load%d@example.com", "sip:load7@example.com"),
            ("%04d", "0007"),
            ("sip:a%%d@b", "sip:a%d@b"),
            ("alice", "alice"),
        ] {
            let pattern = Pattern::parse(text).unwrap();
            assert_eq!(pattern.with(7), seventh);
            assert_eq!(pattern.to_string(), text);
        }
        for bad in ["%", "%x", "%d%d", "%4d", "%0d", "%099d", "%-1d", "%s %d"] {
            assert_eq!(Pattern::parse(bad), Err(PatternError), "{bad}");
        }
    }

    #[test]
    fn tables_of_accounts_say_what_is_wrong_where() {
        let users = accounts("user,password\nalice,\"se,cret\"\nbob,x\n", "example.com").unwrap();
        let uris: Vec<_> = users.iter().map(|user| user.uri.as_str()).collect();
        assert_eq!(uris, ["sip:alice@example.com", "sip:bob@example.com"]);
        assert_eq!(users[0].login.as_ref().unwrap().password, "se,cret");
        assert_eq!(accounts("alice,x\nbob\n", "a.b").unwrap_err().to_string(), "line 2: write user,password");
        assert!(matches!(accounts("al ice,x\n", "a.b"), Err(AccountsError::User { line: 1, .. })));
        assert_eq!(accounts("", "a.b").unwrap_err(), AccountsError::Empty);
    }

    #[test]
    fn nobody_calls_himself_and_everybody_is_called() {
        let callers: Vec<_> = (0..5).map(|n| account(&format!("u{n}"), "x", "a.b").unwrap()).collect();
        let users = Users { callers, callees: Vec::new() };
        let pairs: Vec<_> = (0..500).map(|serial| users.pair(serial, 3)).collect();
        assert!(pairs.iter().all(|(caller, callee)| caller != callee));
        assert!((0..5).all(|user| pairs.iter().any(|(_, callee)| *callee == user)));
        assert_eq!(pairs, (0..500).map(|serial| users.pair(serial, 3)).collect::<Vec<_>>());
        assert_ne!(pairs, (0..500).map(|serial| users.pair(serial, 4)).collect::<Vec<_>>());
    }
}
