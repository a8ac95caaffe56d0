//! What happens on listeners and connections, and why they end.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;

use super::handshake::{HandshakeFailure, Security};
use super::{ConnectionId, ListenerId};

/// What happened on a listener or connection.
///
/// Of a connection, `Opened` comes first and `Closed` last; one that [`Streams::connect`](super::Streams::connect)
/// could not make has `Closed` only.
#[derive(Debug)]
pub enum StreamEvent {
    /// A connection is there.
    Opened {
        /// Its name.
        connection: ConnectionId,
        /// Our address.
        local: SocketAddr,
        /// The other side's address, or whom it connects for.
        peer: SocketAddr,
        /// Who accepted it; `None` for one that we made.
        listener: Option<ListenerId>,
        /// What TLS said of the other side; `None` in clear.
        security: Option<Security>,
    },
    /// A message came.
    Message {
        /// On which connection.
        connection: ConnectionId,
        /// All of it.
        bytes: Bytes,
    },
    /// A connection is gone.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// A connection that was accepted did not come to be.
    Refused {
        /// By which listener.
        listener: ListenerId,
        /// Who had asked.
        peer: SocketAddr,
        /// Why.
        reason: RefuseReason,
    },
    /// A connection could not be accepted; the listener goes on.
    AcceptFailed {
        /// Which listener.
        listener: ListenerId,
        /// Why, as a rule that the process has no descriptor left.
        error: io::Error,
    },
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed it.
    Peer,
    /// We closed it, and what was queued has been written.
    Local,
    /// Nothing came for [`Limits::idle_time`](super::Limits::idle_time), or no first message for
    /// [`Limits::first_message_time`](super::Limits::first_message_time).
    Idle,
    /// A message was not complete in [`Limits::message_time`](super::Limits::message_time).
    MessageTime,
    /// A message was larger than [`Limits::message_bytes`](super::Limits::message_bytes).
    TooLarge,
    /// The framer saw something that is not its protocol.
    Invalid(&'static str),
    /// [`Limits::write_queue`](super::Limits::write_queue) messages waited already when one more was to be sent.
    WriteQueue,
    /// The peer did not take a message in [`Limits::write_time`](super::Limits::write_time).
    WriteTime,
    /// The peer did not accept in [`Limits::connect_time`](super::Limits::connect_time).
    ConnectTime,
    /// Connecting failed.
    ConnectFailed(io::ErrorKind),
    /// What comes before the first message failed.
    Handshake(HandshakeFailure),
    /// The system reported an error on the connection.
    Failed(io::ErrorKind),
}

impl CloseReason {
    /// Why reading ended.
    pub(super) fn of_read(error: io::ErrorKind) -> Self {
        // TLS without close_notify; the length of a message is not told by the end of the stream.
        if error == io::ErrorKind::UnexpectedEof { Self::Peer } else { Self::Failed(error) }
    }

    /// The reason as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Local => "local",
            Self::Idle => "idle",
            Self::MessageTime => "message_time",
            Self::TooLarge => "too_large",
            Self::Invalid(_) => "invalid",
            Self::WriteQueue => "write_queue",
            Self::WriteTime => "write_time",
            Self::ConnectTime => "connect_time",
            Self::ConnectFailed(_) => "connect_failed",
            Self::Handshake(_) => "handshake",
            Self::Failed(_) => "failed",
        }
    }
}

/// Why a connection was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefuseReason {
    /// There are [`Limits::connections`](super::Limits::connections) already.
    Connections,
    /// Its source holds [`Limits::per_source`](super::Limits::per_source) already.
    Source,
    /// [`Limits::handshakes`](super::Limits::handshakes) are under way already.
    Handshakes,
    /// What comes before the first message failed.
    Handshake(HandshakeFailure),
}

impl RefuseReason {
    /// The reason as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Source => "source",
            Self::Handshakes => "handshakes",
            Self::Handshake(_) => "handshake",
        }
    }
}
