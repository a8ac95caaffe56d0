//! HA1 of SIP digest (RFC 3261 §22.4, RFC 7616 §3.4.2, RFC 8760).

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

use super::{Password, hex};

/// Holds `H(username:realm:password)` for each algorithm, in the lower-case hex in which a digest response hashes it on; it cannot be printed.
#[derive(Clone)]
pub struct Ha1 {
    md5: Box<str>,
    sha256: Box<str>,
    sha512_256: Box<str>,
}

impl Ha1 {
    /// Derives the keys of one digest username in one realm.
    #[must_use]
    pub fn derive(username: &str, realm: &str, password: &Password) -> Self {
        let a1 = format!("{username}:{realm}:{}", password.for_digest());
        Self {
            md5: hex(&Md5::digest(&a1)).into(),
            sha256: hex(&Sha256::digest(&a1)).into(),
            sha512_256: hex(&Sha512_256::digest(&a1)).into(),
        }
    }

    /// Reads keys as stored; `None` where one is not lower-case hex of its algorithm's length.
    pub(crate) fn stored(md5: &str, sha256: &str, sha512_256: &str) -> Option<Self> {
        let is_hex =
            |text: &str, len| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (is_hex(md5, 32) && is_hex(sha256, 64) && is_hex(sha512_256, 64)).then(|| Self {
            md5: md5.into(),
            sha256: sha256.into(),
            sha512_256: sha512_256.into(),
        })
    }

    /// The key for `algorithm=MD5`: 32 hex digits.
    #[must_use]
    pub fn md5(&self) -> &str {
        &self.md5
    }

    /// The key for `algorithm=SHA-256`: 64 hex digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The key for `algorithm=SHA-512-256`: 64 hex digits.
    #[must_use]
    pub fn sha512_256(&self) -> &str {
        &self.sha512_256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kd<H: Digest>(ha1: &str, rest: &str) -> String {
        hex(&H::digest(format!("{ha1}:{rest}")))
    }

    #[test]
    fn answers_the_challenge_of_rfc_7616_section_3_9_1() {
        let password = Password::new("Circle of Life").unwrap();
        let ha1 = Ha1::derive("Mufasa", "http-auth@example.org", &password);
        let exchange =
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth";
        let a2 = "GET:/dir/index.html";
        let md5 = format!("{exchange}:{}", hex(&Md5::digest(a2)));
        assert_eq!(kd::<Md5>(ha1.md5(), &md5), "8ca523f5e9506fed4657c9700eebdbec");
        let sha256 = format!("{exchange}:{}", hex(&Sha256::digest(a2)));
        assert_eq!(
            kd::<Sha256>(ha1.sha256(), &sha256),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn hashes_sha_512_256_as_fips_180_4_truncates_it() {
        // FIPS 180-4 example value for "abc": the truncation has initial values of its own and is no prefix of SHA-512.
        assert_eq!(hex(&Sha512_256::digest("abc")), "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23");
        let password = Password::new("Circle of Life").unwrap();
        let ha1 = Ha1::derive("Mufasa", "http-auth@example.org", &password);
        assert_eq!(ha1.sha512_256(), hex(&Sha512_256::digest("Mufasa:http-auth@example.org:Circle of Life")));
    }

    #[test]
    fn refuses_stored_keys_that_are_not_keys() {
        let (md5, sha) = ("0".repeat(32), "f".repeat(64));
        assert!(Ha1::stored(&md5, &sha, &sha).is_some());
        assert!(Ha1::stored(&sha, &sha, &sha).is_none());
        assert!(Ha1::stored(&md5, &"F".repeat(64), &sha).is_none());
        assert!(Ha1::stored(&md5, &sha, "").is_none());
    }
}
