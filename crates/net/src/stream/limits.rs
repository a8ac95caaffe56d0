//! Bounds of the streams of one worker.

use std::time::Duration;

/// What connections may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections, accepted and made.
    pub connections: usize,
    /// Accepted connections from one source: an IPv4 address or an IPv6 /64.
    pub per_source: usize,
    /// Bytes of one message.
    pub message_bytes: usize,
    /// From the first byte of a message to its last.
    pub message_time: Duration,
    /// From accepting a connection to the last byte of its first message.
    pub first_message_time: Duration,
    /// From the last message (or keep-alive) to the next byte.
    pub idle_time: Duration,
    /// For the peer to take one message.
    pub write_time: Duration,
    /// For a connection of ours to be accepted.
    pub connect_time: Duration,
    /// For all that comes before the first message: PROXY header, TLS, upgrade to a WebSocket.
    pub handshake_time: Duration,
    /// Accepted connections that are at it at a time.
    pub handshakes: usize,
    /// Silence on a WebSocket after which it is asked whether it is there.
    pub ping_time: Duration,
    /// Messages that wait to be written to one accepted connection.
    pub write_queue: usize,
    /// The same for a connection that stands for many: one of ours, or of another server.
    pub own_write_queue: usize,
    /// Connections of ours that are made beyond [`connections`](Self::connections), however many were accepted.
    pub own_connections: usize,
    /// Events that wait to be taken.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            // A company behind one address is many phones; a single host that opens more is none.
            per_source: 256,
            message_bytes: 65_535,
            message_time: Duration::from_secs(10),
            first_message_time: Duration::from_secs(10),
            // Phones without keep-alive speak once per registration, by default an hour.
            idle_time: Duration::from_secs(3_900),
            write_time: Duration::from_secs(10),
            connect_time: Duration::from_secs(5),
            handshake_time: Duration::from_secs(5),
            // Four sources that hold all that one may; some 20 MB.
            handshakes: 1_024,
            // Balancers and NATs forget what is silent for a minute.
            ping_time: Duration::from_secs(30),
            write_queue: 64,
            own_write_queue: 4_096,
            own_connections: 64,
            events: 1_024,
        }
    }
}
