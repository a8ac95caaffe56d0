//! SASL as a client (RFC 4422): SCRAM (RFC 5802, RFC 7677) and PLAIN (RFC 4616).

mod scram;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;
use scram::{Hash, Scram};

cusax_event::closed_enum! {
    /// A mechanism, strongest first.
    Mechanism {
        /// SCRAM with SHA-256 (RFC 7677).
        ScramSha256 = "SCRAM-SHA-256",
        /// SCRAM with SHA-1 (RFC 5802).
        ScramSha1 = "SCRAM-SHA-1",
        /// The password itself.
        Plain = "PLAIN",
    }
}

/// Whether the password may be sent as it is, which only a protected or local connection excuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainPolicy {
    /// PLAIN is used where nothing stronger is offered.
    Allowed,
    /// PLAIN is never used.
    Refused,
}

/// Why an exchange failed on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// The server offers nothing that we may use.
    #[error("no mechanism in common")]
    NoMechanism,
    /// Name or password hold characters that SASLprep forbids (RFC 4013).
    #[error("the name or password cannot be prepared")]
    Prepare,
    /// What the server sent is no message of the mechanism.
    #[error("a malformed challenge")]
    Malformed,
    /// The server's nonce does not begin with ours: an answer to somebody else.
    #[error("the server's nonce does not extend ours")]
    Nonce,
    /// An iteration count below RFC 7677 §4, or one that would keep us busy.
    #[error("an unacceptable iteration count")]
    Iterations,
    /// The server did not prove that it knows the password as well.
    #[error("the server did not prove itself")]
    Server,
}

/// One exchange as a client.
pub struct Exchange {
    mechanism: Mechanism,
    first: String,
    scram: Option<Scram>,
}

impl Exchange {
    /// Chooses the strongest mechanism that is `offered` and allowed, and begins it. `nonce` must not repeat.
    ///
    /// # Errors
    /// [`SaslError::NoMechanism`], [`SaslError::Prepare`].
    pub fn begin(
        offered: &[Cow<'_, str>],
        plain: PlainPolicy,
        user: &str,
        password: &Secret,
        nonce: [u8; 16],
    ) -> Result<Self, SaslError> {
        let allowed = |mechanism: &&Mechanism| **mechanism != Mechanism::Plain || plain == PlainPolicy::Allowed;
        let usable = |mechanism: &&Mechanism| offered.iter().any(|name| name == mechanism.as_str());
        let mechanism = *Mechanism::ALL.iter().filter(allowed).find(usable).ok_or(SaslError::NoMechanism)?;
        let user = stringprep::saslprep(user).map_err(|_| SaslError::Prepare)?;
        let secret = stringprep::saslprep(password.expose()).map_err(|_| SaslError::Prepare)?;
        let hash = match mechanism {
            Mechanism::ScramSha256 => Hash::Sha256,
            Mechanism::ScramSha1 => Hash::Sha1,
            Mechanism::Plain => return Ok(Self { mechanism, first: format!("\0{user}\0{secret}"), scram: None }),
        };
        let (scram, first) = Scram::begin(hash, &user, Secret::new(secret), &STANDARD.encode(nonce));
        Ok(Self { mechanism, first, scram: Some(scram) })
    }

    /// The mechanism chosen.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The initial response, in base64 as RFC 6120 §6.4.2 wants it.
    #[must_use]
    pub fn initial_response(&self) -> String {
        STANDARD.encode(&self.first)
    }

    /// Answers a challenge; both in base64.
    ///
    /// # Errors
    /// [`SaslError`]; the exchange is over then.
    pub fn respond(&mut self, challenge: &str) -> Result<String, SaslError> {
        let challenge = decode(challenge)?;
        let scram = self.scram.as_mut().ok_or(SaslError::Malformed)?;
        Ok(STANDARD.encode(scram.respond(&challenge)?))
    }

    /// Checks what came with the server's success, in base64 or empty.
    ///
    /// # Errors
    /// [`SaslError::Server`] where a mutual mechanism was used and the server did not prove itself.
    pub fn finish(mut self, data: &str) -> Result<(), SaslError> {
        match &mut self.scram {
            Some(scram) => scram.verify(&decode(data.trim())?),
            None => Ok(()),
        }
    }
}

fn decode(text: &str) -> Result<String, SaslError> {
    // RFC 6120 §6.4.2: "=" stands for data of no length.
    let text = Some(text.trim()).filter(|text| *text != "=").unwrap_or_default();
    let bytes = STANDARD.decode(text).map_err(|_| SaslError::Malformed)?;
    String::from_utf8(bytes).map_err(|_| SaslError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(offered: &[&str], plain: PlainPolicy) -> Result<Mechanism, SaslError> {
        let offered: Vec<Cow<'_, str>> = offered.iter().map(|name| Cow::Borrowed(*name)).collect();
        Exchange::begin(&offered, plain, "alice", &Secret::new("pw"), [7; 16]).map(|exchange| exchange.mechanism())
    }

    #[test]
    fn chooses_the_strongest_mechanism_that_is_allowed() {
        let all = ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "X-OAUTH2"];
        assert_eq!(begin(&all, PlainPolicy::Allowed), Ok(Mechanism::ScramSha256));
        assert_eq!(begin(&["PLAIN", "SCRAM-SHA-1"], PlainPolicy::Allowed), Ok(Mechanism::ScramSha1));
        assert_eq!(begin(&["PLAIN"], PlainPolicy::Allowed), Ok(Mechanism::Plain));
        assert_eq!(begin(&["PLAIN", "EXTERNAL"], PlainPolicy::Refused), Err(SaslError::NoMechanism));
    }
}
