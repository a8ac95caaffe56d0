//! StoredKey and ServerKey of SCRAM (RFC 5802 §3, RFC 7677).

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Password, hex};

/// What RFC 7677 §4 asks for at least is 4,096; XMPP servers of today make 10,000.
const ITERATIONS: u32 = 10_000;

/// One salt, and the keys of both hashes under it.
pub(crate) struct Scram {
    /// ASCII: Prosody takes the text itself as the salt's bytes.
    pub(crate) salt: String,
    pub(crate) iterations: u32,
    pub(crate) sha1: Keys,
    pub(crate) sha256: Keys,
}

/// What a server keeps of one hash.
pub(crate) struct Keys {
    pub(crate) stored: Vec<u8>,
    pub(crate) server: Vec<u8>,
}

impl Scram {
    /// Derives the keys under a salt that is the hex text of `random`.
    pub(crate) fn derive(password: &Password, random: &[u8; 16]) -> Self {
        let salt = hex(random);
        let sha1 = Keys::sha1(password, salt.as_bytes(), ITERATIONS);
        let sha256 = Keys::sha256(password, salt.as_bytes(), ITERATIONS);
        Self { salt, iterations: ITERATIONS, sha1, sha256 }
    }

    /// The salt as SCRAM sends it.
    pub(crate) fn salt_base64(&self) -> String {
        STANDARD.encode(&self.salt)
    }
}

/// Derives `SaltedPassword`, then `StoredKey = H(HMAC(it, "Client Key"))` and `ServerKey = HMAC(it, "Server Key")`.
macro_rules! derive {
    ($hash:ty, $len:literal, $password:expr, $salt:expr, $iterations:expr) => {{
        let mut salted = [0_u8; $len];
        pbkdf2_hmac::<$hash>($password.for_scram().as_bytes(), $salt, $iterations, &mut salted);
        let keyed = |label: &[u8]| {
            let mut mac = Hmac::<$hash>::new_from_slice(&salted).expect("HMAC takes keys of any length");
            mac.update(label);
            mac.finalize().into_bytes()
        };
        Keys { stored: <$hash>::digest(keyed(b"Client Key")).to_vec(), server: keyed(b"Server Key").to_vec() }
    }};
}

impl Keys {
    fn sha1(password: &Password, salt: &[u8], iterations: u32) -> Self {
        derive!(Sha1, 20, password, salt, iterations)
    }

    fn sha256(password: &Password, salt: &[u8], iterations: u32) -> Self {
        derive!(Sha256, 32, password, salt, iterations)
    }

    pub(crate) fn stored_hex(&self) -> String {
        hex(&self.stored)
    }

    pub(crate) fn server_hex(&self) -> String {
        hex(&self.server)
    }

    pub(crate) fn stored_base64(&self) -> String {
        STANDARD.encode(&self.stored)
    }

    pub(crate) fn server_base64(&self) -> String {
        STANDARD.encode(&self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a client's proof as a server does (RFC 5802 §3) and makes the server's signature.
    macro_rules! exchange {
        ($hash:ty, $keys:expr, $auth_message:expr, $proof:expr) => {{
            let hmac = |key: &[u8]| {
                let mut mac = Hmac::<$hash>::new_from_slice(key).unwrap();
                mac.update($auth_message.as_bytes());
                mac.finalize().into_bytes()
            };
            let proof = STANDARD.decode($proof).unwrap();
            let client_key: Vec<u8> = hmac(&$keys.stored).iter().zip(&proof).map(|(a, b)| a ^ b).collect();
            (<$hash>::digest(client_key).to_vec() == $keys.stored, STANDARD.encode(hmac(&$keys.server)))
        }};
    }

    #[test]
    fn accepts_the_exchange_of_rfc_5802_section_5() {
        let salt = STANDARD.decode("QSXCR+Q6sek8bf92").unwrap();
        let keys = Keys::sha1(&Password::new("pencil").unwrap(), &salt, 4096);
        let message = "n=user,r=fyko+d2lbbFgONRv9qkxdawL,\
                       r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,\
                       c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
        let (proven, signature) = exchange!(Sha1, keys, message, "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
        assert!(proven);
        assert_eq!(signature, "rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    }

    #[test]
    fn accepts_the_exchange_of_rfc_7677_section_3() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = Keys::sha256(&Password::new("pencil").unwrap(), &salt, 4096);
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                       r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                       c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let (proven, signature) = exchange!(Sha256, keys, message, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert!(proven);
        assert_eq!(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn keys_differ_by_password_and_by_salt() {
        let keys = |password: &str, salt: &[u8]| Keys::sha256(&Password::new(password).unwrap(), salt, 4096).stored;
        assert_ne!(keys("pencil", b"salt"), keys("pencils", b"salt"));
        assert_ne!(keys("pencil", b"salt"), keys("pencil", b"tlas"));
    }
}
