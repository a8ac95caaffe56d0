//! Answers to challenges (RFC 3261 §22), with what can be kept of them kept.

use cusax_sip::digest::{Algorithm, Challenge, Credentials, Qop, ha1};
use cusax_sip::ua::Login;
use cusax_sip::{Message, Name};

/// What is known of one user's realm: hashing it again for each call would double the cost.
#[derive(Debug)]
struct Known {
    algorithm: Algorithm,
    realm: String,
    ha1: String,
}

/// Keys of users, by their place.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Option<Known>>);

impl Keys {
    /// Makes the header line that answers the strongest challenge of a response; `None` where none can be answered.
    pub(super) fn answer(
        &mut self,
        user: usize,
        login: &Login,
        response: &Message,
        method: &str,
        uri: &str,
        cnonce: &str,
    ) -> Option<String> {
        let offered = [("Authorization", Name::WwwAuthenticate), ("Proxy-Authorization", Name::ProxyAuthenticate)];
        let challenges = offered.into_iter().flat_map(|(header, name)| {
            response.values(name).filter_map(Challenge::parse).map(move |challenge| (header, challenge))
        });
        let only = |challenge: &Challenge| login.algorithm.is_none_or(|only| only == challenge.algorithm);
        let (header, challenge) =
            challenges.filter(|(_, challenge)| only(challenge)).max_by_key(|(_, challenge)| challenge.algorithm)?;
        let key = self.key(user, login, &challenge);
        let qop = Qop { count: 1, cnonce: cnonce.into() };
        let credentials = Credentials::answer(&challenge, &login.username, key, method, uri, qop);
        Some(format!("{header}: {credentials}\r\n"))
    }

    fn key(&mut self, user: usize, login: &Login, challenge: &Challenge) -> &str {
        if self.0.len() <= user {
            self.0.resize_with(user + 1, || None);
        }
        let entry = &mut self.0[user];
        if entry.as_ref().is_some_and(|key| key.algorithm != challenge.algorithm || key.realm != challenge.realm) {
            *entry = None;
        }
        let known = entry.get_or_insert_with(|| Known {
            algorithm: challenge.algorithm,
            realm: challenge.realm.clone(),
            ha1: ha1(challenge.algorithm, &login.username, &challenge.realm, &login.password),
        });
        &known.ha1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn challenged(lines: &str) -> Message {
        Message::parse(Bytes::from(format!("SIP/2.0 407 Challenge\r\n{lines}\r\n"))).unwrap()
    }

    #[test]
    fn answers_the_strongest_challenge_where_it_was_asked() {
        let login = Login { username: "alice".to_owned(), password: "secret".to_owned(), algorithm: None };
        let both = challenged(
            "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5\r\n\
             Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n",
        );
        let mut keys = Keys::default();
        let line = keys.answer(3, &login, &both, "INVITE", "sip:r", "c").unwrap();
        let value = line.strip_prefix("Proxy-Authorization: ").unwrap();
        let credentials = Credentials::parse(value.trim_end()).unwrap();
        assert_eq!(credentials.algorithm, Algorithm::Sha256);
        assert!(credentials.verify(&ha1(Algorithm::Sha256, "alice", "r", "secret"), "INVITE"));
        // Another realm is another key.
        let other = challenged("WWW-Authenticate: Digest realm=\"s\", nonce=\"n\", qop=\"auth\"\r\n");
        let line = keys.answer(3, &login, &other, "REGISTER", "sip:s", "c").unwrap();
        let credentials = Credentials::parse(line.strip_prefix("Authorization: ").unwrap().trim_end()).unwrap();
        assert!(credentials.verify(&ha1(Algorithm::Md5, "alice", "s", "secret"), "REGISTER"));
        assert_eq!(keys.answer(3, &login, &challenged(""), "INVITE", "sip:r", "c"), None);
    }
}
