//! TLS handshakes, of whatever protocol.

use std::net::SocketAddr;

use crate::closed_enum;

closed_enum! {
    /// Which protocol was to be spoken over it.
    Aspect {
        /// SIP.
        Sip = "sip",
    }
}

closed_enum! {
    /// Which end of it we were.
    Side {
        /// They connected to us.
        Server = "server",
        /// We connected to them.
        Client = "client",
    }
}

closed_enum! {
    /// What a handshake came to.
    HandshakeResult {
        /// Done.
        Ok = "ok",
        /// It was not done in time.
        Deadline = "deadline",
        /// The other end went away.
        Closed = "closed",
        /// The other end's certificate is expired, of another domain, by an unknown authority, or not there.
        Certificate = "certificate",
        /// The other end refused us.
        Refused = "refused",
        /// No common version, or not TLS.
        Invalid = "invalid",
    }
}

closed_enum! {
    /// A version of TLS.
    Version {
        /// RFC 5246.
        V1_2 = "1.2",
        /// RFC 8446.
        V1_3 = "1.3",
        /// It did not come to one.
        None = "none",
    }
}

/// A handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Which protocol was to be spoken over it.
    pub aspect: Aspect,
    /// Which end of it we were.
    pub side: Side,
    /// What it came to.
    pub result: HandshakeResult,
    /// Version.
    pub version: Version,
    /// The other end.
    pub remote: SocketAddr,
    /// What was wrong.
    pub detail: &'static str,
}
