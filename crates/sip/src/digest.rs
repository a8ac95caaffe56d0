//! Digest access authentication (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! [`Challenge`] and [`Credentials`] are the two header values, [`nonce`] makes nonces that need no table, and
//! [`ReplayWindow`] refuses a nonce count that was used before. Only `qop=auth` is spoken; a client also answers the
//! challenges of servers that offer no `qop`.

mod challenge;
mod credentials;
pub mod nonce;
mod replay;

use std::fmt;

use cusax_event::sip as event;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

pub use challenge::Challenge;
pub use credentials::{Credentials, Qop};
pub use replay::{Count, ReplayWindow};

use crate::value::{split, unquote};
use crate::{Scheme, Uri};

/// A hash algorithm of RFC 8760, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`; also what is meant where none is named.
    Md5,
    /// `SHA-256`.
    Sha256,
    /// `SHA-512-256`.
    Sha512_256,
}

impl Algorithm {
    /// Every algorithm, the strongest first.
    pub const STRONGEST_FIRST: [Self; 3] = [Self::Sha512_256, Self::Sha256, Self::Md5];

    /// Reads an `algorithm` value in any case; session variants and others are not known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::STRONGEST_FIRST.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
    }

    /// The `algorithm` value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.label().as_str()
    }

    /// Its metric label.
    #[must_use]
    pub const fn label(self) -> event::Algorithm {
        match self {
            Self::Md5 => event::Algorithm::Md5,
            Self::Sha256 => event::Algorithm::Sha256,
            Self::Sha512_256 => event::Algorithm::Sha512_256,
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
            Self::Sha512_256 => hex(&Sha512_256::digest(text)),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Derives HA1, `H(username:realm:password)` in lower-case hex (RFC 7616 §3.4.2).
#[must_use]
pub fn ha1(algorithm: Algorithm, username: &str, realm: &str, password: &str) -> String {
    algorithm.hash(&format!("{username}:{realm}:{password}"))
}

/// Computes the `response` value (RFC 7616 §3.4.1); without `qop` as RFC 2069 had it.
#[must_use]
pub fn response(
    algorithm: Algorithm,
    ha1_hex: &str,
    nonce: &str,
    qop: Option<&Qop<'_>>,
    method: &str,
    uri: &str,
) -> String {
    let a2 = algorithm.hash(&format!("{method}:{uri}"));
    algorithm.hash(&match qop {
        Some(Qop { count, cnonce }) => format!("{ha1_hex}:{nonce}:{count:08x}:{cnonce}:auth:{a2}"),
        None => format!("{ha1_hex}:{nonce}:{a2}"),
    })
}

/// True where the `uri` of credentials names what the request is for (RFC 7616 §3.4.6): the same text or, as some
/// user agents leave parameters or a default port away, the same user and host.
#[must_use]
pub fn names_request(uri: &str, request_uri: &str) -> bool {
    if uri == request_uri {
        return true;
    }
    let (Some(one), Some(other)) = (Uri::parse(uri), Uri::parse(request_uri)) else { return false };
    let sip = |uri: &Uri<'_>| matches!(uri.scheme, Scheme::Sip | Scheme::Sips);
    let ports = one.port.is_none() || other.port.is_none() || one.port == other.port;
    sip(&one) && sip(&other) && ports && one.host_is(other.host) && one.user_unescaped() == other.user_unescaped()
}

/// The `name=value` pairs behind the scheme `Digest`, values without their quotes; `None` for another scheme and where
/// a name comes twice, which two readers could read differently.
fn pairs(value: &str) -> Option<Vec<(&str, std::borrow::Cow<'_, str>)>> {
    let (scheme, rest) = value.trim_start().split_once(|c: char| c.is_ascii_whitespace())?;
    if !scheme.eq_ignore_ascii_case("Digest") {
        return None;
    }
    let mut pairs: Vec<(&str, _)> = Vec::with_capacity(10);
    for range in split(rest.as_bytes(), 0..rest.len(), b',') {
        let (name, value) = rest.get(range)?.split_once('=')?;
        let name = name.trim_end();
        if pairs.len() == MAX_PAIRS || pairs.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return None;
        }
        pairs.push((name, unquote(value.trim_start())));
    }
    Some(pairs)
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// RFC 7616 defines a dozen parameters.
const MAX_PAIRS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    const MUFASA: (&str, &str, &str) = ("Mufasa", "http-auth@example.org", "Circle of Life");
    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const QOP: Qop<'static> =
        Qop { count: 1, cnonce: std::borrow::Cow::Borrowed("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ") };

    #[test]
    fn answers_the_challenges_of_rfc_7616_section_3_9_1() {
        let (user, realm, password) = MUFASA;
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let ha1 = ha1(algorithm, user, realm, password);
            assert_eq!(response(algorithm, &ha1, NONCE, Some(&QOP), "GET", "/dir/index.html"), expected);
        }
    }

    #[test]
    fn answers_the_challenge_of_rfc_7616_section_3_9_2_as_its_erratum_4897_corrects_it() {
        let ha1 = ha1(Algorithm::Sha512_256, "J\u{e4}s\u{f8}n Doe", "api@example.org", "Secret, or not?");
        let qop = Qop { count: 1, cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v".into() };
        let nonce = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK";
        assert_eq!(
            response(Algorithm::Sha512_256, &ha1, nonce, Some(&qop), "GET", "/doe.json"),
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        );
    }

    #[test]
    fn answers_a_challenge_without_qop_as_rfc_2069_did() {
        // RFC 2069 §2.4, with the response of its erratum 749.
        let ha1 = ha1(Algorithm::Md5, "Mufasa", "testrealm@host.com", "CircleOfLife");
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        assert_eq!(
            response(Algorithm::Md5, &ha1, nonce, None, "GET", "/dir/index.html"),
            "1949323746fe6a43ef61f9606e7febea"
        );
    }

    #[test]
    fn reads_algorithms_in_any_case_and_no_session_variants() {
        assert_eq!(Algorithm::parse("sha-256"), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::parse("SHA-512-256"), Some(Algorithm::Sha512_256));
        for unknown in ["MD5-sess", "SHA256", "SHA-512", ""] {
            assert_eq!(Algorithm::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn takes_a_uri_that_leaves_parameters_away_and_no_other() {
        let request = "sip:alice@example.com:5060;transport=udp";
        for good in [request, "sip:alice@example.com", "sip:al%69ce@EXAMPLE.com:5060"] {
            assert!(names_request(good, request), "{good}");
        }
        for bad in ["sip:bob@example.com", "sip:example.com", "sip:alice@example.com:5070", "tel:1", ""] {
            assert!(!names_request(bad, request), "{bad}");
        }
        assert!(names_request("tel:+1404", "tel:+1404"));
    }
}
