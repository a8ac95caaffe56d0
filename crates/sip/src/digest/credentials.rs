//! `Authorization` and `Proxy-Authorization` (RFC 7616 §3.4).

use std::borrow::Cow;
use std::fmt;

use subtle::ConstantTimeEq;

use super::{Algorithm, Challenge, pairs, response};
use crate::uri::unescape;
use crate::value::quote;

/// Credentials: printed with `Display` as the header's value.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// Who.
    pub username: Cow<'a, str>,
    /// For whom.
    pub realm: Cow<'a, str>,
    /// The nonce of the challenge.
    pub nonce: Cow<'a, str>,
    /// What the request is for; see [`names_request`](super::names_request).
    pub uri: Cow<'a, str>,
    /// The proof, in hex.
    pub response: Cow<'a, str>,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Count and client nonce of `qop=auth`.
    pub qop: Option<Qop<'a>>,
    /// What the challenge wanted repeated.
    pub opaque: Option<Cow<'a, str>>,
}

/// What `qop=auth` adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qop<'a> {
    /// How many requests carried this nonce, this one included.
    pub count: u32,
    /// The client's own nonce.
    pub cnonce: Cow<'a, str>,
}

impl<'a> Credentials<'a> {
    /// Reads a header value; `None` for another scheme, an unknown algorithm or `qop`, or a missing parameter.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        let mut pairs = pairs(value)?;
        let mut take = |name: &str| {
            let at = pairs.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))?;
            Some(pairs.swap_remove(at).1)
        };
        let qop = match take("qop") {
            None => None,
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                Some(Qop { count: count(&take("nc")?)?, cnonce: take("cnonce")? })
            }
            Some(_) => return None,
        };
        Some(Self {
            username: match take("username") {
                Some(username) => username,
                None => extended(&take("username*")?)?.into(),
            },
            realm: take("realm")?,
            nonce: take("nonce")?,
            uri: take("uri")?,
            response: take("response")?,
            algorithm: take("algorithm").map_or(Some(Algorithm::Md5), |name| Algorithm::parse(&name))?,
            qop,
            opaque: take("opaque"),
        })
    }

    /// Answers a challenge; `qop` is left away where the challenge does not offer it.
    #[must_use]
    pub fn answer(
        challenge: &'a Challenge,
        username: &'a str,
        ha1_hex: &str,
        method: &str,
        uri: &'a str,
        qop: Qop<'a>,
    ) -> Self {
        let qop = challenge.qop_auth.then_some(qop);
        let response = response(challenge.algorithm, ha1_hex, &challenge.nonce, qop.as_ref(), method, uri);
        Self {
            username: username.into(),
            realm: challenge.realm.as_str().into(),
            nonce: challenge.nonce.as_str().into(),
            uri: uri.into(),
            response: response.into(),
            algorithm: challenge.algorithm,
            qop,
            opaque: challenge.opaque.as_deref().map(Cow::Borrowed),
        }
    }

    /// True where they prove knowledge of HA1 (lower-case hex, of this algorithm); in constant time. Credentials
    /// without `qop` do not: every server of this process offers it, and without a count they could be replayed.
    #[must_use]
    pub fn verify(&self, ha1_hex: &str, method: &str) -> bool {
        let Some(qop) = &self.qop else { return false };
        let expected = response(self.algorithm, ha1_hex, &self.nonce, Some(qop), method, &self.uri);
        let given = self.response.to_ascii_lowercase();
        expected.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Display for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest username={}, realm={}, nonce={}, uri={}, response={}, algorithm={}",
            quote(&self.username),
            quote(&self.realm),
            quote(&self.nonce),
            quote(&self.uri),
            quote(&self.response),
            self.algorithm
        )?;
        if let Some(Qop { count, cnonce }) = &self.qop {
            // RFC 3261 §25.1: message-qop and nonce-count are tokens.
            write!(f, ", qop=auth, nc={count:08x}, cnonce={}", quote(cnonce))?;
        }
        match &self.opaque {
            Some(opaque) => write!(f, ", opaque={}", quote(opaque)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of a response is ever printable: with it, a weak password can be guessed.
        f.debug_struct("Credentials").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// RFC 7616 §3.4: eight hex digits.
fn count(text: &str) -> Option<u32> {
    let valid = text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// The extended notation of RFC 8187, `UTF-8''J%C3%A4s`.
fn extended(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_language, value) = rest.split_once('\'')?;
    charset.eq_ignore_ascii_case("UTF-8").then(|| unescape(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::ha1;

    /// RFC 7616 §3.9.1, as a client of SIP would write it.
    const MUFASA: &str = r#"Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html",
        algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,
        response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;

    #[test]
    fn verifies_the_credentials_of_rfc_7616_and_nothing_near_them() {
        let key = ha1(Algorithm::Sha256, "Mufasa", "http-auth@example.org", "Circle of Life");
        let credentials = Credentials::parse(MUFASA).unwrap();
        assert!(credentials.verify(&key, "GET"));
        assert!(!credentials.verify(&key, "PUT"));
        assert!(!credentials.verify("", "GET"));
        for (from, to) in [("nc=00000001", "nc=00000002"), ("index", "other"), ("7ypf", "8ypf"), ("f2/w", "f3/w")] {
            let changed = MUFASA.replace(from, to);
            assert!(!Credentials::parse(&changed).unwrap().verify(&key, "GET"), "{to}");
        }
        let shorter = MUFASA.replace("b6c1", "");
        assert!(!Credentials::parse(&shorter).unwrap().verify(&key, "GET"));
    }

    #[test]
    fn reads_the_count_as_hex() {
        let text = MUFASA.replace("nc=00000001", "nc=0000000a");
        assert_eq!(Credentials::parse(&text).unwrap().qop.unwrap().count, 10);
        for bad in ["nc=+0000001", "nc=000000001", "nc=zz", "nc="] {
            assert!(Credentials::parse(&MUFASA.replace("nc=00000001", bad)).is_none(), "{bad}");
        }
    }

    #[test]
    fn reads_what_it_answers_with_quotes_in_names() {
        let challenge =
            Challenge::parse("Digest realm=\"r \\\"x\\\"\", nonce=\"n\", qop=\"auth\", opaque=\"o\"").unwrap();
        let key = ha1(Algorithm::Md5, "al\"ice", &challenge.realm, "pw");
        let qop = Qop { count: 17, cnonce: "c".into() };
        let answer = Credentials::answer(&challenge, "al\"ice", &key, "REGISTER", "sip:example.com", qop);
        let printed = answer.to_string();
        assert!(printed.contains("nc=00000011"), "{printed}");
        let read = Credentials::parse(&printed).unwrap();
        assert!(read == answer && read.verify(&key, "REGISTER"));
        assert!(!format!("{read:?}").contains(&*read.response));
    }

    #[test]
    fn credentials_without_qop_prove_nothing_to_us() {
        let challenge = Challenge::parse("Digest realm=\"r\", nonce=\"n\"").unwrap();
        let key = ha1(Algorithm::Md5, "a", "r", "pw");
        let qop = Qop { count: 1, cnonce: "c".into() };
        let answer = Credentials::answer(&challenge, "a", &key, "REGISTER", "sip:x", qop);
        assert_eq!(answer.qop, None);
        assert!(!answer.verify(&key, "REGISTER"));
    }

    #[test]
    fn reads_the_extended_notation_of_a_name() {
        let text = MUFASA.replace("username=\"Mufasa\"", "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe");
        assert_eq!(Credentials::parse(&text).unwrap().username, "J\u{e4}s\u{f8}n Doe");
        assert!(Credentials::parse(&MUFASA.replace("username=", "user=")).is_none());
        assert!(Credentials::parse(&MUFASA.replace("qop=auth", "qop=auth-int")).is_none());
    }
}
