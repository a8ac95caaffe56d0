//! Everything that a password is kept as.

mod digest;
mod password;
mod scram;

pub use digest::Ha1;
pub use password::Password;

pub(crate) use scram::Scram;

/// All keys derived from one password, as one row holds them.
pub(crate) struct Credential {
    /// For the digest username `user`.
    pub(crate) ha1: Ha1,
    /// For the digest username `user@domain`.
    pub(crate) ha1b: Ha1,
    /// For XMPP.
    pub(crate) scram: Scram,
}

impl Credential {
    /// Derives every key; takes some ten milliseconds, for PBKDF2 is made to.
    pub(crate) fn derive(user: &str, domain: &str, password: &Password, salt: [u8; 16]) -> Self {
        Self {
            ha1: Ha1::derive(user, domain, password),
            ha1b: Ha1::derive(&format!("{user}@{domain}"), domain, password),
            scram: Scram::derive(password, &salt),
        }
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
