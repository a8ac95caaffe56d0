//! A password on its way to its derived keys.

use unicode_normalization::UnicodeNormalization;

use crate::DirectoryError;

/// Holds a password that both SIP digest and SCRAM can use; it cannot be printed, and nothing stores it.
///
/// Digest hashes the UTF-8 of the password in Normalization Form C (RFC 7616 §4: what a phone sends that follows `charset=UTF-8`, and for
/// ASCII what every phone sends). SCRAM hashes its SASLprep form (RFC 5802 §2.2, RFC 4013). For printable ASCII the two are equal.
pub struct Password {
    /// Form C.
    digest: String,
    /// SASLprep.
    scram: String,
}

impl Password {
    /// Takes a password as it was typed.
    ///
    /// # Errors
    /// [`DirectoryError::Invalid`] where it is empty, longer than 1,024 bytes, or has characters that SASLprep forbids (control characters,
    /// unassigned code points): such a password could log in by SIP only.
    pub fn new(typed: &str) -> Result<Self, DirectoryError> {
        let invalid = |reason: &str| DirectoryError::Invalid { field: "password", reason: reason.to_owned() };
        if typed.len() > MAX_BYTES {
            return Err(invalid("is longer than 1024 bytes"));
        }
        let scram = stringprep::saslprep(typed)
            .map_err(|_| {
                invalid("has characters that SASLprep (RFC 4013) forbids, such as control characters or emoji")
            })?
            .into_owned();
        if scram.is_empty() {
            return Err(invalid("is empty"));
        }
        Ok(Self { digest: typed.nfc().collect(), scram })
    }

    pub(super) fn for_digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn for_scram(&self) -> &str {
        &self.scram
    }
}

const MAX_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_composes_and_scram_preps() {
        // "ª" folds to "a" by SASLprep only; "e" + combining acute composes in both.
        let password = Password::new("\u{aa}e\u{301}").unwrap();
        assert_eq!(password.for_digest(), "\u{aa}\u{e9}");
        assert_eq!(password.for_scram(), "a\u{e9}");
    }

    #[test]
    fn refuses_what_cannot_log_in_on_both_sides() {
        for typed in ["", "\u{ad}", "tab\tbed", "nul\0", &"x".repeat(1025)] {
            assert!(Password::new(typed).is_err(), "{typed:?}");
        }
    }
}
