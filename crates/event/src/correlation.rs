//! The identifiers that join what happened across SIP, XMPP and media.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Identity;

/// A session's UUID (RFC 7989) as 32 lower-case hex digits; also the trace id. Never nil.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Wraps 16 bytes; the nil UUID (RFC 7989 §5) is no session.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every log line has two of them: a table is ten times as fast as formatting sixteen numbers.
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        f.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = ();

    /// Reads 32 lower-case hex digits (RFC 7989 §5 `sess-uuid`).
    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return Err(());
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let nibble = |digit: u8| match digit {
                b'0'..=b'9' => Ok(digit - b'0'),
                b'a'..=b'f' => Ok(digit - b'a' + 10),
                _ => Err(()),
            };
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Self::new(bytes).ok_or(())
    }
}

/// A leg (one dialog of the focus with one participant), unique in the life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identifiers that apply to an event; the node's own name is added by telemetry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Correlation {
    /// The account's id in the directory.
    pub account: Option<i64>,
    /// The session's own half (RFC 7989 local UUID).
    pub session: Option<SessionId>,
    /// The other half (RFC 7989 remote UUID), indexed by the trace as well.
    pub remote_session: Option<SessionId>,
    /// The SIP Call-ID.
    pub call_id: Option<Arc<str>>,
    /// The conference, as `room@conference-domain`.
    pub conference: Option<Identity>,
    /// The MUC room's bare JID.
    pub room: Option<Identity>,
    /// The occupant's bare JID or, where that is hidden, his occupant JID.
    pub occupant: Option<Identity>,
    /// The focus' leg.
    pub leg: Option<LegId>,
    /// The RTP source of the leg.
    pub ssrc: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_id_prints_and_parses_as_32_lower_hex_digits() {
        let id: SessionId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        assert_eq!(id.to_string(), "0123456789abcdef0123456789abcdef");
        for bad in [
            "",
            "00000000000000000000000000000000",
            "0123456789ABCDEF0123456789ABCDEF",
            "0123456789abcdef0123456789abcdeg",
        ] {
            assert_eq!(bad.parse::<SessionId>(), Err(()), "{bad}");
        }
    }
}
