//! Flow tokens (RFC 5626 §5.2): the user part of our Path and Record-Route, which names the flow that a user agent
//! opened and proves that we wrote it. It needs no table, so it outlives a restart.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cusax_sip::{ConnectionId, Flow, ListenerId, Transport};
use hmac::{Hmac, Mac};
use sha2::Sha256;

const TAG: usize = 12;

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The flow.
    pub(crate) flow: Flow,
    /// The account that registered over it (Path) or that is on this side of a dialog (Record-Route), where it is known.
    pub(crate) account: Option<i64>,
    /// What it was written into.
    pub(crate) place: Place,
}

/// What a token was written into: a Path is no proof of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Path of a registration.
    Path,
    /// Record-Route of a dialog.
    Dialog,
    /// Record-Route of an emergency call's dialog.
    Emergency,
}

impl Place {
    const ALL: [Self; 3] = [Self::Path, Self::Dialog, Self::Emergency];
}

impl Token {
    /// Writes the token with the present key.
    #[must_use]
    pub(crate) fn seal(&self, key: &[u8; 32]) -> String {
        let mut bytes = Vec::with_capacity(64);
        let transport = Transport::ALL.iter().position(|transport| *transport == self.flow.transport).unwrap_or(0);
        let place = Place::ALL.iter().position(|place| *place == self.place).unwrap_or(0);
        bytes.push(u8::try_from(transport).unwrap_or(0));
        bytes.push(u8::try_from(place).unwrap_or(0));
        bytes.extend(self.flow.listener.0.to_be_bytes());
        bytes.extend(self.flow.remote.port().to_be_bytes());
        match self.flow.remote.ip() {
            IpAddr::V4(address) => {
                bytes.push(4);
                bytes.extend(address.octets());
            }
            IpAddr::V6(address) => {
                bytes.push(6);
                bytes.extend(address.octets());
            }
        }
        bytes.extend(self.flow.connection.map_or(0, |connection| connection.0).to_be_bytes());
        bytes.extend(self.account.unwrap_or(0).to_be_bytes());
        if let Some(mac) = mac(key, &bytes) {
            let tag = mac.finalize().into_bytes();
            bytes.extend(&tag[..TAG]);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that one of the keys made.
    #[must_use]
    pub(crate) fn open(keys: &[[u8; 32]], text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, tag) = bytes.split_at(bytes.len().checked_sub(TAG)?);
        let ours = |key| mac(key, head).is_some_and(|mac| mac.verify_truncated_left(tag).is_ok());
        if !keys.iter().any(ours) {
            return None;
        }
        let mut rest = head;
        let transport = *Transport::ALL.get(usize::from(take::<1>(&mut rest)?[0]))?;
        let place = *Place::ALL.get(usize::from(take::<1>(&mut rest)?[0]))?;
        let listener = ListenerId(u16::from_be_bytes(take(&mut rest)?));
        let port = u16::from_be_bytes(take(&mut rest)?);
        let address: IpAddr = match take::<1>(&mut rest)? {
            [4] => take::<4>(&mut rest)?.into(),
            _ => take::<16>(&mut rest)?.into(),
        };
        let connection = Some(u64::from_be_bytes(take(&mut rest)?)).filter(|id| *id != 0).map(ConnectionId);
        let account = Some(i64::from_be_bytes(take(&mut rest)?)).filter(|id| *id != 0);
        let flow = Flow { listener, transport, remote: SocketAddr::new(address, port), connection };
        Some(Self { flow, account, place })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (piece, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*piece)
}

fn mac(key: &[u8; 32], bytes: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(b"cusax flow token 1");
    mac.update(bytes);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        let flow = Flow {
            listener: ListenerId(3),
            transport: Transport::Tcp,
            remote: "[2001:db8::7]:5061".parse().unwrap(),
            connection: Some(ConnectionId(42)),
        };
        Token { flow, account: Some(7), place: Place::Dialog }
    }

    #[test]
    fn comes_back_as_it_was_under_the_present_and_the_former_key() {
        let sealed = token().seal(&[1; 32]);
        assert_eq!(Token::open(&[[1; 32]], &sealed), Some(token()));
        assert_eq!(Token::open(&[[2; 32], [1; 32]], &sealed), Some(token()));
    }

    #[test]
    fn is_refused_when_anything_in_it_was_changed() {
        let sealed = token().seal(&[1; 32]);
        assert_eq!(Token::open(&[[2; 32]], &sealed), None);
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(Token::open(&[[1; 32]], std::str::from_utf8(&bytes).unwrap()), None, "byte {at}");
        }
        assert_eq!(Token::open(&[[1; 32]], ""), None);
    }
}
