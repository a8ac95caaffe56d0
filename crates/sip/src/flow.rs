//! Where messages come from and go to.

use std::net::SocketAddr;

pub use cusax_event::sip::Transport;

/// One of the sockets or in-process user agents that messages pass, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u16);

/// A stream connection, unique in the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// A SIP domain, by the number that the owner of a flow gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId(pub u64);

/// A path to one other element: for UDP our socket and its address, for streams the connection (RFC 5626 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Our end.
    pub listener: ListenerId,
    /// Transport.
    pub transport: Transport,
    /// The other end.
    pub remote: SocketAddr,
    /// The connection of a stream; `None` asks for one to be opened or reused.
    pub connection: Option<ConnectionId>,
    /// The domain from which the lookup started that led there (RFC 3263 §4): a TLS connection that is opened must be to it
    /// (RFC 5922 §7.3). `None` where the other end is known otherwise.
    pub domain: Option<DomainId>,
}

impl Flow {
    /// True where the transport delivers by itself (RFC 3261 §17: no retransmissions).
    #[must_use]
    pub const fn is_reliable(&self) -> bool {
        !matches!(self.transport, Transport::Udp)
    }
}

/// Bytes to send on a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where.
    pub flow: Flow,
    /// One whole message.
    pub bytes: bytes::Bytes,
}

/// A transport as Via writes it (RFC 3261 §20.42, RFC 7118 §5); in-process flows pass for UDP.
#[must_use]
pub const fn via_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp | Transport::Internal => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
        Transport::Ws => "WS",
        Transport::Wss => "WSS",
    }
}
