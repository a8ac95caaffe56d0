//! Answers to 401 and 407 (RFC 3261 §22.2, §22.3, RFC 8760 §2.4).

use std::fmt;

use crate::Message;
use crate::digest::{Algorithm, Challenge, Credentials, Qop, ha1};
use crate::name::Name;

/// Whose credentials a user agent gives when it is challenged.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The digest username.
    pub username: String,
    /// The password.
    pub password: String,
    /// The one algorithm to answer with; `None`: the strongest that is offered.
    pub algorithm: Option<Algorithm>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The credentials that one request has given so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    /// Header names and values.
    pub(super) lines: Vec<(&'static str, String)>,
    /// Header name and realm of each line.
    realms: Vec<(&'static str, String)>,
    /// The algorithm of the last answer.
    pub(super) algorithm: Option<Algorithm>,
    rounds: u8,
}

impl Given {
    /// Answers all challenges of a response; false where that is not possible or was in vain.
    pub(super) fn answer(&mut self, login: &Login, response: &Message, method: &str, uri: &str, cnonce: &str) -> bool {
        self.rounds += 1;
        let offered = [("Authorization", Name::WwwAuthenticate), ("Proxy-Authorization", Name::ProxyAuthenticate)];
        let mut best: Vec<(&'static str, Challenge)> = Vec::new();
        for (header, name) in offered {
            for challenge in response.values(name).filter_map(Challenge::parse) {
                if login.algorithm.is_some_and(|only| only != challenge.algorithm) {
                    continue;
                }
                let same = |(known, other): &&mut (&str, Challenge)| *known == header && other.realm == challenge.realm;
                match best.iter_mut().find(same) {
                    Some((_, other)) if other.algorithm < challenge.algorithm => *other = challenge,
                    Some(_) => {}
                    None => best.push((header, challenge)),
                }
            }
        }
        let refused = |(header, challenge): &(&'static str, Challenge)| {
            !challenge.stale && self.realms.iter().any(|(known, realm)| known == header && *realm == challenge.realm)
        };
        if best.is_empty() || best.len() > MAX_REALMS || self.rounds > MAX_ROUNDS || best.iter().any(refused) {
            return false;
        }
        for (header, challenge) in best {
            let ha1 = ha1(challenge.algorithm, &login.username, &challenge.realm, &login.password);
            let qop = Qop { count: 1, cnonce: cnonce.into() };
            let line = Credentials::answer(&challenge, &login.username, &ha1, method, uri, qop).to_string();
            self.algorithm = Some(challenge.algorithm);
            let place = self.realms.iter().position(|(known, realm)| *known == header && *realm == challenge.realm);
            match place.and_then(|place| self.lines.get_mut(place)) {
                Some(old) => old.1 = line,
                None => {
                    self.lines.push((header, line));
                    self.realms.push((header, challenge.realm));
                }
            }
        }
        true
    }
}

/// Rounds of challenges that one request goes through: one for each of a few proxies, one more for a stale nonce.
const MAX_ROUNDS: u8 = 4;
const MAX_REALMS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn challenged(lines: &str) -> Message {
        Message::parse(Bytes::from(format!("SIP/2.0 401 Unauthorized\r\n{lines}\r\n"))).unwrap()
    }

    fn login(algorithm: Option<Algorithm>) -> Login {
        Login { username: "alice".to_owned(), password: "secret".to_owned(), algorithm }
    }

    const BOTH: &str = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5\r\n\
        WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n";

    fn first(given: &Given) -> Credentials<'_> {
        Credentials::parse(&given.lines[0].1).unwrap()
    }

    #[test]
    fn answers_with_the_strongest_algorithm_or_with_the_one_that_is_forced() {
        for (forced, expected) in [(None, Algorithm::Sha256), (Some(Algorithm::Md5), Algorithm::Md5)] {
            let mut given = Given::default();
            assert!(given.answer(&login(forced), &challenged(BOTH), "REGISTER", "sip:r", "c"));
            assert_eq!((given.lines.len(), first(&given).algorithm), (1, expected));
        }
        let forced = login(Some(Algorithm::Sha512_256));
        assert!(!Given::default().answer(&forced, &challenged(BOTH), "REGISTER", "sip:r", "c"));
    }

    #[test]
    fn answers_a_realm_again_only_where_the_nonce_was_stale() {
        let mut given = Given::default();
        let (login, response) = (login(None), challenged(BOTH));
        assert!(given.answer(&login, &response, "REGISTER", "sip:r", "c"));
        assert!(!given.clone().answer(&login, &response, "REGISTER", "sip:r", "c"));
        let stale = challenged("WWW-Authenticate: Digest realm=\"r\", nonce=\"m\", stale=true\r\n");
        assert!(given.answer(&login, &stale, "REGISTER", "sip:r", "c"));
        assert_eq!((given.lines.len(), &*first(&given).nonce), (1, "m"));
        assert!(given.answer(&login, &stale, "REGISTER", "sip:r", "c"));
        assert!(given.answer(&login, &stale, "REGISTER", "sip:r", "c"));
        assert!(!given.answer(&login, &stale, "REGISTER", "sip:r", "c"), "not for ever");
    }

    #[test]
    fn answers_a_proxy_and_a_registrar_side_by_side() {
        let mut given = Given::default();
        assert!(given.answer(&login(None), &challenged(BOTH), "INVITE", "sip:r", "c"));
        let proxy = challenged("Proxy-Authenticate: Digest realm=\"r\", nonce=\"p\"\r\n");
        assert!(given.answer(&login(None), &proxy, "INVITE", "sip:r", "c"));
        let names: Vec<_> = given.lines.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["Authorization", "Proxy-Authorization"]);
    }
}
