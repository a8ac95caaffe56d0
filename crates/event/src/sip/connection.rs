//! Connections that SIP messages travel on.

use std::net::SocketAddr;

use super::{Leg, Transport};
use crate::closed_enum;

closed_enum! {
    /// What became of a connection.
    ConnectionResult {
        /// Somebody connected to us.
        Accepted = "accepted",
        /// We connected to somebody.
        Connected = "connected",
        /// There were as many as there may be, of all or of its source.
        Refused = "refused",
        /// We could not connect, or TLS or the upgrade to a WebSocket failed.
        Failed = "failed",
        /// One that had been there is gone.
        Closed = "closed",
    }
}

/// A connection came, went, or was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Side of the edge.
    pub leg: Leg,
    /// Transport.
    pub transport: Transport,
    /// What became of it.
    pub result: ConnectionResult,
    /// The other end.
    pub remote: SocketAddr,
}
