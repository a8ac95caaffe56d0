//! What comes before the first message: the PROXY header, TLS, and the upgrade to a WebSocket.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod authority;
mod proxy;
mod tls;
mod websocket;

use std::net::SocketAddr;

use bytes::Bytes;
use cusax_net::stream::{
    Cause, CloseReason, ConnectionId, Frame, HandshakeFailure, Layer, Layers, Limits, RefuseReason, Security,
    StreamEvent, Streams,
};
use tokio::runtime::Handle;

/// Messages end with a semicolon; two line ends are a ping.
fn semicolon(bytes: &[u8]) -> Frame {
    if bytes.starts_with(b"\r\n\r\n") {
        return Frame::Ping(4, b"\r\n");
    }
    bytes.iter().position(|byte| *byte == b';').map_or(Frame::Incomplete, |end| Frame::Message(end + 1))
}

fn streams(limits: Limits) -> Streams {
    Streams::new(semicolon, limits, Handle::current())
}

fn listening(layers: Layers, limits: Limits) -> (Streams, SocketAddr) {
    let mut streams = streams(limits);
    let (_, local) = streams.listen("127.0.0.1:0".parse().unwrap(), layers).unwrap();
    (streams, local)
}

async fn opened(streams: &mut Streams) -> (ConnectionId, SocketAddr, Option<Security>) {
    let event = streams.next().await;
    let StreamEvent::Opened { connection, peer, security, .. } = event else { panic!("{event:?}") };
    (connection, peer, security)
}

async fn message(streams: &mut Streams) -> Bytes {
    let event = streams.next().await;
    let StreamEvent::Message { bytes, .. } = event else { panic!("{event:?}") };
    bytes
}

async fn closed(streams: &mut Streams) -> CloseReason {
    let event = streams.next().await;
    let StreamEvent::Closed { reason, .. } = event else { panic!("{event:?}") };
    reason
}

async fn refused(streams: &mut Streams) -> RefuseReason {
    let event = streams.next().await;
    let StreamEvent::Refused { reason, .. } = event else { panic!("{event:?}") };
    reason
}

/// Why what was accepted did not come to be.
async fn failed(streams: &mut Streams) -> (Layer, Cause) {
    let reason = refused(streams).await;
    let RefuseReason::Handshake(HandshakeFailure { layer, cause }) = reason else { panic!("{reason:?}") };
    (layer, cause)
}
