//! SCRAM's messages and keys (RFC 5802 §3, §5), without channel binding.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::SaslError;
use crate::secret::Secret;

/// Iterations that we do: at least what RFC 7677 §4 asks for, at most about a second of work.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;
/// `n,,` in base64: no channel binding.
const NO_BINDING: &str = "biws";

/// The hash of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], data: &str) -> Vec<u8> {
        match self {
            Self::Sha1 => keyed::<Hmac<Sha1>>(key, data),
            Self::Sha256 => keyed::<Hmac<Sha256>>(key, data),
        }
    }

    fn salted(self, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password.as_bytes(), salt, iterations).to_vec(),
            Self::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations).to_vec(),
        }
    }
}

fn keyed<M: Mac + hmac::digest::KeyInit>(key: &[u8], data: &str) -> Vec<u8> {
    <M as Mac>::new_from_slice(key)
        .expect("HMAC takes keys of any length")
        .chain_update(data)
        .finalize()
        .into_bytes()
        .to_vec()
}

/// One exchange.
pub(super) struct Scram {
    hash: Hash,
    password: Secret,
    nonce: String,
    first_bare: String,
    signature: Option<Vec<u8>>,
    verified: bool,
}

impl Scram {
    /// Begins with the client-first-message.
    pub(super) fn begin(hash: Hash, user: &str, password: Secret, nonce: &str) -> (Self, String) {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        let first = format!("n,,{first_bare}");
        (Self { hash, password, nonce: nonce.to_owned(), first_bare, signature: None, verified: false }, first)
    }

    /// Answers the server-first-message with the client-final-message, or a server-final-message that came as a
    /// challenge with nothing.
    pub(super) fn respond(&mut self, challenge: &str) -> Result<String, SaslError> {
        if self.signature.is_some() {
            return self.verify(challenge).map(|()| String::new());
        }
        let mut fields = challenge.split(',');
        let mut field =
            |name: &str| fields.next().and_then(|field| field.strip_prefix(name)).ok_or(SaslError::Malformed);
        let (nonce, salt, iterations) = (field("r=")?, field("s=")?, field("i=")?);
        if nonce.strip_prefix(&self.nonce).is_none_or(str::is_empty) {
            return Err(SaslError::Nonce);
        }
        let salt = STANDARD.decode(salt).map_err(|_| SaslError::Malformed)?;
        let iterations = iterations.parse().map_err(|_| SaslError::Malformed)?;
        if !ITERATIONS.contains(&iterations) {
            return Err(SaslError::Iterations);
        }
        let without_proof = format!("c={NO_BINDING},r={nonce}");
        let message = format!("{},{challenge},{without_proof}", self.first_bare);
        let salted = self.hash.salted(self.password.expose(), &salt, iterations);
        let client_key = self.hash.hmac(&salted, "Client Key");
        let client_signature = self.hash.hmac(&self.hash.digest(&client_key), &message);
        let proof: Vec<u8> = client_key.iter().zip(&client_signature).map(|(key, signature)| key ^ signature).collect();
        self.signature = Some(self.hash.hmac(&self.hash.hmac(&salted, "Server Key"), &message));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Checks the server-final-message; empty once it was checked as a challenge.
    pub(super) fn verify(&mut self, last: &str) -> Result<(), SaslError> {
        if self.verified && last.is_empty() {
            return Ok(());
        }
        let signature = last.strip_prefix("v=").and_then(|rest| rest.split(',').next()).ok_or(SaslError::Server)?;
        let signature = STANDARD.decode(signature).map_err(|_| SaslError::Server)?;
        self.verified = self.signature.as_ref() == Some(&signature);
        if self.verified { Ok(()) } else { Err(SaslError::Server) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5802 §5 and RFC 7677 §3.
    const VECTORS: [(Hash, &str, &str, &str, &str); 2] = [
        (
            Hash::Sha1,
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (
            Hash::Sha256,
            "rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
    ];

    #[test]
    fn computes_the_vectors_of_the_rfcs() {
        for (hash, nonce, challenge, response, last) in VECTORS {
            let (mut scram, first) = Scram::begin(hash, "user", Secret::new("pencil"), nonce);
            assert_eq!(first, format!("n,,n=user,r={nonce}"));
            assert_eq!(scram.respond(challenge).as_deref(), Ok(response));
            assert_eq!(scram.verify(last), Ok(()));
        }
    }

    #[test]
    fn takes_the_servers_proof_as_a_challenge_too() {
        let (hash, nonce, challenge, _, last) = VECTORS[0];
        let (mut scram, _) = Scram::begin(hash, "user", Secret::new("pencil"), nonce);
        scram.respond(challenge).unwrap();
        assert_eq!(scram.respond(last).as_deref(), Ok(""));
        assert_eq!(scram.verify(""), Ok(()));
    }

    #[test]
    fn refuses_a_server_that_proves_nothing_or_asks_for_nonsense() {
        let (hash, nonce, challenge, _, _) = VECTORS[1];
        let begin = || Scram::begin(hash, "user", Secret::new("pencil"), nonce).0;
        let mut scram = begin();
        scram.respond(challenge).unwrap();
        for last in ["", "v=", "e=invalid-proof", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="] {
            assert_eq!(scram.verify(last), Err(SaslError::Server), "{last}");
        }
        for (challenge, error) in [
            ("", SaslError::Malformed),
            ("m=x,r=a,s=b,i=4096", SaslError::Malformed),
            ("r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", SaslError::Nonce),
            ("r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", SaslError::Nonce),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095", SaslError::Iterations),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4294967295", SaslError::Iterations),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=?,i=4096", SaslError::Malformed),
        ] {
            assert_eq!(begin().respond(challenge), Err(error), "{challenge}");
        }
    }

    #[test]
    fn escapes_the_name() {
        let (_, first) = Scram::begin(Hash::Sha1, "a=b,c", Secret::new("x"), "n");
        assert_eq!(first, "n,,n=a=3Db=2Cc,r=n");
    }
}
