//! What a leg's signalling tells about where its audio may come from.

use std::net::{IpAddr, SocketAddr};

/// A socket of a media thread: an RTP port that many legs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

/// A leg's seat: the port that [`Ports`](crate::Ports) gave it, for as long as it describes itself in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The port.
    pub port: PortId,
    /// What tells it from the seats that were given before.
    pub turn: u64,
}

/// Whether a leg's audio may come from elsewhere than its description says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A user agent, perhaps behind a NAT: it may latch.
    Access,
    /// One of the existing SIP servers: its description is right.
    Core,
}

/// Which access legs may latch to a source that their description does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latch {
    /// Those that describe another address than their signalling comes from: they are behind a NAT.
    #[default]
    Strict,
    /// All, where no other leg of the port could be meant: NATs that keep the address but not the port.
    Relaxed,
}

/// Where a leg's signalling comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signalling {
    /// Its source address.
    pub source: IpAddr,
    /// What it is worth.
    pub trust: Trust,
}

impl Signalling {
    /// Whether the leg is behind a NAT: what it describes is not where its packets will come from.
    pub(crate) fn is_translated(&self, described: SocketAddr) -> bool {
        self.trust == Trust::Access
            && !described.ip().is_unspecified()
            && described.ip().to_canonical() != self.source.to_canonical()
    }
}
