//! `WWW-Authenticate` and `Proxy-Authenticate` (RFC 7616 §3.3).

use std::fmt;

use super::{Algorithm, pairs};
use crate::value::quote;

/// A challenge: printed with `Display` as the header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Whose credentials are asked for.
    pub realm: String,
    /// What the answer is bound to.
    pub nonce: String,
    /// The algorithm to answer with.
    pub algorithm: Algorithm,
    /// True where `qop=auth` is offered.
    pub qop_auth: bool,
    /// True where the credentials were right and only their nonce too old.
    pub stale: bool,
    /// What the answer must repeat.
    pub opaque: Option<String>,
}

impl Challenge {
    /// Reads a header value; `None` for another scheme, an algorithm that is not known, a `qop` without `auth`.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let pairs = pairs(value)?;
        let find =
            |name: &str| pairs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value);
        let qop = find("qop").map(|list| list.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")));
        if qop == Some(false) {
            return None;
        }
        Some(Self {
            realm: find("realm")?.to_owned(),
            nonce: find("nonce")?.to_owned(),
            algorithm: find("algorithm").map_or(Some(Algorithm::Md5), Algorithm::parse)?,
            qop_auth: qop.is_some(),
            stale: find("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            opaque: find("opaque").map(str::to_owned),
        })
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm={}, nonce={}", quote(&self.realm), quote(&self.nonce))?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        // RFC 3261 §22.4 item 8: algorithm and stale are tokens, qop-options is quoted.
        write!(f, ", algorithm={}", self.algorithm)?;
        if self.qop_auth {
            f.write_str(", qop=\"auth\"")?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        let challenge = Challenge {
            realm: "a \"quoted\\ realm, with a comma".to_owned(),
            nonce: "abc==".to_owned(),
            algorithm: Algorithm::Sha256,
            qop_auth: true,
            stale: true,
            opaque: Some("x".to_owned()),
        };
        assert_eq!(Challenge::parse(&challenge.to_string()), Some(challenge));
    }

    #[test]
    fn reads_a_challenge_without_algorithm_and_qop_as_md5() {
        let challenge = Challenge::parse("digest  Realm = \"r\",nonce=\"n\"").unwrap();
        assert_eq!((challenge.algorithm, challenge.qop_auth, challenge.stale), (Algorithm::Md5, false, false));
        let both = Challenge::parse("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int, auth\", stale=FALSE").unwrap();
        assert!(both.qop_auth && !both.stale);
    }

    #[test]
    fn refuses_what_it_could_not_answer() {
        for bad in [
            "Basic realm=\"r\"",
            "Digest realm=\"r\"",
            "Digest nonce=\"n\"",
            "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"",
            "Digest realm=\"r\", nonce=\"n\", Nonce=\"m\"",
            "Digest realm=\"r\", nonce",
            "Digest",
            "",
        ] {
            assert_eq!(Challenge::parse(bad), None, "{bad}");
        }
    }
}
