//! What came before the first message of a connection, as it is told.

use std::net::SocketAddr;

use cusax_event::Event;
use cusax_event::sip::DropReason;
use cusax_event::tls::{Aspect, Handshake, HandshakeResult, Side, Version};
use cusax_net::stream::{Cause, HandshakeFailure, Layer};
use cusax_net::tls;

/// TLS that came to be.
pub(super) const fn done(side: Side, version: tls::Version, remote: SocketAddr) -> Event {
    let version = match version {
        tls::Version::V1_2 => Version::V1_2,
        tls::Version::V1_3 => Version::V1_3,
    };
    event(side, HandshakeResult::Ok, version, remote, "")
}

/// TLS that did not.
pub(super) const fn failed(side: Side, cause: Cause, remote: SocketAddr) -> Event {
    let result = match cause {
        Cause::Deadline => HandshakeResult::Deadline,
        Cause::Closed => HandshakeResult::Closed,
        Cause::Certificate(_) => HandshakeResult::Certificate,
        Cause::Refused(_) => HandshakeResult::Refused,
        Cause::Invalid(_) | Cause::Origin => HandshakeResult::Invalid,
    };
    event(side, result, Version::None, remote, cause.detail())
}

/// Why such a connection was dropped.
pub(super) const fn drop_reason(failure: HandshakeFailure) -> DropReason {
    match (failure.cause, failure.layer) {
        (Cause::Deadline, _) => DropReason::Deadline,
        (Cause::Origin, _) => DropReason::Origin,
        (_, Layer::Proxy) => DropReason::ProxyHeader,
        (_, Layer::Tls) => DropReason::Tls,
        (_, Layer::WebSocket) => DropReason::WebSocket,
    }
}

const fn event(
    side: Side,
    result: HandshakeResult,
    version: Version,
    remote: SocketAddr,
    detail: &'static str,
) -> Event {
    Event::TlsHandshake(Handshake { aspect: Aspect::Sip, side, result, version, remote, detail })
}
