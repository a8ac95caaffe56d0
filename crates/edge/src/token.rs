//! Flow tokens (RFC 5626 §5.2): the user part of our Path and Record-Route, which names the flow that a user agent
//! opened and proves that we wrote it. It needs no table, so it outlives a restart, and nobody else can read it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cusax_sip::{ConnectionId, Flow, ListenerId, Transport};
use sha2::{Digest, Sha256};

use crate::config::{Config, Listener};

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The flow.
    pub(crate) flow: Flow,
    /// The account that registered over it (Path) or that is on this side of a dialog (Record-Route), where it is known.
    pub(crate) account: Option<i64>,
    /// The core server on the other side of a dialog, where it is known: its later requests belong there.
    pub(crate) core: Option<SocketAddr>,
    /// The domain from which the lookup started that found the other end, where it was found so: a TLS connection that is
    /// made anew must be to it.
    pub(crate) domain: Option<Arc<str>>,
    /// What it was written into.
    pub(crate) place: Place,
}

/// What a token was written into: a Path is no proof of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Path of a registration.
    Path,
    /// Record-Route of a dialog; good in requests of its Call-ID only.
    Dialog,
    /// Record-Route of an emergency call's dialog; the same.
    Emergency,
}

/// Why a token is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Useless {
    /// None of our keys made it, or it is of another call.
    NotOurs,
    /// Its socket is not configured any more.
    Gone,
}

impl Place {
    const ALL: [(char, Self); 3] = [('p', Self::Path), ('d', Self::Dialog), ('e', Self::Emergency)];

    fn letter(self) -> char {
        Self::ALL.iter().find(|(_, place)| *place == self).map_or('p', |(letter, _)| *letter)
    }

    /// What the token is bound to besides what it says.
    fn bound_to(self, call_id: &str) -> Vec<u8> {
        let call_id = if self == Self::Path { "" } else { call_id };
        format!("cusax flow token 2 {} {call_id}", self.letter()).into_bytes()
    }
}

impl Config {
    /// Writes a token with the present key; `call_id` is that of the message that it goes into.
    pub(crate) fn seal(&self, token: &Token, call_id: &str) -> Option<String> {
        let Token { flow, account, core, domain, place } = token;
        let mut plain = Vec::with_capacity(48);
        plain.extend(mark(self.listener(flow.listener)?));
        plain.extend(flow.connection.map_or(0, |connection| connection.0).to_be_bytes());
        plain.extend(account.unwrap_or(0).to_be_bytes());
        for address in [Some(flow.remote), *core].into_iter().flatten() {
            match address.ip() {
                IpAddr::V4(octets) => plain.extend([&[4][..], &octets.octets()].concat()),
                IpAddr::V6(octets) => plain.extend([&[6][..], &octets.octets()].concat()),
            }
            plain.extend(address.port().to_be_bytes());
        }
        if let Some(domain) = domain {
            plain.push(DOMAIN);
            plain.extend(domain.as_bytes());
        }
        let payload = Payload { msg: &plain, aad: &place.bound_to(call_id) };
        let sealed = cipher(self.keys.token.first()?).encrypt(&nonce(), payload).ok()?;
        Some(format!("{}{}", place.letter(), URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Reads a token that one of the keys made for a message of this Call-ID, or for a Path.
    pub(crate) fn open(&self, text: &str, call_id: &str) -> Result<Token, Useless> {
        let letter = text.chars().next();
        let place = Place::ALL.into_iter().find(|(known, _)| Some(*known) == letter).map(|(_, place)| place);
        let place = place.ok_or(Useless::NotOurs)?;
        let sealed = text.get(1..).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(Useless::NotOurs)?;
        let bound = place.bound_to(call_id);
        let opened = |key| cipher(key).decrypt(&nonce(), Payload { msg: &sealed, aad: &bound }).ok();
        let plain = self.keys.token.iter().find_map(opened).ok_or(Useless::NotOurs)?;
        self.read(&plain, place).ok_or(Useless::Gone)
    }

    fn read(&self, plain: &[u8], place: Place) -> Option<Token> {
        let mut rest = plain;
        let marked: [u8; 4] = take(&mut rest)?;
        let index = self.listeners.iter().position(|listener| mark(listener) == marked)?;
        let connection = Some(u64::from_be_bytes(take(&mut rest)?)).filter(|id| *id != 0).map(ConnectionId);
        let account = Some(i64::from_be_bytes(take(&mut rest)?)).filter(|id| *id != 0);
        let remote = socket(&mut rest)?;
        let core = if matches!(rest.first(), None | Some(&DOMAIN)) { None } else { Some(socket(&mut rest)?) };
        let domain = match rest.split_first() {
            None => None,
            Some((_, name)) => Some(Arc::from(std::str::from_utf8(name).ok()?)),
        };
        let listener = ListenerId(u16::try_from(index).ok()?);
        let transport = self.listener(listener)?.transport;
        let flow = Flow { listener, transport, remote, connection, domain: None };
        Some(Token { flow, account, core, domain, place })
    }
}

/// Stands before a domain, where an address has its family.
const DOMAIN: u8 = 0;

/// Names a socket by what it is, for its place in the configuration may change with a restart.
fn mark(listener: &Listener) -> [u8; 4] {
    let transport = Transport::ALL.iter().position(|transport| *transport == listener.transport).unwrap_or(0);
    let digest = Sha256::digest(format!("{transport} {}", listener.address));
    [digest[0], digest[1], digest[2], digest[3]]
}

fn cipher(key: &[u8; 32]) -> Aes256GcmSiv {
    Aes256GcmSiv::new(key.into())
}

/// Always the same: under RFC 8452 that tells only which tokens are equal, and equal tokens are what routes need.
fn nonce() -> Nonce {
    Nonce::default()
}

fn socket(rest: &mut &[u8]) -> Option<SocketAddr> {
    let address: IpAddr = match take::<1>(rest)? {
        [4] => take::<4>(rest)?.into(),
        _ => take::<16>(rest)?.into(),
    };
    Some(SocketAddr::new(address, u16::from_be_bytes(take(rest)?)))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (piece, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*piece)
}
