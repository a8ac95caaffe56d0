//! `[sip.limits]`: what the open Internet and a busy evening may cost.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of the SIP edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Largest message that is accepted on a stream, in bytes.
    pub(crate) message_bytes: NonZeroU32,
    /// Largest header section of a request, in bytes, at most 32768.
    #[schemars(range(min = 1, max = 32_768))]
    pub(crate) header_bytes: NonZeroU32,
    /// Header lines of a request, at most 128.
    #[schemars(range(min = 1, max = 128))]
    pub(crate) headers: NonZeroU32,
    /// Seconds from the first byte of a message on a stream to its last, and from accepting a connection to its first message.
    pub(crate) message_seconds: NonZeroU32,
    /// Seconds for all that comes before the first message: PROXY header, TLS, upgrade to a WebSocket.
    pub(crate) handshake_seconds: NonZeroU32,
    /// Seconds after which a connection that says nothing is closed; phones without keep-alive speak once per registration.
    pub(crate) idle_seconds: NonZeroU32,
    /// Messages that wait to be written to one connection; who does not take them is cut off.
    pub(crate) write_queue: NonZeroU32,
    /// Connections at one time.
    pub(crate) connections: NonZeroU32,
    /// Connections at one time from one source address (IPv6: /64).
    pub(crate) connections_per_source: NonZeroU32,
    /// Transactions of each side (received, sent on) at one time, those among them that ended less than 32 s ago. From 80 % of
    /// it requests are turned away with 503, calls that stand and calls for help last.
    pub(crate) transactions: NonZeroU32,
    /// Emergency calls that are being set up at one time, beyond all other limits; more get 503.
    pub(crate) emergency_calls: NonZeroU32,
    /// Requests in a second from one source address of an access listener (IPv6: /64), calls that stand not counted. Twice as
    /// many may come at once; more get 503, and many more no answer.
    #[schemars(example = 100)]
    pub(crate) requests_per_source: Option<NonZeroU32>,
    /// Requests in a second of one account, in the same way, wherever they come from.
    #[schemars(example = 20)]
    pub(crate) requests_per_account: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: nonzero(65_535),
            header_bytes: nonzero(32_768),
            headers: nonzero(128),
            message_seconds: nonzero(10),
            handshake_seconds: nonzero(5),
            idle_seconds: nonzero(3_900),
            write_queue: nonzero(64),
            connections: nonzero(10_000),
            connections_per_source: nonzero(256),
            transactions: nonzero(500_000),
            emergency_calls: nonzero(100),
            requests_per_source: None,
            requests_per_account: None,
        }
    }
}

fn nonzero(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).expect("a default limit is not 0")
}
