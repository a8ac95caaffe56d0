//! Challenges to user agents and what they answer (RFC 3261 §22, RFC 8760).

use std::net::SocketAddr;

use cusax_event::sip::AuthResult;
use cusax_sip::digest::nonce::{self, Verdict};
use cusax_sip::digest::{Algorithm, Challenge, Count, Credentials, ReplayWindow, names_request};
use cusax_sip::{Message, Method, Name};

use crate::account::{Account, AccountKey};
use crate::config::Config;

/// How long a nonce is good, in seconds.
const NONCE_LIFETIME: u64 = 300;
/// Nonces whose counts are remembered.
const NONCES: usize = 100_000;
/// What is computed for unknown users, so that they take the same path and time.
const NOBODY: &str = "00000000000000000000000000000000";

/// What is known of used nonces.
pub(crate) struct Auth {
    used: ReplayWindow,
    random: u64,
}

/// What came of checking credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// Right.
    Verified,
    /// Not; what to count, and whether to say that only the nonce was too old.
    Refused { result: AuthResult, stale: bool },
}

impl Auth {
    pub(crate) fn new(seed: u64) -> Self {
        Self { used: ReplayWindow::new(NONCES, NONCE_LIFETIME), random: seed }
    }

    /// The account that a request claims to be of, by the credentials for our realm.
    pub(crate) fn claimed(message: &Message, realm: &str) -> Option<AccountKey> {
        let credentials = credentials(message, realm)?;
        let username = credentials.username.into_owned();
        Some(AccountKey::Digest { username, algorithm: credentials.algorithm })
    }

    /// Checks the credentials of a request; `unix` is the time in seconds since 1970.
    pub(crate) fn check(
        &mut self,
        config: &Config,
        message: &Message,
        source: SocketAddr,
        account: Option<&Account>,
        unix: u64,
    ) -> Checked {
        let refused = |result| Checked::Refused { result, stale: false };
        let Some(credentials) = credentials(message, &config.domain) else {
            return refused(AuthResult::BadCredentials);
        };
        if !config.algorithms.contains(&credentials.algorithm) {
            return refused(AuthResult::BadCredentials);
        }
        let source = source.ip().to_string();
        let verdict = nonce::check(
            &config.keys.nonce,
            &credentials.nonce,
            &config.domain,
            source.as_bytes(),
            unix,
            NONCE_LIFETIME,
        );
        let ha1 = account.map_or(NOBODY, |account| &account.ha1);
        // An account may have no key for an algorithm: nobody proves that he knows nothing.
        let proved = !ha1.is_empty() && credentials.verify(ha1, message.method_text());
        let issued = match verdict {
            Verdict::Fresh { issued } => issued,
            // Also one of another address, or of keys that are gone: who knows the password need not ask for it again.
            Verdict::Stale | Verdict::Forged if proved && account.is_some() => {
                return Checked::Refused { result: AuthResult::Stale, stale: true };
            }
            Verdict::Stale | Verdict::Forged => return refused(AuthResult::Stale),
        };
        if account.is_none() {
            return refused(AuthResult::UnknownUser);
        }
        if !proved || !names_request(&credentials.uri, message.request_uri_text()) {
            return refused(AuthResult::BadCredentials);
        }
        let count = credentials.qop.as_ref().map_or(0, |qop| qop.count);
        match self.used.note(&credentials.nonce, issued, count, unix) {
            Count::New => Checked::Verified,
            Count::Repeated => Checked::Refused { result: AuthResult::Replay, stale: true },
            Count::Forgotten => Checked::Refused { result: AuthResult::Stale, stale: true },
        }
    }

    /// One challenge for each algorithm, strongest first.
    pub(crate) fn challenges(&mut self, config: &Config, source: SocketAddr, stale: bool, unix: u64) -> Vec<Challenge> {
        let Some(key) = config.keys.nonce.first() else { return Vec::new() };
        let source = source.ip().to_string();
        let challenge = |algorithm: &Algorithm| {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Challenge {
                realm: config.domain.clone(),
                nonce: nonce::mint(key, unix, self.random, &config.domain, source.as_bytes()),
                algorithm: *algorithm,
                qop_auth: true,
                stale,
                opaque: None,
            }
        };
        config.algorithms.iter().map(challenge).collect()
    }
}

fn credentials<'a>(message: &'a Message, realm: &str) -> Option<Credentials<'a>> {
    let name = header_of(message.method());
    message.values(name).filter_map(Credentials::parse).find(|credentials| credentials.realm == realm)
}

/// REGISTER is answered as by a registrar (401), all else as by a proxy (407): phones expect it so.
pub(crate) fn header_of(method: Method) -> Name {
    if method == Method::Register { Name::Authorization } else { Name::ProxyAuthorization }
}

/// Requests that are never challenged: they cannot be sent again with credentials, or must not wait.
pub(crate) fn is_exempt(method: Method) -> bool {
    matches!(method, Method::Ack | Method::Cancel | Method::Bye | Method::Prack)
}

/// The algorithm of a request's credentials, for events.
pub(crate) fn algorithm_of(message: &Message, realm: &str) -> cusax_event::sip::Algorithm {
    credentials(message, realm).map_or(cusax_event::sip::Algorithm::None, |found| found.algorithm.label())
}
